"""Costs that come with rewards, in Python: learned, left out, refused, and on record in the spec and in logs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onearm
from onearm.api.experiment.spec import Spec
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_costs
from onearm.engine.storage.log import header_of, read_header
from onearm.engine.vocabulary import Problem

PACED = {"name": "paced_budget", "params": {"policy": "squarecb", "cost": [1.0, 2.0, 6.0], "limit": 2.0}}


def spent(engine: Any) -> float:
    return float(engine.constants["spent"].value)


def test_a_cost_is_charged_in_place_of_the_listed_one() -> None:
    engine = onearm.open(PACED, arms=3, feedback="cost")
    decision = engine.decide()
    listed = [1.0, 2.0, 6.0][decision.action]
    assert spent(engine) == listed
    engine.learn(decision, 0.5, cost=4)
    assert spent(engine) == 4.0
    engine.learn(other := engine.decide(), 0.5)
    assert spent(engine) == 4.0 + [1.0, 2.0, 6.0][other.action]  # what was told before is not told again


def test_many_costs_are_learned_as_one_by_one() -> None:
    costs = [3.0, math.nan, 0.5, 7.0]
    one, many = (onearm.open(PACED, arms=3, feedback="cost") for _ in range(2))
    held, batch = ([engine.decide() for _ in costs] for engine in (one, many))
    for decision, cost in zip(held, costs, strict=True):
        one.learn(decision, 0.5, None if math.isnan(cost) else cost)
    many.learn_many(batch, [0.5] * 4, costs)
    assert one.digest() == many.digest()


def test_who_learns_no_costs_leaves_them_alone() -> None:
    plain, told = onearm.open("ucb1"), onearm.open("ucb1", feedback="cost")
    for _ in range(20):
        plain.learn(plain.decide(), 0.5)
        told.learn(told.decide(), 0.5, 3.0)
    assert plain.digest() == told.digest()


@pytest.mark.parametrize("cost", [-1.0, math.inf, math.nan, True, "1", 1e101])
def test_what_is_no_cost_is_refused_and_nothing_is_learned(cost: Any) -> None:
    engine = onearm.open(PACED, arms=3, feedback="cost")
    decision, before = engine.decide(), engine.digest()
    with pytest.raises(InvalidInput, match="the cost is"):
        engine.learn(decision, 0.5, cost)
    assert engine.digest() == before
    engine.learn(decision, 0.5, 1.0)


@pytest.mark.parametrize("costs", [[1.0], [1.0, -1.0], [1.0, math.inf], ["a", 1.0]])
def test_bad_costs_are_refused(costs: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_costs(Problem(2, feedback="cost"), costs, 2)
    assert refusal.value.code == "bad_cost"


def test_a_cost_must_be_announced() -> None:
    engine = onearm.open(PACED, arms=3)
    with pytest.raises(InvalidInput, match="feedback"):
        engine.learn(engine.decide(), 0.5, 1.0)
    with pytest.raises(InvalidInput, match="it must be one of reward, cost"):
        onearm.open("ucb1", feedback="gradient")


def test_the_spec_and_a_log_say_that_costs_are_told() -> None:
    spec = onearm.open(PACED, arms=3, feedback="cost").spec
    again = Spec.from_json(spec.to_json())
    assert again.problem == spec.problem and again.problem.feedback == "cost"
    assert "feedback" not in onearm.open("ucb1").spec.to_json()["problem"]
    for problem in (spec.problem, Problem(3, (3, 2), feedback="cost"), Problem(3)):
        text = json.dumps(header_of(problem, {})).encode()
        assert read_header(Path("log.jsonl"), text)[0] == problem


def test_a_log_may_lack_some_costs() -> None:
    choice = Problem(3, feedback="cost").choice
    details = np.array([[1.0], [math.nan], [-1.0], [math.inf], [1e101]])
    assert choice.are_details(details).tolist() == [True, True, False, False, False]
