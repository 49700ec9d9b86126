"""Game of coins: its rounds against the pseudo-code, what it promises with a gap, and how it fails without one."""

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


def pseudo_code(arms: int, unit: float) -> Generator[tuple[int, float], float, None]:
    """Yield the arms to pull and how often, and take the sums of their rewards (Assadi and Wang 2020)."""
    king, budget = 0, 0.0
    for arm in range(1, arms):
        budget += 4.0 * unit
        size = 3.0 * unit
        while budget >= size:
            budget -= size
            of_king = yield king, math.ceil(size)
            of_arm = yield arm, math.ceil(size)
            if of_king > of_arm:
                break
            size *= 3.0
        else:
            king, budget = arm, 0.0
    while True:
        yield king, math.inf


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("arms", [1, 2, 30])
def test_rounds_are_those_of_the_pseudo_code(arms: int, seed: int) -> None:
    trials, gap = 100_000, 0.5
    policy = catalog.make("game_of_coins", gap=gap, delta=0.2, size=0.5)
    run = stream_runs.run(policy, trials, arms=arms, means="uniform", slots=1, seed=seed)
    unit = 0.5 * 4.0 / gap**2 * math.log(1.0 / 0.2)
    stream_runs.follow(run, pseudo_code(arms, unit), trials)
    assert run.peak == min(arms, 2)


@pytest.mark.parametrize(
    ("trials", "unit"),
    [(10**9, 0.25 * 4.0 * 10_000.0 * math.log(10.0)), (2400, 1.0), (30, 1.0 / 3.0)],
    ids=["gap is eps", "a third of the trials", "at least three pulls a round"],
)
def test_without_a_gap_it_is_eps_and_a_third_of_the_trials_suffices(trials: int, unit: float) -> None:
    arms = 1000 if trials == 10**9 else 100
    policy, world = catalog.make("game_of_coins"), Passing(1, arms)
    play(policy, fresh(policy, arms, trials, 1), world, 0, 3, trials)
    assert world.pulls == {0: math.ceil(3.0 * unit)}


def test_a_third_of_the_trials_is_the_most_that_it_explores_with() -> None:
    trials = 200_000
    for means in ([0.5] * 200, [i / 200 for i in range(200)], [1.0] * 200):
        run = stream_runs.run(catalog.make("game_of_coins", gap=0.01), trials, means=means, slots=1)
        assert run.batches[-1][1] >= trials * 2 / 3 - 1000  # batches are rounded up


@pytest.mark.parametrize("known", [(0, 10**6), (100, None), (0, None)])
def test_with_a_gap_neither_arms_nor_trials_need_be_known(known: tuple[int, int | None]) -> None:
    policy = catalog.make("game_of_coins", gap=0.25)
    moves = []
    for arms, trials in ((100, 10**6), known):
        world = Passing(1, 100)
        moves.append(play(policy, fresh(policy, arms, trials, 1), world, 0, 150, 10**6))
        assert 20 < world.read < 100
    assert moves[0] == moves[1]


@pytest.mark.parametrize(
    "means", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
)
def test_arms_that_always_or_never_pay_are_told_apart(means: list[float]) -> None:
    run = stream_runs.run(catalog.make("game_of_coins"), 5000, means=means)
    assert means[run.recommended] == max(means)
    assert run.regret == sum(n for arm, n in run.pulls.items() if means[arm] < max(means))


def test_fewer_trials_than_arms_end_on_an_arm_that_was_read() -> None:
    run = stream_runs.run(catalog.make("game_of_coins"), 4, means=[0.0, 1.0, 0.5, 0.25, 0.0, 0.5])
    assert 0 <= run.recommended < 6


def test_a_gap_is_in_the_unit_of_the_rewards_and_a_unit_alone_changes_no_pulls() -> None:
    batches = [
        stream_runs.run(
            catalog.make("game_of_coins", gap=gap, scale=scale), 10**6, arms=5, rewards="normal", sd=0.5, slots=1
        ).batches[0][1]
        for gap, scale in ((0.5, 1.0), (1.5, 3.0), (0.5, 3.0), (None, 1.0), (None, 3.0))
    ]
    unit = 0.25 * 4.0 / 0.25 * math.log(10.0)
    assert batches[:3] == [math.ceil(3.0 * unit), math.ceil(3.0 * unit), math.ceil(27.0 * unit)]
    assert batches[3] == batches[4]


@pytest.mark.parametrize("params", [{"gap": 0}, {"gap": -0.1}, {"delta": 0}, {"delta": 1}, {"size": 0}, {"scale": 0}])
def test_params_out_of_their_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(params))} is"):
        catalog.make("game_of_coins", **params)


@pytest.mark.jit
@pytest.mark.parametrize(
    ("size", "success", "tosses"), [(1.0, (0.99, 1.0), 24.0), (0.25, (0.99, 1.0), 6.0), (1 / 12, (0.79, 0.89), 2.0)]
)
def test_the_best_arm_is_found_as_often_as_promised_down_to_a_quarter_of_the_size(
    size: float, success: tuple[float, float], tosses: float
) -> None:
    """Reference, gap and delta 0.1: 1.000 with 24.0 K ln(10) / gap^2 pulls, 0.998 with 6.0, 0.81 to 0.87 with 2.0."""
    arms, runs, trials = 300, 200, 10**12
    policy = catalog.make("game_of_coins", gap=0.1, size=size)
    found, explored = 0, 0
    for r in range(runs):
        best = int(np.random.default_rng(r).integers(arms))
        means = [0.6 if arm == best else 0.5 for arm in range(arms)]
        run = Simulation(policy, envs.make("arm_stream", means=means, slots=1), horizon=trials, seed=3, replication=r)
        run.advance(trials)
        found += int(run.world.state.arm[run.state.king[0]] == best)
        explored += int(run.totals.trials[1])
    assert success[0] <= found / runs <= success[1]
    assert explored / runs / (arms * math.log(10.0) / 0.1**2) == pytest.approx(tosses, rel=0.05)


@pytest.mark.jit
@pytest.mark.parametrize("size", [0.25, 1.0])
def test_means_that_fall_slowly_lead_it_to_the_last_arm(size: float) -> None:
    """Without a gap it is wrong: at eps = 0.1 it ends 4 eps below the best."""
    arms = 1000
    means = np.linspace(0.7, 0.3, arms).tolist()
    for seed in range(10):
        policy = catalog.make("game_of_coins", gap=0.1, size=size)
        run = Simulation(policy, envs.make("arm_stream", means=means, slots=1), horizon=10**10, seed=seed)
        run.advance(10**10)
        assert run.world.state.mean[run.state.king[0]] < 0.31
