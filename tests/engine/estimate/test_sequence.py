"""Confidence sequences: the bettors' capital by its definition, hand-worked ends, pages, and all times at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate import difference, sequence
from onearm.engine.estimate.difference import difference_sequence
from onearm.engine.estimate.sequence import SequenceState, confidence_sequence, log_spaced, match_sequence
from onearm.engine.vocabulary import Array

Columns = tuple[Array, Array, Array]


def a_log(n: int, seed: int = 0) -> Columns:
    """Return rewards, propensities and targets of three arms, of which the best is seldom logged; the value is 0.62."""
    rng = np.random.default_rng(seed)
    law, target, mean = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6]), np.array([0.2, 0.4, 0.8])
    action = rng.choice(3, n, p=law)
    return (rng.random(n) < mean[action]).astype(float), law[action], target[action]


def capital(size: Array, share: Array, terms: Array, mean: float) -> Array:
    """Return the bettors' capital after each term, by the definition: products of (1 + eta x) / (1 + eta m)."""
    factors = (1.0 + size[:, None] * terms) / (1.0 + size[:, None] * mean)
    return np.asarray(share @ np.cumprod(factors, axis=1))


def test_an_end_is_where_the_bettors_have_won_forty_times_their_capital() -> None:
    reward, propensity, target = a_log(120)
    found = confidence_sequence(reward, propensity, target, at=np.array([30, 120]))
    size, share = sequence.BETS, np.full(len(sequence.BETS), 1.0 / len(sequence.BETS))
    weight = target / propensity
    for moment, low, high in zip(found.at, found.low, found.high, strict=True):
        for terms, end in ((weight * reward, low), (weight * (1.0 - reward), 1.0 - high)):
            assert 0.0 < end < 1.0
            assert capital(size, share, terms[:moment], end)[-1] == pytest.approx(40.0, rel=1e-6)
            assert (
                capital(size, share, terms[:moment], end + 1e-3)[-1]
                < 40.0
                < capital(size, share, terms[:moment], end - 1e-3)[-1]
            )


def test_with_a_bound_of_the_weights_half_of_the_capital_bets_on_doubly_robust_terms() -> None:
    reward, propensity, target = a_log(120)
    weight = target / propensity
    predicted, expected = np.full(120, 0.5), np.linspace(0.4, 0.6, 120)
    found = confidence_sequence(
        reward, propensity, target, at=np.array([120]), weight_max=6.0, predicted=predicted, expected=expected
    )
    plain, bounded = sequence.BETS, sequence.BOUNDED_BETS / 6.0
    halves = [np.full(len(bets), 0.5 / len(bets)) for bets in (plain, bounded)]
    robust = expected + weight * (reward - predicted)
    assert found.value[0] == pytest.approx(robust.mean(), rel=1e-12)
    for terms, other, end in (
        (weight * reward, robust, found.low[0]),
        (weight * (1.0 - reward), 1.0 - robust, 1.0 - found.high[0]),
    ):
        won = capital(plain, halves[0], terms, end)[-1] + capital(bounded, halves[1], other, end)[-1]
        assert won == pytest.approx(40.0, rel=1e-6)


def test_without_a_model_its_place_is_taken_by_the_mean_before() -> None:
    reward, propensity, target = a_log(50)
    weight = target / propensity
    centre = np.array(
        [((weight * reward)[:i].sum() + 0.5) / (weight[:i].sum() + 1.0) for i in range(50)]  # knows the past only
    )
    found = confidence_sequence(reward, propensity, target, weight_max=6.0)
    same = confidence_sequence(reward, propensity, target, weight_max=6.0, predicted=centre, expected=centre)
    assert found.low == pytest.approx(same.low, rel=1e-9)
    assert found.high == pytest.approx(same.high, rel=1e-9)


