"""The two tiers of an entry, Python and compiled code, give the same bits: in turn, and where numbers are wild."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import golden
import numpy as np
import pytest

from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.kernel import Loop
from onearm.engine.vocabulary import Feedback, Problem
from onearm.policies import catalog as policies

pytestmark = [pytest.mark.jit, pytest.mark.usefixtures("few_cosines", "witness_in_the_catalogue")]
TURN = 7  # calls on one tier
WILD = [1e100, -1e100, 0.0, -0.0, 1e-300, 1.0, -1e9]
STEPS = 60  # of the courses that are run twice
NARROW = (ball(2, 1e-100), box([-1.0, 0.25], [1.0, 0.25]), simplex(3, 1e-100), product(ball(1), box([0.0], [1e100])))


def in_turn(this: Loop, *args: Any) -> Any:
    """Run as Python and compiled, some calls each."""
    in_turn.calls += 1  # type: ignore[attr-defined]
    return (compiled if in_turn.calls // TURN % 2 else interpreted)(this, *args)  # type: ignore[attr-defined]


def interpreted(this: Loop, *args: Any) -> Any:
    return this._interpreted(*args)


compiled = Loop.__call__  # as it is before tests replace it


@pytest.mark.parametrize("name", policies.names())
def test_a_run_that_goes_over_and_back_is_the_golden_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn.calls = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(Loop, "__call__", in_turn)
    wrong = golden.difference(name, golden.read().get(name), golden.entry(golden.specimen(name)))
    assert wrong is None, wrong
    assert in_turn.calls > 2 * TURN  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", policies.names())
def test_both_tiers_give_the_same_bits_where_rewards_and_domains_are_wild(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "STEPS", STEPS)
    monkeypatch.setattr(golden, "DOMAINS", (*golden.DOMAINS, *NARROW))
    monkeypatch.setattr(golden, "_reward", lambda t, action: WILD[(3 * t + action) % len(WILD)])
    monkeypatch.setattr(golden, "_feedback_on", wild(golden._feedback_on))
    found = []
    for tier in (interpreted, compiled):
        monkeypatch.setattr(Loop, "__call__", tier)
        found.append(golden.entry(golden.specimen(name)))
    assert found[0] == found[1]


def wild(feedback_on: Callable[..., Feedback]) -> Callable[..., Feedback]:
    """Return what a course of vectors is told, of all sizes."""

    def told(problem: Problem, point: Any, t: int) -> Feedback:
        feedback, size = feedback_on(problem, point, t), 10.0 ** (t * 71 % 199 - 99)
        with np.errstate(over="ignore"):
            return Feedback(float(np.clip(feedback.reward * size, -1e100, 1e100)), feedback.detail * size)

    return told
