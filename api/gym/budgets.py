"""Drive a policy that asks: each episode is a budget of queries, and what is recommended in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from ...engine import loop
from ...engine.draws import POLICY, run_key
from ...engine.errors import InvalidInput
from ...engine.problem import check_seed, fitted, query_problem
from ...engine.task import Task
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from ..kinds.queries.problem import task_of


def task_problem(env: gymnasium.Env[Any, Any], *others: Any) -> Problem | None:
    """Return the problem of an environment whose metadata tell of queries: a task and a budget; None of others.

    `others` are what is said of problems of other kinds: nothing may be, here.
    """
    declared = env.metadata.get("queries")
    if not isinstance(declared, dict):
        return None
    if any(other is not None for other in others):
        raise InvalidInput(
            "bad_env",
            "the environment asks queries: domain and feedback are for vectors, reward_range is for rewards; leave "
            "them out",
        )
    return query_problem(Task.from_json(declared["task"]), declared["budget"])


def play(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    problem: Problem,
    steps: int,
    seed: int,
    progress: Callable[[int], None],
) -> tuple[Array, Array, Array, int, Any]:
    """Let a policy act for `steps` steps; it begins each episode anew, with draws of its own.

    Returns actions int64[steps], propensities and rewards float64[steps], how many episodes ended, and the policy's
    state in the last one. A recommendation has no propensity that is known: NaN.
    """
    chosen = fitted(policy, problem)
    budget = problem.horizon
    assert budget is not None, "queries have a budget"
    state, run = chosen.init(chosen.params, problem), run_key(check_seed(seed), 0, POLICY)
    asked = episodes = 0
    action, propensity, reward = np.zeros(steps, np.int64), np.full(steps, np.nan), np.zeros(steps)
    _, info = env.reset(seed=seed)
    over = False
    for number in range(steps):
        if over:
            _, info = env.reset()
            state, asked = chosen.init(chosen.params, problem), 0
        key, available = Key(run, number), np.asarray(info["action_mask"])[: problem.n_arms].astype(np.bool_)
        if asked < budget and available.any():
            instance = Instance(asked, np.zeros(0), available)
            decision = Decision(*loop.decide.now(chosen.params, state, instance, key))
            action[number], propensity[number] = decision.action, decision.propensity
            _, _, ended, truncated, info = env.step(int(decision.action))
            loop.learn.now(chosen.params, state, instance, decision, _answer(problem, info), key)
            asked += 1
        else:
            action[number] = problem.n_arms + loop.recommendation.now(chosen.params, state, key)
            _, earned, ended, truncated, info = env.step(int(action[number]))
            reward[number] = float(earned)
        over = bool(ended or truncated)
        episodes += over
        progress(1)
    return action, propensity, reward, episodes, state


def _answer(problem: Problem, info: dict[str, Any]) -> Feedback:
    """Return the answer in `info` as a policy learns it; refuse one that the task does not have."""
    answer = info.get("answer")
    value = task_of(problem).check_answer(answer.item() if isinstance(answer, np.generic) else answer)
    return Feedback(0.0, np.array([value]))
