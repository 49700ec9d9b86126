"""A policy from outside the package whose points leave their domain, for tests of what interfaces say of such."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class LeapingParams(NamedTuple):
    when: int  # number of the decision that lies outside
    far: float  # what its first number is


class LeapingState(NamedTuple):
    start: Array  # float64[d]
    learned: Array  # int64[1]
    scratch_point: Array  # float64[d]


def leaping(when: int = 2, far: float = 5.0) -> Policy:
    """Decide the middle of the domain, but at decision `when` a point whose first number is `far`."""
    kinds = ("gradient", "losses", "two_rewards")
    return Policy("leaping", LeapingParams(when, far), init, actions=("vector",), feedbacks=kinds)  # type: ignore[arg-type]


def init(params: LeapingParams, problem: Problem) -> LeapingState:
    assert problem.domain is not None
    start = np.tile(problem.domain.start, problem.dimension // problem.domain.dimension)
    return LeapingState(start, np.zeros(1, np.int64), start.copy())


@kernel
def select(params: LeapingParams, state: LeapingState, instance: Instance, key: Key) -> Decision:
    for j in range(len(state.start)):
        state.scratch_point[j] = state.start[j]
    if instance.t == params.when:
        state.scratch_point[0] = params.far
    return Decision(state.scratch_point, 1.0)


@kernel
def update(
    params: LeapingParams, state: LeapingState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    state.learned[0] += 1


register_policy(LeapingParams, select=select, update=update)
