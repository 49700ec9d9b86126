"""Witness: a policy for tests whose state and decisions depend on everything that a kernel is handed.

If a door hands over another context, mask, time, key, propensity or reward than the others, its digest differs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from onearm.engine.draws import uniform
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class WitnessParams(NamedTuple):
    unknown: bool  # every fourth propensity is NaN


class WitnessState(NamedTuple):
    seen: Array  # float64[8]


def witness(unknown: bool = True) -> Policy:
    """Look at everything."""
    return Policy("witness", WitnessParams(bool(unknown)), init)


def init(params: WitnessParams, problem: Problem) -> WitnessState:
    seen = np.zeros(8)
    seen[7] = problem.horizon or 0
    return WitnessState(seen)


@kernel
def select(params: WitnessParams, state: WitnessState, instance: Instance, key: Key) -> Decision:
    k = len(instance.available)
    mixed = state.seen[0] + state.seen[1] + instance.t
    for i in range(len(instance.context)):
        mixed += 16.0 * instance.context[i]
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
    for i in range(len(instance.context)):
        state.seen[5] = 0.9 * state.seen[5] + instance.context[i]
    for a in range(len(instance.available)):
        state.seen[6] = 0.9 * state.seen[6] + instance.available[a] * (a + 1)


register_policy(WitnessParams, select=select, update=update)
