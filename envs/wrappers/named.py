"""Named: another environment whose numbers arrive as named features, crossed with the arms.

Source: how Vowpal Wabbit is fed a classification task. What is shown at a context x of d numbers and k arms is what
`Encoder(bits).encode({"x": [x_0, ...]}, [{"id": "0"}, ..., {"id": "k-1"}])` gives: the x_j are shared, and each arm has
its id and the products of its id with the x_j. Numbers that are 0 are left out.
State: the inner environment's, and its context. Cost: O(d k) per decision, for the products.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.features import BITS_MAX, feature_number, mixed
from ...engine.kernel import kernel
from ...engine.protocol import observe as inner_observe
from ...engine.protocol import register_env
from ...engine.protocol import regret as inner_regret
from ...engine.protocol import respond as inner_respond
from ...engine.vocabulary import Array, Environment, Features, Instance, Key, Problem

NONZEROS_MAX = 10_000_000  # of one context: arms times numbers


class NamedParams(NamedTuple):
    """Numbers fixed at creation."""

    inner: Any  # params of the environment inside
    place: Array  # int64[k + 1, d + 1] the numbers in the order of their slots, d for the id; row 0 is shared
    slot: Array  # uint32[k + 1, d + 1] their slots, ascending


class NamedState(NamedTuple):
    """What the environment inside holds, and what it shows."""

    inner: Any
    shown: Array  # float64[d + 1] the context inside, and a 1 for the ids


def named(env: Environment, bits: int = 18) -> Environment:
    """Show the context of `env` as named features, each alone and with every arm, hashed to 2^`bits` slots."""
    if env.problem.action_kind == "move":
        raise InvalidInput(
            "bad_param", "env lets arms stream past, which have no features: name one with numbered arms"
        )
    if env.problem.context_kind != "dense":
        raise InvalidInput("bad_param", "env has features for each action already: name one with numbered arms")
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= BITS_MAX:
        raise InvalidInput("bad_param", f"bits is {as_seen(bits)}: it must be a whole number from 1 to {BITS_MAX}")
    k, (d,) = env.problem.n_arms, env.problem.context_shape
    nonzeros = d + k * (d + 1)
    if nonzeros > NONZEROS_MAX:
        raise InvalidInput("bad_param", f"env has {k} arms and {d} numbers: their products are too many to name")

    def init(params: NamedParams, problem: Problem, run: np.uint64) -> NamedState:
        inside = Problem(problem.n_arms, env.problem.context_shape, problem.horizon)
        return NamedState(env.init(params.inner, inside, run), np.ones(d + 1))

    numbers = _numbers(k, d) & np.uint64((1 << bits) - 1)
    order = np.argsort(numbers, axis=1, kind="stable")
    slot = np.take_along_axis(numbers, order, axis=1).astype(np.uint32)
    problem = replace(env.problem, context_shape=(k, 1 << bits), nonzeros=nonzeros)
    return Environment(
        "named", NamedParams(env.params, order, slot), init, problem, env.regret_kind, delay_max=env.delay_max
    )


@kernel
def observe(params: NamedParams, state: NamedState, t: int, context: Features, available: Array, key: Key) -> None:
    """Show what the environment inside shows, by name."""
    d = len(state.shown) - 1
    inner_observe(params.inner, state.inner, t, state.shown[:d], available, key)
    last = context.start[0]
    for row in range(len(params.place)):
        begin = last
        context.start[row] = begin
        for j in range(d + 1):
            place = params.place[row, j]
            value = state.shown[place]
            if value == 0.0 or (row == 0 and place == d):
                continue
            if last > begin and context.index[last - 1] == params.slot[row, j]:
                context.value[last - 1] += value
            else:
                context.index[last] = params.slot[row, j]
                context.value[last] = value
                last += 1
    context.start[len(params.place)] = last


@kernel
def respond(
    params: NamedParams, state: NamedState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay what the environment inside pays."""
    shown = state.shown[: len(state.shown) - 1]
    inside = Instance(instance.t, shown, instance.available, instance.unit, instance.time)
    return inner_respond(params.inner, state.inner, inside, action, detail, key)


@kernel
def regret(params: NamedParams, state: NamedState, instance: Instance, action: int) -> float:
    """Return the regret that the environment inside knows."""
    shown = state.shown[: len(state.shown) - 1]
    inside = Instance(instance.t, shown, instance.available, instance.unit, instance.time)
    return inner_regret(params.inner, state.inner, inside, action)


def _numbers(k: int, d: int) -> Array:
    """Return what each feature is known by, uint64[k + 1, d + 1]: x_j or its product, and the id."""
    alone = np.array([feature_number("x", str(j)) for j in range(d)], np.uint64)
    ids = np.array([feature_number("", f"id={a}") for a in range(k)], np.uint64)
    products = np.stack([mixed(alone, one) for one in ids])
    return np.column_stack([np.concatenate([alone[np.newaxis], products]), np.concatenate([[np.uint64(0)], ids])])


register_env(NamedParams, observe=observe, respond=respond, regret=regret)
