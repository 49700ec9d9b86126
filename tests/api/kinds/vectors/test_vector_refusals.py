"""Bad input about vectors, through HTTP and in Python: refused by name, and nothing is written or learned."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.served import Served, assert_refused
from support.vector_log import BOX, IMPLICIT, KINDS, POINTS, SIMPLEX

import onearm
from onearm.api.kinds.vectors.engine import VectorEngine
from onearm.engine.domain import DIMENSION_MAX, Domain, ball, box, simplex
from onearm.engine.errors import Conflict, InvalidInput, NotFound

BALL = {"kind": "ball", "dimension": 2}
TEN_MILES = "9" * 5000  # Python refuses to write out whole numbers this long
PLACES = {"LONG": TEN_MILES, "G3": '"gradient": [1, 2, 3]'}  # what stands for what, in bodies below
BY_KIND = {kind.feedback: kind for kind in KINDS}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Yield one service for all: what is refused leaves nothing behind, and that is what is tested."""
    with Served(tmp_path_factory.mktemp("vectors")) as served:
        for kind in KINDS:
            kind.create(served)
            kind.decide(served)
        forecaster = {"name": "optimistic_omd", "params": {"hint": "context"}}
        body = {"experiment_id": "forecast", "problem": {"kind": "vector", "domain": BOX}, "policy": forecaster}
        assert served.post("/v1/experiments", body).status_code == 201
        yield served


def written_out(text: str) -> str:
    """Put what they stand for in the places of a body."""
    for place, words in PLACES.items():
        text = text.replace(place, words)
    return text


def raw_of(domain: str, policy: str = "null", feedback: str = "gradient", more: str = "") -> bytes:
    """Return the body of a new experiment, whose domain is text that need not be JSON."""
    policy = "" if policy == "null" else f', "policy": {policy}'
    problem = f'{{"kind": "vector", "domain": {domain}, "feedback": "{feedback}"{more}}}'
    return written_out(f'{{"experiment_id": "new", "problem": {problem}{policy}}}').encode()


