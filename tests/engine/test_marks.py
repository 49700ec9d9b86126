"""Which policies take note of decisions: their state is a fold of these as well."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from onearm.engine.kernel import kernel
from onearm.engine.protocol import marks, register_policy
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key
from onearm.policies import catalog


class PatientParams(NamedTuple):
    """Of a policy from outside, for which `wait` is something of its own."""

    wait: int


@kernel
def select(params: PatientParams, state: Any, instance: Instance, key: Key) -> Decision:
    return Decision(0, 1.0)


@kernel
def mark(params: PatientParams, state: Any, instance: Instance, decision: Decision, key: Key) -> None:
    state.count[0] += 1


@kernel
def update(
    params: PatientParams, state: Any, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    state.count[0] += 1


register_policy(PatientParams, select=select, mark=mark, update=update)


@pytest.mark.parametrize("name", ["ucb1", "kl_ucb", "linucb", "fourier_ucb"])
def test_a_policy_that_counts_what_is_awaited_takes_note_and_without_a_wait_it_does_not(name: str) -> None:
    assert marks(catalog.make(name, wait=3).params)
    assert not marks(catalog.make(name).params)
    assert marks(catalog.make("floor", policy={"name": name, "params": {"wait": 3}}).params)
    assert not marks(catalog.make("floor", policy=name).params)


def test_a_policy_from_outside_takes_note_whatever_its_params_are_called() -> None:
    assert marks(PatientParams(0))