def test_bets_that_need_a_bound_are_given_up_where_weights_get_larger() -> None:
    rng = np.random.default_rng(4)
    reward, weight = (rng.random(200) < 0.6).astype(float), np.ones(200)
    bounded, plain = sequence.start(1.0), sequence.start()
    for state in (bounded, plain):
        sequence.add(state, reward, weight)
    loose = sequence.without_bound(bounded)
    assert loose.share.sum() == pytest.approx(0.5)
    assert np.array_equal(loose.growth, plain.growth)
    value, low, high = sequence.bounds(loose)
    assert value == reward.mean() and low < sequence.bounds(plain)[1] and high > sequence.bounds(plain)[2]
    sequence.add(loose, np.array([1.0]), np.array([10.0]))  # more than the bound
    assert sequence.bounds(bounded)[0] == pytest.approx(reward.mean(), abs=0.05), "what was is left alone"


def test_the_lower_end_after_one_reward_by_hand() -> None:
    """One reward of 1: the mean of (1 + eta) / (1 + eta m) over 29 sizes is 40 at m; without it nothing is known."""
    one = np.ones(1)
    found = confidence_sequence(one, one, one)
    m = found.low[0]
    assert np.mean((1.0 + sequence.BETS) / (1.0 + sequence.BETS * m)) == pytest.approx(40.0, rel=1e-9)
    assert (found.high[0], found.value[0]) == (1.0, 1.0)
    none = confidence_sequence(one, one, 0.0 * one)
    assert (none.low[0], none.high[0]) == (0.0, 1.0)
    assert math.isnan(none.value[0])


def test_of_no_decisions_there_is_no_moment() -> None:
    empty = np.zeros(0)
    for found in (
        confidence_sequence(empty, empty, empty),
        match_sequence(empty, empty),
        difference_sequence(empty, empty, empty, empty),
    ):
        assert [len(column) for column in found] == [0, 0, 0, 0]


@pytest.mark.parametrize("weight_max", [None, 6.0])
def test_pages_of_any_length_give_what_one_page_gives(weight_max: float | None) -> None:
    reward, propensity, target = a_log(101)
    weight, other = target / propensity, np.roll(target, 1) / propensity
    other = np.minimum(other, 6.0)
    whole, pages = sequence.start(weight_max), sequence.start(weight_max)
    two, two_pages = difference.start(weight_max), difference.start(weight_max)
    sequence.add(whole, reward, weight)
    difference.add(two, reward, weight, other)
    for first, last in ((0, 1), (1, 1), (1, 40), (40, 101)):
        sequence.add(pages, reward[first:last], weight[first:last])
        difference.add(two_pages, reward[first:last], weight[first:last], other[first:last])
    for one, many in ((whole, pages), (two, two_pages)):
        assert many.growth == pytest.approx(one.growth, rel=1e-10, abs=1e-12)
        assert many.total == pytest.approx(one.total, rel=1e-12)
    at_once = confidence_sequence(reward, propensity, target, at=np.array([7, 101]), weight_max=weight_max)
    assert sequence.bounds(pages) == pytest.approx([column[1] for column in at_once[1:]], rel=1e-9)


@pytest.mark.parametrize("weight_max", [None, 6.0])
def test_other_units_and_the_mirrored_reward(weight_max: float | None) -> None:
    reward, propensity, target = a_log(80)
    found = confidence_sequence(reward, propensity, target, weight_max=weight_max)
    moved = confidence_sequence(50.0 * reward - 20.0, propensity, target, (-20.0, 30.0), weight_max=weight_max)
    assert moved.low == pytest.approx(50.0 * found.low - 20.0, rel=1e-9)
    assert moved.high == pytest.approx(50.0 * found.high - 20.0, rel=1e-9)
    lost = confidence_sequence(1.0 - reward, propensity, target, weight_max=weight_max)
    assert lost.low == pytest.approx(1.0 - found.high, abs=1e-9)
    assert lost.high == pytest.approx(1.0 - found.low, abs=1e-9)


def test_a_higher_level_is_wider_and_intervals_stay_in_the_range() -> None:
    reward, propensity, target = a_log(200)
    before = None
    for level in (0.5, 0.9, 0.95, 0.999):
        found = confidence_sequence(reward, propensity, target, level=level)
        assert (found.low >= 0.0).all()
        assert (found.high <= 1.0).all()
        if before is not None:
            assert (found.low <= before.low).all()
            assert (found.high >= before.high).all()
            assert found.low[-1] < before.low[-1]
        before = found