DOMAINS: list[tuple[str, str, str]] = [
    ('{"kind": "ball", "dimension": 0}', "bad_domain", "the dimension is 0"),
    ('{"kind": "ball", "dimension": -1}', "bad_domain", "the dimension is -1"),
    ('{"kind": "ball", "dimension": 2.0}', "bad_domain", "the dimension is 2.0"),
    ('{"kind": "ball", "dimension": true}', "bad_domain", "the dimension is True"),
    ('{"kind": "ball", "dimension": "3"}', "bad_domain", "the dimension is '3'"),
    ('{"kind": "ball", "dimension": 1000000}', "bad_domain", "from 1 to 100000"),
    ('{"kind": "simplex", "dimension": 1000000}', "bad_domain", "from 1 to 100000"),
    ('{"kind": "ball", "dimension": %s}' % ("9" * 300), "bad_domain", "from 1 to 100000"),
    ('{"kind": "ball", "dimension": LONG}', "bad_body", "out of range"),
    ('{"kind": "ball"}', "bad_domain", "has no 'dimension'"),
    ('{"kind": "ball", "dimension": 2, "radius": 0}', "bad_domain", "the radius is 0"),
    ('{"kind": "ball", "dimension": 2, "radius": -1}', "bad_domain", "the radius is -1"),
    ('{"kind": "ball", "dimension": 2, "radius": null}', "bad_domain", "the radius is None"),
    ('{"kind": "ball", "dimension": 2, "radius": true}', "bad_domain", "the radius is True"),
    ('{"kind": "ball", "dimension": 2, "radius": 1e101}', "bad_domain", "at most 1e+100"),
    ('{"kind": "ball", "dimension": 2, "radius": 1e400}', "bad_body", "out of range"),
    ('{"kind": "ball", "dimension": 2, "radius": NaN}', "malformed_json", "not JSON"),
    ('{"kind": "ball", "dimension": 2, "radius": 1e-200}', "bad_domain", "a single point"),
    ('{"kind": "ball", "dimension": 2, "centre": [0]}', "bad_domain", "centre has 1 numbers"),
    ('{"kind": "ball", "dimension": 2, "centre": [0, "0"]}', "bad_domain", "centre is [0, '0']"),
    ('{"kind": "ball", "dimension": 2, "center": [0, 0]}', "bad_domain", "the field 'center'"),
    ('{"kind": "box", "low": [1], "high": [0]}', "bad_domain", "the box is empty"),
    ('{"kind": "box", "low": [0, 0], "high": [0, 0]}', "bad_domain", "the box is a point"),
    ('{"kind": "box", "low": [0], "high": [1, 2]}', "bad_domain", "low has 1 numbers and high 2"),
    ('{"kind": "box", "low": [], "high": []}', "bad_domain", "low is []"),
    ('{"kind": "box", "low": [[0]], "high": [[1]]}', "bad_domain", "low is [[0]]"),
    ('{"kind": "box", "low": ["0"], "high": ["1"]}', "bad_domain", "low is ['0']"),
    ('{"kind": "box", "low": [false], "high": [true]}', "bad_domain", "low is [False]"),
    ('{"kind": "box", "low": [null], "high": [1]}', "bad_domain", "low is [None]"),
    ('{"kind": "box", "low": [0], "high": [%s]}' % ("9" * 300), "bad_domain", "at most 1e+100"),
    ('{"kind": "box", "low": 0, "high": 1}', "bad_domain", "low is 0"),
    ('{"kind": "box", "low": "0", "high": "1"}', "bad_domain", "low is '0'"),
    ('{"kind": "box", "low": [0]}', "bad_domain", "has no 'high'"),
    ('{"kind": "simplex", "dimension": 1}', "bad_domain", "a single point"),
    ('{"kind": "simplex", "dimension": 3, "size": 0}', "bad_domain", "the size is 0"),
    ('{"kind": "product", "parts": []}', "bad_domain", "one or more domains"),
    ('{"kind": "product", "parts": {"0": 1}}', "bad_domain", "one or more domains"),
    ('{"kind": "product", "parts": [7]}', "bad_domain", "the domain is 7"),
    ('{"kind": "product", "parts": [{"kind": "simplex", "dimension": 1}]}', "bad_domain", "a single point"),
    ('{"kind": ["ball"]}', "bad_domain", "the domain is {'kind': ['ball']}"),
    ('{"kind": {"ball": 2}}', "bad_domain", "it must be an object like"),
    ('{"kind": "torus"}', "bad_domain", "it must be an object like"),
    ("{}", "bad_domain", "it must be an object like"),
    ("[]", "bad_domain", "it must be an object like"),
    ('"ball"', "bad_domain", "it must be an object like"),
    ("null", "bad_domain", "it must be an object like"),
    ('{"kind": "product", "parts": [' * 60 + json.dumps(BALL) + "]}" * 60, "too_deep", "nested deeper"),
]


@pytest.mark.parametrize(("domain", "code", "words"), DOMAINS, ids=[str(i) for i in range(len(DOMAINS))])
def test_a_domain_that_cannot_be_is_refused_by_every_policy_and_by_both_doors(
    served: Served, domain: str, code: str, words: str
) -> None:
    before = served.everything()
    found = assert_refused(served.post("/v1/experiments", raw_of(domain)), 422, code)
    assert words in found["detail"] and len(found["detail"]) < 300
    for policy in ("gradient_descent", "ftrl"):
        assert_refused(served.post("/v1/experiments", raw_of(domain, f'{{"name": "{policy}"}}')), 422, code)
    assert_refused(served.post("/v1/experiments", raw_of(domain, feedback="losses")), 422, code)
    assert served.everything() == before
    if code == "bad_domain" and domain != "null":  # None means arms to Python
        with pytest.raises(InvalidInput, match=re.escape(words)):
            onearm.open(domain=json.loads(domain))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ball(np.int64(0)), "the dimension is"),
        (lambda: ball(2, math.nan), "the radius is nan"),
        (lambda: ball(2, math.inf), "the radius is inf"),
        (lambda: ball(2, 10**400), "the radius is a number of some 400 digits"),
        (lambda: ball(2, centre=[math.nan, 0.0]), "centre is [nan, 0.0]"),
        (lambda: box([-math.inf], [0.0]), "low is [-inf]"),
        (lambda: box(np.zeros((1, 1)), np.ones((1, 1))), "low is array"),  # type: ignore[arg-type]
        (lambda: simplex(3, math.inf), "the size is inf"),
        (lambda: simplex(3, 1j), "the size is 1j"),  # type: ignore[arg-type]
    ],
)
def test_domains_in_python_are_as_strict(make: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)):
        make()


