"""The split: who decides is drawn by shares; the law is the mixture, and all learn everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine import loop, snapshot
from onearm.engine.draws import POLICY, run_key, run_of
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import fitted
from onearm.engine.protocol import probability
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog
from onearm.policies.wrappers.split import CANARY, CONTROL, LIVE, who_decides

RUN = run_key(1, 0, POLICY)
K = 4
EVERY = np.ones(K, np.bool_)
MEMBERS = {
    "policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.3}},
    "canary": {"name": "tsallis_inf", "params": {}},
    "control": {"name": "uniform", "params": {}},
}
SHARES = {"canary_share": 0.25, "control_share": 0.125}


def made(**params: Any) -> Policy:
    return fitted(catalog.make("split", **(MEMBERS | SHARES | params)), Problem(K))


def instance(t: int, unit: int = 0) -> Instance:
    return Instance(t, np.zeros(0), EVERY, np.uint64(unit))


def played(policy: Policy, n: int, seed: int = 0) -> tuple[Any, list[tuple[Instance, Decision, Feedback, int]]]:
    """Return the state after n decisions with their rewards, and these, each with who made it."""
    rng, state, made = np.random.default_rng(seed), policy.init(policy.params, Problem(K)), []
    for t in range(n):
        at = instance(t)
        action, propensity = loop.decide(policy.params, state, at, Key(RUN, t))
        decision = Decision(int(action), float(propensity))
        feedback = Feedback(float(rng.random() < (decision.action + 1) / (K + 1)), np.zeros(0))
        made.append((at, decision, feedback, int(state.scratch_who[0])))
        loop.learn(policy.params, state, at, decision, feedback, Key(RUN, t))
    return state, made


def test_the_law_is_the_mixture_and_the_propensity_is_the_law() -> None:
    policy = made()
    state, _ = played(policy, 60)
    for t in range(60, 80):
        at = instance(t)
        parts = [(policy.params.inner, state.inner), (policy.params.canary, state.canary)]
        laws = [np.array([probability(*part, at, a) for a in range(K)]) for part in parts]
        expected = 0.625 * laws[0] + 0.25 * laws[1] + 0.125 / K
        law = np.array([probability(policy.params, state, at, a) for a in range(K)])
        assert law == pytest.approx(expected, rel=1e-14) and law.sum() == pytest.approx(1.0, rel=1e-14)
        action, propensity = loop.decide(policy.params, state, at, Key(RUN, t))
        assert propensity == pytest.approx(law[action], rel=1e-14)


def test_each_knows_what_it_would_have_learned_of_the_log_alone_and_decides_with_draws_of_its_own() -> None:
    policy = made()
    state, log = played(policy, 200)
    names = {LIVE: "policy", CANARY: "canary", CONTROL: "control"}
    for who, name in names.items():
        alone, run = fitted(catalog.from_spec(MEMBERS[name]), Problem(K)), run_of(RUN, who)
        known = alone.init(alone.params, Problem(K))
        for at, decision, feedback, by in log:
            if by == who:
                assert loop.decide(alone.params, known, at, Key(run, at.t))[0] == decision.action
            loop.learn(alone.params, known, at, decision, feedback, Key(run, at.t))
        assert snapshot.digest(known) == snapshot.digest(state[who])


def drawn(policy: Policy, units: range) -> np.ndarray[Any, Any]:
    return np.array([who_decides(policy.params, instance(1, unit + 1), Key(RUN, 5)) for unit in units])


def test_who_decides_is_drawn_with_the_shares() -> None:
    n, policy, nobody = 6_000, made(), instance(7)
    by_number = np.array([who_decides(policy.params, nobody, Key(RUN, t)) for t in range(n)])
    by_unit = drawn(policy, range(n))
    for who, share in ((LIVE, 0.625), (CANARY, 0.25), (CONTROL, 0.125)):
        for found in (by_number, by_unit):
            assert abs((found == who).mean() - share) < 5 * np.sqrt(share * (1 - share) / n)


def test_who_decides_for_somebody_stays_while_shares_grow_and_canaries_change() -> None:
    units = range(4000)
    few, more, other = (drawn(made(**params), units) for params in ({}, {"canary_share": 0.5}, {"numbers": [0, 7, 2]}))
    assert ((few == CANARY) <= (more == CANARY)).all()  # whoever was the canary's still is
    assert ((few == CONTROL) == (more == CONTROL)).all() and ((few == CONTROL) == (other == CONTROL)).all()
    both = ((few == CANARY) & (other == CANARY)).mean()
    assert abs(both - 0.25 * 0.25 / 0.875) < 0.02  # another canary draws anew
    again = [who_decides(made().params, instance(t, 17), Key(RUN, t)) for t in range(50)]
    assert len(set(again)) == 1


def test_nobody_has_no_share_and_takes_no_action() -> None:
    policy = fitted(catalog.make("split", policy="ucb1"), Problem(K))
    alone = fitted(catalog.make("ucb1"), Problem(K))
    state, log = played(policy, 50)
    known = alone.init(alone.params, Problem(K))
    for at, decision, feedback, who in log:
        assert who == LIVE and tuple(loop.decide(alone.params, known, at, Key(RUN, at.t))) == tuple(decision)
        loop.learn(alone.params, known, at, decision, feedback, Key(RUN, at.t))
    assert snapshot.digest(known) == snapshot.digest(state.inner)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"canary": {"name": "thompson_beta", "params": {"propensities": False}}}, "no_law"),
        ({"canary_share": 0.9, "control_share": 0.2}, "bad_param"),
        ({"canary": None}, "bad_param"),
        ({"canary_share": -0.1}, "bad_param"),
        ({"numbers": [0, 0, 1]}, "bad_param"),
        ({"numbers": [0, 1]}, "bad_param"),
        ({"control": {"name": "ftrl", "params": {}}}, "no_arms"),
    ],
)
def test_what_cannot_be_mixed_is_refused(params: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        made(**params)
    assert refused.value.code == code
