"""Intervals of what leans on a model: they contain that of `dr`, and cover as often."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from onearm.engine.estimate import (
    Interval,
    Terms,
    bootstrap,
    by_unit,
    dm,
    dr,
    dros,
    empirical_bernstein,
    empirical_likelihood,
    groups_of,
    ips,
    normal,
    rank,
    switch_dr,
    tuned_dros,
    tuned_switch_dr,
)
from onearm.engine.vocabulary import Array

MEANS = np.array([0.05, 0.05, 0.15])
N = 1000
Log = tuple[Array, Array, Array, Array, Array]
LEANING: dict[str, Callable[..., Terms]] = {
    "dm": lambda *log: dm(log[4], dr(*log).base),
    "switch_dr": lambda *log: switch_dr(*log, 0.0),
    "tuned_switch_dr": lambda *log: tuned_switch_dr(*log).terms,
    "dros": lambda *log: dros(*log, 0.5),
    "tuned_dros": lambda *log: tuned_dros(*log).terms,
}
INTERVALS: dict[str, Callable[[Terms], Interval]] = {
    "normal": normal,
    "bootstrap": lambda terms: bootstrap(terms, resamples=104),
    "empirical_likelihood": empirical_likelihood,
    "empirical_bernstein": lambda terms: empirical_bernstein(terms, -3.0, 4.0),
}


def banners(seed: int, means: Array = MEANS, action: int = 2, n: int = N) -> Log:
    """Return columns of a log of three banners, drawn evenly, and of one of them; its model is of the other half."""
    rng = np.random.default_rng(seed)
    shown, half = rng.integers(0, 3, n), rng.integers(0, 2, n)
    reward = (rng.random(n) < means[shown]).astype(float)
    of_half = np.array([[reward[(half != h) & (shown == a)].mean() for a in range(3)] for h in range(2)])
    return reward, np.full(n, 1 / 3), (shown == action).astype(float), of_half[half, shown], of_half[half, action]


@pytest.mark.parametrize("method", LEANING)
def test_the_truth_is_in_the_interval_of_a_method_that_leans_as_often_as_in_that_of_dr(method: str) -> None:
    hits = {"leaning": 0, "dr": 0}
    for seed in range(60):
        log = banners(seed)
        for name, terms in (("leaning", LEANING[method](*log)), ("dr", dr(*log))):
            found = normal(terms)
            hits[name] += found.low <= MEANS[2] <= found.high
    assert hits["leaning"] >= hits["dr"] >= 54


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_contains_that_of_dr_and_the_value(interval: str) -> None:
    log, interval_of = banners(3, n=300), INTERVALS[interval]
    sure = interval_of(dr(*log))
    for method, leaning in LEANING.items():
        terms = leaning(*log)
        found = interval_of(terms)
        assert found.low <= min(sure.low, terms.value) <= max(sure.high, terms.value) <= found.high, method
        assert found.high - found.low < 1.5 * (sure.high - sure.low), method
        assert found.note is None, method


def test_where_a_limit_cuts_nothing_the_interval_is_that_of_dr() -> None:
    log = banners(4)
    for terms in (switch_dr(*log, 3.1), dros(*log, np.inf)):
        assert not terms.leans
        assert normal(terms)[1:3] == normal(dr(*log))[1:3]


def test_the_interval_by_units_contains_that_of_dr_by_units() -> None:
    log = banners(5)
    groups = groups_of(np.repeat(np.arange(1, N // 4 + 1), 4).astype(np.uint64))
    assert groups is not None
    sure, found = normal(by_unit(dr(*log), groups)), normal(by_unit(LEANING["dm"](*log), groups))
    assert found.low <= sure.low + 1e-12
    assert found.high >= sure.high - 1e-12
    assert found.high - found.low == pytest.approx(sure.high - sure.low, rel=0.05)


def test_a_model_that_predicts_the_same_everywhere_has_the_interval_of_dr_widened_to_its_value() -> None:
    base = np.array([0.0, 1.0] * 50)
    sure = normal(Terms("dr", base, None, None, np.ones(100)))
    for value, low, high in ((0.5, sure.low, sure.high), (0.9, sure.low, 0.9), (0.1, 0.1, sure.high)):
        assert normal(dm(np.full(100, value), base))[1:] == (pytest.approx(low), pytest.approx(high), None)


def test_a_model_that_nothing_corrects_has_no_interval_and_a_note_names_dr() -> None:
    for interval in INTERVALS.values():
        found = interval(dm(np.array([0.25, 0.75])))
        assert np.isnan([found.low, found.high]).all()
        assert found.note is not None
        assert found.note.startswith("dm is as wrong as what it assumes, and only dr can tell how wrong that is")


def test_a_ranking_by_models_tells_apart_what_dr_does_and_no_more() -> None:
    told = {"dm": 0, "dr": 0}
    for seed in range(20):
        logs = [banners(seed, np.full(3, 0.1), action) for action in range(3)]
        by_dr, by_dm = (rank([of(*log) for log in logs], draws=1000) for of in (dr, LEANING["dm"]))
        told["dm"] += not by_dm.can_be_best.all()
        told["dr"] += not by_dr.can_be_best.all()
        assert (by_dm.low <= by_dr.low).all()
        assert (by_dm.high >= by_dr.high).all()
        assert (by_dm.rank_first <= by_dr.rank_first).all()
        assert (by_dm.rank_last >= by_dr.rank_last).all()
    assert told["dm"] <= told["dr"] <= 2


def test_a_ranking_of_models_that_nothing_corrects_rules_nobody_out() -> None:
    rng = np.random.default_rng(1)
    found = rank([dm(rng.normal(place, 0.01, 100)) for place in range(3)])
    assert found.can_be_best.all()
    assert np.isnan(found.low).all()
    assert (found.rank_first.tolist(), found.rank_last.tolist()) == ([1, 1, 1], [3, 3, 3])


def test_beside_others_what_leans_on_nothing_keeps_at_least_its_interval_beside_dr() -> None:
    log = banners(6)
    plain = ips(*log[:3])
    beside_dr, beside_dm = rank([plain, dr(*log)]), rank([plain, LEANING["dm"](*log)])
    assert beside_dm.low[0] <= beside_dr.low[0] < plain.value < beside_dr.high[0] <= beside_dm.high[0]