def test_domains_take_the_numbers_of_numpy() -> None:
    limits = np.array([0, 1]), np.array([2.0, 3.0])
    assert box(*limits) == box([0.0, 1.0], [2.0, 3.0]) == box((0, np.int64(1)), [np.float64(2.0), 3])


def test_parts_are_counted_before_there_are_too_many_of_them() -> None:
    made = []

    class Counting(Domain):
        @classmethod
        def from_json(cls, body: Any) -> Domain:
            made.append(body)
            return super().from_json(body) if body["kind"] == "product" else ball(DIMENSION_MAX // 2)

    with pytest.raises(InvalidInput, match="the dimension is 150000"):
        Counting.from_json({"kind": "product", "parts": [BALL] * 1000})
    assert len(made) == 4  # the product, two parts that fit, and one that does not


PROBLEMS: list[tuple[Any, dict[str, Any], str, str]] = [  # policy, what differs from gradients in a ball, code, words
    ("ucb1", {}, "policy_does_not_fit", "'ucb1' decides on arms"),
    ("log_barrier_omd", {}, "policy_does_not_fit", "'log_barrier_omd' decides on arms"),
    ("early_drop", {}, "policy_does_not_fit", "'early_drop' decides on arms that stream past"),
    ("optimistic_hedge", {"feedback": "losses"}, "policy_does_not_fit", "this domain is a ball"),
    ("optimistic_hedge", {"domain": SIMPLEX}, "policy_does_not_fit", "learns from the loss of every coordinate"),
    ("optimistic_omd", {"feedback": "reward"}, "policy_does_not_fit", "reveals the reward"),
    ("optimistic_omd", {"feedback": "two_rewards"}, "policy_does_not_fit", "reveals the rewards of two points"),
    ("optimistic_omd", {"feedback": "example"}, "policy_does_not_fit", "reveals an example"),
    (IMPLICIT, {}, "policy_does_not_fit", "learns from an example"),
    (POINTS, {}, "policy_does_not_fit", "'point_gradient' learns from"),
    (None, {"feedback": "reward"}, "no_policy", "there is no default policy where reward is revealed"),
    (None, {"feedback": "gradients"}, "bad_feedback", "must be one of reward, gradient"),
    (None, {"feedback": ["gradient"]}, "bad_feedback", "must be one of"),
    ("optimistic_newton", {"domain": {"kind": "product", "parts": [BALL, BALL]}}, "policy_does_not_fit", "2 balls"),
    ("optimistic_newton", {"domain": {"kind": "ball", "dimension": 2001}}, "policy_does_not_fit", "up to 2000"),
    ("optimistic_ensemble", {}, "missing_param", "gradient_max"),
    ({"name": "optimistic_ensemble", "params": {"gradient_max": 1, "smoothness": 1}}, {}, "no_horizon", "the horizon"),
    ({"name": "optimistic_omd", "params": {"convexity": -1}}, {}, "bad_param", "convexity is -1"),
    ({"name": "gradient_descent", "params": {"convexity": -0.5}}, {}, "bad_param", "convexity is -0.5"),
    ({"name": "optimistic_ftrl", "params": {"convexity": "1"}}, {}, "bad_param", "convexity is '1'"),
    ({"name": "optimistic_newton", "params": {"beta": 0}}, {}, "bad_param", "beta is 0"),
    ({"name": "optimistic_newton", "params": {"beta": -1}}, {}, "bad_param", "beta is -1"),
    ({"name": "optimistic_newton", "params": {"alpha": 0}}, {}, "bad_param", "alpha is 0"),
    ({"name": "optimistic_omd", "params": {"gradient_max": 0}}, {}, "bad_param", "gradient_max is 0"),
    ({"name": "optimistic_omd", "params": {"gradient_max": "1"}}, {}, "bad_param", "gradient_max is '1'"),
    ({"name": "optimistic_omd", "params": {"smoothness": -1}}, {}, "bad_param", "smoothness is -1"),
    ({"name": "optimistic_omd", "params": {"step": 1, "convexity": 1}}, {}, "bad_param", "both step and convexity"),
    ({"name": "optimistic_omd", "params": {"hint": "tea"}}, {}, "bad_param", "one of last, zero, context"),
    ({"name": "optimistic_omd", "params": {"hint": ["context"]}}, {}, "bad_param", "one of last, zero, context"),
    ({"name": "ftrl", "params": {"hint": "context"}}, {}, "unknown_param", "no param 'hint'"),
    ({"name": "implicit_omd", "params": {"loss": "cubic"}}, {"feedback": "example"}, "bad_param", "loss is 'cubic'"),
    ({"name": "point_gradient", "params": {"policy": "ucb1"}}, {"feedback": "reward"}, "no_gradients", "'ucb1'"),
    (POINTS | {"params": POINTS["params"] | {"delta": 1.0}}, {"feedback": "reward"}, "bad_param", "delta is 1"),
]


@pytest.mark.parametrize(("policy", "problem", "code", "words"), PROBLEMS, ids=str)
def test_a_policy_that_does_not_fit_is_refused_by_name(
    served: Served, policy: Any, problem: dict[str, Any], code: str, words: str
) -> None:
    policy = {"name": policy} if isinstance(policy, str) else policy
    body = {"experiment_id": "new", "problem": {"kind": "vector", "domain": BALL} | problem}
    before = served.everything()
    found = assert_refused(served.post("/v1/experiments", body | ({"policy": policy} if policy else {})), 422, code)
    assert words in found["detail"]
    assert served.everything() == before
    with pytest.raises(InvalidInput, match=re.escape(words)):
        onearm.open(*([policy] if policy else []), **{"domain": BALL} | problem)


def test_policies_of_vectors_do_not_decide_on_arms(served: Served) -> None:
    found = assert_refused(served.create("new", policy={"name": "optimistic_omd"}), 422, "policy_does_not_fit")
    assert "'optimistic_omd' decides on vectors in a domain" in found["detail"]
    with pytest.raises(InvalidInput, match="'optimistic_omd' decides on vectors in a domain"):
        onearm.open("optimistic_omd", arms=2)


TOLD: list[tuple[str, str, str]] = [  # the kind of feedback, what is sent, code
    ("gradient", '{"detail": {"gradient": [1, 2]}}', "bad_detail"),
    ("gradient", '{"detail": {"gradient": [1, 2, 3, 4]}}', "bad_detail"),
    ("gradient", '{"detail": {"gradient": []}}', "bad_detail"),
    ("gradient", '{"detail": {"gradient": null}}', "missing_detail"),
    ("gradient", '{"detail": {"gradient": [1, 2, null]}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": [[1], 2, 3]}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": [[1, 2, 3]]}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": ["1", 2, 3]}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": [true, 2, 3]}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": "1, 2, 3"}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": {"0": 1}}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": [1, 2, NaN]}}', "malformed_json"),
    ("gradient", '{"detail": {"gradient": [1, 2, Infinity]}}', "malformed_json"),
    ("gradient", '{"detail": {"gradient": [1, 2, 1e400]}}', "bad_body"),
    ("gradient", '{"detail": {"gradient": [1, 2, -1.1e100]}}', "bad_detail"),
    ("gradient", '{"detail": {"gradient": [1, 2, %s]}}' % ("9" * 200), "bad_detail"),
    ("gradient", '{"detail": {"gradient": [1, 2, LONG]}}', "bad_body"),
    ("gradient", '{"gradient": [1, 2, 3]}', "bad_body"),
    ("gradient", '{"detail": [1, 2, 3]}', "bad_body"),
    ("gradient", '{"detail": null}', "bad_body"),
    ("gradient", "[]", "bad_body"),
    ("gradient", "", "malformed_json"),
    ("gradient", '{"value": 1}', "missing_detail"),
    ("gradient", '{"detail": {"losses": [1, 2, 3]}}', "unexpected_detail"),
    ("gradient", '{"value": true, "detail": {G3}}', "bad_body"),
    ("gradient", '{"value": 1e101, "detail": {G3}}', "bad_reward"),
    ("gradient", '{"detail": {"value": 1e101, G3}}', "bad_reward"),
    ("gradient", '{"value": 1, "detail": {"value": -1, G3}}', "two_values"),
    ("gradient", '{"values": [1, 2], "detail": {G3}}', "bad_reward"),
    ("losses", '{"detail": {G3}}', "unexpected_detail"),
    ("losses", '{"detail": {"losses": [1, 2, 3], G3}}', "unexpected_detail"),
    ("losses", '{"detail": {"losses": [1, 2]}}', "bad_detail"),
    ("losses", '{"detail": {"losses": [1, 2, 1e101]}}', "bad_detail"),
    ("losses", '{"value": 1, "detail": {"losses": [1, 2, 3]}}', "unexpected_value"),
    ("losses", '{"detail": {"losses": [1, 2, 3], "value": 0}}', "unexpected_value"),
    ("losses", '{"value": 1}', "missing_detail"),
    ("reward", "{}", "bad_reward"),
    ("reward", '{"value": null}', "bad_reward"),
    ("reward", '{"value": [1]}', "bad_body"),
    ("reward", '{"values": [1, 2]}', "bad_reward"),
    ("reward", '{"detail": {"values": [1, 2]}}', "bad_reward"),
    ("reward", '{"value": 1, "detail": {"value": -1}}', "two_values"),
    ("reward", '{"value": 1, "detail": {G3}}', "unexpected_detail"),
    ("reward", '{"value": 1, "detail": {"losses": [1, 2, 3]}}', "unexpected_detail"),
    ("reward", '{"value": -1e101}', "bad_reward"),
    ("two_rewards", "{}", "bad_reward"),
    ("two_rewards", '{"value": 1}', "bad_reward"),
    ("two_rewards", '{"detail": {"value": 1}}', "bad_reward"),
    ("two_rewards", '{"values": []}', "bad_reward"),
    ("two_rewards", '{"values": [1]}', "bad_reward"),
    ("two_rewards", '{"values": [1, 2, 3]}', "bad_reward"),
    ("two_rewards", '{"values": [1, 1e101]}', "bad_reward"),
    ("two_rewards", '{"values": [1, null]}', "bad_body"),
    ("two_rewards", '{"values": [1, 2], "detail": {"values": [-1, -2]}}', "bad_reward"),
    ("two_rewards", '{"values": [1, 2], "detail": {G3}}', "unexpected_detail"),
    ("example", '{"value": 1}', "missing_detail"),
    ("example", '{"detail": {"example": {"a": [1, 2, 3], "b": 1}}}', "bad_reward"),
    ("example", '{"value": 1, "detail": {"example": {"a": [1, 2], "b": 1}}}', "bad_detail"),
    ("example", '{"value": 1, "detail": {"example": {"a": [1, 2, 3]}}}', "bad_body"),
    ("example", '{"value": 1, "detail": {"example": {"a": [1, 2, 3], "b": null}}}', "bad_body"),
    ("example", '{"value": 1, "detail": {"example": {"a": [1, 2, 3], "b": [1]}}}', "bad_body"),
    ("example", '{"value": 1, "detail": {"example": {"a": [1, 2, 3], "b": 1e101}}}', "bad_detail"),
    ("example", '{"value": 1, "detail": {"example": {"a": [1, 2, -1e101], "b": 1}}}', "bad_detail"),
    ("example", '{"value": 1, "detail": {"example": [[1, 2, 3], 1]}}', "bad_body"),
    ("example", '{"value": 1, "detail": {"example": {"a": [1, 2, 3], "b": 1, "c": 1}}}', "bad_body"),
    ("example", '{"value": 1, "detail": {G3}}', "unexpected_detail"),
]


@pytest.mark.parametrize(("feedback", "body", "code"), TOLD, ids=[str(i) for i in range(len(TOLD))])
def test_what_was_not_asked_for_is_refused_and_nothing_is_written(
    served: Served, feedback: str, body: str, code: str
) -> None:
    before, digest = served.everything(), served.digest(feedback)
    assert_refused(served.reward("~0", written_out(body).encode(), feedback), 422, code)
    assert (served.everything(), served.digest(feedback)) == (before, digest)


@pytest.mark.parametrize(
    ("name", "code"), [("~1", 404), ("~x", 404), ("nobody", 404), ("~-1", 404), ("~" + TEN_MILES, 404)]
)
def test_feedback_on_what_was_never_decided_is_not_found(served: Served, name: str, code: int) -> None:
    before = served.everything()
    body = {"detail": {"gradient": [1.0, 2.0, 3.0]}}
    assert_refused(served.reward(name, body, "gradient"), code, "unknown_decision")
    assert served.everything() == before


ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("gradient", {"gradient": None}, "the feedback has no gradient"),
    ("gradient", {"gradient": 1.0}, "gradient has the shape []"),
    ("gradient", {"gradient": [1.0, 2.0]}, "gradient has the shape [2]: it must have [3]"),
    ("gradient", {"gradient": np.ones((3, 1))}, "gradient has the shape [3, 1]"),
    ("gradient", {"gradient": [[1.0], 2.0, 3.0]}, "gradient is not a list of numbers"),
    ("gradient", {"gradient": ["1", "2", "3"]}, "gradient is not a list of numbers"),
    ("gradient", {"gradient": ["1", 2.0, 3.0]}, "gradient is not a list of numbers"),
    ("gradient", {"gradient": [1j, 2.0, 3.0]}, "gradient is not a list of numbers"),
    ("gradient", {"gradient": [None, 2.0, 3.0]}, "gradient"),
    ("gradient", {"gradient": {1.0, 2.0, 3.0}}, "gradient is not a list of numbers"),
    ("gradient", {"gradient": [1.0, 2.0, 10**400]}, "gradient is not a list of numbers"),
    ("gradient", {"gradient": [1.0, 2.0, 10**101]}, "at most 1e+100 in size"),
    ("gradient", {"gradient": [1.0, 2.0, math.nan]}, "gradient[2] is nan"),
    ("gradient", {"gradient": [1.0, -math.inf, 3.0]}, "gradient[1] is -inf"),
    ("gradient", {"gradient": [1.0, 2.0, 3.0], "loss": "1"}, "the reward is '1'"),
    ("gradient", {"gradient": [1.0, 2.0, 3.0], "loss": True}, "the reward is True"),
    ("gradient", {"gradient": [1.0, 2.0, 3.0], "reward": [1.0]}, "the reward is [1.0]"),
    ("losses", {"gradient": [1.0, 2.0, 3.0]}, "the feedback has a gradient, but this problem reveals losses"),
    ("losses", {"losses": [1.0, 2.0]}, "losses has the shape [2]"),
    ("losses", {"losses": [1.0, 2.0, 3.0], "reward": 1.0}, "the value follows from the losses"),
    ("reward", {}, "the feedback has no value"),
    ("reward", {"reward": 1.0, "loss": -1.0}, "a reward and a loss"),
    ("reward", {"reward": 1.0, "gradient": [1.0, 2.0, 3.0]}, "reveals the reward of the point alone"),
    ("reward", {"reward": [1.0, 2.0]}, "the reward is [1.0, 2.0]"),
    ("two_rewards", {}, "send the reward of each point, or the loss of each"),
    ("two_rewards", {"reward": 1.0}, "send two numbers"),
    ("two_rewards", {"reward": "12"}, "send two numbers"),
    ("two_rewards", {"loss": [1.0, 2.0, 3.0]}, "send two numbers"),
    ("two_rewards", {"loss": [1.0, math.nan]}, "the reward is nan"),
    ("two_rewards", {"loss": [1.0, 2.0], "reward": [1.0, 2.0]}, "not both and not neither"),
    ("example", {"loss": 1.0}, "the feedback has no example"),
    ("example", {"example": ([1.0, 2.0, 3.0], 1.0)}, "the feedback has no value"),
    ("example", {"loss": 1.0, "example": [1.0, 2.0, 3.0]}, "the example is not a pair"),
    ("example", {"loss": 1.0, "example": 1.0}, "the example is not a pair"),
    ("example", {"loss": 1.0, "example": ([1.0, 2.0], 1.0)}, "a has the shape [2]"),
    ("example", {"loss": 1.0, "example": ([1.0, 2.0, 3.0], math.nan)}, "b[0] is nan"),
    ("example", {"loss": 1.0, "example": ([1.0, 2.0, 3.0], "1")}, "b is not a list of numbers"),
]


