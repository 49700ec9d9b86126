"""UCB-E: its bounds by hand and by a twin, exact losses, and those of a reference of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.querying import EQUAL_GAPS, LEVELS, Play, as_table, five_arm_losses

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.losses import exact_losses, grid_instances
from onearm.engine.task import best_arm, thresholds
from onearm.engine.vocabulary import Array
from onearm.policies import catalog


def play_of(arms: int, a: float) -> Play:
    return Play(catalog.make("ucb_e", a=a), best_arm(arms), 15)


def test_a_hand_worked_trace() -> None:
    """With a = 4 the bounds are mean + 2 / sqrt(n)."""
    play = play_of(3, 4.0)
    play.put(1, 9.0)
    assert play.law().tolist() == [0.5, 0.0, 0.5]  # those never asked come first
    play.put(0, 0.0)
    play.put(2, *[8.5] * 4)  # 2, 11 and 9.5
    assert play.law().tolist() == [0.0, 1.0, 0.0]
    assert play.law([True, False, True]).tolist() == [0.0, 0.0, 1.0]
    play.put(1, 8.0, 8.5, 8.5)  # 8.5 + 1 as well
    assert play.law().tolist() == [0.0, 0.5, 0.5]
    assert {play.choose(t=t).action for t in range(30)} == {1, 2}
    assert {play.recommend(t=t) for t in range(30)} == {1, 2}


@pytest.mark.parametrize("a", [0.25, 2.0, 9.0])
def test_the_open_arms_of_the_highest_bound_share_the_law(a: float) -> None:
    for case in range(100):
        rng = np.random.default_rng(case)
        asked, total = rng.integers(1, 5, 5), rng.integers(-8, 9, 5).astype(np.float64)
        available = rng.random(5) < 0.7
        available[rng.integers(5)] = True
        play = play_of(5, a)
        play.state.evidence.asked[:] = play.state.evidence.count[:] = asked
        play.state.evidence.total[:] = total
        bound = np.where(available, total / asked + np.sqrt(a / asked), -np.inf)
        assert play.law(available).tolist() == ((bound == bound.max()) / (bound == bound.max()).sum()).tolist()


def test_what_is_under_way_counts_as_asked_and_is_hoped_to_be_as_good_as_the_best() -> None:
    play = play_of(3, 4.0)
    play.put(0, *[1.0] * 4)  # 2
    play.put(1, 0.0)  # 2
    play.state.evidence.asked[2] = 1  # 1 + 2
    assert play.law().tolist() == [0.0, 0.0, 1.0]
    play.state.evidence.asked[2] = 16  # 1 + 1/2
    assert play.law().tolist() == [0.5, 0.5, 0.0]
    play.state.evidence.asked[1] = 4  # 0 + 1
    assert play.law().tolist() == [1.0, 0.0, 0.0]


def test_no_loss_is_below_the_exact_minimax() -> None:
    """Bits vary a quarter as much as what the default is for."""
    task = best_arm(3, "bits")
    table = as_table(catalog.make("ucb_e", a=0.75), task, 6)
    for level, least, uniform in ((8, 0.065341, 0.114400), (20, 0.290676, 0.333600), (80, 0.476222, 0.506667)):
        worst = exact_losses(table, grid_instances(task, [0.1, 0.3, 0.5, 0.7, 0.9], level)).max()
        assert least - 1e-6 < worst < uniform


def test_other_tasks_and_params_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"'ucb_e' is for tasks of the kind arms, .* kind 'thresholds'"):
        Play(catalog.make("ucb_e"), thresholds(5), 10)
    for a in (0.0, -1.0, math.inf, True):
        with pytest.raises(InvalidInput, match=f"a is {a!r}"):
            catalog.make("ucb_e", a=a)


def reference(a: float, budget: int, gap: float, runs: int) -> float:
    """Return how often UCB-E errs with five arms on equal gaps, by NumPy: no code and no draws are shared."""
    rng = np.random.default_rng(11)
    count, total = np.ones((runs, 5)), rng.normal(size=(runs, 5))
    total[:, 0] += gap
    rows = np.arange(runs)
    for _ in range(budget - 5):
        arm: Array = (total / count + np.sqrt(a / count)).argmax(axis=1)
        total[rows, arm] += rng.normal(size=runs) + gap * (arm == 0)
        count[rows, arm] += 1
    return float(((total / count).argmax(axis=1) != 0).mean())


@pytest.mark.jit
def test_losses_on_equal_gaps_are_those_of_a_reference() -> None:
    losses = five_arm_losses(catalog.make("ucb_e"), EQUAL_GAPS)
    for level, loss in zip(LEVELS, losses, strict=True):
        known = reference(3.0, 15, math.sqrt(5 / level), 40_000)
        assert abs(loss - known) <= 4 * math.sqrt(known * (1 - known) * (1 / 20_000 + 1 / 40_000))
