"""Random order: a fixed set of losses, met one after another in an order that is drawn, once or in several passes.

Source: Sachs, Hadiji, van Erven, Guzman, NeurIPS 2022, section on random order. The losses are b_i . x + convexity
|x|^2 / 2, i = 1 .. n; nobody drew them, only their order is random, and each pass has one of its own. Without a table
of slopes b_i they are `wall` in the first coordinate, plus signs +- spread / sqrt(d) from nature's key.
State: the slopes, and the order of the present pass. Cost: O(d) per decision, O(n) where a pass begins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...engine.choices import Vectors
from ...engine.draws import uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_table
from ...engine.protocol import register_env
from ...engine.vectors.hindsight import best_for_bowl
from ...engine.vectors.named_domains import unit_domain
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

NUMBERS_MAX = 50_000_000  # of all slopes
_SLOPES = 2**62  # the time of the draws of the slopes; no decision is numbered so high
_ORDER = _SLOPES + 1  # of the order of the first pass


class RandomOrderParams(NamedTuple):
    """Numbers fixed at creation."""

    slope: Array  # float64[n, d], or float64[0, d] where they are drawn
    losses: int  # n
    spread: float  # of each coordinate
    wall: float
    convexity: float  # >= 0


class RandomOrderState(NamedTuple):
    """Written from nature's key alone."""

    run: Array  # uint64[1] nature's key
    slope: Array  # float64[n, d]
    comparator: Array  # float64[d] the best point of all losses
    turn: Array  # int64[1] the pass that `order` is of
    order: Array  # int64[n]


def random_order(
    losses: int = 10_000,
    dimension: int = 10,
    spread: float = 0.1,
    wall: float = 1.0,
    convexity: float = 0.0,
    domain: str | dict[str, Any] = "box",
    slopes: list[list[float]] | None = None,
) -> Environment:
    """Lose b . x + `convexity` |x|^2 / 2, b the next of a shuffled table: `slopes`, or `losses` that are made.

    Regret is counted on these losses, against the point that is best for all of them: it is whole after whole passes.
    """
    if isinstance(losses, bool) or not isinstance(losses, int) or losses < 1:
        raise InvalidInput("bad_param", f"losses is {as_seen(losses)}: it must be a whole number, 1 or more")
    table = None if slopes is None else check_table("slopes", slopes, low=-1e50, high=1e50)
    where = unit_domain(domain, dimension if table is None else table.shape[1])
    d = where.dimension
    if losses * d > NUMBERS_MAX:
        raise InvalidInput(
            "bad_param", f"losses is {as_seen(losses)}: there is room for {NUMBERS_MAX // d} of dimension {d}"
        )
    check_param("spread", spread, low=0.0, high=1e50)
    params = RandomOrderParams(
        np.zeros((0, d)) if table is None else table,
        losses if table is None else len(table),
        spread / float(np.sqrt(d)),
        check_param("wall", wall, low=-1e50, high=1e50),
        check_param("convexity", convexity, low=0.0, high=1e50),
    )
    problem = Problem.of(Vectors(where, "gradient"), horizon=params.losses)
    return Environment("random_order", params, init, problem, regret_kind="best fixed point of all losses")


def init(params: RandomOrderParams, problem: Problem, run: np.uint64) -> RandomOrderState:
    """Make the losses where none are given, and find the best point of all."""
    assert problem.domain is not None
    slope = params.slope
    if not len(slope):
        slope = np.zeros((params.losses, problem.dimension))
        _draw_slopes(params, slope, Key(run, _SLOPES))
    best = best_for_bowl(problem.domain, slope.sum(axis=0), params.convexity * len(slope))
    order = np.zeros(len(slope), np.int64)
    return RandomOrderState(np.array([run], np.uint64), slope, best, np.full(1, -1), order)


@kernel
def respond(
    params: RandomOrderParams, state: RandomOrderState, instance: Instance, action: Array, detail: Array, key: Key
) -> tuple[float, int]:
    """Reveal the gradient of the next loss, at once."""
    slope = state.slope[_place(state, instance.t)]
    loss = 0.0
    for j in range(len(action)):
        loss += (slope[j] + 0.5 * params.convexity * action[j]) * action[j]
        detail[j] = -(slope[j] + params.convexity * action[j])
    return -loss, 0


@kernel
def regret(params: RandomOrderParams, state: RandomOrderState, instance: Instance, action: Array) -> float:
    """Return how much more the point loses than the comparator: less than 0 is possible."""
    slope = state.slope[_place(state, instance.t)]
    total = 0.0
    for j in range(len(action)):
        best = state.comparator[j]
        total += (slope[j] + 0.5 * params.convexity * (action[j] + best)) * (action[j] - best)
    return total


@kernel
def _place(state: RandomOrderState, t: int) -> int:
    """Return which loss is met at t; where a pass begins its order is drawn (Fisher, Yates 1938)."""
    n = len(state.order)
    if state.turn[0] != t // n:
        state.turn[0] = t // n
        key = Key(state.run[0], _ORDER + t // n)
        for i in range(n):
            state.order[i] = i
        for i in range(n - 1, 0, -1):
            j = int(uniform(key, i) * (i + 1))
            state.order[i], state.order[j] = state.order[j], state.order[i]
    return state.order[t % n]


@loop
def _draw_slopes(params: RandomOrderParams, slope: Array, key: Key) -> None:
    n, d = slope.shape
    for i in range(n):
        for j in range(d):
            slope[i, j] = params.spread if uniform(key, i * d + j) < 0.5 else -params.spread
        slope[i, 0] += params.wall


register_env(RandomOrderParams, respond=respond, regret=regret)