@pytest.mark.parametrize(("feedback", "told", "words"), ARGUMENTS, ids=[str(i) for i in range(len(ARGUMENTS))])
def test_python_refuses_the_same_and_learns_nothing(feedback: str, told: dict[str, Any], words: str) -> None:
    kind = BY_KIND[feedback]
    engine = kind.engine()
    made, before = engine.decide(), engine.digest()
    with pytest.raises(InvalidInput, match=re.escape(words)):
        engine.learn(made, **told)
    assert engine.digest() == before
    engine.learn(made, **kind.python(0))
    with pytest.raises(Conflict, match="accepted once"):
        engine.learn(made, **kind.python(0))
    for number in (1, -1):
        with pytest.raises(NotFound, match=f"no decision {number}"):
            engine.learn(number, **kind.python(0))
    for strange in (True, 0.0, "0", None, made.point):
        with pytest.raises(InvalidInput, match="give what decide"):
            engine.learn(strange, **kind.python(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"hint": [1, 2]}', "bad_detail"),
        ('{"hint": []}', "bad_detail"),
        ('{"hint": [1, 2, 1e101]}', "bad_detail"),
        ('{"hint": [1, 2, 1e400]}', "bad_body"),
        ('{"hint": [1, 2, NaN]}', "malformed_json"),
        ('{"hint": [1, 2, null]}', "bad_body"),
        ('{"hint": [1, 2, "3"]}', "bad_body"),
        ('{"hint": [[1, 2, 3]]}', "bad_body"),
        ('{"hint": 1}', "bad_body"),
        ('{"context": [1, 2, 3]}', "bad_context"),
        ('{"hint": [1, 2, 3], "context": [1, 2, 3]}', "bad_context"),
    ],
)
def test_a_forecast_that_cannot_be_is_refused(served: Served, body: str, code: str) -> None:
    before = served.everything()
    assert_refused(served.decide(body.encode(), "forecast"), 422, code)
    assert served.everything() == before