@pytest.mark.parametrize("constant", [0.0, 0.25, 1.0])
def test_a_constant_reward_is_found(constant: float) -> None:
    n = 400
    found = confidence_sequence(np.full(n, constant), np.full(n, 0.5), np.full(n, 0.5))
    assert found.low[-1] <= constant <= found.high[-1]
    assert found.value[-1] == constant
    assert found.high[-1] - found.low[-1] < 0.15


def test_match_is_the_sequence_of_the_matched_rewards_at_their_decisions() -> None:
    reward = np.array([1.0, 9.0, 0.0, 1.0, 1.0, 9.0]).clip(0, 1)
    agrees = np.array([False, False, True, True, False, True])
    found = match_sequence(reward, agrees)
    inside, ones = reward[agrees], np.ones(3)
    alone = confidence_sequence(inside, ones, ones, at=np.array([1, 2, 3]))
    assert found.at.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.low.tolist() == [0.0, 0.0, *alone.low[[0, 1, 1, 2]]]
    assert found.high.tolist() == [1.0, 1.0, *alone.high[[0, 1, 1, 2]]]
    assert np.isnan(found.value[:2]).all()
    assert found.value[2:].tolist() == alone.value[[0, 1, 1, 2]].tolist()


def test_a_difference_ends_where_the_bettors_have_won_forty_times_their_capital() -> None:
    reward, propensity, target = a_log(150)
    weight, other = target / propensity, np.full(150, 1.0)
    found = difference_sequence(reward, propensity, target, propensity, at=np.array([150]))
    share = np.full(len(sequence.BETS), 1.0 / len(sequence.BETS))
    first, second = weight * reward + other * (1.0 - reward), other * reward + weight * (1.0 - reward)
    assert capital(sequence.BETS, share, first, found.low[0] + 1.0)[-1] == pytest.approx(40.0, rel=1e-6)
    assert capital(sequence.BETS, share, second, 1.0 - found.high[0])[-1] == pytest.approx(40.0, rel=1e-6)
    assert found.value[0] == pytest.approx(((weight - other) * reward).mean(), rel=1e-12)


def test_policies_that_change_places_change_the_sign() -> None:
    reward, propensity, target = a_log(150)
    for bound in (None, 6.0):
        found = difference_sequence(reward, propensity, target, propensity, weight_max=bound)
        back = difference_sequence(reward, propensity, propensity, target, weight_max=bound)
        assert back.low == pytest.approx(-found.high, abs=1e-9)
        assert back.high == pytest.approx(-found.low, abs=1e-9)
    same = difference_sequence(reward, propensity, target, target, weight_max=6.0)
    assert same.low == pytest.approx(-same.high, abs=1e-12)
    assert (same.value == 0.0).all()


