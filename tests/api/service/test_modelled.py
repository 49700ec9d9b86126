"""What shadows are worth by a model and what was seen: right on average however wrong the model, and of a known law."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.every_run import every_run
from support.lives import MEANS, UNIFORM, Life, law
from support.served import Served

from onearm.api.service.modelled import ARMS_MAX, LENGTH_MAX, Modelled, model_of
from onearm.engine.estimate import difference
from onearm.engine.estimate.reward_model import MeanModel, RidgeModel
from onearm.engine.vocabulary import Problem


@pytest.fixture
def served(tmp_path: Path) -> Any:
    with Served(tmp_path) as one:
        yield one


N = 1000  # decisions of a log


def drawn(seed: int, predicted: float) -> tuple[Any, ...]:
    """Return decisions of two arms, each as likely, with a policy that takes the second, and a model of it."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 2, N)
    reward = (rng.random(N) < np.where(action == 1, 0.8, 0.3)).astype(float)
    right = np.where(action == 1, predicted, 0.3)
    return reward, 2.0 * (action == 1), right, np.full(N, predicted), {"live": np.ones(N)}


@pytest.mark.parametrize("predicted", every_run([0.8, 0.0], [0.0]))
def test_values_and_differences_are_right_however_wrong_the_model_is(predicted: float) -> None:
    values, differences, inside = [], [], 0
    for seed in range(10):
        modelled = Modelled(0, (0.0, 1.0), 2.0)
        modelled.add(*drawn(seed, predicted))
        values.append(modelled.value.value)
        found = modelled.against("live")
        assert found is not None and found.low is not None and found.high is not None
        differences.append(found.value)
        inside += found.low < 0.25 < found.high
        assert modelled.value.low < 0.8 < modelled.value.high  # type: ignore[operator]
        assert modelled.against("control") is None
    assert abs(np.mean(values) - 0.8) < 0.01 and abs(np.mean(differences) - 0.25) < 0.01
    assert inside == 10


def test_a_good_model_makes_the_interval_shorter() -> None:
    widths = []
    for predicted in (0.8, 0.0):
        modelled = Modelled(0, (0.0, 1.0), 2.0)
        modelled.add(*drawn(1, predicted))
        found = modelled.value
        widths.append(found.high - found.low)  # type: ignore[operator]
    assert widths[0] < 0.9 * widths[1]


def test_in_other_units_it_is_the_same() -> None:
    one, other = Modelled(0, (0.0, 1.0), 2.0), Modelled(0, (-10.0, 30.0), 2.0)
    reward, weight, predicted, expected, others = drawn(3, 0.6)
    one.add(reward, weight, predicted, expected, others)
    reward, predicted, expected = (40.0 * part - 10.0 for part in (reward, predicted, expected))
    other.add(reward, weight, predicted, expected, others)
    assert other.value.low == pytest.approx(40.0 * one.value.low - 10.0)  # type: ignore[operator]
    assert other.against("live").value == pytest.approx(40.0 * one.against("live").value)  # type: ignore[union-attr, operator]


def test_where_no_bound_is_known_there_is_no_interval() -> None:
    modelled = Modelled(0, None, None)
    modelled.add(*drawn(1, 0.8))
    assert modelled.value.low is None and abs(modelled.value.value - 0.8) < 0.1  # type: ignore[operator]
    assert modelled.against("live").high is None  # type: ignore[union-attr]


def test_a_bad_model_does_not_make_a_difference_sure() -> None:
    """Two policies that are alike, looked at after each page, by models that err as far as they can."""
    sure = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        state = difference.start(2.0)
        for _ in range(10):
            action = rng.integers(0, 2, 100)
            reward = (rng.random(100) < 0.5).astype(float)
            weight = 2.0 * (action == 1)
            difference.add(state, reward, weight, np.ones(100), (1.0 * (action == 0), np.zeros(100)))
            sure += difference.is_above(state, 0.0) or difference.is_below(state, 0.0)
    assert sure <= 1


def test_the_model_fits_the_problem() -> None:
    assert isinstance(model_of(Problem(3), False), MeanModel)
    assert isinstance(model_of(Problem(3, (5,)), False), RidgeModel)
    assert isinstance(model_of(Problem(3, (LENGTH_MAX + 1,)), False), MeanModel)
    assert model_of(Problem(3), True) is None and model_of(Problem(ARMS_MAX + 1), False) is None


LIVE = [UNIFORM, law("floor", policy=law("epsilon_greedy"), minimum=0.1)]


@pytest.mark.parametrize("live", every_run(LIVE, LIVE[1:]))
def test_a_shadow_is_told_by_both(served: Served, live: Any) -> None:
    life = Life(served, live, reward={"range": [0, 1]})
    life.join(law("fixed_arm", arm=2), role="shadow")
    life.play(100)
    assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
    life.play(100)
    found = life.read_up()["policies"][1]
    robust = found["doubly_robust"]
    assert abs(robust["value"] - MEANS["c"]) < 0.15 and abs(found["value"]["value"] - MEANS["c"]) < 0.15
    (compared,) = found["differences"]
    assert abs(compared["doubly_robust"]["value"] - compared["value"]) < 0.15
    floor = live is not UNIFORM
    assert (robust["low"] is not None) == floor
    if floor:
        assert robust["low"] < MEANS["c"] < robust["high"]
        assert compared["doubly_robust"]["low"] < compared["value"] < compared["doubly_robust"]["high"]
    assert "doubly_robust" not in life.lineup()["policies"][0]


def test_it_is_counted_anew_where_weights_have_another_bound(served: Served) -> None:
    life = Life(served, law("floor", policy=law("epsilon_greedy"), minimum=0.1), reward={"range": [0, 1]})
    life.join(law("fixed_arm", arm=2), role="shadow")
    waiting = [served.decide({}).json() for _ in range(20)]
    life.play(60)
    life.join(law("floor", policy=law("ucb1"), minimum=0.01), role="live")
    for decided in waiting:
        life.reward(decided)
    life.play(60)
    life.join(law("floor", policy=law("ucb1"), minimum=0.2), role="live")
    life.play(60)
    found = life.read_up()["policies"][1]
    assert found["decisions"] > 0 and found["doubly_robust"]["low"] is not None
    watch = served.service.policies.watch(served.service.live("e"))
    assert watch is not None and watch.evidence[1].modelled is not None
    assert watch.evidence[1].modelled.bound == 5.0
    life.assert_verifies()


def test_contexts_are_predicted_by_a_regression(served: Served) -> None:
    life = Life(served, UNIFORM, problem={"context": {"kind": "dense", "length": 2}}, reward={"range": [0, 1]})
    life.join(law("linucb"), role="shadow")
    for n in range(120):
        life.play(1, context=[n % 2, 1.0])
    found = life.read_up()["policies"][1]
    assert abs(found["doubly_robust"]["value"] - found["value"]["value"]) < 0.2