@pytest.mark.parametrize("feedback", BY_KIND)
def test_a_hint_is_refused_where_the_policy_reads_none(served: Served, feedback: str) -> None:
    before = served.everything()
    assert_refused(served.decide({"hint": [1.0, 2.0, 3.0]}, feedback), 422, "unexpected_hint")
    assert served.everything() == before
    with pytest.raises(InvalidInput, match="the policy reads none"):
        BY_KIND[feedback].engine().decide(hint=[1.0, 2.0, 3.0])


def test_a_hint_that_is_left_out_forecasts_nothing() -> None:
    """Nothing is 0, which "zero" forecasts too: then the policy is as one that is not optimistic."""
    engines = [
        onearm.open({"name": "optimistic_omd", "params": {"hint": hint}}, domain=BALL) for hint in ("context", "zero")
    ]
    for t in range(5):
        made = [engine.decide() for engine in engines]
        assert made[0].point.tolist() == made[1].point.tolist()
        for engine, decision in zip(engines, made, strict=True):
            engine.learn(decision, gradient=[math.sin(t), 1.0])
    assert isinstance(engines[0], VectorEngine) and engines[0].certificate == engines[1].certificate


def test_a_hundred_thousand_dimensions_are_taken_and_more_are_not(served: Served) -> None:
    domain = {"kind": "ball", "dimension": DIMENSION_MAX}
    body = {"experiment_id": "large", "problem": {"kind": "vector", "domain": domain}}
    assert served.post("/v1/experiments", body).status_code == 201
    point = served.decide({}, "large").json()["point"]
    assert len(point) == DIMENSION_MAX
    assert served.reward("~0", {"detail": {"gradient": [0.5] * DIMENSION_MAX}}, "large").status_code == 200
    assert served.decide({}, "large").json()["point"][-1] == pytest.approx(-(DIMENSION_MAX**-0.5))
    found = served.get("/v1/experiments/large/diagnostics").json()
    assert found["state_bytes"] < 100 * DIMENSION_MAX
