"""Record ladder: its rungs against the pseudo-code, a slow descent, and the figures of a reference."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np
import pytest
from support import stream_runs
from support.passing import Passing, fresh, play

from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation
from onearm.envs import catalog as envs
from onearm.policies import catalog


def pseudo_code(arms: int, u: float, eps: float) -> Generator[tuple[int, float], float, None]:
    """Yield the arms to pull and how often, and take the sums of their rewards."""
    last = max(0.5, 0.5 * math.log(arms)) * u
    record = (yield 0, math.ceil(last)) / math.ceil(last)
    king = 0
    for arm in range(1, arms):
        size = 0.5 * u
        while True:
            n = math.ceil(size)
            mean = (yield arm, n) / n
            if mean <= record + eps / 4.0:
                break
            if size >= last:
                king, record = arm, mean
                break
            size = min(1.5 * size, last)
    while True:
        yield king, math.inf


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("means", ["uniform", "hard"])
@pytest.mark.parametrize("arms", [1, 2, 3, 100])
def test_rungs_are_those_of_the_pseudo_code(arms: int, means: str, seed: int) -> None:
    """T / K = 1000, so u = 100 and eps = 0.1."""
    run = stream_runs.run(catalog.make("record_ladder"), 1000 * arms, arms=arms, means=means, slots=1, seed=seed)
    stream_runs.follow(run, pseudo_code(arms, 100.0, 0.1), 1000 * arms)
    assert run.peak == min(arms, 2)


def test_rungs_follow_the_params() -> None:
    """All pay always but the first: rungs of 100, 200, 400 and 100 ln(100) pulls; the others are no better then."""
    policy = catalog.make("record_ladder", low=1.0, high=1.0, growth=2.0, margin=0.0)
    run = stream_runs.run(policy, 100_000, means=[0.0] + [1.0] * 99)
    assert [(arm, n) for arm, n, _ in run.batches[:5]] == [(0, 461), (1, 100), (1, 200), (1, 400), (1, 461)]
    assert [(arm, n) for arm, n, _ in run.batches[5:-1]] == [(arm, 100) for arm in range(2, 100)]


def test_few_trials_shrink_the_rungs() -> None:
    """u is 4 where T / K = 8, and T / (3 K) is less."""
    run = stream_runs.run(catalog.make("record_ladder", low=3.0), 800, means=[1.0] + [0.0] * 99)
    assert [n for _, n, _ in run.batches[:3]] == [8, 8, 8]


@pytest.mark.parametrize("means", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0]])
def test_arms_that_always_or_never_pay_are_told_apart(means: list[float]) -> None:
    run = stream_runs.run(catalog.make("record_ladder"), 5000, means=means)
    assert run.recommended == means.index(max(means))
    assert run.regret == sum(n for arm, n in run.pulls.items() if means[arm] < max(means))


def test_fewer_trials_than_arms_are_one_pull_each() -> None:
    run = stream_runs.run(catalog.make("record_ladder"), 4, means=[0.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    assert run.pulls == {0: 1, 1: 1, 2: 1, 3: 1}


def test_the_unit_of_the_rewards_changes_nothing() -> None:
    means = [0.25, 0.5, 0.125, 0.75, 0.5, 0.625]
    runs = [
        stream_runs.run(
            catalog.make("record_ladder", scale=scale),
            10**6,
            means=[scale * mean for mean in means],
            rewards="two_point",
            sd=scale / 4,
        )
        for scale in (1.0, 4.0)
    ]
    assert [batch[:2] for batch in runs[0].batches] == [batch[:2] for batch in runs[1].batches]


def test_of_unknown_arms_the_last_counts_as_the_last() -> None:
    policy, world = catalog.make("record_ladder", margin=100.0), Passing(1, 27)
    play(policy, fresh(policy, 0, 10**6, 1), world, 0, 54, 10**6)
    expected = [math.ceil(0.5 * (10**6 / i) ** (2 / 3) - 1e-9) for i in range(1, 28)]
    assert list(world.pulls.values()) == expected


@pytest.mark.parametrize("params", [{"low": 0}, {"high": 0}, {"growth": 1}, {"margin": -1}, {"scale": 0}])
def test_params_out_of_their_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(params))} is"):
        catalog.make("record_ladder", **params)


@pytest.mark.jit
def test_means_that_fall_slowly_do_not_lead_it_astray() -> None:
    """Reference, at eps = 0.1: 0.01 eps below the best after 0.53 K u pulls."""
    arms, trials = 1000, 10**6
    env = envs.make("arm_stream", means=np.linspace(0.7, 0.3, arms).tolist(), slots=1)
    below, explored = [], []
    for seed in range(20):
        run = Simulation(catalog.make("record_ladder"), env, horizon=trials, seed=seed)
        run.advance(trials)
        below.append(0.7 - run.world.state.mean[run.state.king[0]])
        explored.append(run.totals.trials[1])
    assert np.mean(below) < 0.005
    assert np.mean(explored) == pytest.approx(0.53 * arms * 100, rel=0.03)


CLEAR = {10**6: (4.245e4, 2e3), 10**8: (4.250e5, 3e4), 10**9: (1.675e6, 3e3)}
MIX = {10**6: (3.465e4, 6e2), 10**8: (7.471e5, 1e4), 10**9: (3.329e6, 7e4)}
HARD = {0.5: (0.465, 0.013), 1.0: (0.523, 0.05), 4.0: (0.027, 0.0005)}


@pytest.mark.jit
def test_regret_is_that_of_the_reference() -> None:
    policy = catalog.make("record_ladder")
    for means, expected in (("clear", CLEAR), ("uniform", MIX)):
        for trials, (mean, error) in expected.items():
            found = stream_runs.regrets(policy, trials, arms=1000, means=means)
            assert stream_runs.agree(found, mean, error), (means, trials)


@pytest.mark.jit
def test_the_worst_case_is_that_of_the_reference() -> None:
    policy, scale = catalog.make("record_ladder"), stream_runs.hard_scale(1000, 10**9)
    for gap, (mean, error) in HARD.items():
        found = stream_runs.regrets(policy, 10**9, arms=1000, means="hard", gap=gap) / scale
        assert stream_runs.agree(found, mean, error), gap
    assert stream_runs.agree(stream_runs.regrets(policy, 10**9, arms=1000, means="stair") / scale, 0.732, 0.025)
