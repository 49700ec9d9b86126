"""LUCB with a budget: hand-worked steps, a twin in plain Python, exact and simulated losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.querying import EQUAL_GAPS, TWO_CLOSE, Play, as_table, five_arm_losses, near

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.losses import exact_losses, grid_instances
from onearm.engine.task import best_arm, thresholds
from onearm.policies import catalog


def play_of(arms: int, c: float = 2.0) -> Play:
    return Play(catalog.make("lucb_budget", c=c), best_arm(arms), 15)


def test_each_arm_is_asked_once_before_any_is_asked_again() -> None:
    play = play_of(4)
    play.put(2, 10.0)
    assert play.law().tolist() == [1 / 3, 1 / 3, 0.0, 1 / 3]
    assert play.law([False, True, True, False]).tolist() == [0.0, 1.0, 0.0, 0.0]


def test_a_hand_worked_trace() -> None:
    """Widths sqrt(2 ln t / n): with t = 3 all are 1.48, with t = 4 that of n = 2 is 1.18 and the others are 1.67."""
    play = play_of(3)
    for arm, answer in enumerate((1.0, 0.5, -3.0)):
        play.put(arm, answer)
    assert play.law().tolist() == [0.5, 0.5, 0.0]  # leader and challenger, asked as often
    play.put(0, 0.0)
    assert play.law().tolist() == [0.0, 1.0, 0.0]  # both lead with 1/2: the other one challenges, and 1 was asked less
    assert play.law([True, False, True]).tolist() == [0.0, 0.0, 1.0]
    play.put(2, 3.5, 3.5, 3.5)  # a mean of 1.875 from 4, t = 7: bounds 1.89, 2.47 and 2.86
    assert play.law().tolist() == [0.0, 1.0, 0.0]
    assert play.recommend() == 2


def test_the_width_grows_with_c() -> None:
    """Means 1, 1/2 from 9, 0: with a narrow width arm 1 challenges, with a wide one arm 2, which was asked less."""
    for c, law in ((1e-6, [1.0, 0.0, 0.0]), (2.0, [0.0, 0.0, 1.0])):
        play = play_of(3, c)
        play.put(0, 1.0, 1.0, 1.0)
        play.put(1, *[0.5] * 9)
        play.put(2, 0.0, 0.0)
        assert play.law().tolist() == law


def twin(mean: list[float], asked: list[int], c: float, available: list[bool]) -> list[float]:
    """Return the law, from the words: the less asked of leader and challenger, everything shared that is equal."""
    arms = [a for a in range(len(mean)) if available[a]]
    law = [0.0] * len(mean)
    bound = [m + math.sqrt(c * math.log(sum(asked)) / n) for m, n in zip(mean, asked, strict=True)]
    leaders = [a for a in arms if mean[a] == max(mean[b] for b in arms)]
    for leader in leaders:
        others = [a for a in arms if a != leader] or [leader]
        challengers = [a for a in others if bound[a] == max(bound[b] for b in others)]
        for challenger in challengers:
            pair = [leader, challenger]
            least = [a for a in pair if asked[a] == min(asked[b] for b in pair)]
            for a in least:
                law[a] += 1 / len(leaders) / len(challengers) / len(least)
    return law


def test_the_law_is_that_of_a_twin() -> None:
    shared = 0
    for case in range(300):
        rng = np.random.default_rng(case)
        n = int(rng.integers(1, 6))
        asked, mean = rng.integers(1, 4, n).tolist(), (rng.integers(-2, 3, n) / 2).tolist()
        available = rng.random(n) < 0.7
        available[rng.integers(n)] = True
        play = play_of(n, c=float(rng.choice([0.5, 2.0, 8.0])))
        for a in range(n):
            play.put(a, *[mean[a]] * asked[a])
        law = play.law(available)
        assert law == pytest.approx(twin(mean, asked, play.policy.params.c, available.tolist()), abs=1e-12)
        shared += (law > 0).sum() > 1
    assert shared > 50


def test_what_is_under_way_counts_as_asked() -> None:
    """Of two arms the leader has three answers, the other one: two more under way make them even."""
    play = play_of(2)
    play.put(0, 1.0, 1.0, 1.0)
    play.put(1, 0.0)
    assert play.law().tolist() == [0.0, 1.0]
    play.state.evidence.asked[1] += 2
    assert play.law().tolist() == [0.5, 0.5]
    play.state.evidence.asked[1] += 1
    assert play.law().tolist() == [1.0, 0.0]


def test_an_arm_without_an_answer_is_taken_to_be_as_good_as_the_best() -> None:
    """Arm 2 leads with arm 0, unanswered; its challenger is arm 0 or 1, and it was asked less than either."""
    play = play_of(3)
    play.put(0, 1.0, 1.0)
    play.put(1, -9.0, -9.0)
    play.state.evidence.asked[2] += 1
    assert play.law().tolist() == [0.0, 0.0, 1.0]


def test_no_loss_is_below_the_exact_minimax() -> None:
    """LP optima for three arms with bits, T = 6, means on a grid; a policy that did not look loses much more."""
    task = best_arm(3, "bits")
    table = as_table(catalog.make("lucb_budget"), task, 6)
    for level, least, uniform in ((8, 0.065341, 0.114400), (20, 0.290676, 0.333600), (80, 0.476222, 0.506667)):
        worst = exact_losses(table, grid_instances(task, [0.1, 0.3, 0.5, 0.7, 0.9], level)).max()
        assert least - 1e-6 < worst < uniform


def test_other_tasks_are_refused_by_their_kind() -> None:
    with pytest.raises(InvalidInput, match=r"'lucb_budget' is for tasks of the kind arms, .* kind 'thresholds'"):
        Play(catalog.make("lucb_budget"), thresholds(5), 10)


@pytest.mark.parametrize("c", [0.0, -1.0, math.nan, "2"])
def test_c_must_be_positive(c: float) -> None:
    with pytest.raises(InvalidInput, match=f"c is {c!r}"):
        catalog.make("lucb_budget", c=c)


@pytest.mark.jit
def test_losses_on_equal_gaps_and_with_two_close_arms() -> None:
    policy = catalog.make("lucb_budget")
    assert near(five_arm_losses(policy, EQUAL_GAPS), [0.1010, 0.3298, 0.5085, 0.6270])
    assert near(five_arm_losses(policy, TWO_CLOSE), [0.0717, 0.1930, 0.2903, 0.3683])
