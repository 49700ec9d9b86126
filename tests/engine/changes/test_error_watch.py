"""The watch of predictions: bets that less is paid than expected, which arms changed, and rivals that are nearer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.every_run import every_run
from support.foretold import ForetoldState, foretold

from onearm.engine.changes.alike import alike
from onearm.engine.changes.bets import largest, place_of
from onearm.engine.changes.error_watch import ErrorWatch, error_watch
from onearm.engine.changes.watch import (
    NOTHING,
    begin,
    examine,
    follow,
    forget,
    is_fresh,
    is_young,
    numbered,
    renew,
    rival,
)
from onearm.engine.vocabulary import Array, Decision, Instance, Problem

PARAMS = foretold().params
MODELS = 4
ALL = 0
EXPECTED = 5.0  # by model 0
NAMED = Problem(1, (1, 64), nonzeros=4)


def models_of(k: int, *bias: float) -> ForetoldState:
    """Return stacked models; each is off by its bias."""
    offs = np.zeros((MODELS, 1))
    offs[: len(bias), 0] = bias
    return ForetoldState(offs, np.zeros((MODELS, k), np.int64))


def told(
    watch: ErrorWatch,
    error: float,
    arm: int = 0,
    number: int = 0,
    place: float = 0.0,
    models: Any = None,
    used: int = 1,
    propensity: float = 1.0,
) -> int:
    """Let a watch hear a reward that is so far from what model 0 expects, in a context that lies somewhere."""
    k = len(watch.scratch_only)
    at = Instance(number, np.array([EXPECTED, place]), np.ones(k, np.bool_))
    decision = Decision(arm, propensity)
    return examine(watch, PARAMS, models_of(k) if models is None else models, 0, used, at, decision, EXPECTED + error)


def heard(watch: ErrorWatch, errors: Array, first: int = 0, arms: int = 1, **more: Any) -> tuple[int, int]:
    """Let a watch hear errors, of arms in turn; return the number and the row that tell of a change, or NOTHING."""
    for number, error in enumerate(errors, first):
        row = told(watch, float(error), number % arms, number, **more)
        if row != NOTHING:
            return number, row
    return NOTHING, NOTHING


def watching(n_numbered: int, n_arms: int) -> ErrorWatch:
    return error_watch(MODELS, n_numbered, Problem(n_arms, (2,)))


def errors_of(n: int, size: float = 1.0, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(0.0, size, n)


def known(watch: ErrorWatch, square: float, centre: float = 0.0) -> None:
    """Let a watch know errors for good."""
    heard(watch, np.zeros(1))
    for array, value in zip(watch.errors, (1e15, square, 1e15, centre, centre, 1.0), strict=True):
        array[0] = value


@pytest.mark.parametrize(("low", "chance"), [(-2.0, 0.25), (-3.0, 0.1), (-1.0, 0.5)])
def test_each_bet_is_worth_on_average_what_was_staked_and_no_more(low: float, chance: float) -> None:
    """Errors of two values about 0, none of which is cut."""
    high = -low * chance / (1.0 - chance)
    square = chance * low**2 + (1.0 - chance) * high**2
    before = np.array([3.0, 20.0])
    after = []
    for error in (low, high):
        watch = watching(2, 2)
        known(watch, square)
        watch.book.wealth[1] = before
        told(watch, error)
        after.append(watch.book.wealth[1].copy())
    assert (after[0] > before).all()
    worth = chance * after[0] + (1.0 - chance) * after[1]
    assert worth == pytest.approx(before, rel=1e-3)
    assert (worth <= before * (1.0 + 1e-12)).all()  # a large error widens the unit by which it is measured


def test_where_more_is_paid_than_expected_bets_are_worth_less() -> None:
    """Also where the model has expected too little all along: it learns that by and by."""
    watch = watching(1, 1)
    known(watch, 1.0, centre=0.5)
    for error in (0.1, 0.5, 1e9):
        watch.book.wealth[1] = before = np.array([3.0, 20.0])
        told(watch, error)
        assert (watch.book.wealth[1] < before).all()
        assert (watch.book.wealth[1] > 0.0).all()


LAWS = ("normal", "heavy", "clicks", "rare", "sure", "shrinking", "shy", "overjoyed")


@pytest.mark.parametrize("law", every_run(LAWS, ["normal", "heavy", "rare", "shrinking"]))
def test_chance_wins_no_more_often_than_the_bound_where_the_centre_is_learned(law: str) -> None:
    """A wealth of 100 once in 100 errors at the most: of two bets."""
    rng, n = np.random.default_rng(6), 2000
    t = np.arange(n)
    errors = {
        "normal": rng.normal(size=n),
        "heavy": rng.standard_t(2.0, n),
        "clicks": (rng.random(n) < 0.1) - 0.1,
        "rare": (rng.random(n) < 0.01) - 0.01,
        "sure": (rng.random(n) < 0.98) - 0.98,
        "shrinking": rng.normal(size=n) / (1.0 + 0.01 * t),
        "shy": rng.normal(size=n) + np.exp(-t / 300.0),
        "overjoyed": rng.normal(size=n) - np.exp(-t / 300.0),
    }[law]
    watch, won = watching(0, 1), 0
    for number, error in enumerate(errors):
        told(watch, float(error), number=number)
        if largest(watch.book, ALL) >= 100.0:
            won += 1
            watch.book.wealth[ALL] = 1.0
    assert won <= 2 * n / 100


@pytest.mark.parametrize("propensity", [1.0, 0.05, np.nan])
def test_what_falls_short_is_found_soon_with_its_place(propensity: float) -> None:
    places = []
    for seed in range(3):
        watch = watching(0, 1)
        assert heard(watch, errors_of(1000, seed=seed), propensity=propensity) == (NOTHING, NOTHING)
        number, row = heard(watch, errors_of(200, seed=seed + 50) - 2.0, first=1000, propensity=propensity)
        assert row == ALL
        assert 1000 <= number <= 1060
        assert largest(watch.book, ALL) >= 1e8
        places.append(place_of(watch.book, ALL))
    assert 985 <= np.median(places) <= 1005
    assert max(places) <= 1010


def test_errors_that_are_larger_to_both_sides_are_no_change() -> None:
    watch = watching(0, 1)
    heard(watch, errors_of(1000))
    assert heard(watch, errors_of(3000, 3.0), first=1000) == (NOTHING, NOTHING)


def test_a_model_that_expects_too_little_at_first_is_not_wrong_later() -> None:
    """As a model with a prior does of rewards that come almost always."""
    watch = watching(0, 1)
    errors = errors_of(3000, 0.1) + np.exp(-np.arange(3000) / 200.0)
    assert heard(watch, errors) == (NOTHING, NOTHING)
    assert largest(watch.book, ALL) < 1e3


def test_what_falls_short_more_and_more_is_found_too() -> None:
    watch = watching(0, 1)
    assert heard(watch, errors_of(1000)) == (NOTHING, NOTHING)
    number, _ = heard(watch, errors_of(6000) - np.linspace(0.0, 1.0, 6000), first=1000)
    assert 1000 < number < 7000


def test_what_a_model_learns_from_one_click_wins_no_bet() -> None:
    """After nothing was paid for long a click makes a model hope; what it hopes for is much, by the errors before."""
    watch = watching(1, 1)
    errors = np.concatenate([np.full(700, -0.001), [1.0], np.full(150, -0.02), np.full(150, -0.01)])
    assert heard(watch, errors) == (NOTHING, NOTHING)


def test_in_contexts_that_are_strange_nothing_is_bet_until_they_are_known() -> None:
    rng, watch = np.random.default_rng(3), watching(0, 1)
    rows = []
    for number in range(6000):
        after = number >= 3000
        error = rng.normal() - (1.0 if after else 0.0)
        rows.append(told(watch, error, number=number, place=rng.normal() + (4.0 if after else 0.0)))
        if 3000 <= number < 3100:
            assert largest(watch.book, ALL) < 100.0
        if number == 3100:
            assert watch.errors.known[0, ALL] < 700.0
    assert set(rows) == {NOTHING}
    assert watch.errors.known[0, ALL] > 1000.0
    assert watch.errors.centre[0, ALL] == pytest.approx(-1.0, abs=0.2)
    last = [told(watch, rng.normal() - 4.0, number=number, place=rng.normal() + 4.0) for number in range(6000, 6100)]
    assert ALL in last


def test_an_arm_that_changes_is_named_and_alone_learned_anew() -> None:
    watch = watching(5, 5)
    assert heard(watch, errors_of(2000, seed=3), arms=5) == (NOTHING, NOTHING)
    rng, number, row = np.random.default_rng(2), 2000, NOTHING
    while row == NOTHING and number < 2500:
        arm = number % 5
        row = told(watch, float(rng.normal(-3.0 if arm == 2 else 0.0)), arm, number)
        number += 1
    assert row in (ALL, 3)
    before = [array.copy() for array in watch.errors]
    n = begin(watch, 1, 0, row)
    fresh = [arm for arm in range(5) if is_fresh(watch, arm)]
    assert 2 in fresh
    assert len(fresh) == n < 5
    rows = [arm + 1 for arm in range(5) if arm not in fresh]
    for array, old in zip(watch.errors, before, strict=True):
        np.testing.assert_array_equal(array[0], old[0])
        np.testing.assert_array_equal(array[1, rows], old[0, rows])
    assert not watch.errors.total[1, [ALL, *(arm + 1 for arm in fresh)]].any()


def test_what_changed_is_told_by_the_doubts_of_each_arm() -> None:
    watch = watching(7, 7)
    heard(watch, errors_of(2100), arms=7)
    watch.doubts.wealth[1:, 0] = 4.5, 1.0, 3.9, 101.0, 1.0, 1.0, 1.0
    watch.book.wealth[2, 0] = 1e9
    watch.book.start[2, 0] = 2050
    assert begin(watch, 1, 0, 2) == 3
    assert [arm for arm in range(7) if is_fresh(watch, arm)] == [0, 1, 3]


def test_the_place_is_where_doubts_began_though_a_bet_begins_later() -> None:
    watch = watching(0, 1)
    heard(watch, errors_of(500))
    number, _ = heard(watch, errors_of(200, seed=2) - 3.0, first=500)
    assert 520 < number < 600
    assert 490 <= place_of(watch.book, ALL) <= 503


@pytest.mark.parametrize(("changed", "fresh"), [([0], [0]), ([0, 1], [0, 1, 2, 3, 4, 5])])
def test_where_most_arms_that_are_played_changed_so_may_have_all(changed: list[int], fresh: list[int]) -> None:
    """Of six arms the first three were played since."""
    watch = watching(6, 6)
    heard(watch, errors_of(1800), arms=6)
    watch.doubts.wealth[:] = 1.5
    watch.doubts.wealth[[arm + 1 for arm in changed]] = 4.5
    watch.doubts.start[:] = 1800
    watch.book.wealth[ALL, 1] = 1e9
    watch.book.start[ALL, 1] = 1800
    watch.last[1:4] = 1810
    assert begin(watch, 1, 0, ALL) == len(fresh)
    assert [arm for arm in range(6) if is_fresh(watch, arm)] == fresh


def test_an_arm_that_was_never_played_is_not_counted_as_one_that_did_not_change() -> None:
    watch = watching(4, 4)
    heard(watch, errors_of(800), arms=2)
    watch.doubts.wealth[1:3, 0] = 9.0, 1.0
    watch.book.wealth[1, 1] = 1e9
    watch.book.start[1, 1] = 790
    assert begin(watch, 1, 0, 1) == 4


def test_arms_without_lasting_numbers_are_learned_anew_together() -> None:
    watch = watching(0, 7)
    heard(watch, errors_of(600), arms=7)
    _, row = heard(watch, errors_of(300) - 3.0, first=600, arms=7)
    assert (row, numbered(watch), begin(watch, 1, 0, row)) == (ALL, 0, 7)


def test_soon_after_a_change_one_more_arm_needs_only_be_doubted() -> None:
    watch = watching(3, 3)
    heard(watch, errors_of(1200), arms=3)
    assert not is_young(watch, 0, 1)
    watch.doubts.wealth[2] = 1e6
    watch.book.start[:] = 1190
    assert told(watch, 0.0, 1, 1200) == NOTHING
    watch.doubts.wealth[:] = 1.0
    assert begin(watch, 1, 0, 1) == 1
    watch.age[0] = 10.0
    watch.doubts.wealth[2] = 1e6
    assert told(watch, 0.0, 1, 1201) == 2
    assert (is_young(watch, 1, 1), is_young(watch, 1, ALL)) == (True, False)
    renew(watch, 1, 1)
    assert watch.errors.total[1].tolist() == [0.0, 0.0, 0.0, 400.0]
    assert (watch.doubts.wealth[2] == 1.0).all()
    watch.age[1] = 500.0
    assert not is_young(watch, 1, 1)


def test_a_rival_that_is_nearer_leads_where_bets_are_won() -> None:
    watch = watching(0, 1)
    models = models_of(1, 0.0, 3.0, -3.0)
    heard(watch, errors_of(900), models=models, used=3)
    number, row = heard(watch, errors_of(300) - 3.0, first=900, models=models, used=3)
    assert row == ALL
    assert rival(watch, 0, 3, True, number, 3) == 2
    follow(watch, 2)
    assert rival(watch, 2, 3, True, number, 4) == NOTHING
    assert (watch.book.wealth == 1.0).all()
    assert (watch.doubts.wealth == 1.0).all()


def test_a_rival_that_was_left_in_vain_is_not_tried_again_for_a_while() -> None:
    watch = watching(0, 1)
    models = models_of(1, 0.0, 3.0)
    rival(watch, 1, 2, True, 50, 2)  # model 1 led, and bets against it were won
    follow(watch, 0)
    heard(watch, 3.0 + errors_of(200), models=models, used=2)
    assert watch.nearer[1].max() > 1e6
    assert rival(watch, 0, 2, True, 200, 2) == NOTHING
    heard(watch, 3.0 + errors_of(150), first=200, models=models, used=2)
    assert rival(watch, 0, 2, True, 350, 2) == 1


def test_a_rival_that_is_right_more_often_and_worse_on_average_does_not_lead() -> None:
    """One in five pays 1: a model that expects nothing of all is nearer four times of five."""
    rng = np.random.default_rng(7)
    watch = watching(0, 1)
    models = models_of(1, 0.0, -0.2)
    watch.age[0] = 500.0
    heard(watch, (rng.random(2000) < 0.2) - 0.2, models=models, used=2)
    assert watch.nearer[1].max() < 30.0


def test_rivals_lead_without_a_bet_only_beyond_chance() -> None:
    watch = watching(0, 1)
    watch.nearer[1] = 2.5
    assert rival(watch, 0, 2, False, 999, 2) == NOTHING
    watch.nearer[1, 1] = 15_001.0  # 30 times a thousand decisions a change
    assert rival(watch, 0, 2, False, 999, 2) == 1


@pytest.mark.parametrize("size", [1e100, 1e-300, 1e-200, 1.0])
def test_wild_errors_leave_numbers(size: float) -> None:
    watch = watching(2, 2)
    for bias in (0.0, size, 1e200, -np.inf, np.nan):
        heard(watch, errors_of(100, size), arms=2, models=models_of(2, bias, size), used=2)
        told(watch, 1e100, 1, 300, models=models_of(2, bias, 1e200, np.inf, np.nan), used=4)
    assert np.isfinite(watch.book.wealth).all()
    assert all(np.isfinite(array).all() for array in watch.errors)


def test_predictions_that_are_always_right_are_no_change() -> None:
    watch = watching(1, 1)
    assert heard(watch, np.zeros(500)) == (NOTHING, NOTHING)
    assert 500 < heard(watch, np.full(500, -0.25), first=500)[0] < 650


def test_what_a_model_begins_with_is_nothing_or_what_is_kept() -> None:
    watch = watching(2, 2)
    heard(watch, errors_of(400), arms=2)
    watch.age[1], watch.tried[1] = 77.0, True
    watch.errors.total[1] = 5.0
    forget(watch, 1)
    assert (watch.age[1], watch.tried[1]) == (0.0, False)
    assert not any(array[1].any() for array in watch.errors)


def growing(watch: ErrorWatch, paid: Array) -> tuple[int, int]:
    """Let a watch hear what is paid, of which a model expects ever more, up to 1.5."""
    for number, reward in enumerate(paid):
        at = Instance(number, np.array([0.9, 0.0]), np.ones(1, np.bool_))
        model = models_of(1, 0.6 * number / len(paid))
        row = examine(watch, PARAMS, model, 0, 1, at, Decision(0, 1.0), float(reward))
        if row != NOTHING:
            return number, row
    return NOTHING, NOTHING


def clicks(chance: float, n: int) -> Array:
    return (np.random.default_rng(2).random(n) < chance).astype(np.float64)


def named(*, within_rewards: bool = True) -> ErrorWatch:
    """Return a watch of named features, which compares contexts that are numbers, as they are here."""
    watch = error_watch(MODELS, 0, NAMED, within_rewards=within_rewards)
    return watch._replace(known=alike(1, Problem(1, (2,))))


def test_a_model_that_expects_more_than_was_ever_paid_is_no_change() -> None:
    """Measured on docstrings by library: every run of 4,000 told of a change, as the model grew ever surer."""
    paid = clicks(0.97, 2000)
    for watch in (named(), named(within_rewards=False), error_watch(MODELS, 0, Problem(1, (2,)))):
        assert growing(watch, paid) == (NOTHING, NOTHING)


def test_with_named_features_a_model_that_expects_what_was_paid_once_is_wrong() -> None:
    number, row = growing(named(), np.concatenate((clicks(0.97, 1000), clicks(0.5, 1000))))
    assert row == ALL
    assert 1000 < number < 1100
