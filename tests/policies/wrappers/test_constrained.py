"""Constrained: its law is the nearest that keeps to floors and caps, it is drawn from, and others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine import loop, snapshot
from onearm.engine.draws import POLICY, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.problem import fitted
from onearm.engine.protocol import probability
from onearm.engine.vocabulary import Array, Constrained, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
K = 4
EVERY = np.ones(K, np.bool_)
GROUPS = [{"name": "new", "arms": [2, 3], "floor": 0.3}]
LIMITS: dict[str, Any] = {"floors": [0.05, 0.05], "caps": [0.6, 0.6, 0.6, 0.6], "groups": GROUPS}


def made(inner: Any = "ucb1", **limits: Any) -> Policy:
    return fitted(catalog.make("constrained", policy=inner, **(limits or LIMITS)), Problem(K))


def instance(t: int, available: Array = EVERY) -> Instance:
    return Instance(t, np.zeros(0), available)


def law_of(policy: Policy, state: Any, at: Instance) -> Array:
    return np.array([probability(policy.params, state, at, a) for a in range(len(at.available))])


def decide(policy: Policy, state: Any, at: Instance) -> Decision:
    return Decision(*loop.decide(policy.params, state, at, Key(RUN, at.t)))


def learned(policy: Policy, best: int = 0) -> Any:
    """Return a state that has seen every arm once, of which one paid."""
    state = policy.init(policy.params, Problem(K))
    for arm in range(K):
        given = Decision(arm, 0.5), Feedback(float(arm == best), np.zeros(0))
        loop.learn(policy.params, state, instance(arm), *given, Key(RUN, arm))
    return state


def told(policy: Policy, state: Any, number: int) -> Constrained | None:
    assert policy.constrained is not None
    return policy.constrained(policy.params, state, number, "abcd")


def test_the_law_of_a_policy_that_never_draws_is_a_hand_worked_one() -> None:
    policy = made()
    state = learned(policy)
    assert law_of(policy, state, instance(9)) == pytest.approx([0.6, 0.1, 0.15, 0.15], rel=1e-14)
    three = np.array([True, False, True, True])
    assert law_of(policy, state, instance(9, three)) == pytest.approx([0.6, 0.0, 0.2, 0.2], rel=1e-14)
    assert law_of(policy, state, instance(9, EVERY & (np.arange(K) == 1))).tolist() == [0.0, 1.0, 0.0, 0.0]


def test_one_uniform_draws_the_leader_first() -> None:
    policy = made()
    state = learned(policy)
    digest = snapshot.digest(state)
    for t in range(K, 204):
        u = uniform(Key(RUN, t), 2**32 - 4)
        arm = 0 if u < 0.6 else 1 if u < 0.7 else 2 if u < 0.85 else 3
        decision = Decision(*loop.decide(policy.params, state, instance(9), Key(RUN, t)))  # UCB1's clock stands still
        assert decision.action == arm
        assert decision.propensity == law_of(policy, state, instance(9))[arm]
    assert snapshot.digest(state) == digest


@pytest.mark.parametrize("inner", ["thompson_beta", "epsilon_greedy", "exp3_ix"])
def test_frequencies_are_the_law(inner: str) -> None:
    policy = made(inner)
    state = learned(policy)
    n, count, law = 1000, np.zeros(K), law_of(policy, state, instance(9))
    for t in range(n):
        decision = Decision(*loop.decide(policy.params, state, instance(9), Key(RUN, t)))
        assert decision.propensity == law[decision.action]
        count[decision.action] += 1
    assert (np.abs(count / n - law) <= 4 * np.sqrt(law * (1 - law) / n)).all()
    assert law[2:].sum() >= 0.3 - 1e-12 and law.max() <= 0.6 + 1e-12 and law[:2].min() >= 0.05 - 1e-12


@pytest.mark.parametrize("inner", ["thompson_beta", "ucb1", "exp3_ix", "uniform"])
def test_constraints_that_hold_nothing_change_no_bit(inner: str) -> None:
    alone, policy = catalog.make(inner), made(inner, floors=0.0, caps=1.0)
    expected, state = alone.init(alone.params, Problem(K)), policy.init(policy.params, Problem(K))
    for t in range(40):
        available = np.arange(K) != t % 5
        one, other = decide(alone, expected, instance(t, available)), decide(policy, state, instance(t, available))
        assert one == other and told(policy, state, t) == Constrained([], [])
        for params, into in ((alone.params, expected), (policy.params, state)):
            feedback = Feedback(float(one.action == 1), np.zeros(0))
            loop.learn(params, into, instance(t, available), one, feedback, Key(RUN, t))
    assert snapshot.digest(expected) == snapshot.digest(state.inner)


def test_it_says_which_constraints_moved_a_decision_and_which_gave_way() -> None:
    policy = made()
    state = learned(policy)
    decide(policy, state, instance(9))
    assert told(policy, state, 9) == Constrained(["cap:a", "group_floor:new"], [])
    decide(policy, state, instance(10, np.array([True, True, False, False])))
    assert told(policy, state, 10) == Constrained(["cap:a"], ["group_floor:new"])
    decide(policy, state, instance(11, np.array([False, False, True, True])))
    assert told(policy, state, 11) == Constrained(["cap:c"], ["floor:a", "floor:b"])
    assert told(policy, state, 10) is None  # it knows of the last one only


def test_what_is_the_same_for_every_arm_is_named_once() -> None:
    policy = made(floors=0.1, caps=0.6)
    state = learned(policy)
    decide(policy, state, instance(9))
    assert told(policy, state, 9) == Constrained(["cap"], [])
    decide(policy, state, instance(10, np.array([True, False, False, False])))
    assert told(policy, state, 10) == Constrained([], ["cap"])
    assert policy.probability_min == 0.1 and made().probability_min == 0.0


def test_the_inner_policy_learns_with_the_logged_propensity() -> None:
    alone, policy = catalog.make("exp3_ix"), made("exp3_ix")
    expected, state = alone.init(alone.params, Problem(K)), policy.init(policy.params, Problem(K))
    for params, into in ((alone.params, expected), (policy.params, state)):
        loop.learn(params, into, instance(3), Decision(1, 0.125), Feedback(0.25, np.zeros(0)), Key(RUN, 3))
    assert state.inner.loss.tolist() == expected.loss.tolist()


def test_arms_that_join_have_what_every_arm_has_and_are_in_no_group() -> None:
    policy = made(floors=0.1, caps=0.6, groups=[{"name": "new", "arms": [2, 3], "cap": 0.3}])
    state = grown(policy, learned(policy), Problem(6))
    law = law_of(policy, state, Instance(9, np.zeros(0), np.ones(6, np.bool_)))
    assert law.min() == pytest.approx(0.1) and law[2:4].sum() <= 0.3 + 1e-12 and law.sum() == pytest.approx(1.0)
    with pytest.raises(InvalidInput, match=r"the floors of the arms are 1\.1 together"):
        grown(policy, state, Problem(11))


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ({"name": "thompson_beta", "params": {"propensities": False}}, "does not know the probabilities"),
        ({"name": "sticky", "params": {"policy": "uniform"}}, "put 'sticky' outside"),
        ({"name": "constrained", "params": {"policy": "uniform"}}, "put constrained outside"),
        ({"name": "split", "params": {"policy": "uniform"}}, "constrain each of those who do"),
        ({"name": "budget", "params": {"policy": "uniform", "cost": [1, 2, 3, 4], "limit": 2}}, "take paced_budget"),
        (
            {
                "name": "paced_budget",
                "params": {"policy": "squarecb", "cost": [1, 2, 3, 4], "limit": 2, "horizon": 9},
            },
            "leave horizon out",
        ),
        ("early_drop", "does not choose among numbered arms"),
    ],
)
def test_what_it_cannot_be_around_is_refused_by_name(inner: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        made(inner)


@pytest.mark.parametrize("outer", ["floor", "budget", "adaptive", "paced_budget"])
def test_what_would_move_its_law_cannot_be_around_it(outer: str) -> None:
    inside = {"name": "constrained", "params": {"policy": "squarecb"}}
    more = {"cost": [1, 2, 3, 4], "limit": 2} if "budget" in outer else {}
    with pytest.raises(InvalidInput, match="'constrained'"):
        catalog.make(outer, policy=inside, **more)


@pytest.mark.parametrize("inner", ["floor", "adaptive", "paced_budget"])
def test_it_goes_around_what_keeps_its_own_promise(inner: str) -> None:
    more = {"cost": [1, 2, 3, 4], "limit": 2} if inner == "paced_budget" else {}
    policy = made({"name": inner, "params": {"policy": "squarecb", **more}})
    law = law_of(policy, learned(policy), instance(9))
    assert law.sum() == pytest.approx(1.0) and law.max() <= 0.6 + 1e-12


def test_whoever_shares_traffic_keeps_to_constraints_and_so_does_the_mixture() -> None:
    one, other = ({"name": "constrained", "params": {"policy": name, **LIMITS}} for name in ("ucb1", "exp3_ix"))
    control = {"name": "constrained", "params": {"policy": "fixed_arm", **LIMITS}}
    policy = catalog.make("split", policy=one, canary=other, canary_share=0.3, control=control, control_share=0.1)
    policy = fitted(policy, Problem(K))
    state = policy.init(policy.params, Problem(K))
    for t in range(40):
        law = law_of(policy, state, instance(t))
        assert law.max() <= 0.6 + 1e-12 and law[2:].sum() >= 0.3 - 1e-12 and law[:2].min() >= 0.05 - 1e-12
        decision = decide(policy, state, instance(t))
        assert decision.propensity == pytest.approx(law[decision.action], rel=1e-13)
        assert told(policy, state, t) is not None
        loop.learn(policy.params, state, instance(t), decision, Feedback(1.0, np.zeros(0)), Key(RUN, t))


def test_a_repeat_is_no_decision_of_its_own() -> None:
    inside = {"name": "constrained", "params": {"policy": "ucb1", **LIMITS}}
    policy = fitted(catalog.make("sticky", policy=inside), Problem(K))
    state = policy.init(policy.params, Problem(K))
    first = decide(policy, state, instance(0)._replace(unit=np.uint64(7)))
    assert told(policy, state, 0) == Constrained(["cap:a", "group_floor:new"], [])
    assert decide(policy, state, instance(1)._replace(unit=np.uint64(7))) == first
    assert told(policy, state, 1) is None


def test_the_nested_spec_is_complete() -> None:
    policy = catalog.parse('constrained:{"policy": "ucb1", "floors": 0.1}')
    inner = {"name": "ucb1", "params": {"alpha": 1.0, "wait": 0}}
    assert policy.spec["params"] == {"policy": inner, "floors": 0.1, "caps": 1.0, "groups": None}