def test_moments_are_log_spaced() -> None:
    assert log_spaced(0).tolist() == []
    assert log_spaced(1).tolist() == [1]
    assert log_spaced(3).tolist() == [1, 2, 3]
    at = log_spaced(10_000)
    assert (at[0], at[-1]) == (1, 10_000)
    assert (np.diff(at) > 0).all()
    assert np.count_nonzero(at > 1000) == 20


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda r, p, t: confidence_sequence(r * 2, p, t), "reward_range", "rewards and predictions must be in"),
        (lambda r, p, t: confidence_sequence(r * math.nan, p, t), "reward_range", "row 0 has nan"),
        (lambda r, p, t: confidence_sequence(r, p, t, (1.0, 1.0)), "reward_range", "low < high"),
        (lambda r, p, t: confidence_sequence(r, p, t, weight_max=3.0), "weight_max", "a bound of all"),
        (lambda r, p, t: confidence_sequence(r, p, t, weight_max=0.5), "weight_max", "1 or more"),
        (lambda r, p, t: confidence_sequence(r, p, t, predicted=r, expected=r), "weight_max", "need a bound"),
        (lambda r, p, t: confidence_sequence(r, p, t, weight_max=6.0, predicted=r), "model", "go together"),
        (lambda r, p, t: confidence_sequence(r[1:], p, t), "length", "reward has 39 rows"),
        (lambda r, p, t: confidence_sequence(r, p, t, at=np.array([3, 3])), "at", "must grow within 1 .. 40"),
        (lambda r, p, t: confidence_sequence(r, p, t, at=np.array([41])), "at", "must grow"),
        (lambda r, p, t: confidence_sequence(r, p, t, level=95.0), "level", "must be in"),
        (lambda r, p, t: confidence_sequence(r, p * math.nan, t), "unknown_propensity", "row 0"),
        (lambda r, p, t: difference_sequence(r, p, t, p, weight_max=3.0), "weight_max", "a bound of all"),
        (lambda r, p, t: difference_sequence(r, p, p, t, weight_max=3.0), "weight_max", "a bound of all"),
    ],
)
def test_what_breaks_an_assumption_is_refused_by_name(
    call: Callable[[Array, Array, Array], object], code: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        call(*a_log(40))
    assert refused.value.code == code


def ever_outside(state: SequenceState, pages: list[Array], means: tuple[float, float]) -> bool:
    """Tell whether the capital at the true mean, from below or from above, ever was 40: at every decision."""
    for side, mean in enumerate(means):
        total = np.zeros(len(pages[side][0]))
        first = 0
        for terms, size in ((pages[side][0], sequence.BETS), (pages[side][1], sequence.BOUNDED_BETS)):
            which = slice(first, first + len(size))
            if first < len(state.size):
                total += capital(state.size[which], state.share[which], terms, mean + float(state.shift[first]))
            first += len(size)
        if total.max() >= 40.0:
            return True
    return False


@pytest.mark.jit
@pytest.mark.parametrize("n", [0, 1, 4, 4098, 9001])
def test_python_adds_up_what_bets_earn_as_compiled_code_does(n: int) -> None:
    """To the bit, and in the same order, however many terms it takes at once."""
    rng = np.random.default_rng(8)
    term = np.where(rng.random(n) < 0.3, 0.0, rng.exponential(size=n) * 10.0 ** rng.integers(-3, 4, n))
    found = [np.linspace(0.0, 1.0, len(sequence.BETS)) for _ in range(2)]
    sequence.grow(sequence.BETS, term, found[0])
    sequence.grow.python(sequence.BETS, term, found[1])
    assert found[0].tolist() == found[1].tolist()


@pytest.mark.jit
def test_sequences_are_never_outside_in_95_of_100_paths_at_any_time() -> None:
    """400 paths of 1000 decisions, all looked at; what the package stores grows as the definition says."""
    outside = {"plain": 0, "bounded": 0}
    for seed in range(400):
        reward, propensity, target = a_log(1000, seed)
        weight = target / propensity
        centre = sequence.running_mean(np.zeros(4), weight, weight * reward)
        robust = centre + weight * (reward - centre)
        pages = [weight * reward, robust], [weight * (1.0 - reward), 1.0 - robust]
        for name, state in (("plain", sequence.start()), ("bounded", sequence.start(6.0))):
            outside[name] += ever_outside(state, list(map(list, pages)), (0.62, 0.38))
    assert outside["plain"] <= 20
    assert outside["bounded"] <= 20


@pytest.mark.jit
def test_a_long_log_is_bounded_closely_and_rightly() -> None:
    """Compiled, 200,000 decisions: the ends close in on the value, in the known order of widths."""
    reward, propensity, target = a_log(200_000, 5)
    plain = confidence_sequence(reward, propensity, target)
    bounded = confidence_sequence(reward, propensity, target, weight_max=6.0)
    for found in (plain, bounded):
        assert (found.low <= 0.62).all()
        assert (found.high >= 0.62).all()
        assert found.high[-1] - found.low[-1] < 0.025
    assert bounded.high[-1] - bounded.low[-1] < plain.high[-1] - plain.low[-1]
    # Of two equal policies all terms are 0 once the weights are bounded: their difference is known to 1 / n.
    equal = difference_sequence(reward, propensity, target, target, weight_max=6.0)
    assert equal.high[-1] == -equal.low[-1] < 5e-4
    assert difference_sequence(reward, propensity, target, target).high[-1] > 5e-3
