"""Hints: what is expected, for each kind, and what a kind asks of a problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import descents

from onearm.engine import loop
from onearm.engine.domain import ball
from onearm.engine.errors import InvalidInput
from onearm.engine.vectors.gradient_hints import CONTEXT, HINTS, LAST, ZERO, check_forecast, check_hint, hinted
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.policies import catalog

OPTIMISTIC = ("optimistic_omd", "optimistic_ftrl")


def test_each_kind_reads_what_it_says() -> None:
    last, context = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert [hinted(kind, last, context, 1) for kind in (LAST, ZERO, CONTEXT)] == [2.0, 0.0, 4.0]
    assert [HINTS[kind] for kind in (LAST, ZERO, CONTEXT)] == ["last", "zero", "context"]


def test_a_hint_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput, match="hint is 'first': it must be one of last, zero, context"):
        check_hint("first")


def test_only_a_forecast_asks_for_contexts_of_its_length() -> None:
    plain = Problem(0, domain=ball(3), feedback="gradient")
    check_forecast(LAST, plain, 3)
    check_forecast(ZERO, plain, 3)
    check_forecast(CONTEXT, Problem(0, (3,), domain=ball(3), feedback="gradient"), 3)
    with pytest.raises(InvalidInput, match=r"have the shape \[4\]: a forecast has \[3\]"):
        check_forecast(CONTEXT, Problem(0, (4,), domain=ball(3), feedback="gradient"), 3)


def _run(name: str, hint: str, quality: float) -> tuple[float, float]:
    """Return loss and V where forecasts are `quality` times the gradients to come."""
    policy = catalog.make(name, hint=hint)
    shape = (3,) if hint == "context" else (0,)
    state = policy.init(policy.params, Problem(0, shape, domain=ball(3), feedback="losses"))
    rng, loss = np.random.default_rng(5), 0.0
    for t in range(200):
        gradient = rng.normal(size=3)
        instance = Instance(t, quality * gradient if shape == (3,) else np.zeros(0), np.ones(1, np.bool_))
        loss -= descents.played(policy, state, instance, lambda x, g=gradient: g) @ gradient
    return loss, loop.certificate(policy.params, state).variation


@pytest.mark.parametrize("name", OPTIMISTIC)
def test_a_forecast_of_noise_earns_what_no_policy_without_one_can(name: str) -> None:
    foreseen, without, misled = (_run(name, "context", 1.0), _run(name, "zero", 1.0), _run(name, "context", -1.0))
    assert foreseen[0] < without[0] - 30.0 < misled[0] - 30.0
    assert foreseen[1] == 0.0
    assert abs(misled[1] - 4.0 * without[1]) < 1e-9 * misled[1]


@pytest.mark.parametrize("name", OPTIMISTIC)
def test_the_forecast_of_a_late_feedback_is_the_one_that_was_decided_with(name: str) -> None:
    policy = catalog.make(name, hint="context")
    state = policy.init(policy.params, Problem(0, (2,), domain=ball(2), feedback="gradient"))
    made: list[Any] = []
    for t, forecast in enumerate(([1.0, 0.0], [0.0, 1.0])):
        instance = Instance(t, np.array(forecast), np.ones(1, np.bool_))
        point, propensity = loop.decide(policy.params, state, instance, Key(descents.RUN, t))
        made.append((instance, Decision(point.copy(), propensity)))
    for instance, decision in reversed(made):
        loop.learn(
            policy.params, state, instance, decision, Feedback(0.0, instance.context), Key(descents.RUN, instance.t)
        )
    assert loop.certificate(policy.params, state).variation == 0.0
