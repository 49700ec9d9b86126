"""Drive a policy on any Gymnasium environment with a Discrete action space, or over vectors with a Box.

Where an environment asks queries within a budget (`queries.py`), each episode is one of the policy's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from ...engine import loop
from ...engine.actions import decision_at, empty_actions, put_action
from ...engine.changes.worlds import changes_of
from ...engine.domain import Domain
from ...engine.draws import POLICY, run_key
from ...engine.problem import ANY_REWARD, check_seed, fitted
from ...engine.protocol import certifies
from ...engine.vocabulary import Array, Certificate, Change, FeedbackKind, Instance, Key, Policy, Problem
from ...policies import catalog
from ..kinds.table import kind_of
from .budgets import play, task_problem
from .problems import action_for, context_of, feedback_of, mask_of, problem_of_spaces


@dataclass(frozen=True)
class Course:
    """What happened: one entry a step."""

    action: Array  # int64[n], arms or queries from 0, hypotheses behind these; float64[n, d], points; of two [n, 2 d]
    propensity: Array  # float64[n]
    reward: Array  # float64[n]
    episodes: int  # how many ended
    state: Any  # the policy's, at the end
    certificate: Certificate  # what the policy proves of its regret; NaN where it proves nothing
    changes: list[Change] = field(default_factory=list)  # of the world, where the policy looks for them


def run(
    policy: Policy | str,
    env: gymnasium.Env[Any, Any],
    *,
    steps: int,
    seed: int = 0,
    domain: Domain | dict[str, Any] | None = None,
    feedback: FeedbackKind | None = None,
    reward_range: tuple[float, float] | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> Course:
    """Let a policy act for `steps` steps; every step is one decision, and its reward is learned at once.

    The context is the flattened observation (none for a Discrete observation of one value); an `action_mask` in `info`
    is honoured. Episodes follow one another; the policy keeps what it learned. A reward is refused outside of the
    `reward_range`, or of `env.metadata["reward_range"]`, or else of what the policy is made for.

    >>> import gymnasium
    >>> course = run("ucb1", gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9]), steps=500, seed=1)
    >>> bool(course.reward.mean() > 0.7)
    True

    A policy over vectors acts in the Box of the action space, or in a `domain` within it. It learns what
    `info["detail"]` holds, of the reward (up is better): `feedback` says what that is, "gradient" for one, as
    `engine.vocabulary.Problem` lists them; by default what `env.metadata["feedback"]` says, and else "reward", nothing.

    >>> course = run("optimistic_ftrl", gymnasium.make("onearm/Sea-v0", domain="ball", horizon=50), steps=50)
    >>> course.action.shape, bool(course.certificate.bound < 50)
    ((50, 10), True)

    For a policy that learns how states move, like half_visit, the values of a Discrete observation space are states; an
    episode that terminates is the end of its unit, one that is truncated goes on elsewhere.

    A policy that asks begins anew in each episode, and ends it with its recommendation: of n queries the action n + z
    recommends hypothesis z.

    >>> course = run("uniform_budget", gymnasium.make("onearm/Thresholds-v0", points=3, horizon=6), steps=14)
    >>> course.episodes, bool((course.action[[6, 13]] >= 3).all())
    (2, True)
    """
    chosen = catalog.parse(policy) if isinstance(policy, str) else policy
    if (asking := task_problem(env, domain, feedback, reward_range)) is not None:
        return Course(*play(chosen, env, asking, steps, seed, progress), Certificate(math.nan, math.nan))
    problem = problem_of_spaces(env, steps, domain, feedback, reward_range, chosen.contexts)
    chosen = fitted(chosen, problem)
    limits, key_run = problem.reward_range or chosen.reward_range or ANY_REWARD, run_key(check_seed(seed), 0, POLICY)
    state = chosen.init(chosen.params, problem)
    acted = _act(chosen, state, env, problem, limits, key_run, seed, progress)
    proven = loop.certificate.now(chosen.params, state) if certifies(chosen.params) else (math.nan, math.nan)
    return Course(*acted, state, Certificate(*map(float, proven)), changes_of(chosen, state))


def _act(
    chosen: Policy,
    state: Any,
    env: gymnasium.Env[Any, Any],
    problem: Problem,
    limits: tuple[float, float],
    key_run: np.uint64,
    seed: int,
    progress: Callable[[int], None],
) -> tuple[Array, Array, Array, int]:
    """Make as many steps as the horizon says; return actions, propensities, rewards, and how many episodes ended."""
    steps = problem.horizon or 0
    action, propensity, reward = empty_actions(steps, problem), np.zeros(steps), np.zeros(steps)
    check, episodes = kind_of(problem).gym.decided(problem), 0
    observation, info = env.reset(seed=seed)
    begins = True
    for t in range(steps):
        context = context_of(env.observation_space, observation, problem, begins)
        instance = Instance(t, context, mask_of(info, problem))
        key = Key(key_run, t)
        made, propensity[t] = loop.decide.now(chosen.params, state, instance, key)
        if check is not None:
            check(chosen.name, made, t)
        put_action(action, t, made)  # before anything is learned: a policy writes its points into one array
        step = env.step(action_for(env.action_space, action[t]))
        observation, _, terminated, truncated, info = step
        learned = feedback_of(env, step, problem, limits)
        loop.learn.now(chosen.params, state, instance, decision_at(action, t, float(propensity[t])), learned, key)
        reward[t] = learned.reward
        begins = terminated or truncated
        if begins:
            episodes += 1
            observation, info = env.reset()
        progress(1)
    return action, propensity, reward, episodes
