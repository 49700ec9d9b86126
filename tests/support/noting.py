"""A policy that writes down the units and the times of all that it is asked and told."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy

_ONE, _LOW, _32 = np.uint64(1), np.uint64(0xFFFFFFFF), np.uint64(32)


class NotingParams(NamedTuple):
    """None."""

    none: float


class NotingState(NamedTuple):
    """Sums of the low and the high halves of the units, and of the times."""

    marked: np.ndarray[Any, Any]  # uint64[3], of decisions
    learned: np.ndarray[Any, Any]  # uint64[3], of feedbacks


@kernel
def select(params: NotingParams, state: NotingState, instance: Instance, key: Key) -> Decision:
    """Choose by the unit and the time."""
    return Decision((int(instance.unit & _ONE) + instance.time) % 2, 1.0)


@kernel
def mark(params: NotingParams, state: NotingState, instance: Instance, decision: Decision, key: Key) -> None:
    """Add up."""
    _add(state.marked, instance)


@kernel
def update(
    params: NotingParams, state: NotingState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Add up."""
    _add(state.learned, instance)


@kernel
def _add(sums: np.ndarray[Any, Any], instance: Instance) -> None:
    sums[0] += instance.unit & _LOW
    sums[1] += instance.unit >> _32
    sums[2] += np.uint64(instance.time)


register_policy(NotingParams, select=select, update=update, mark=mark)


def noting() -> Policy:
    """Choose by the unit and the time, and add both up."""
    return Policy("noting", NotingParams(0.0), lambda params, problem: new_state())


def new_state() -> NotingState:
    """Return the state before any decision."""
    return NotingState(np.zeros(3, np.uint64), np.zeros(3, np.uint64))
