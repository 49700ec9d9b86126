"""A policy for tests that lets three arms pass by before it pulls one, however good they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from onearm.engine.actions import READ, pull, read
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

PASS = 3


class PassingByParams(NamedTuple):
    n: int  # pulls of each arm


class PassingByState(NamedTuple):
    read: Array  # int64[1] since the last pull
    scratch_move: Array  # int64[3]


def passing_by(n: int = 2) -> Policy:
    """Let arms pass by."""
    return Policy("passing_by", PassingByParams(n), init, actions=("move",))


def init(params: PassingByParams, problem: Problem) -> PassingByState:
    return PassingByState(np.zeros(1, np.int64), np.zeros(3, np.int64))


@kernel
def select(params: PassingByParams, state: PassingByState, instance: Instance, key: Key) -> Decision:
    arrived = len(instance.available) - 2
    if instance.available[arrived + 1] and state.read[0] <= PASS:
        return Decision(read(state.scratch_move, arrived), 1.0)
    return Decision(pull(state.scratch_move, arrived, params.n), 1.0)


@kernel
def update(
    params: PassingByParams,
    state: PassingByState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    state.read[0] = state.read[0] + 1 if decision.action[0] == READ else 0


register_policy(PassingByParams, select=select, update=update)
