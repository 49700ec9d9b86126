"""The curve of a mean: a sequence that holds at all moments, and points of hours that add up."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.api.http.dashboard.running import Step, before, interval, of_rewards, of_shares, of_values, reach, thinned
from onearm.api.service.estimates import Estimate
from onearm.api.service.worths import Worth
from onearm.engine.storage.buckets import ALL, HOUR
from onearm.engine.storage.records import Bucket

RUNS, N, FIRST = 400, 2000, 30
MEAN = 0.3


def test_the_sequence_misses_the_mean_at_any_moment_in_one_run_of_twenty_at_most() -> None:
    """The normal interval, looked at as often, misses it in every second run: this is why it is not drawn."""
    rewards = np.random.default_rng(3).random((RUNS, N)) < MEAN
    n = np.arange(1, N + 1)
    means = rewards.cumsum(1) / n
    missed = {"sequence": 0, "normal": 0}
    reaches = np.array([reach(int(one), 1.0 / np.sqrt(one)) or 1e9 for one in n])  # of a spread of one
    for run in range(RUNS):
        spread = np.sqrt(means[run] * (1 - means[run]) * n / np.maximum(n - 1, 1))
        off = np.abs(means[run] - MEAN)[FIRST:]
        missed["sequence"] += bool((off > (reaches * spread)[FIRST:]).any())
        missed["normal"] += bool((off > 1.96 * (spread / np.sqrt(n))[FIRST:]).any())
    assert missed["sequence"] <= 0.05 * RUNS
    assert missed["normal"] > 0.3 * RUNS


def test_each_of_two_arms_keeps_its_interval_where_the_better_looking_is_taken_more() -> None:
    """What was seen decides what is seen next; the sequence of an arm is looked at after each of its rewards."""
    rng = np.random.default_rng(4)
    missed = np.zeros(2)
    for _ in range(200):
        count, total, wrong = np.zeros(2), np.zeros(2), [False, False]
        for n in range(400):
            greedy = n >= 2 and rng.random() < 0.9
            arm = int(np.argmax(total / count)) if greedy else n % 2
            count[arm] += 1
            total[arm] += rng.random() < MEAN
            mean = total[arm] / count[arm]
            stderr = np.sqrt(mean * (1 - mean) / max(count[arm] - 1, 1)) or None
            if (around := interval(mean, int(count[arm]), stderr, (0.0, 1.0))) is not None:
                wrong[arm] |= not around[0] <= MEAN <= around[1]
        missed += wrong
    assert (missed <= 0.05 * 200).all()


def bucket(hour: int, action: int, decisions: int, rewards: int, mean: float, square: float) -> Bucket:
    return Bucket(1, HOUR, hour * HOUR * 1_000_000, action, decisions, rewards, mean, square)


def test_hours_add_up_to_how_far_it_was_at_their_ends() -> None:
    rows = [
        bucket(0, ALL, 4, 2, 1.0, 2.0),
        bucket(0, 0, 3, 2, 1.0, 2.0),
        bucket(0, 1, 1, 0, 0.0, 0.0),
        bucket(2, ALL, 6, 2, 3.0, 0.0),
        bucket(2, 1, 6, 2, 3.0, 0.0),
        bucket(9, ALL, 1, 1, 9.0, 0.0),
    ]
    first, second = before(rows, until=9 * HOUR)
    assert (first.decisions, first.rewards, first.mean, first.taken) == (4, 2, 1.0, (3, 1))
    assert (second.decisions, second.rewards, second.mean) == (10, 4, 2.0)
    assert second.taken == (3, 7)
    assert second.stderr == pytest.approx(np.std([0, 2, 3, 3], ddof=1) / 2)


def test_the_curves_go_by_decisions_and_lately_is_the_newest_tenth() -> None:
    steps = [
        Step(n, n, 0.0 if n <= 100 else (n - 100) / n, None, (min(n, 100), max(n - 100, 0))) for n in (1, 100, 200)
    ]
    late = steps[-1]._replace(rewards=201, mean=101 / 201)  # of the same decision, and comes in place of what was known
    rewards, shares = of_rewards([*steps, late], None), of_shares([*steps, late], ["a", "b"])
    assert rewards is not None and shares is not None
    mean, _, _, lately = (one["y"] for one in rewards["series"])  # type: ignore[attr-defined]
    assert rewards["x"] == shares["x"] == [1, 100, 200]
    assert (mean, lately) == ([0.0, 0.0, pytest.approx(101 / 201)], [0.0, 0.0, 1.0])
    assert [one["y"] for one in shares["series"]] == [[100.0, 100.0, 0.0], [0.0, 0.0, 100.0]]  # type: ignore[attr-defined]


def test_no_band_leaves_what_rewards_can_be_and_a_wide_one_is_cut_from_view() -> None:
    steps = [Step(4, 4, 0.1, 0.1, ()), Step(800, 800, 0.9, 0.01, ())]
    made = of_rewards(steps, (0.0, 1.0))
    assert made is not None and made["within"] == (0.0, 1.0)
    _, low, high, _ = (one["y"] for one in made["series"])  # type: ignore[attr-defined]
    assert low[0] == 0.0 and high[1] < 1.0
    free = of_rewards(steps, None)
    assert free is not None and free["series"][1]["y"][0] < 0.0  # type: ignore[index]
    assert free["view"] == [0.1, pytest.approx(high[1])]


def test_the_curves_of_values_have_each_policy_with_its_interval_where_there_is_one() -> None:
    way = [
        Worth(10.0, {0: Estimate(0.5, 0.2, 0.8)}),
        Worth(20.0, {0: Estimate(0.6, 0.3, 0.8), 1: Estimate(0.4, None, None)}),
        Worth(30.0, {0: Estimate(0.6, 0.4, 0.7), 1: Estimate(0.3, None, None), 2: Estimate(0.1, None, None)}),
    ]
    made = of_values(way, {0: "exp3", 1: "ucb1", 2: "late"}, (0.0, 1.0))
    assert made is not None and made["x"] == [10.0, 20.0, 30.0]
    told = {one["label"]: one["y"] for one in made["series"]}  # type: ignore[attr-defined]
    assert told == {
        "exp3 #0": [0.5, 0.6, 0.6],
        "from": [0.2, 0.3, 0.4],
        "to": [0.8, 0.8, 0.7],
        "ucb1 #1": [None, 0.4, 0.3],
    }
    assert of_values(way[:1], {0: "exp3"}, None) is of_values([], {0: "exp3"}, None) is None


def test_many_points_become_few_with_the_first_and_the_last() -> None:
    steps = [Step(i, 0, None, None, ()) for i in range(1000)]
    some = thinned(steps, 60)
    assert (len(some), some[0], some[-1]) == (60, steps[0], steps[-1])
    assert of_rewards(steps, None) is None and of_shares(steps, ["a", "b"]) is None


def test_of_one_decision_no_curve_is_drawn() -> None:
    """Of a point it would be a line without a length."""
    now = Step(1, 1, 0.5, None, (1, 0))
    for steps in ([], [now], [now, now]):
        assert of_rewards(steps, None) is None and of_shares(steps, ["a", "b"]) is None
    later = Step(2, 1, 0.5, None, (1, 1))
    assert of_rewards([now, later], None) is not None and of_shares([now, later], ["a", "b"]) is not None
