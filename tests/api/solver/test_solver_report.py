"""What a tuner reports: what each value would have cost, the regret, and how sure these are."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.tuned import COSTS, VALUES, drive

from onearm.api.solver import Tuner
from onearm.api.solver.arm_costs import ArmCosts
from onearm.engine.kernel import KERNELS


def histories(costs: list[dict[int, float]], law: Callable[[int], list[float]]) -> Any:
    """Yield every arm_costs of rounds with its probability: exact expectations over a law that depends on the round."""
    for arms in itertools.product(range(2), repeat=len(costs)):
        arm_costs, probability = ArmCosts(2), 1.0
        for t, arm in enumerate(arms):
            probability *= law(t)[arm]
            arm_costs.add(arm, law(t)[arm], costs[t][arm], costs[t][arm], True)
        yield arm_costs, probability


def test_what_an_arm_would_have_cost_is_estimated_without_bias_and_its_variance_too() -> None:
    costs = [{0: 10.0, 1: 30.0}, {0: 12.0, 1: 25.0}, {0: 80.0, 1: 5.0}, {0: 11.0, 1: 28.0}, {0: 9.0, 1: 31.0}]

    def law(t: int) -> list[float]:
        return [0.2 + 0.1 * t, 0.8 - 0.1 * t]

    for arm in (0, 1):
        moments = np.zeros(4)
        for arm_costs, probability in histories(costs, law):
            estimate = arm_costs.total(arm)
            moments += probability * np.array([1.0, estimate, estimate**2, arm_costs.variance[arm]])
            assert not arm_costs.estimate(arm)[1] ** 2 < arm_costs.variance[arm] * (1.0 - 1e-12)
        total, mean, square, variance = moments.tolist()
        assert total == pytest.approx(1.0)
        assert mean == pytest.approx(
            sum(cost[arm] for cost in costs[1:]), rel=1e-12
        )  # before the first nothing was known
        assert variance == pytest.approx(square - mean**2, rel=1e-9)


def test_a_rare_value_that_looks_cheap_has_an_error_that_grows_while_it_is_not_played() -> None:
    arm_costs = ArmCosts(2)
    for t in range(100):
        cost = 48.0 if t == 50 else 50.0
        arm_costs.add(int(t == 50), 0.001 if t == 50 else 0.999, cost, cost, True)
    estimate, error = arm_costs.estimate(1)
    assert estimate == pytest.approx(99 * 50.0 - 2.0 / 0.001 - 49 * 2.0)  # of the first round nothing was known
    assert error == pytest.approx(math.sqrt(4.0 * 0.999) / 0.001)
    for _ in range(9900):
        arm_costs.add(0, 0.999, 50.0, 50.0, True)
    passed = [*range(50), *range(9949)]  # rounds since it was played, in each round after the first
    assert arm_costs.estimate(1)[1] == pytest.approx(math.sqrt(4.0 * sum(passed)))  # and not as after 100 rounds
    arm_costs.add(1, 0.001, 50.0, 50.0, True)
    assert arm_costs.odds[1] == sum(passed) + 9949


def test_the_rounds_since_an_arm_was_played_stand_for_its_odds_without_bias() -> None:
    p, odds = 0.2, []
    for seed in range(300):
        rng, arm_costs = np.random.default_rng(seed), ArmCosts(2)
        for _ in range(200):
            arm = int(rng.random() < p)
            arm_costs.add(arm, (1.0 - p, p)[arm], 50.0, 50.0, True)
        waited = arm_costs.compared - arm_costs.since[1]
        odds.append(arm_costs.odds[1] + waited * (waited - 1) / 2)
    wanted = 199 * (1.0 - p) / p - sum((1.0 - p) ** (t + 1) / p for t in range(199))  # less what was before the first
    assert abs(np.mean(odds) - wanted) < 3.0 * np.std(odds) / math.sqrt(300)


def test_costs_that_are_all_equal_have_no_regret_and_no_doubt() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    for _ in range(30):
        tuner.propose()
        tuner.observe(7)
    report = tuner.report()
    assert (report.regret, report.regret_error, report.mean_cost) == (0.0, 0.0, 7.0)
    assert {arm.estimated_cost for arm in report.arms if arm.rounds} == {7.0}


def test_what_was_passed_over_with_certainty_has_no_estimate_and_what_was_always_played_an_exact_one() -> None:
    always = Tuner("fixed", values=VALUES, default=1.3)
    drive(always, 7)
    fixed = always.report()
    assert (fixed.best, fixed.regret_error) == (1.3, 0.0) and fixed.regret == pytest.approx(0.0)
    arm_costs = ArmCosts(2)
    for arm, p in ((0, 0.5), (1, 0.5), (0, 1.0), (0, 0.5)):
        arm_costs.add(arm, p, 5.0, 5.0, True)
    assert math.isnan(arm_costs.estimate(1)[0]) and arm_costs.estimate(0)[0] == 15.0
    arm_costs.add(1, None, 5.0, 5.0, True)
    assert math.isnan(arm_costs.estimate(0)[0])


def test_the_law_is_asked_for_only_by_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = Tuner("maillard_chain", grid=(1.0, 1.9, 80), seed=1)
    asked: list[int] = []
    kernels = KERNELS[type(tuner.settings.policy.params)]
    if not hasattr(kernels["probability"], "py_func"):
        known = kernels["probability"]

        def counted(*args: Any) -> float:
            asked.append(args[-1])
            return float(known(*args))

        monkeypatch.setitem(kernels, "probability", counted)
    for _ in range(5):
        tuner.propose()
        tuner.observe(40)
    assert asked == []
    report = tuner.report()
    assert report.regret is not None and sum(arm.probability or 0.0 for arm in report.arms) == pytest.approx(1.0)
    assert len(asked) == 80


def test_the_estimated_regret_is_off_by_about_its_standard_error_and_rather_less() -> None:
    off, errors = [], []
    for seed in range(60):
        tuner = Tuner("tsallis", values=VALUES, seed=seed)
        truth, rng = 0.0, np.random.default_rng(seed)
        for t in range(150):
            cost = {value: COSTS[value] + int(rng.integers(0, 20)) for value in VALUES}
            value = tuner.propose()
            tuner.observe(cost[value])
            truth += cost[value] - cost[1.6] if t else 0.0  # of all rounds but the first
        report = tuner.report()
        assert report.best == 1.6 and report.regret is not None and report.regret_error is not None
        off.append(report.regret - truth)
        errors.append(report.regret_error)
    assert abs(np.mean(off)) < 2.5 * np.std(off) / math.sqrt(len(off))
    assert 0.6 < np.sqrt(np.mean(np.square(off)) / np.mean(np.square(errors))) < 1.1


def test_with_a_context_no_value_is_compared_with_what_it_cost_where_it_suits() -> None:
    """Values are tried where they are good: from that nobody knows what one of them costs elsewhere."""
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9]
    tuner, truth = Tuner("maillard_chain", values=values, context=(1.0, 2.0), seed=3), dict.fromkeys(values, 0)
    for t in range(80):
        context = 1.5 + 0.5 * math.sin(t / 10)
        cost = {value: round(20 + 20 * context + 50 * (value - context) ** 2) for value in values}
        tuner.observe(cost[tuner.propose(context)])
        truth = {value: truth[value] + (cost[value] if t else 0) for value in values}
    report = tuner.report()
    for arm in report.arms:
        if arm.estimated_cost is not None and arm.error is not None:
            assert abs(arm.estimated_cost - truth[float(arm.value)] / 79) < 5.0 * arm.error, arm
    assert (report.best, report.regret, report.regret_error) == (None, None, None)
    assert "estimated" not in str(report) and "best" not in str(report)
    assert "do not compare" in str(report)


def test_a_report_is_a_table_and_a_dict() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    empty = tuner.report()
    assert (empty.rounds, empty.mean_cost, empty.best, empty.regret) == (0, None, None, None)
    drive(tuner, 50)
    report = tuner.report()
    said = json.loads(json.dumps(report.to_dict()))
    assert said["rounds"] == 50 and said["best"] == 1.6
    assert sum(arm["rounds"] for arm in said["arms"]) == 50
    assert sum(arm["share"] for arm in said["arms"]) == pytest.approx(1.0)
    assert [arm["probability"] for arm in said["arms"]] == tuner.law().tolist()
    assert sum(arm["share"] * (arm["mean_cost"] or 0.0) for arm in said["arms"]) == pytest.approx(said["mean_cost"])
    text = str(report)
    assert "tsallis_inf: 50 rounds" in text and "best single value: 1.6; alone it would have cost" in text
    assert all(f"{value:g}" in text for value in VALUES)


def test_a_policy_that_does_not_draw_has_no_estimated_regret() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    drive(tuner, 20)
    report = tuner.report()
    assert (report.best, report.regret, report.regret_error) == (1.6, None, None)
    assert report.arms[2].estimated_cost is None and "alone" not in str(report)
