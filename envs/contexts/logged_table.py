"""Logged table: rows in which the reward of every arm is on record, replayed in their order.

Source: full-information data sets, such as a backtest of several variants. NaN says that an arm was not on offer in
that row; after the last row the first comes again. A log of decisions, in which only the chosen arm's reward is known,
is not a world: `onearm replay` reads it. For regret against the best fixed arm there is `adversarial`.
State: none. Cost: O(k + d) per decision, to write availability and context.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import check_table, range_seen
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem


class LoggedTableParams(NamedTuple):
    """Numbers fixed at creation."""

    reward: Array  # float64[n, k] reward of each arm in each row, NaN where it is not available
    best: Array  # float64[n] the largest reward of each row
    context: Array  # float64[n, d]


class LoggedTableState(NamedTuple):
    """Nothing is kept: the row follows from t."""


def logged_table(reward: list[list[float | None]], context: list[list[float]] | None = None) -> Environment:
    """Pay `reward[t mod n][arm]`, at `context[t mod n]`; null or NaN for an arm that is not available in that row."""
    rewards = check_table("reward", reward, missing=True)
    empty = np.flatnonzero(np.isnan(rewards).all(axis=1))
    if len(empty):
        raise InvalidInput("bad_param", f"row {empty[0]} of reward offers no arm: at least one needs a reward")
    n, n_arms = rewards.shape
    contexts = np.zeros((n, 0)) if context is None else check_table("context", context)
    if len(contexts) != n:
        raise InvalidInput(
            "bad_param", f"context has {len(contexts)} rows and reward {n}: they must have the same number"
        )
    params = LoggedTableParams(rewards, np.nanmax(rewards, axis=1), contexts)
    problem = Problem(n_arms, (contexts.shape[1],), horizon=n, reward_range=range_seen(rewards))
    return Environment("logged_table", params, init, problem, regret_kind="best available arm of every row")


def init(params: LoggedTableParams, problem: Problem, run: np.uint64) -> LoggedTableState:
    """Return the empty state."""
    return LoggedTableState()


@kernel
def observe(
    params: LoggedTableParams, state: LoggedTableState, t: int, context: Array, available: Array, key: Key
) -> None:
    """Show the context of the row, and which arms it offers."""
    row = t % len(params.best)
    for j in range(len(context)):
        context[j] = params.context[row, j]
    for a in range(len(available)):
        available[a] = not math.isnan(params.reward[row, a])


@kernel
def respond(
    params: LoggedTableParams, state: LoggedTableState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Look the reward up, at once."""
    return params.reward[instance.t % len(params.best), action], 0


@kernel
def regret(params: LoggedTableParams, state: LoggedTableState, instance: Instance, action: int) -> float:
    """Return how much more the best available arm of the row pays."""
    row = instance.t % len(params.best)
    return params.best[row] - params.reward[row, action]


register_env(LoggedTableParams, observe=observe, respond=respond, regret=regret)
