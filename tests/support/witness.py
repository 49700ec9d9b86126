"""Witness: a policy for tests whose state and decisions depend on everything that a kernel is handed.

If an interface hands over another context, mask, time, key, propensity or reward than the others, its digest differs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from onearm.engine.draws import uniform
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Features, Feedback, Instance, Key, Policy, Problem


class WitnessParams(NamedTuple):
    unknown: bool  # every fourth propensity is NaN


class WitnessState(NamedTuple):
    seen: Array  # float64[8]


def witness(unknown: bool = True) -> Policy:
    """Look at everything."""
    return Policy("witness", WitnessParams(bool(unknown)), init, contexts=("dense", "actions", "named"))


def init(params: WitnessParams, problem: Problem) -> WitnessState:
    seen = np.zeros(8)
    seen[7] = problem.horizon or 0
    return WitnessState(seen)


@kernel
def select(params: WitnessParams, state: WitnessState, instance: Instance, key: Key) -> Decision:
    k = len(instance.available)
    mixed = state.seen[0] + state.seen[1] + instance.t
    mixed += 16.0 * total_of(instance.context, 1.0)
    first = int((abs(mixed) + k * uniform(key, 0)) % k)
    action = first
    while not instance.available[action]:
        action = (action + 1) % k
    if params.unknown and instance.t % 4 == 3:
        return Decision(action, math.nan)
    return Decision(action, 1.0 / (2.0 + abs(mixed)))


@kernel
def update(
    params: WitnessParams,
    state: WitnessState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    state.seen[0] = 0.9 * state.seen[0] + feedback.reward
    state.seen[1] = 0.9 * state.seen[1] + uniform(key, 1)
    if not math.isnan(decision.propensity):
        state.seen[2] = 0.9 * state.seen[2] + decision.propensity
    state.seen[3] = 0.9 * state.seen[3] + decision.action
    state.seen[4] = 0.9 * state.seen[4] + instance.t
    state.seen[5] = 0.9 * state.seen[5] + total_of(instance.context, 0.9)
    for a in range(len(instance.available)):
        state.seen[6] = 0.9 * state.seen[6] + instance.available[a] * (a + 1)


@kernel
def _total_of_array(context: Any, keep: float) -> float:
    total = 0.0
    flat = context.reshape(context.size)
    for i in range(flat.size):
        total = keep * total + flat[i]
    return total


@kernel
def _total_of_features(context: Any, keep: float) -> float:
    total = 0.0
    for row in range(len(context.start) - 1):
        for j in range(context.start[row], context.start[row + 1]):
            total = keep * total + (row + 1) * context.index[j] / 1024.0 * context.value[j]
    return total


def total_of(context: Any, keep: float) -> float:
    """Return a number in which every number of a context counts."""
    return (_total_of_features if isinstance(context, Features) else _total_of_array)(context, keep)


@overload(total_of)  # type: ignore[misc]
def _total_of(context, keep):  # type: ignore[no-untyped-def]
    total = _total_of_features if isinstance(context, types.BaseNamedTuple) else _total_of_array
    return lambda context, keep: total(context, keep)


register_policy(WitnessParams, select=select, update=update)
