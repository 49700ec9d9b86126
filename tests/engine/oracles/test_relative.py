"""Rewards less an origin, a level that is learned, and widths in units of the reward: bits, closed forms, sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.growth import padded
from onearm.engine.oracles.choice import oracle
from onearm.engine.oracles.forgetting import kept
from onearm.engine.oracles.measured import measured
from onearm.engine.oracles.oracle import (
    fit,
    learned_of,
    mean_level,
    origin_of,
    predict,
    predict_one,
    prior_shares,
    split,
    spread,
)
from onearm.engine.oracles.relative import check_origin
from onearm.engine.vocabulary import Array, Problem

NONE, DENSE, ROWS = Problem(3), Problem(3, (2,)), Problem(3, (3, 2))
PROBLEMS = pytest.mark.parametrize("problem", [NONE, DENSE, ROWS], ids=["none", "dense", "actions"])
ALL = np.ones(3, np.bool_)
SHIFT = 2.0**20


def feedbacks(problem: Problem, n: int) -> list[tuple[Array, int, float]]:
    """Return contexts, actions and rewards in eighths, of which action 2 is among the later ones only."""
    rng = np.random.default_rng(7)
    drawn = []
    for t in range(n):
        action = int(rng.integers(2 + (t > n // 2)))
        drawn.append((rng.normal(size=problem.context_shape), action, float(rng.integers(0, 9)) / 8))
    return drawn


def learn(model: Any, found: list[tuple[Array, int, float]], offset: float = 0.0) -> list[float]:
    """Let a model learn, and return how far each prediction was off."""
    return [fit(model, context, action, reward + offset, 1.0) for context, action, reward in found]


def scores_of(model: Any, context: Array) -> Array:
    scores = np.zeros(3)
    predict(model, context, ALL, scores)
    return scores


@PROBLEMS
@pytest.mark.parametrize("half_life", [None, 20.0])
def test_what_is_known_less_has_more_of_the_level(problem: Problem, half_life: float | None) -> None:
    """A prior that expects a level is the prior that expects 0, of rewards less that level."""
    found, level = feedbacks(problem, 130), 5.0
    model = oracle(problem, half_life=half_life)
    less = oracle(problem, half_life=half_life)
    learn(model, found)
    learn(less, found, -level)
    shares = np.zeros(3)
    for context, _, _ in found[:20]:
        prior_shares(model, context, ALL, shares)
        assert scores_of(model, context) + level * shares == pytest.approx(scores_of(less, context) + level, abs=1e-9)


@PROBLEMS
def test_nothing_known_is_all_prior(problem: Problem) -> None:
    shares = np.zeros(3)
    model = oracle(problem)
    prior_shares(model, np.ones(problem.context_shape), ALL, shares)
    assert shares == pytest.approx([1.0] * 3, rel=1e-14)
    assert mean_level(model) == 0.0


def test_the_level_is_the_mean_of_what_arms_pay_not_of_rewards() -> None:
    model = oracle(NONE, origin=math.nan, regularisation=1e-9)
    learn(model, [(np.zeros(0), arm, reward) for arm, reward in [(0, 7.0), *[(0, 1.0), (0, 3.0)] * 50, (1, 9.0)]])
    expected = (207 / 101 + 9.0) / 2  # arm 0 was paid 207 in 101 decisions
    assert origin_of(model) + scores_of(model, np.zeros(0))[2] == pytest.approx(expected, rel=1e-6)


@PROBLEMS
def test_an_offset_changes_no_bit_of_what_is_compared(problem: Problem) -> None:
    found = feedbacks(problem, 130)
    plain, shifted = oracle(problem, origin=math.nan), oracle(problem, origin=math.nan)
    assert learn(plain, found) == learn(shifted, found, SHIFT)
    assert origin_of(shifted) - SHIFT == origin_of(plain) == found[0][2]
    for context, _, _ in found[:20]:
        assert scores_of(plain, context).tolist() == scores_of(shifted, context).tolist()


@PROBLEMS
def test_an_error_is_the_reward_as_it_is_learned_less_what_was_predicted(problem: Problem) -> None:
    model = measured(oracle(problem, origin=math.nan), math.inf)
    for context, action, reward in feedbacks(problem, 100):
        predicted = predict_one(model, context, action, np.zeros(3, np.bool_), np.zeros(3))
        error = fit(model, context, action, reward, 1.0)
        assert error == pytest.approx(learned_of(model, reward) - predicted, abs=1e-12)
        whole = reward - origin_of(model)
        assert (learned_of(model, reward) - predicted) * (whole - predicted) + 1e-12 >= 0.0
        assert abs(error) <= abs(whole - predicted) + 1e-12


@PROBLEMS
def test_parts_sum_to_the_predicted_reward(problem: Problem) -> None:
    model = measured(oracle(problem, origin=math.nan), math.inf)
    found = feedbacks(problem, 100)
    learn(model, found, 1000.0)
    parts = np.zeros(4)
    for context, action, _ in found[:20]:
        place = split(model, context, action, parts)
        assert place == (problem.context_shape[-1])
        assert parts.sum() == pytest.approx(origin_of(model) + scores_of(model, context)[action], rel=1e-12)


def test_an_origin_that_is_given_is_what_is_expected() -> None:
    model = oracle(NONE, origin=50.0, regularisation=1.0)
    learn(model, [(np.zeros(0), 0, 60.0), (np.zeros(0), 0, 60.0)])
    assert origin_of(model) == 50.0
    assert scores_of(model, np.zeros(0)) == pytest.approx([20 / 3, 0.0, 0.0])


def test_an_origin_of_zero_and_contexts_as_they_are_leave_the_model_alone() -> None:
    names = {type(oracle(DENSE, origin=0.0)).__name__, type(oracle(DENSE, origin=math.nan, scaling="none")).__name__}
    assert names == {"ArmRidge"}
    assert origin_of(oracle(DENSE)) == 0.0


@pytest.mark.parametrize("origin", [math.inf, math.nan])
def test_an_origin_that_is_no_number_is_refused(origin: float) -> None:
    with pytest.raises(InvalidInput, match="origin"):
        check_origin(origin)


@PROBLEMS
def test_widths_are_the_models_times_the_size_of_its_errors(problem: Problem) -> None:
    found = feedbacks(problem, 100)
    for half_life in (math.inf, 10.0):
        inner = oracle(problem)
        model = measured(oracle(problem), half_life)
        raw, widths = np.zeros(3), np.zeros(3)
        spread(model, found[0][0], ALL, raw)
        spread(inner, found[0][0], ALL, widths)
        assert raw.tolist() == widths.tolist(), "before any error there is no unit"
        errors = np.array(learn(inner, found))
        assert learn(model, found) == errors.tolist()
        weight = kept(half_life) ** np.arange(100)[::-1]
        spread(model, found[0][0], ALL, raw)
        spread(inner, found[0][0], ALL, widths)
        assert raw == pytest.approx(widths * math.sqrt((weight * errors**2).sum() / weight.sum()), rel=1e-9)


def test_arms_that_join_are_expected_to_pay_the_level() -> None:
    model = oracle(DENSE, origin=math.nan)
    found = feedbacks(DENSE, 100)
    learn(model, found)
    larger = padded(model, oracle(Problem(5, (2,)), origin=math.nan))
    scores = np.zeros(5)
    predict(larger, found[0][0], np.ones(5, np.bool_), scores)
    assert scores[:3].tolist() == scores_of(model, found[0][0]).tolist()
    assert scores[3:] == pytest.approx([model.level[0]] * 2, rel=1e-12)
