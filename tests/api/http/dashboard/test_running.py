"""The curve of a mean: a sequence that holds at all moments, and points of hours that add up."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.api.http.dashboard.running import before, of_rewards, of_shares, of_values, reach, thinned
from onearm.api.service.estimates import Estimate
from onearm.api.service.pace import Point
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
    assert (first.time, first.decisions, first.rewards, first.mean, first.taken) == (HOUR, 4, 2, 1.0, (3, 1))
    assert (second.time, second.decisions, second.rewards, second.mean) == (3 * HOUR, 10, 4, 2.0)
    assert second.taken == (3, 7)
    assert second.stderr == pytest.approx(np.std([0, 2, 3, 3], ddof=1) / 2)


def test_the_curves_hold_what_came_between_their_points() -> None:
    first, second = Point(10.0, 4, 4, 0.0, None, (4, 0)), Point(20.0, 8, 8, 0.5, 0.1, (6, 2))
    points = [first, second, second._replace(time=30.0)]
    rewards, shares = of_rewards(points, None), of_shares(points, ["a", "b"])
    assert rewards is not None and shares is not None
    mean, low, high, lately = (one["y"] for one in rewards["series"])  # type: ignore[attr-defined]
    assert (mean, lately) == ([0.0, 0.5, 0.5], [0.0, 1.0, 1.0])
    assert low[0] is high[0] is None and low[1] < 0.5 < high[1]
    assert shares["x"] == [10.0, 20.0], "where nothing was decided there is no share"
    assert [one["y"] for one in shares["series"]] == [[100.0, 50.0], [0.0, 50.0]]  # type: ignore[attr-defined]


def test_no_band_leaves_what_rewards_can_be() -> None:
    points = [Point(10.0, 4, 4, 0.1, 0.1, ()), Point(20.0, 8, 8, 0.9, 0.1, ())]
    made = of_rewards(points, (0.0, 1.0))
    assert made is not None and made["within"] == (0.0, 1.0)
    _, low, high, _ = (one["y"] for one in made["series"])  # type: ignore[attr-defined]
    assert low[0] == 0.0 and high[1] == 1.0


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
    points = [Point(float(i), i, 0, None, None, ()) for i in range(1000)]
    some = thinned(points, 60)
    assert (len(some), some[0], some[-1]) == (60, points[0], points[-1])
    assert of_rewards(points, None) is None and of_shares(points, ["a", "b"]) is None


def test_of_one_moment_no_curve_is_drawn() -> None:
    """Of a point it would be a line without a length, on an axis of years."""
    now = Point(10.0, 4, 4, 0.5, 0.1, (3, 1))
    idle = [now, now._replace(time=20.0), now._replace(time=30.0)]
    for points in ([now], idle):
        assert of_rewards(points, None) is None and of_shares(points, ["a", "b"]) is None
    later = Point(40.0, 5, 5, 0.6, 0.1, (4, 1))
    assert of_rewards([*idle, later], None) is not None and of_shares([*idle, later], ["a", "b"]) is not None
