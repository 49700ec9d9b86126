"""The budget: the mixture by hand and in expectation, what cannot be kept, and how it composes with a floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

COST = [1.0, 2.0, 6.0]


def budget(inner: Any, limit: float, cost: list[float] | None = None) -> Policy:
    return catalog.make("budget", policy=inner, cost=cost or COST, limit=limit)


def greedy_on_arm_2(limit: float) -> tuple[Policy, Any]:
    """Return a budget over a greedy policy that knows arm 2 as the best, and its state."""
    policy = budget({"name": "linear_greedy", "params": {"epsilon": 0.3, "origin": 0.0}}, limit)
    state = policy.init(policy.params, Problem(3))
    x.learn(policy, state, x.instance(0), 2, 1.0)
    return policy, state


def test_the_mixture_by_hand() -> None:
    """The inner law (.1, .1, .8) costs 5.1: with limit 3, s = (5.1 - 3) / (5.1 - 1) of the cheapest is mixed in."""
    policy, state = greedy_on_arm_2(3.0)
    s = 2.1 / 4.1
    law = x.law_of(policy, state, x.instance(1))
    assert law == pytest.approx([0.1 * (1 - s) + s, 0.1 * (1 - s), 0.8 * (1 - s)], rel=1e-12)
    assert law @ COST == pytest.approx(3.0, rel=1e-12)


def test_within_the_limit_the_law_is_the_inner_one() -> None:
    policy, state = greedy_on_arm_2(5.2)
    assert x.law_of(policy, state, x.instance(1)) == pytest.approx([0.1, 0.1, 0.8], rel=1e-15)


def test_the_cheapest_available_arm_is_what_counts() -> None:
    policy, state = greedy_on_arm_2(3.0)
    law = x.law_of(policy, state, x.instance(1, available=np.array([False, True, True])))
    assert law[0] == 0.0
    assert law @ COST == pytest.approx(3.0, rel=1e-12)
    dear = x.instance(1, available=np.array([False, False, True]))
    assert x.law_of(policy, state, dear).tolist() == [0.0, 0.0, 1.0]
    assert x.decide(policy, state, dear) == (2, 1.0)


@pytest.mark.usefixtures("coarse_quadrature")
@pytest.mark.parametrize("inner", ["thompson_beta", "squarecb", "ucb1", "exp3_ix"])
def test_no_law_costs_more_than_the_limit(inner: str) -> None:
    policy = budget(inner, 2.0)
    state = policy.init(policy.params, Problem(3))
    for t in range(30):
        at = x.instance(t)
        law = x.law_of(policy, state, at)
        assert law.sum() == pytest.approx(1.0, abs=1e-12)
        assert law @ COST <= 2.0 + 1e-9
        decision = x.decide(policy, state, at)
        assert decision.propensity == law[decision.action]
        x.learn(policy, state, at, decision.action, [0.2, 0.4, 0.9][decision.action], decision.propensity)


def test_costs_may_be_negative() -> None:
    policy = budget("uniform", -1.0, [-3.0, 0.0, 3.0])
    law = x.law_of(policy, policy.init(policy.params, Problem(3)), x.instance(0))
    assert law @ np.array([-3.0, 0.0, 3.0]) == pytest.approx(-1.0, rel=1e-12)


def test_a_floor_goes_inside() -> None:
    policy = budget({"name": "floor", "params": {"policy": {"name": "ucb1", "params": {}}, "minimum": 0.1}}, 2.0)
    state = policy.init(policy.params, Problem(3))
    for t in range(20):
        law = x.law_of(policy, state, x.instance(t))
        assert law @ COST <= 2.0 + 1e-9
        assert (law > 0.0).all()
        decision = x.decide(policy, state, x.instance(t))
        x.learn(policy, state, x.instance(t), decision.action, float(decision.action), decision.propensity)


@pytest.mark.jit
def test_both_orders_run_compiled() -> None:
    """numba links both; only around the budget does the floor spend more than the limit."""
    ucb1 = {"name": "ucb1", "params": {}}
    inside = budget({"name": "floor", "params": {"policy": ucb1, "minimum": 0.1}}, 2.0)
    world = envs.make("bernoulli", mean=[0.2, 0.4, 0.9])
    around = catalog.make("floor", policy=budget(ucb1, 2.0), minimum=0.1)
    for policy in (inside, around):
        earned = simulate(policy, world, horizon=1000, seed=1).reward[0, -1]
        assert 300 < earned < 600


def test_arms_may_join_where_they_have_a_cost() -> None:
    policy = budget("softmax", 2.0, [1.0, 2.0, 6.0, 3.0])
    state = policy.init(policy.params, Problem(3))
    x.learn(policy, state, x.instance(0), 1, 1.0)
    larger = grown(policy, state, Problem(4))
    assert larger.inner.model.model.mean[:3].tolist() == state.inner.model.model.mean.tolist()
    with pytest.raises(InvalidInput, match="one per arm"):
        grown(policy, state, Problem(5))
    fixed = budget("exp3_ix", 2.0)
    with pytest.raises(InvalidInput, match="takes no new arms"):
        grown(fixed, fixed.init(fixed.params, Problem(3)), Problem(3))


@pytest.mark.parametrize(
    ("inner", "limit", "code"),
    [
        ({"name": "thompson_normal", "params": {"propensities": False}}, 2.0, "no_law"),
        ({"name": "budget", "params": {"policy": "ucb1", "cost": COST, "limit": 3.0}}, 2.0, "budget_in_budget"),
        ("ucb1", float("nan"), "bad_param"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(inner: Any, limit: float, code: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        budget(inner, limit)
    assert refusal.value.code == code


@pytest.mark.parametrize(("n_arms", "limit", "code"), [(4, 2.0, "bad_cost"), (3, 0.5, "budget_too_low")])
def test_what_does_not_fit_the_problem_is_refused(n_arms: int, limit: float, code: str) -> None:
    policy = budget("ucb1", limit)
    with pytest.raises(InvalidInput) as refusal:
        policy.init(policy.params, Problem(n_arms))
    assert refusal.value.code == code
