"""Uniform exploration: its regret to the last digit, its pulls where T or K is unknown, a reference's figures."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from support import stream_runs
from support.passing import EIGHTHS, Passing, fresh, play

from onearm.engine.actions import PULL
from onearm.engine.errors import InvalidInput
from onearm.engine.streams import trials_of
from onearm.policies import catalog

ORDERS = {
    "best first": [7, 2, 0, 4, 1, 3, 2, 1],
    "best last": [1, 2, 0, 4, 1, 3, 2, 7],
    "best amid": [3, 1, 4, 1, 7, 2, 6, 5],
    "all equal": [4, 4, 4, 4],
    "two": [2, 6],
    "one": [3],
    "ones and noughts": [0, 8, 0, 0, 8],
}  # means in eighths: the sums are exact


def pulls_of_arm(pulls: str, arms: float, trials: int) -> int:
    s = (trials / arms) ** (2 / 3) * (math.log(trials) ** (1 / 3) if pulls == "log" else 1.0)
    return max(math.ceil(s if arms * s <= trials else trials / (3 * arms)), 1)


@pytest.mark.parametrize("trials", [997, 20_011])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("pulls", ["log", "unit"])
def test_regret_is_the_closed_form_to_the_last_digit(pulls: str, order: str, trials: int) -> None:
    means = [mean / 8 for mean in ORDERS[order]]
    run = stream_runs.run(catalog.make("uniform_exploration", pulls=pulls), trials, means=means)
    s = pulls_of_arm(pulls, len(means), trials)
    best = max(means)
    left = trials - len(means) * s
    assert run.regret == s * sum(best - mean for mean in means) + left * (best - means[run.recommended])
    assert [(arm, n) for arm, n, _ in run.batches] == [
        *((arm, s) for arm in range(len(means))),
        (run.recommended, left),
    ]
    assert run.peak == min(len(means), 2)


@pytest.mark.parametrize("means", [[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
def test_arms_that_always_or_never_pay_are_told_apart(means: list[float]) -> None:
    run = stream_runs.run(catalog.make("uniform_exploration"), 1000, means=means)
    assert run.recommended == means.index(1.0)
    assert run.regret == sum(n for arm, n in run.pulls.items() if means[arm] == 0.0)


def test_the_first_of_equal_means_is_kept() -> None:
    run = stream_runs.run(catalog.make("uniform_exploration"), 1000, means=[0.0, 1.0, 1.0, 1.0])
    assert run.recommended == 1


def test_the_largest_sum_is_kept() -> None:
    for seed in range(20):
        run = stream_runs.run(catalog.make("uniform_exploration"), 3000, arms=20, means="uniform", seed=seed)
        sums = [total for *_, total in run.batches[:20]]
        assert run.recommended == sums.index(max(sums))


def test_fewer_trials_than_arms_are_one_pull_each() -> None:
    run = stream_runs.run(catalog.make("uniform_exploration"), 4, means=[0.25, 0.5, 0.0, 0.25, 1.0, 0.5])
    assert run.pulls == {0: 1, 1: 1, 2: 1, 3: 1}
    assert run.regret == 0.75 + 0.5 + 1.0 + 0.75


def test_too_few_trials_are_explored_by_a_third() -> None:
    run = stream_runs.run(catalog.make("uniform_exploration"), 600, arms=100)
    assert [n for _, n, _ in run.batches] == [2] * 100 + [400]


@pytest.mark.parametrize("pulls", ["log", "unit"])
def test_of_unknown_arms_the_last_counts_as_the_last(pulls: str) -> None:
    trials, arms = 20_000, 30
    policy, world = catalog.make("uniform_exploration", pulls=pulls), Passing(1, arms)
    play(policy, fresh(policy, 0, trials, 1), world, 0, 2 * arms, trials)
    expected = stream_runs.pulls_where_arms_are_unknown(lambda i: pulls_of_arm(pulls, i, trials), trials, arms)
    assert list(world.pulls.values()) == expected


@pytest.mark.parametrize(("told", "arms"), [(0, 100), (50, 50)])
def test_unknown_trials_count_as_1024_for_each_arm(told: int, arms: int) -> None:
    policy, world = catalog.make("uniform_exploration", pulls="unit"), Passing(1, arms)
    play(policy, fresh(policy, told, None, 1), world, 0, 2 * arms, 10**9)
    assert list(world.pulls.values()) == [
        pulls_of_arm("unit", told or i, 1024 * (told or i)) for i in range(1, arms + 1)
    ]


def test_unknown_trials_are_doubled_above_the_pulls_made() -> None:
    policy = catalog.make("uniform_exploration", pulls="unit")
    state: Any = fresh(policy, 4, None, 1)
    for made, trials in ((0, 4096), (4095, 4096), (4096, 8192), (10**6, 2**20), (2**61, 2**61)):
        state.stream.made[0] = made
        assert trials_of(state.stream) == trials


def test_once_the_stream_is_over_unknown_trials_are_made_in_batches_that_double() -> None:
    policy, world = catalog.make("uniform_exploration"), Passing(1, 3)
    moves = play(policy, fresh(policy, 3, None, 1), world, 0, 30, 10**6)
    kept = [n for what, _, n in moves[7:] if what == PULL]
    assert kept[0] == sum(n for what, _, n in moves[:7] if what == PULL)
    assert [after / before for before, after in itertools.pairwise(kept[:5])] == [2.0] * 4


def test_the_best_is_committed_to_for_all_trials_that_are_left() -> None:
    policy, world = catalog.make("uniform_exploration"), Passing(1, 10)
    moves = play(policy, fresh(policy, 10, 50_000, 1), world, 0, 1000, 50_000)
    assert len(moves) == 22
    assert world.places[moves[-1][1]] == EIGHTHS.index(max(EIGHTHS))


def test_params_out_of_their_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="pulls is 'ln': it must be one of unit, log"):
        catalog.make("uniform_exploration", pulls="ln")


CLEAR = {
    ("log", 10**6): (8.661e4, 1e3),
    ("log", 10**9): (8.799e6, 7e3),
    ("unit", 10**6): (6.327e4, 3e3),
    ("unit", 10**9): (3.203e6, 2e3),
}
MIX = {
    ("log", 10**6): (1.222e5, 3e2),
    ("log", 10**9): (1.372e7, 2e4),
    ("unit", 10**6): (5.839e4, 7e2),
    ("unit", 10**9): (5.041e6, 1e4),
}
HARD = {("log", 0.5): (0.481, 0.010), ("log", 1.0): (0.485, 0.05), ("unit", 1.0): (0.822, 0.04)}
STAIR = {"log": (0.662, 0.011), "unit": (0.435, 0.022)}


@pytest.mark.jit
def test_regret_is_that_of_the_reference() -> None:
    for means, expected in (("clear", CLEAR), ("uniform", MIX)):
        for (pulls, trials), (mean, error) in expected.items():
            policy = catalog.make("uniform_exploration", pulls=pulls)
            found = stream_runs.regrets(policy, trials, arms=1000, means=means)
            assert stream_runs.agree(found, mean, error), (means, pulls, trials)


@pytest.mark.jit
def test_the_worst_case_is_that_of_the_reference() -> None:
    scale = stream_runs.hard_scale(1000, 10**9)
    for (pulls, gap), (mean, error) in HARD.items():
        policy = catalog.make("uniform_exploration", pulls=pulls)
        found = stream_runs.regrets(policy, 10**9, arms=1000, means="hard", gap=gap) / scale
        assert stream_runs.agree(found, mean, error), (pulls, gap)
    for pulls, (mean, error) in STAIR.items():
        policy = catalog.make("uniform_exploration", pulls=pulls)
        found = stream_runs.regrets(policy, 10**9, arms=1000, means="stair") / scale
        assert stream_runs.agree(found, mean, error), pulls


@pytest.mark.jit
def test_an_unknown_number_of_arms_costs_three_times_as_much_at_the_most() -> None:
    """Reference: 2.76 times on clear streams, 2.72 on uniform ones."""
    policy = catalog.make("uniform_exploration", pulls="unit")
    for means, ratio in (("clear", 2.76), ("uniform", 2.72)):
        known, unknown = (
            stream_runs.regrets(one, 10**9, arms=1000, means=means)
            for one in (policy, stream_runs.without(policy, arms=True))
        )
        assert unknown.mean() / known.mean() == pytest.approx(ratio, rel=0.03)
