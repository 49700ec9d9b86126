"""The watch of what arms pay: fair bets, how seldom chance wins one, and where and how soon a change is found."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from onearm.engine.changes.bets import largest, place_of
from onearm.engine.changes.mean_watch import MeanWatch, _open, mean_watch
from onearm.engine.changes.watch import NOTHING, begin, examine, follow, is_fresh, numbered, renew
from onearm.engine.snapshot import copied
from onearm.engine.vocabulary import Array, Decision, Instance

FOR_GOOD = 1e15  # rewards: one more moves nothing


def told(watch: MeanWatch, arm: int, reward: float, number: int = 0) -> int:
    at = Instance(number, np.zeros(0), np.ones(len(watch.rewards), np.bool_))
    return examine(watch, None, None, 0, 1, at, Decision(arm, 1.0), reward)


def heard(watch: MeanWatch, rewards: Any, arm: int = 0, first: int = 0) -> int:
    """Let a watch hear rewards of an arm; return the number of the one that tells of a change, or NOTHING."""
    for number, reward in enumerate(rewards, first):
        if told(watch, arm, float(reward), number) != NOTHING:
            return number
    return NOTHING


def knowing(low: float, high: float, chance: float) -> MeanWatch:
    """Return a watch that knows an arm which pays `high` with a chance, else `low`, for good."""
    watch = mean_watch(1)
    law, pays = np.array([chance, 1.0 - chance]), np.array([high, low])
    mean = float(law @ pays)
    for _ in range(500):  # until deviations, cut at 2.5, balance
        deviation = float(law @ abs(pays - mean))
        z = np.clip((pays - mean) / deviation, -2.5, 2.5)
        mean += 0.2 * deviation * float(law @ z)
    watch.rewards[0], watch.mean[0], watch.deviation[0] = FOR_GOOD, mean, deviation
    watch.low[0], watch.high[0], watch.square[0] = z[1], z[0], law @ z**2
    _open(watch, 0)
    return watch


@pytest.mark.parametrize(
    ("low", "high", "chance"), [(0.0, 1.0, 0.5), (0.0, 1.0, 0.3), (-7.0, 3.0, 0.9), (0.0, 1.0, 0.02)]
)
def test_each_bet_is_worth_on_average_what_was_staked(low: float, high: float, chance: float) -> None:
    before = np.array([1.0, 2.0, 7.0, 1.5, 40.0, 3.0])
    after = []
    for reward in (high, low):
        watch = knowing(low, high, chance)
        watch.book.wealth[0] = before
        told(watch, 0, reward)
        after.append(watch.book.wealth[0].copy())
    assert (watch.open[0] != 0.0).sum() >= 3
    assert chance * after[0] + (1.0 - chance) * after[1] == pytest.approx(before, rel=1e-9)


def test_all_courses_of_ten_rewards_are_worth_ten_at_most() -> None:
    chance, n = 0.3, 10
    worth: Array = np.zeros(6)
    won = np.zeros(6)
    known = knowing(0.0, 1.0, chance)
    for course in product([1.0, 0.0], repeat=n):
        watch = copied(known)
        most = np.ones(6)
        for number, reward in enumerate(course):
            told(watch, 0, reward, number)
            most = np.maximum(most, watch.book.wealth[0])
        weight = np.prod([chance if reward else 1.0 - chance for reward in course])
        worth += weight * watch.book.wealth[0]
        won += weight * (most >= 20.0)
    assert (worth <= n).all()
    assert (won <= n / 20.0).all()
    assert won.max() > 0.0


@pytest.mark.parametrize("law", ["bernoulli", "rare", "normal", "heavy", "skewed"])
def test_chance_wins_no_more_often_than_the_bound_where_the_mean_is_learned(law: str) -> None:
    """A wealth of 100 once in 100 rewards at the most: of six bets, learned means included."""
    rng = np.random.default_rng(5)
    n = 3000
    rewards = {
        "bernoulli": (rng.random(n) < 0.4) * 1.0,
        "rare": (rng.random(n) < 0.02) * 1.0,
        "normal": rng.normal(3.0, 2.0, n),
        "heavy": rng.standard_t(2.0, n),
        "skewed": rng.exponential(1.0, n),
    }[law]
    watch, won = mean_watch(1), 0
    for number, reward in enumerate(rewards):
        told(watch, 0, float(reward), number)
        if largest(watch.book, 0) >= 100.0:
            won += 1
            watch.book.wealth[0] = 1.0
    assert won <= 6 * n / 100


@pytest.mark.parametrize(
    ("before", "after", "soon"), [(0.2, 0.8, 60), (0.8, 0.2, 60), (0.5, 0.25, 250), (0.05, 0.3, 120)]
)
def test_a_change_is_found_soon_with_its_place(before: float, after: float, soon: int) -> None:
    rng = np.random.default_rng(1)
    watch = mean_watch(2)
    assert heard(watch, rng.random(1000) < before, arm=1) == NOTHING
    found = heard(watch, rng.random(1000) < after, arm=1, first=1000)
    assert 1000 <= found <= 1000 + soon
    assert largest(watch.book, 1) >= 1e8
    assert 980 <= place_of(watch.book, 1) <= found


def test_an_arm_that_did_not_change_is_not_accused() -> None:
    rng = np.random.default_rng(2)
    watch = mean_watch(2)
    won = set()
    for number in range(1200):
        for arm, mean in enumerate((0.3, 0.3 if number < 1000 else 0.9)):
            if told(watch, arm, float(rng.random() < mean), number) != NOTHING:
                won.add(arm)
    assert won == {1}
    assert largest(watch.book, 0) < 1e4


def test_rewards_that_never_differ_are_no_change_and_another_constant_is() -> None:
    for constant, other in ((0.0, 1.0), (-3.0, -3.5), (1e100, -1e100), (1e-300, 2e-300)):
        watch = mean_watch(1)
        assert heard(watch, [constant] * 500) == NOTHING
        assert (watch.book.wealth == 1.0).all()
        assert 500 < heard(watch, [other] * 200, first=500) < 600


@pytest.mark.parametrize("unit", [1e100, 1e-300, -1e-12])
def test_the_unit_of_rewards_does_not_matter(unit: float) -> None:
    rng = np.random.default_rng(1)
    rewards = np.concatenate([rng.random(800) < 0.2, rng.random(400) < 0.8])
    assert heard(mean_watch(1), rewards * unit) == pytest.approx(heard(mean_watch(1), rewards), abs=2)
    watch = mean_watch(1)
    heard(watch, rewards * unit)
    assert all(np.isfinite(array).all() for array in watch[1:])


def test_one_wild_reward_is_no_change() -> None:
    rng = np.random.default_rng(4)
    watch = mean_watch(1)
    rewards = rng.normal(size=2000)
    rewards[1000] = 1e100
    assert heard(watch, rewards) == NOTHING


def test_another_world_begins_with_all_arms_anew() -> None:
    rng = np.random.default_rng(2)
    watch = mean_watch(3)
    for arm in range(3):
        heard(watch, rng.random(300), arm)
    assert (numbered(watch), begin(watch, 1, 0, 2)) == (3, 3)
    follow(watch, 1)
    assert [is_fresh(watch, arm) for arm in range(3)] == [True] * 3
    for array, new in zip(watch[1:], mean_watch(3)[1:], strict=True):
        np.testing.assert_array_equal(array, new)
    assert (watch.book.wealth == 1.0).all()


def test_one_arm_begins_anew_and_the_others_do_not() -> None:
    rng = np.random.default_rng(2)
    watch = mean_watch(2)
    for arm in range(2):
        heard(watch, rng.random(300), arm)
    kept = [array[1].copy() for array in watch[1:]]
    renew(watch, 0, 0)
    assert watch.rewards.tolist() == [0.0, 300.0]
    for array, before in zip(watch[1:], kept, strict=True):
        np.testing.assert_array_equal(array[1], before)


def test_no_bet_is_on_that_what_was_seen_would_ruin() -> None:
    rng = np.random.default_rng(8)
    watch = mean_watch(2)
    for number in range(4000):
        told(watch, 0, float(rng.random() < 0.02), number)
        told(watch, 1, float(rng.random() < 0.5), number)
        assert (watch.book.wealth > 0.0).all()
    assert watch.open[0, [2, 5]].tolist() == [0.9, 0.0]  # a click is 2.5 deviations above
    assert (watch.open[1] != 0.0).sum() >= 5


def test_a_bet_begins_once_the_mean_is_known_well_enough_for_it() -> None:
    watch = mean_watch(1)
    begun = {}
    for number in range(4000):
        told(watch, 0, float(number % 2), number)
        for i in np.flatnonzero(watch.open[0]):
            begun.setdefault(int(i), number)
    large, middle, small = (begun[i] for i in (2, 1, 0))
    assert (begun[5], begun[4], begun[3]) == (large, middle, small)
    assert 100 < large < 150  # 100 / .9^2 rewards, for deviations of one
    assert 600 < middle < 750
    assert 2900 < small < 3200
