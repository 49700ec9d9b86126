"""Units as clusters: intervals cover at their level where decisions of a unit are alike, and not without clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from onearm.engine.estimate import (
    Interval,
    Terms,
    bootstrap,
    by_unit,
    empirical_likelihood,
    groups_among,
    groups_of,
    ips,
    match,
    normal,
    rank,
    sndr,
    snips,
)
from onearm.engine.vocabulary import Array

TRUTH = 0.5  # what every action is worth: units differ, actions do not


class Log(NamedTuple):
    """One log of two actions, drawn evenly."""

    unit: Array
    reward: Array
    action: Array


def drawn(rng: np.random.Generator, units: int = 120) -> Log:
    """Let units come back 1 to 16 times; a unit is paid alike each time, with a chance that is its own: 0.1 or 0.9."""
    size = rng.integers(1, 17, units)
    unit = np.repeat(np.arange(1, units + 1).astype(np.uint64), size)
    likely = np.where(rng.random(units) < 0.5, 0.1, 0.9).repeat(size)
    order = rng.permutation(len(unit))
    return Log(unit[order], (rng.random(len(unit)) < likely)[order].astype(float), rng.integers(0, 2, len(unit)))


def by_ips(log: Log) -> Terms:
    return ips(log.reward, np.full(len(log.unit), 0.5), np.full(len(log.unit), 0.5))


def by_snips(log: Log) -> Terms:
    return snips(log.reward, np.full(len(log.unit), 0.5), np.where(log.action == 1, 0.9, 0.1))


def by_match(log: Log) -> Terms:
    return match(log.reward, log.action == 1)


def by_sndr(log: Log) -> Terms:
    n = len(log.unit)
    model = 0.4 + 0.2 * (log.unit % np.uint64(2)).astype(float)
    return sndr(log.reward, np.full(n, 0.5), np.where(log.action == 1, 0.9, 0.1), model, model)


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    rng = np.random.default_rng(11)
    return [drawn(rng) for _ in range(1000)]


def shares(
    method: Callable[[Log], Terms], interval: Callable[[Terms], Interval], logs: list[Log]
) -> tuple[float, float]:
    """Return how often the truth is covered: with clusters, and without."""
    with_units, without = 0, 0
    for log in logs:
        terms = method(log)
        low, high = interval(by_unit(terms, groups_of(log.unit)))[1:3]
        with_units += low <= TRUTH <= high
        low, high = interval(terms)[1:3]
        without += low <= TRUTH <= high
    return with_units / len(logs), without / len(logs)


@pytest.mark.parametrize("method", [by_ips, by_snips, by_match, by_sndr])
def test_normal_intervals_cover_at_their_level_with_clusters_and_not_without(
    method: Callable[[Log], Terms], logs: list[Log]
) -> None:
    with_units, without = shares(method, normal, logs)
    assert 0.93 <= with_units <= 0.97, "4 standard errors are 0.028"
    assert without <= 0.90


@pytest.mark.jit
@pytest.mark.parametrize("interval", [empirical_likelihood, lambda terms: bootstrap(terms, resamples=400)])
def test_the_other_intervals_that_count_units_cover_too(interval: Callable[[Terms], Interval], logs: list[Log]) -> None:
    with_units, without = shares(by_snips, interval, logs[:400])
    assert 0.91 <= with_units <= 0.985, "4 standard errors are 0.044"
    assert without <= 0.90


@pytest.mark.parametrize("method", [by_ips, by_snips, by_match, by_sndr])
def test_a_value_is_what_it_was_and_its_error_is_that_of_sums_of_influences(method: Callable[[Log], Terms]) -> None:
    log = drawn(np.random.default_rng(2), units=9)
    terms = method(log)
    summed = by_unit(terms, groups_of(log.unit))
    assert summed.value == pytest.approx(terms.value, rel=1e-14)
    assert len(summed.weight) == 9
    square = sum(terms.influence[log.unit == unit].sum() ** 2 for unit in range(1, 10))
    interval = normal(summed)
    assert interval.high - summed.value == pytest.approx(1.959963984540054 * math.sqrt(square) / len(log.unit))


def test_nobody_is_a_group_for_each_decision_and_units_of_one_decision_are_none() -> None:
    assert groups_of(np.array([3, 0, 5, 0], np.uint64)) is None
    assert groups_of(np.zeros(0, np.uint64)) is None
    groups = groups_of(np.array([0, 2**64 - 1, 4, 0, 4], np.uint64))
    assert groups is not None and groups.tolist() == [2, 1, 0, 3, 0]
    among = groups_among(groups, np.array([True, False, True, False, True]))
    assert among is not None and among.tolist() == [1, 0, 0]
    assert groups_among(None, groups > 0) is None


@pytest.mark.parametrize("n_units", [7, 60_000])
def test_groups_of_a_log_of_several_blocks_are_the_places_of_its_sorted_units(n_units: int) -> None:
    rng = np.random.default_rng(n_units)
    unit = rng.integers(1, 2**63, n_units).astype(np.uint64)[rng.integers(0, n_units, 100_000)]
    unit[rng.random(len(unit)) < 0.1] = 0
    known = unit != 0
    first, place = np.unique(unit[known], return_inverse=True)
    groups = groups_of(unit)
    assert groups is not None and np.array_equal(groups[known], place)
    assert np.array_equal(groups[~known], len(first) + np.arange(len(unit) - len(place)))
    assert groups_of(np.sort(first)) is None


def test_rankings_of_alike_decisions_are_as_unsure_as_few_units_are() -> None:
    """200 decisions of two units tell no more than two decisions."""
    unit = np.repeat(np.array([1, 2], np.uint64), 100)
    reward = np.repeat([0.0, 1.0], 100)
    terms = [Terms("ips", reward * factor, None, None, np.ones(200)) for factor in (1.0, 1.1)]
    alone, together = rank(terms), rank([by_unit(each, groups_of(unit)) for each in terms])
    assert (together.high - together.low).min() > 9.0 * (alone.high - alone.low).max()
