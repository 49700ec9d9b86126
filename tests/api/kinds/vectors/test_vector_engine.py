"""The Python interface to vectors: points, what is told of them, forecasts and the certificate."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import onearm
from onearm.api.experiment.spec import Spec
from onearm.api.kinds.arms.engine import Engine
from onearm.api.kinds.vectors.engine import VectorDecision, VectorEngine
from onearm.engine import loop
from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.errors import Conflict, InvalidInput, NotFound
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Problem

FORECASTER = {"name": "optimistic_omd", "params": {"hint": "context"}}
DOMAIN = product(ball(2), box([-0.5], [0.25]))


def gradient(t: int) -> Array:
    return np.array([math.sin(t), math.cos(2 * t), 0.5 - t % 3])


def test_a_domain_makes_an_engine_of_vectors_and_arms_one_of_arms() -> None:
    assert isinstance(onearm.open(domain=ball(2)), VectorEngine)
    assert isinstance(onearm.open(), Engine)
    assert onearm.open(domain={"kind": "simplex", "dimension": 3}).decide().point.tolist() == [1 / 3] * 3


def test_the_usual_policy_fits_every_domain() -> None:
    weights = simplex(3)
    for domain, feedback, name in (
        (weights, "losses", "optimistic_hedge"),
        (weights, "gradient", "optimistic_ftrl"),
        (ball(2), "losses", "optimistic_ftrl"),
        (product(weights, weights), "losses", "optimistic_ftrl"),
    ):
        assert onearm.open(domain=domain, feedback=feedback).spec.policy.name == name  # type: ignore[call-overload]


def test_the_door_decides_as_the_loop_with_every_sign_turned() -> None:
    engine = onearm.open(FORECASTER, domain=DOMAIN, seed=4)
    problem = Problem(0, (3,), domain=DOMAIN, feedback="gradient")
    policy = engine.spec.policy
    state = policy.init(policy.params, problem)
    for t in range(40):
        decision = engine.decide(hint=gradient(t) + 0.1)
        instance = Instance(t, -(gradient(t) + 0.1), np.ones(1, np.bool_))
        point = loop.decide(policy.params, state, instance, Key(engine.spec.run, t)).action.copy()
        assert decision.point.tobytes() == point.tobytes()
        engine.learn(decision, loss=float(t), gradient=gradient(t))
        feedback = Feedback(-float(t), -gradient(t))
        loop.learn(policy.params, state, instance, Decision(point, 1.0), feedback, Key(engine.spec.run, t))
    bound, variation = loop.certificate(policy.params, state)
    assert engine.certificate == (bound, variation)
    assert variation == pytest.approx(40 * 0.03)  # each gradient was forecast but for 0.1 in each coordinate


def test_descent_goes_down_and_what_it_proves_holds() -> None:
    engine = onearm.open(domain=ball(2))
    target, lost = np.array([0.6, -0.8]), 0.0
    for _ in range(200):
        decision = engine.decide()
        away = decision.point - target
        lost += 0.5 * float(away @ away)
        engine.learn(decision, loss=0.5 * float(away @ away), gradient=away)
    assert np.abs(engine.decide().point - target).max() < 0.01
    assert lost <= engine.certificate.bound < 10.0


def test_points_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        onearm.open(domain=ball(2)).decide().point[0] = 1.0


def test_feedback_may_come_late_and_by_number() -> None:
    engine, other = onearm.open(domain=DOMAIN), onearm.open(domain=DOMAIN)
    for one in (engine, other):
        made = [one.decide() for _ in range(3)]
        for t in (2, 0, 1):
            one.learn(made[t].number if one is engine else made[t], gradient=gradient(t))
    assert engine.digest() == other.digest() != onearm.open(domain=DOMAIN).digest()


def test_a_gradient_without_a_value_is_learned_as_one_with_it() -> None:
    digests = set()
    for value in ({}, {"loss": 2.0}, {"reward": -2.0}):
        engine = onearm.open(domain=ball(3))
        engine.learn(engine.decide(), gradient=gradient(1), **value)
        digests.add(engine.digest())
    assert len(digests) == 1


def test_feedback_is_accepted_once_and_only_from_this_engine() -> None:
    engine, other = onearm.open(domain=ball(3)), onearm.open(domain=box([0.0] * 3, [1.0] * 3))
    made, strange = engine.decide(), other.decide()
    with pytest.raises(Conflict, match="another engine"):
        engine.learn(strange, gradient=gradient(0))
    engine.learn(made, gradient=gradient(0))
    with pytest.raises(Conflict, match="accepted once"):
        engine.learn(made, gradient=gradient(0))
    with pytest.raises(NotFound, match="no decision 1"):
        engine.learn(1, gradient=gradient(0))
    assert made != engine.decide() and made == VectorDecision(0, made.point.copy(), 1.0)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"gradient": [1.0]}, "gradient has the shape [1]: it must have [2]"),
    ({"gradient": [1.0, math.nan]}, "gradient[1] is nan"),
    ({"gradient": [math.inf, 0.0]}, "gradient[0] is inf"),
    ({"gradient": [1e101, 0.0]}, "gradient[0] is 1e+101"),
    ({"gradient": ["x", 0.0]}, "gradient is not a list of numbers"),
    ({"gradient": [[1.0, 0.0]]}, "gradient has the shape [1, 2]"),
    ({"losses": [1.0, 0.0]}, "the feedback has losses, but this problem reveals a gradient: send gradient"),
    ({"gradient": [1.0, 0.0], "losses": [1.0, 0.0]}, "the feedback has losses"),
    ({"gradient": [1.0, 0.0], "example": ([1.0, 0.0], 1.0)}, "the feedback has an example"),
    ({"loss": 1.0}, "the feedback has no gradient"),
    ({"gradient": [1.0, 0.0], "loss": 1.0, "reward": -1.0}, "a reward and a loss"),
    ({"gradient": [1.0, 0.0], "loss": math.nan}, "the reward is nan"),
]


@pytest.mark.parametrize(("told", "words"), REFUSED)
def test_feedback_that_cannot_be_is_refused_and_nothing_is_learned(told: dict[str, Any], words: str) -> None:
    engine = onearm.open(domain=ball(2))
    made, before = engine.decide(), engine.digest()
    with pytest.raises(InvalidInput, match=re.escape(words)):
        engine.learn(made, **told)
    assert engine.digest() == before
    engine.learn(made, gradient=[1.0, 0.0])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"domain": ball(2), "arms": 3}, "arms are given, and a domain"),
        ({"domain": ball(2), "policy": "ucb1"}, "policy 'ucb1' decides on arms"),
        ({"domain": ball(2), "feedback": "rumours"}, "problem.feedback is 'rumours'"),
        ({"domain": ball(2), "policy": "optimistic_omd", "feedback": "reward"}, "reveals the reward of what was"),
        ({"domain": {"kind": "ball", "dimension": 2, "radius": 0}}, "radius is 0"),
        ({"domain": {"kind": "box", "low": [1], "high": [0]}}, "the box is empty"),
        ({"domain": {"kind": "simplex", "dimension": 1}, "policy": "optimistic_omd"}, "a single point"),
        ({"domain": ball(2), "context": {"kind": "features"}}, "named features"),
        ({"domain": ball(2), "context": 3, "policy": FORECASTER}, "a forecast has [2]"),
        ({"domain": ball(2), "policy": 'optimistic_omd:{"convexity":-1}'}, "convexity is -1"),
        ({"domain": ball(2), "policy": 'optimistic_omd:{"gradient_max":0}'}, "gradient_max is 0"),
        ({"feedback": "gradient"}, "no domain"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)):
        onearm.open(**given)


def test_hints_are_for_policies_that_read_them() -> None:
    plain, forecaster = onearm.open(domain=ball(2)), onearm.open(FORECASTER, domain=ball(2))
    with pytest.raises(InvalidInput, match="the policy reads none"):
        plain.decide(hint=[1.0, 0.0])
    with pytest.raises(InvalidInput, match="give it as hint"):
        forecaster.decide([1.0, 0.0])
    with pytest.raises(InvalidInput, match=re.escape("hint has the shape [1]")):
        forecaster.decide(hint=[1.0])
    assert forecaster.decide().number == 0  # what was refused took no number
    point = forecaster.decide(hint=[3.0, 4.0]).point
    assert (point / np.linalg.norm(point)).tolist() == pytest.approx([-0.6, -0.8])  # down where it points up


def test_contexts_are_read_where_the_problem_has_them() -> None:
    engine = onearm.open(domain=ball(2), context=3)
    with pytest.raises(InvalidInput, match="context is missing"):
        engine.decide()
    assert engine.decide([1.0, 2.0, 3.0]).number == 0


def test_losses_give_their_reward_at_the_point() -> None:
    engine = onearm.open("optimistic_omd", domain=simplex(4), feedback="losses")
    made = engine.decide()
    with pytest.raises(InvalidInput, match="the value follows from the losses"):
        engine.learn(made, losses=[1.0, 0.0, 0.0, 0.0], loss=0.25)
    engine.learn(made, losses=[1.0, 0.0, 0.0, 0.0])
    assert engine.decide().point[0] < 0.25


def test_a_spec_of_vectors_is_what_it_says_as_json() -> None:
    for given in ({}, {"context": 3}, {"horizon": 50}, {"policy": FORECASTER}):
        spec = onearm.open(domain=DOMAIN, seed=2**60, **given).spec  # type: ignore[call-overload]
        again = Spec.from_json(spec.to_json())
        assert again == spec and again.to_json() == spec.to_json()


def test_what_is_learned_is_the_decision_as_it_was_made_with_its_propensity(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = {"name": "point_gradient", "params": {"policy": {"name": "ftrl"}, "delta": 0.5}}
    for given, drawn in (({"policy": policy, "feedback": "reward"}, True), ({}, False)):
        engine = onearm.open(domain=ball(3), **given)  # type: ignore[call-overload]
        learned: list[Decision] = []
        made = engine.decide()
        engine.decide()
        with monkeypatch.context() as watched:
            watched.setattr(engine._update, "call", lambda *call, seen=learned: seen.append(call[3]))
            engine.learn(made, **({"reward": 1.0} if drawn else {"gradient": gradient(0)}))
        assert math.isnan(learned[0].propensity) if drawn else learned[0].propensity == 1.0
        assert learned[0].action.tolist() == made.point.tolist()


def test_a_decision_that_is_held_outlives_its_number() -> None:
    engine = onearm.open(domain=ball(2), remember=1)
    held = engine.decide()
    engine.decide()
    with pytest.raises(NotFound, match="decision 0 is forgotten: the last 1 are remembered; pass the decision object"):
        engine.learn(0, gradient=[1.0, 0.0])
    engine.learn(held, gradient=[1.0, 0.0])
    with pytest.raises(Conflict, match="decision 0 already has feedback"):
        engine.learn(held, gradient=[1.0, 0.0])
