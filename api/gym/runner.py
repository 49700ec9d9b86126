"""Drive a policy on any Gymnasium environment with a Discrete action space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit, check_seed
from onearm.engine.vocabulary import Array, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog


@dataclass(frozen=True)
class Course:
    """What happened: one entry a step."""

    action: Array  # int64[n], arms from 0
    propensity: Array  # float64[n]
    reward: Array  # float64[n]
    episodes: int  # how many ended
    state: Any  # the policy's, at the end


def run(
    policy: Policy | str,
    env: gymnasium.Env[Any, Any],
    *,
    steps: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda steps: None,
) -> Course:
    """Let a policy act for `steps` steps; every step is one decision, and its reward is learned at once.

    The context is the flattened observation (none for a Discrete observation of one value); an `action_mask` in `info`
    is honoured. Episodes follow one another; the policy keeps what it learned.

    >>> import gymnasium
    >>> course = run("ucb1", gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9]), steps=500, seed=1)
    >>> bool(course.reward.mean() > 0.7)
    True
    """
    chosen = catalog.parse(policy) if isinstance(policy, str) else policy
    space = env.action_space
    if not isinstance(space, spaces.Discrete):
        raise InvalidInput("bad_env", f"the action space is {space}: a policy over arms needs a Discrete one")
    first, n_arms = int(space.start), int(space.n)
    problem = Problem(n_arms, _context_shape(env.observation_space), steps)
    check_fit(chosen, problem)
    state = chosen.init(chosen.params, problem)
    key_run = run_key(check_seed(seed), 0, POLICY)
    action, propensity, reward = np.zeros(steps, np.int64), np.zeros(steps), np.zeros(steps)
    episodes = 0
    observation, info = env.reset(seed=seed)
    for t in range(steps):
        instance = Instance(t, _context(env.observation_space, observation, problem), _mask(info, n_arms))
        key = Key(key_run, t)
        decision = loop.decide(chosen.params, state, instance, key)
        observation, earned, terminated, truncated, info = env.step(first + decision.action)
        loop.learn(chosen.params, state, instance, decision, Feedback(float(earned), np.zeros(0)), key)
        action[t], propensity[t], reward[t] = decision.action, decision.propensity, earned
        if terminated or truncated:
            episodes += 1
            observation, info = env.reset()
        progress(1)
    return Course(action, propensity, reward, episodes, state)


def _context_shape(space: spaces.Space[Any]) -> tuple[int, ...]:
    if isinstance(space, spaces.Discrete) and space.n == 1:
        return (0,)
    return (spaces.flatdim(space),)


def _context(space: spaces.Space[Any], observation: Any, problem: Problem) -> Array:
    if problem.context_shape == (0,):
        return np.zeros(0)
    return np.asarray(spaces.flatten(space, observation), np.float64).reshape(problem.context_shape)


def _mask(info: dict[str, Any], n_arms: int) -> Array:
    mask = info.get("action_mask")
    return np.ones(n_arms, np.bool_) if mask is None else np.asarray(mask).astype(np.bool_)
