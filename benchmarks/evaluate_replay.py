"""Replay of a LinUCB that learns, on a log of 10 arms and contexts of 5 numbers, beside other libraries'.

All meet the same rows, decide on each, and learn as the log has it: every row ("logged"), or those on which they agree
with it ("matched"). The bare loop is plain numba of the same algorithm over the same arrays; it takes the same actions
as ours without scaling, which finds no units of the features.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from evaluate_peers import Way, peer, timed, turns

from onearm.engine.columns import empty
from onearm.engine.replay.matching import Contender
from onearm.engine.vocabulary import Array, Columns, Problem
from onearm.policies import catalog

ARMS, LENGTH = 10, 5
ALPHA, REGULARISATION = 0.4, 0.2  # the defaults of `linucb`
PEERS = ("obp", "river", "mabwiser")
LEARNING = ("logged", "matched")
THEIR_ROWS = 2_000  # the libraries do a few thousand rows a second


def uniform_log(rows: int) -> Columns:
    """Return rows of a log that drew its actions uniformly, with rewards of 0 and 1."""
    draws = np.random.default_rng(0)
    log = empty(rows, Problem(ARMS, (LENGTH,)))
    weight = draws.standard_normal((ARMS, LENGTH))
    log.context[:] = draws.standard_normal((rows, LENGTH)) / math.sqrt(LENGTH)
    log.action[:] = draws.integers(0, ARMS, rows)
    log.propensity[:] = 1.0 / ARMS
    score = (log.context * weight[log.action]).sum(axis=1)
    log.reward[:] = draws.random(rows) < 1.0 / (1.0 + np.exp(-2.0 * score))
    return log


@numba.njit(error_model="numpy")
def bare_choose(theta: Array, inverse: Array, x: Array, alpha: float) -> int:
    best, arm = -math.inf, -1
    for a in range(len(theta)):
        mean = square = 0.0
        for i in range(len(x)):
            mean += theta[a, i] * x[i]
            row = 0.0
            for j in range(len(x)):
                row += inverse[a, i, j] * x[j]
            square += x[i] * row
        bound = mean + alpha * math.sqrt(square)
        if bound > best:
            best, arm = bound, a
    return arm


@numba.njit(error_model="numpy")
def bare_learn(theta: Array, inverse: Array, total: Array, scratch: Array, x: Array, reward: float) -> None:
    below = 1.0
    for i in range(len(x)):
        scratch[i] = 0.0
        for j in range(len(x)):
            scratch[i] += inverse[i, j] * x[j]
        below += scratch[i] * x[i]
    for i in range(len(x)):
        total[i] += reward * x[i]
        for j in range(len(x)):
            inverse[i, j] -= scratch[i] * scratch[j] / below
    for i in range(len(x)):
        theta[i] = 0.0
        for j in range(len(x)):
            theta[i] += inverse[i, j] * total[j]


@numba.njit(error_model="numpy")
def bare_logged(
    context: Array, action: Array, reward: Array, alpha: float, regularisation: float, chosen: Array
) -> None:
    d = context.shape[1]
    theta, total, scratch = np.zeros((ARMS, d)), np.zeros((ARMS, d)), np.zeros(d)
    inverse = bare_start(d, regularisation)
    for t in range(len(action)):
        chosen[t] = bare_choose(theta, inverse, context[t], alpha)
        a = action[t]
        bare_learn(theta[a], inverse[a], total[a], scratch, context[t], reward[t])


@numba.njit(error_model="numpy")
def bare_matched(
    context: Array, action: Array, reward: Array, alpha: float, regularisation: float, chosen: Array
) -> None:
    d = context.shape[1]
    theta, total, scratch = np.zeros((ARMS, d)), np.zeros((ARMS, d)), np.zeros(d)
    inverse = bare_start(d, regularisation)
    for t in range(len(action)):
        a = chosen[t] = bare_choose(theta, inverse, context[t], alpha)
        if a == action[t]:
            bare_learn(theta[a], inverse[a], total[a], scratch, context[t], reward[t])


@numba.njit(error_model="numpy")
def bare_start(d: int, regularisation: float) -> Array:
    inverse = np.zeros((ARMS, d, d))
    for a in range(ARMS):
        for i in range(d):
            inverse[a, i, i] = 1.0 / regularisation
    return inverse


BARE = {"logged": bare_logged, "matched": bare_matched}


def bare_actions(log: Columns, learn: str) -> Array:
    """Return what the bare loop chooses, int64[n]."""
    chosen = np.zeros(len(log.kind), np.int64)
    BARE[learn](log.context, log.action, log.reward, ALPHA, REGULARISATION, chosen)
    return chosen


def our_actions(log: Columns, learn: Any, scaling: str) -> Array:
    """Return what ours chooses, int64[n]."""
    policy = catalog.make("linucb", alpha=ALPHA, regularisation=REGULARISATION, scaling=scaling, noise=1.0, origin=0.0)
    return Contender(policy, Problem(ARMS, (LENGTH,)), len(log.kind), learn=learn).judge(log).chosen


def agreement(log: Columns, chosen: Array) -> float:
    """Return the share of rows on which a replay agrees with the log: what its value tells."""
    return float((chosen == log.action).mean())


def measure(rows: int, rounds: int, peers: bool, step: Callable[[], None]) -> dict[str, Any]:
    """Return, by what is learned, the rates of ours, of the bare loop and of the libraries; None for what failed."""
    log = uniform_log(rows)
    found: dict[str, Any] = {"rows": rows, "arms": ARMS, "length": LENGTH, "their_rows": min(rows, THEIR_ROWS)}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        file = Path(folder, "log.npz")
        columns = {"context": log.context, "action": log.action, "reward": log.reward}
        np.savez(file, **{name: column[:THEIR_ROWS] for name, column in columns.items()})
        others = {name: stack.enter_context(peer(name, "replay.py")) for name in PEERS if peers}
        for learn in LEARNING:
            ways: dict[str, Way] = {
                "onearm": timed(lambda learn=learn: agreement(log, our_actions(log, learn, "online"))),
                "onearm, no scaling": timed(lambda learn=learn: agreement(log, our_actions(log, learn, "none"))),
                "bare numba": timed(lambda learn=learn: agreement(log, bare_actions(log, learn))),
            }
            rates = turns(ways, rows, rounds, step)
            jobs = {
                name: other.way(library=name, file=str(file), learn=learn)
                for name, other in others.items()
                if other is not None
            }
            found[learn] = rates | turns(jobs, found["their_rows"], rounds, step)
            same = np.array_equal(our_actions(log, learn, "none"), bare_actions(log, learn))
            found[learn]["bare numba"]["same_actions"] = bool(same)
    return found
