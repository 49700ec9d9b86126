"""The watch of predictions: bets on errors that grow, which arms have changed, and rivals that are nearer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.foretold import ForetoldState, foretold

from onearm.engine.changes.bets import largest, place_of
from onearm.engine.changes.error_watch import ErrorWatch, error_watch
from onearm.engine.changes.watch import (
    NOTHING,
    begin,
    examine,
    follow,
    is_fresh,
    is_young,
    numbered,
    renew,
    rival,
)
from onearm.engine.vocabulary import Array, Decision, Instance

PARAMS = foretold().params
MODELS = 4
ALL = 0


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
    width: float = 0.0,
    models: Any = None,
    used: int = 1,
    propensity: float = 1.0,
) -> int:
    """Let a watch hear a reward that is so far from what model 0 expects."""
    k = len(watch.scratch_only)
    at = Instance(number, np.array([5.0, width]), np.ones(k, np.bool_))
    decision = Decision(arm, propensity)
    return examine(watch, PARAMS, models_of(k) if models is None else models, 0, used, at, decision, 5.0 + error)


def heard(watch: ErrorWatch, errors: Array, first: int = 0, arms: int = 1, **more: Any) -> tuple[int, int]:
    """Let a watch hear errors, of arms in turn; return the number and the row that tell of a change, or NOTHING."""
    for number, error in enumerate(errors, first):
        row = told(watch, float(error), number % arms, number, **more)
        if row != NOTHING:
            return number, row
    return NOTHING, NOTHING


def errors_of(n: int, size: float = 1.0, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(0.0, size, n)


def level_is_the_mean_square(watch: ErrorWatch, square: float) -> None:
    """Let a watch know errors for long."""
    watch.errors.total[0] = 1e6
    watch.errors.square[0] = watch.errors.level[0] = square
    watch.errors.variance[0] = 1.0


@pytest.mark.parametrize(("large", "chance"), [(2.0, 0.25), (4.0, 0.06), (1.0, 1.0)])
def test_each_bet_is_worth_on_average_what_was_staked(large: float, chance: float) -> None:
    """Errors of 0 but for some: squares of two values whose mean is the level."""
    before = np.array([1.0, 3.0, 20.0])
    after = []
    for error in (large, 0.0):
        watch = error_watch(MODELS, 2, 2)
        level_is_the_mean_square(watch, chance * large**2)
        watch.book.wealth[1] = before
        told(watch, error)
        after.append(watch.book.wealth[1].copy())
    assert chance * after[0] + (1.0 - chance) * after[1] == pytest.approx(before, rel=1e-12)


def test_where_errors_become_smaller_bets_are_worth_less() -> None:
    before = np.array([1.0, 3.0, 20.0])
    watch = error_watch(MODELS, 1, 1)
    level_is_the_mean_square(watch, 1.0)
    watch.book.wealth[1] = before
    told(watch, 0.9)
    assert (watch.book.wealth[1] < before).all()


@pytest.mark.parametrize("law", ["normal", "heavy", "bernoulli", "shrinking"])
def test_chance_wins_no_more_often_than_the_bound_where_the_level_is_learned(law: str) -> None:
    """A wealth of 100 once in 100 errors at the most: of three bets."""
    rng, n = np.random.default_rng(6), 4000
    errors = {
        "normal": rng.normal(size=n),
        "heavy": rng.standard_t(2.0, n),
        "bernoulli": (rng.random(n) < 0.1) - 0.1,
        "shrinking": rng.normal(size=n) / (1.0 + 0.01 * np.arange(n)),
    }[law]
    watch, won = error_watch(MODELS, 0, 1), 0
    for number, error in enumerate(errors):
        told(watch, float(error), number=number)
        if largest(watch.book, ALL) >= 100.0:
            won += 1
            watch.book.wealth[ALL] = 1.0
    assert won <= 3 * n / 100


def test_errors_that_grow_are_found_soon_with_their_place() -> None:
    places = []
    for seed in range(9):
        watch = error_watch(MODELS, 0, 1)
        assert heard(watch, errors_of(1000, seed=seed)) == (NOTHING, NOTHING)
        number, row = heard(watch, errors_of(200, 3.0, seed + 50), first=1000)
        assert row == ALL
        assert 1000 <= number <= 1040
        assert largest(watch.book, ALL) >= 1e8
        places.append(place_of(watch.book, ALL))
    assert 990 <= np.median(places) <= 1005
    assert max(places) <= 1010


def test_errors_that_grow_slowly_are_found_too() -> None:
    watch = error_watch(MODELS, 0, 1)
    assert heard(watch, errors_of(2000)) == (NOTHING, NOTHING)
    number, _ = heard(watch, errors_of(6000) * np.linspace(1.0, 3.0, 6000), first=2000)
    assert 2000 < number < 8000


def test_where_a_model_does_not_know_nothing_is_bet() -> None:
    watch = error_watch(MODELS, 0, 1)
    heard(watch, errors_of(1000))
    square = float(watch.errors.square[0, ALL])
    assert heard(watch, errors_of(500, 5.0), first=1000, width=1.01 * square**0.5) == (NOTHING, NOTHING)
    assert watch.errors.square[0, ALL] == square
    assert heard(watch, errors_of(500, 5.0), first=1500, width=0.99 * square**0.5)[1] == ALL


def test_where_few_errors_carry_the_mean_square_nothing_is_bet() -> None:
    """Of rare clicks a few more are soon there by chance."""
    watch = error_watch(MODELS, 0, 1)
    errors = np.where(np.arange(1200) % 60 == 59, 1.0, 0.05)
    heard(watch, errors[:130])
    assert (watch.book.wealth == 1.0).all()
    heard(watch, errors[130:], first=130)
    assert (watch.book.wealth != 1.0).all()


@pytest.mark.parametrize(
    ("k", "propensity", "counts"),
    [(10, 0.29, False), (10, 0.31, True), (3, 0.49, False), (3, 0.51, True), (2, 0.5, True), (10, np.nan, True)],
)
def test_what_was_merely_tried_does_not_count(k: int, propensity: float, counts: bool) -> None:
    watch = error_watch(MODELS, k, k)
    told(watch, 1.0, 1, propensity=propensity)
    assert watch.errors.total[0].tolist() == [counts, 0.0, counts, *[0.0] * (k - 2)]
    assert watch.last[2] == 0


def test_an_arm_that_changes_is_named_and_alone_learned_anew() -> None:
    watch = error_watch(MODELS, 5, 5)
    assert heard(watch, errors_of(1500), arms=5) == (NOTHING, NOTHING)
    rng, number, row = np.random.default_rng(2), 1500, NOTHING
    while row == NOTHING:
        arm = number % 5
        row = told(watch, float(rng.normal(0.0, 10.0 if arm == 2 else 1.0)), arm, number)
        number += 1
    assert row in (ALL, 3)
    before = [array.copy() for array in watch.errors]
    n = begin(watch, 1, 0, row)
    fresh = [arm for arm in range(5) if is_fresh(watch, arm)]
    assert 2 in fresh
    assert len(fresh) == n
    rows = [arm + 1 for arm in range(5) if arm not in fresh]
    for array, old in zip(watch.errors, before, strict=True):
        np.testing.assert_array_equal(array[0], old[0])
        np.testing.assert_array_equal(array[1, rows], old[0, rows])
    assert not watch.errors.total[1, [ALL, *(arm + 1 for arm in fresh)]].any()


def test_what_changed_is_told_by_the_bets_on_each_arm() -> None:
    watch = error_watch(MODELS, 5, 5)
    heard(watch, errors_of(1500), arms=5)
    watch.book.wealth[1:] = 1.5
    watch.book.wealth[4, 1] = 4.5
    watch.book.wealth[2, 0] = 1e9
    watch.book.start[2, 0] = 1450
    assert begin(watch, 1, 0, 2) == 2
    assert [is_fresh(watch, arm) for arm in range(5)] == [False, True, False, True, False]


@pytest.mark.parametrize(("changed", "fresh"), [([0], [0]), ([0, 1], [0, 1, 3, 4, 5])])
def test_where_most_arms_that_are_played_changed_so_may_have_the_others(changed: list[int], fresh: list[int]) -> None:
    """Of six arms the first three were played since."""
    watch = error_watch(MODELS, 6, 6)
    heard(watch, errors_of(1800), arms=6)
    watch.book.wealth[:] = 1.5
    watch.book.wealth[[arm + 1 for arm in changed], 1] = 4.5
    watch.book.wealth[ALL, 2] = 1e9
    watch.book.start[ALL, 2] = 1800
    watch.last[1:4] = 1810
    assert begin(watch, 1, 0, ALL) == len(fresh)
    assert [arm for arm in range(6) if is_fresh(watch, arm)] == fresh


def test_arms_without_lasting_numbers_are_learned_anew_together() -> None:
    watch = error_watch(MODELS, 0, 7)
    heard(watch, errors_of(600), arms=7)
    _, row = heard(watch, errors_of(300, 4.0), first=600, arms=7)
    assert (row, numbered(watch), begin(watch, 1, 0, row)) == (ALL, 0, 7)


def test_soon_after_a_change_one_more_arm_needs_less() -> None:
    watch = error_watch(MODELS, 2, 2)
    heard(watch, errors_of(800), arms=2)
    assert not is_young(watch, 0, 1)
    begin(watch, 1, 0, 1)
    assert (is_young(watch, 1, 1), is_young(watch, 1, ALL)) == (True, False)
    renew(watch, 1, 1)
    assert watch.errors.total[1].tolist() == [0.0, 0.0, 0.0]
    watch.age[1] = 500.0
    assert not is_young(watch, 1, 1)


def test_a_rival_that_is_nearer_leads_where_bets_are_won() -> None:
    watch = error_watch(MODELS, 0, 1)
    models = models_of(1, 0.0, 3.0, -3.0)
    heard(watch, errors_of(600), models=models, used=3)
    number, row = heard(watch, 3.0 + errors_of(300), first=600, models=models, used=3)
    assert row == ALL
    assert rival(watch, 0, 3, True, number, 3) == 1
    follow(watch, 1)
    assert rival(watch, 1, 3, True, number, 4) == NOTHING
    assert (watch.book.wealth == 1.0).all()


def test_a_rival_that_was_left_in_vain_is_not_tried_again_for_a_while() -> None:
    watch = error_watch(MODELS, 0, 1)
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
    watch = error_watch(MODELS, 0, 1)
    models = models_of(1, 0.0, -0.2)
    watch.age[0] = 500.0
    heard(watch, (rng.random(4000) < 0.2) - 0.2, models=models, used=2)
    assert watch.nearer[1].max() < 30.0


def test_rivals_lead_without_a_bet_only_beyond_chance() -> None:
    watch = error_watch(MODELS, 0, 1)
    watch.nearer[1] = 2.5
    assert rival(watch, 0, 2, False, 999, 2) == NOTHING
    watch.nearer[1, 1] = 15_001.0  # 30 times a thousand decisions a change
    assert rival(watch, 0, 2, False, 999, 2) == 1


@pytest.mark.parametrize("size", [1e100, 1e-300, 1e-200, 1.0])
def test_wild_errors_leave_numbers(size: float) -> None:
    watch = error_watch(MODELS, 2, 2)
    for bias in (0.0, size, 1e200, -np.inf, np.nan):
        heard(watch, errors_of(100, size), arms=2, models=models_of(2, bias, size), used=2)
        told(watch, 1e100, 1, 300, models=models_of(2, bias, 1e200, np.inf, np.nan), used=4)
    assert np.isfinite(watch.book.wealth).all()
    assert all(np.isfinite(array).all() for array in watch.errors)


def test_predictions_that_are_always_right_are_no_change() -> None:
    watch = error_watch(MODELS, 1, 1)
    assert heard(watch, np.zeros(500)) == (NOTHING, NOTHING)
    assert 500 < heard(watch, np.full(500, 0.25), first=500)[0] < 600


def test_an_arm_of_which_nothing_was_ever_wrong_is_watched_still() -> None:
    """Of rare clicks the first is long in coming: till then predictions are right, and more sure than not."""
    watch = error_watch(MODELS, 1, 1)
    assert heard(watch, np.zeros(300), width=0.001) == (NOTHING, NOTHING)
    assert 300 < heard(watch, np.ones(300), first=300, width=0.001)[0] < 600
