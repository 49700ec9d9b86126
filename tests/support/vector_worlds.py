"""A world for tests of decisions that are vectors: every kind of feedback, contexts that forecast it, late rewards.

It comes from outside the package, so its kernels are compiled in each process and never cached.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from onearm.engine.domain import Domain, ball
from onearm.engine.draws import normal, uniform
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_env
from onearm.engine.vocabulary import Array, Environment, FeedbackKind, Instance, Key, Problem

KINDS = ("reward", "gradient", "losses", "two_rewards", "example")


class TideParams(NamedTuple):
    kind: int  # of the feedback, in KINDS
    delay_max: int  # the longest delay of a feedback, in decisions


class TideState(NamedTuple):
    nothing: Array


def tide(
    feedback: FeedbackKind = "gradient",
    domain: Domain | None = None,
    delay_max: int = 0,
    forecast: bool = True,
    horizon: int | None = None,
) -> Environment:
    """Lose |x - c|^2 / 2, or -c . x where losses are revealed, c drawn anew each time; the context is about c."""
    where = ball(3) if domain is None else domain
    shape = (where.dimension,) if forecast else (0,)
    problem = Problem(0, shape, horizon, domain=where, feedback=feedback)
    return Environment("tide", TideParams(KINDS.index(feedback), delay_max), init, problem, None, delay_max)


def init(params: TideParams, problem: Problem, run: np.uint64) -> TideState:
    return TideState(np.zeros(1))


@kernel
def observe(params: TideParams, state: TideState, t: int, context: Array, available: Array, key: Key) -> None:
    for j in range(len(context)):
        context[j] = _centre(key, j) + 0.1 * normal(key, 1000 + j)


@kernel
def respond(
    params: TideParams, state: TideState, instance: Instance, action: Array, detail: Array, key: Key
) -> tuple[float, int]:
    delay = int(uniform(key, 2000) * (params.delay_max + 1))
    if params.kind == 2:
        earned = 0.0
        for j in range(len(action)):
            detail[j] = _centre(key, j)
            earned += detail[j] * action[j]
        return earned, delay
    if params.kind == 3:
        d = len(action) // 2
        detail[0], detail[1] = _reward(action[:d], key), _reward(action[d:], key)
        return (detail[0] + detail[1]) / 2.0, delay
    if params.kind == 4:
        product = 0.0
        for j in range(len(action)):
            detail[j] = _centre(key, j)
            product += detail[j] * action[j]
        detail[len(action)] = 0.5
        return -abs(product - 0.5), delay
    if params.kind == 1:
        for j in range(len(action)):
            detail[j] = _centre(key, j) - action[j]
    return _reward(action, key), delay


@kernel
def _reward(point: Array, key: Key) -> float:
    square = 0.0
    for j in range(len(point)):
        away = _centre(key, j) - point[j]
        square += away * away
    return -0.5 * square


@kernel
def _centre(key: Key, j: int) -> float:
    return 0.3 + 0.5 * (uniform(key, j) - 0.5)


_kernels: dict[str, Any] = {"observe": observe, "respond": respond}
register_env(TideParams, **_kernels)
