"""Naive commit: its regret to the last digit, its pulls where K is small or unknown, a reference's figures."""

from __future__ import annotations

import math

import pytest
from support import stream_runs
from support.passing import Passing, fresh, play

from onearm.engine.errors import InvalidInput
from onearm.policies import catalog


def pulls_of_arm(arms: int, trials: int, power: float = 1.0) -> int:
    s = (trials / arms) ** (2 / 3) * math.log(max(arms, 2)) ** power
    return max(math.ceil(s if arms * s <= trials else trials / (3 * arms)), 1)


@pytest.mark.parametrize("trials", [997, 20_011])
@pytest.mark.parametrize("power", [1.0, 1 / 3])
@pytest.mark.parametrize(
    "eighths", [[7, 2, 0, 4, 1, 3], [1, 2, 0, 4, 1, 7], [4, 4, 4], [2, 6], [3], [0, 8, 0, 0, 8], [5, 0, 1] * 8]
)
def test_regret_is_the_closed_form_to_the_last_digit(eighths: list[int], power: float, trials: int) -> None:
    means = [mean / 8 for mean in eighths]
    run = stream_runs.run(catalog.make("naive_commit", power=power), trials, means=means)
    s = pulls_of_arm(len(means), trials, power)
    best = max(means)
    left = trials - len(means) * s
    assert run.regret == s * sum(best - mean for mean in means) + left * (best - means[run.recommended])
    assert [n for _, n, _ in run.batches] == [s] * len(means) + [left]
    assert run.peak == min(len(means), 2)


def test_the_largest_sum_is_kept() -> None:
    for seed in range(20):
        run = stream_runs.run(catalog.make("naive_commit"), 3000, arms=20, means="uniform", seed=seed)
        sums = [total for *_, total in run.batches[:20]]
        assert run.recommended == sums.index(max(sums))


def test_fewer_trials_than_arms_are_one_pull_each() -> None:
    run = stream_runs.run(catalog.make("naive_commit"), 3, means=[0.25, 0.5, 0.0, 0.25, 1.0])
    assert run.pulls == {0: 1, 1: 1, 2: 1}


def test_too_few_trials_are_explored_by_a_third() -> None:
    """u ln K is more than T / K wherever T / K < ln^3 K, here 97."""
    below, above = (stream_runs.run(catalog.make("naive_commit"), 100 * ratio, arms=100) for ratio in (97, 98))
    assert [below.batches[0][1], above.batches[0][1]] == [33, 98]


@pytest.mark.parametrize("power", [1.0, 1 / 3])
def test_of_unknown_arms_the_last_counts_as_the_last_and_the_first_as_one_of_two(power: float) -> None:
    trials, arms = 20_000, 30
    policy, world = catalog.make("naive_commit", power=power), Passing(1, arms)
    play(policy, fresh(policy, 0, trials, 1), world, 0, 2 * arms, trials)
    expected = stream_runs.pulls_where_arms_are_unknown(lambda i: pulls_of_arm(i, trials, power), trials, arms)
    assert list(world.pulls.values()) == expected


@pytest.mark.parametrize("params", [{"power": 0}, {"power": math.nan}])
def test_params_out_of_their_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(params))} is "):
        catalog.make("naive_commit", **params)


REFERENCE = {
    ("clear", 10**6): (2.224e5, 3e2),
    ("clear", 10**9): (2.213e7, 2e4),
    ("uniform", 10**6): (3.451e5, 5e2),
    ("uniform", 10**9): (3.448e7, 4e4),
}
WORST = {0.5: (0.346, 0.022), 1.0: (0.088, 0.013), 2.0: (0.138, 0.0)}


@pytest.mark.jit
def test_regret_is_that_of_the_reference() -> None:
    for (means, trials), (mean, error) in REFERENCE.items():
        found = stream_runs.regrets(catalog.make("naive_commit"), trials, arms=1000, means=means)
        assert stream_runs.agree(found, mean, error), (means, trials)
    scale = stream_runs.hard_scale(1000, 10**9)
    for gap, (mean, error) in WORST.items():
        found = stream_runs.regrets(catalog.make("naive_commit"), 10**9, arms=1000, means="hard", gap=gap) / scale
        assert stream_runs.agree(found, mean, error), gap


@pytest.mark.jit
def test_where_all_find_the_best_arm_the_ratio_to_uniform_exploration_is_that_of_the_pulls() -> None:
    for arms, trials in ((500, 250_000_000), (5000, 25_000_000_000)):
        naive, uniform = (
            stream_runs.regrets(catalog.make(name), trials, runs=20, arms=arms, means="clear")
            for name in ("naive_commit", "uniform_exploration")
        )
        assert naive.mean() / uniform.mean() == pytest.approx(math.log(arms) / math.log(trials) ** (1 / 3), rel=1e-3)


@pytest.mark.jit
def test_a_third_power_of_ln_k_is_enough() -> None:
    for means in ("clear", "uniform"):
        whole, third = (
            stream_runs.regrets(catalog.make("naive_commit", power=power), 10**9, arms=1000, means=means).mean()
            for power in (1.0, 1 / 3)
        )
        assert third < 0.3 * whole
