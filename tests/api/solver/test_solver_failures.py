"""Solves that fail or take too long: what is learned of them, which value is safe, and a tuner that is held to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.tuned import VALUES, drive, means_of

from onearm.api.solver import Tuner
from onearm.api.solver.arm_costs import MEDIAN_OF, ArmCosts
from onearm.engine.errors import InvalidInput


def test_what_does_not_converge_is_learned_at_ten_times_the_median() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    for cost in (30, 50):
        tuner.propose()
        tuner.observe(cost)
    assert tuner.budget == 300.0  # ten times 30, the lower of the two in the middle
    tuner.propose()
    tuner.observe(10_000, converged=False)
    tuner.propose()
    tuner.observe(3, converged=False)  # it broke down early, and that is not cheap
    assert means_of(tuner) == [30.0, 50.0, 300.0, 500.0]
    report = tuner.report()
    assert (report.censored, report.capped, report.mean_cost) == (2, 0, (30 + 50 + 10_000 + 3) / 4)
    digest = tuner.digest()
    tuner.propose()
    tuner.observe(0, converged=False)  # it broke down before the first iteration, and that is not a solve of 0
    assert tuner.digest() != digest and tuner.report().rounds == 5


def test_what_converges_late_is_learned_at_ten_times_the_median() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    for cost in (30, 299, 2000, 20):
        tuner.propose()
        tuner.observe(cost)
    assert means_of(tuner) == [30.0, 299.0, 300.0, 20.0]
    assert (tuner.report().censored, tuner.report().capped) == (0, 1)


def test_without_a_backstop_all_is_learned_as_told() -> None:
    tuner = Tuner("ucb1", values=VALUES, backstop=None)
    for cost, converged in ((1, True), (5000, True), (10_000, False), (7, False)):
        assert tuner.budget == math.inf
        tuner.propose()
        tuner.observe(cost, converged)
    assert means_of(tuner) == [1.0, 5000.0, 10_000.0, 7.0]


def test_a_first_cost_that_is_too_low_does_not_stop_all_solves_for_good() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    spent = []
    for needed in (1, 40, 40, 40, 40, 40):
        tuner.propose()
        done = needed if needed <= tuner.budget else int(tuner.budget)
        tuner.observe(done, converged=done == needed)
        spent.append(done)
    assert spent == [1, 10, 10, 40, 40, 40]


def test_what_might_have_been_spent_is_learned_where_there_is_no_limit_and_not_counted_as_spent() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    for cost, converged, cap in ((3, False, 700), (0, False, 800), (30, True, 900), (4, False, 900)):
        tuner.propose()
        tuner.observe(cost, converged, cap=cap)
    assert means_of(tuner) == [700.0, 800.0, 30.0, 900.0]  # failures come first in the median, so there is none
    assert tuner.report().mean_cost == (3 + 0 + 30 + 4) / 4
    for _ in range(3):
        tuner.propose()
        tuner.observe(20, cap=500)
    tuner.propose()
    tuner.observe(4, converged=False, cap=999)
    assert means_of(tuner)[2] == (30 + 3 * 20 + 300) / 5 and tuner.budget == 300.0  # there is a median now
    with pytest.raises(InvalidInput, match="the cost is -1"):
        tuner.propose()
        tuner.observe(4, converged=False, cap=-1)


def test_what_a_safe_value_took_counts_for_the_median_before_the_failure_is_learned() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    tuner.propose()
    assert tuner.budget == math.inf
    tuner.observe(10_000, converged=False, fallback=40)
    assert means_of(tuner)[0] == 400.0
    report = tuner.report()
    assert (report.fallbacks, report.censored, report.mean_cost) == (1, 1, 10_040.0)


def test_the_median_is_that_of_the_newest_costs_with_failures_above_all() -> None:
    rng = np.random.default_rng(1)
    arm_costs, costs = ArmCosts(1), []
    for _ in range(3 * MEDIAN_OF):
        cost, converged = float(rng.integers(1, 50)), bool(rng.random() < 0.7)
        arm_costs.add(0, 1.0, cost, cost, converged)
        costs.append(cost if converged else math.inf)
        newest = sorted(costs[-MEDIAN_OF:])
        assert arm_costs.median == newest[(len(newest) - 1) // 2]


def test_the_safe_value_is_the_cheapest_of_those_that_always_converged() -> None:
    tuner = Tuner("ucb1", values=VALUES, default=1.3)
    assert tuner.safe == 1.3
    tuner.propose()
    tuner.observe(5, converged=False)
    assert tuner.safe == 1.3  # nothing converged yet
    for cost in (50, 40, 60):
        tuner.propose()
        tuner.observe(cost)
    assert tuner.safe == 1.6


def test_a_value_that_failed_is_safe_only_where_none_has_always_converged() -> None:
    arm_costs = ArmCosts(3)
    assert arm_costs.safe(2) == 2
    arm_costs.add(0, None, 9.0, 9.0, False)
    assert arm_costs.safe(2) == 2
    for cost, converged in ((5.0, True), (50.0, False)):
        arm_costs.add(1, None, cost, cost, converged)
    assert arm_costs.safe(2) == 1  # it did converge once
    arm_costs.add(0, None, 900.0, 900.0, True)
    assert arm_costs.safe(2) == 1
    arm_costs.add(2, None, 100.0, 100.0, True)
    assert arm_costs.safe(2) == 2  # though it is the dearer one


def test_a_held_tuner_proposes_one_value_and_learns_nothing() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    drive(tuner, 9)
    digest, law = tuner.digest(), tuner.law().tolist()
    tuner.hold(1.9)
    for _ in range(5):
        assert tuner.propose() == 1.9
        tuner.observe(500)
    assert (tuner.digest(), tuner.law().tolist(), tuner.report().rounds) == (digest, law, 9)
    with pytest.raises(InvalidInput, match=r"1.23 is not one of the values"):
        tuner.hold(1.23)
    tuner.withdraw(tuner.ask())
    assert tuner.law().tolist() == law  # the clock stands while a value is held
    tuner.hold()
    assert tuner.propose() == tuner.safe
    loaded = Tuner.load(tuner.save())
    loaded.observe(30)
    assert loaded.propose() == tuner.safe
    loaded.observe(30)
    loaded.release()
    drive(loaded, 5)
    assert loaded.report().rounds == 14
