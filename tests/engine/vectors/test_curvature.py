"""Policies that suppose losses to curve: they say so, and learn from no losses that are linear."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.domain import ball
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.policies import catalog

FIRST_ORDER = ("gradient_descent", "optimistic_ftrl", "optimistic_omd")
RUN = run_key(3, 0, POLICY)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_policy_that_supposes_strong_convexity_says_so_and_refuses_linear_losses(name: str) -> None:
    plain, curved = catalog.make(name), catalog.make(name, convexity=0.5)
    assert plain.supposes is None
    assert curved.supposes == "losses that are 0.5-strongly convex"
    linear, convex = (Problem(0, domain=ball(3), feedback=kind) for kind in ("losses", "gradient"))
    check_fit(plain, linear)
    check_fit(curved, convex)
    with pytest.raises(InvalidInput, match=f"{name!r} learns from the gradient of the loss, but this problem reveals"):
        check_fit(curved, linear)


def test_newton_steps_suppose_curved_losses_and_refuse_linear_ones() -> None:
    newton = catalog.make("optimistic_newton", beta=0.25)
    assert newton.supposes is not None
    with pytest.raises(InvalidInput, match="'optimistic_newton' learns from the gradient of the loss"):
        check_fit(newton, Problem(0, domain=ball(3), feedback="losses"))


@pytest.mark.parametrize("spec", ['optimistic_newton:{"beta":20}', *(f'{n}:{{"convexity":4}}' for n in FIRST_ORDER)])
def test_what_they_prove_is_false_of_linear_losses(spec: str) -> None:
    """Which is why they refuse them: 400 losses of noise, decided on as if they curved."""
    policy, domain, rng = catalog.parse(spec), ball(3), np.random.default_rng(7)
    state = policy.init(policy.params, Problem(0, domain=domain, feedback="gradient"))
    paid, total = 0.0, np.zeros(3)
    for t in range(400):
        instance, key = Instance(t, np.zeros(0), np.ones(1, np.bool_)), Key(RUN, t)
        point = loop.decide(policy.params, state, instance, key).action.copy()
        loss = rng.normal(size=3)
        paid, total = paid + float(loss @ point), total + loss
        feedback = Feedback(-float(loss @ point), -loss)
        loop.learn(policy.params, state, instance, Decision(point, 1.0), feedback, key)
    assert loop.certificate(policy.params, state).bound < paid + float(np.linalg.norm(total))
