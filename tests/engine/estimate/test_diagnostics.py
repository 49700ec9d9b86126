"""Diagnostics of a log and its e-processes: closed forms, SciPy, false alarms over all times, false propensities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.capital import log_capital, log_e
from onearm.engine.estimate.diagnostics import diagnose, pareto_k, weight_tail
from onearm.engine.estimate.eprocess import (
    action_e_process,
    add_actions,
    add_many,
    add_weights,
    start_actions,
    start_weights,
    weight_e_process,
)
from onearm.engine.vocabulary import Array

SIZES = 2.0 ** np.arange(-16, 0)


def softmax_log(n: int, k: int, seed: int) -> tuple[Array, Array]:
    """Return laws of random scores, float64[n, k], none below 0.01, and actions drawn by them."""
    rng = np.random.default_rng(seed)
    power = np.exp(1.5 * rng.standard_normal((n, k)))
    law = 0.01 + (1.0 - 0.01 * k) * power / power.sum(axis=1, keepdims=True)
    return law, np.minimum((rng.random((n, 1)) > np.cumsum(law, axis=1)).sum(axis=1), k - 1)


def test_the_capital_against_weights_is_the_mean_of_all_bets_products() -> None:
    weight = np.random.default_rng(0).choice([0.0, 0.5, 3.0], 60)
    up = np.prod(1.0 + SIZES[:, None] * (weight - 1.0), axis=1)
    down = np.prod(1.0 + SIZES[:, None] / 4.0 * (1.0 - weight), axis=1)
    assert weight_e_process(weight).log_e[-1] == pytest.approx(math.log(up.mean()), rel=1e-10)
    both = weight_e_process(weight, 5.0)
    assert both.log_e[-1] == pytest.approx(math.log((up.mean() + down.mean()) / 2.0), rel=1e-10)
    assert both.at[-1] == 60


def test_the_capital_against_actions_is_the_mean_of_all_bets_products() -> None:
    law, action = softmax_log(60, 3, 1)
    propensity = law[np.arange(60), action]
    capital = []
    for arm in range(3):
        weight = (action == arm) / propensity
        capital.append(np.prod(1.0 + SIZES[:, None] * (weight - 1.0), axis=1).mean())
        capital.append(np.prod(1.0 + SIZES[:, None] / 99.0 * (1.0 - weight), axis=1).mean())
    crowds = []
    for m in (1, 2, 3):
        weight = (propensity > 1.0 / (m + 1) + 1e-3) / (m * propensity)
        crowds += [np.prod(1.0 + size * (weight - 1.0)) for size in (1 / 128, 1 / 32, 1 / 8, 1 / 2)]
    found = action_e_process(action, propensity, 3, 0.01)
    assert found.log_e[-1] == pytest.approx(math.log((np.mean(capital) + np.mean(crowds)) / 2.0), rel=1e-10)
    only_up = action_e_process(action, propensity, 3)
    assert only_up.log_e[-1] == pytest.approx(math.log((np.mean(capital[::2]) + np.mean(crowds)) / 2.0), rel=1e-10)


def test_the_alarm_comes_at_the_first_decision_at_which_the_capital_is_twenty() -> None:
    weight = np.tile([2.0, 1.0, 1.5], 40)
    capital = np.cumprod(1.0 + SIZES[:, None] * (weight - 1.0), axis=1).mean(axis=0)
    assert weight_e_process(weight).alarm_at == int(np.argmax(capital >= 20.0)) + 1
    assert weight_e_process(weight, alpha=0.01).alarm_at == int(np.argmax(capital >= 100.0)) + 1
    assert weight_e_process(np.ones(100), 1.0).alarm_at is None
    assert weight_e_process(np.full(20, 0.9), 1.0).alarm_at is not None  # no weight is above 1: none may be below


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("least", [None, 0.01])
def test_the_alarm_of_arms_comes_at_the_first_look_at_which_the_capital_has_the_limit(
    seed: int, least: float | None
) -> None:
    law, action = softmax_log(1500, 12, seed)
    propensity, looks = law[np.arange(1500), (action + (np.arange(1500) % 3 == 0)) % 12], np.arange(64, 1501, 64)
    found = action_e_process(action, propensity, 12, least, 0.01, at=looks)
    assert found.alarm_at == looks[np.argmax(found.log_e >= math.log(100.0))]


def test_an_arm_that_is_never_taken_is_found_at_the_first_look_though_no_bet_on_the_others_wins() -> None:
    """Bets against it grow while nothing is bet on it: where only arms that were taken are looked at, it comes late."""
    looks = np.arange(64, 2001, 64)
    found = action_e_process(1 + np.arange(2000) % 33, np.full(2000, 1 / 34), 34, 0.029, 0.0025, at=looks)
    reached = looks[np.argmax(found.log_e >= math.log(400.0))]
    assert (found.alarm_at, reached) == (reached, 960)


def test_large_weights_among_many_small_ones_raise_the_alarm_where_they_stand() -> None:
    rng = np.random.default_rng(4)
    weight = np.where(rng.random(3000) < 0.02, 60.0, rng.random(3000))
    capital = np.cumsum(np.log1p(SIZES[:, None] * (weight - 1.0)), axis=1)
    reached = int(np.argmax(np.exp(capital).mean(axis=0) >= 1000.0)) + 1
    assert 64 < reached < 3000
    assert weight_e_process(weight, alpha=0.001).alarm_at == reached


def test_pages_of_any_length_are_the_same_bits() -> None:
    law, action = softmax_log(150, 3, 2)
    propensity = law[np.arange(150), action]
    weights = [start_weights(40.0), start_weights(40.0)]
    arms = [start_actions(3, 0.01), start_actions(3, 0.01)]
    add_weights(weights[0], 1.0 / 3.0 / propensity)
    add_actions(arms[0], action, propensity)
    for page in (slice(0, 1), slice(1, 1), slice(1, 70), slice(70, 150)):
        add_weights(weights[1], 1.0 / 3.0 / propensity[page])
        add_actions(arms[1], action[page], propensity[page])
    for one, many in (weights, arms):
        assert one.growth.tobytes() == many.growth.tobytes()
        assert one.seen.tolist() == many.seen.tolist()
        assert log_e(one) == log_e(many)
    empty = weight_e_process(np.zeros(0))
    assert (len(empty.at), len(empty.log_e), empty.alarm_at) == (0, 0, None)


def test_true_propensities_of_every_outcome_leave_the_capital_at_one_on_average() -> None:
    """Exact: all action sequences of 5 decisions between two arms, weighted by their probability.

    That against actions is less: bets on large propensities lose where fewer arms have them than could have.
    """
    law = np.array([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.6, 0.4]])
    mean = {"weights": 0.0, "arms": 0.0, "crowds": 0.0}
    for number in range(32):
        action = np.array([number >> i & 1 for i in range(5)])
        propensity = law[np.arange(5), action]
        chance = float(propensity.prod())
        mean["weights"] += chance * math.exp(weight_e_process(0.5 / propensity, 5.0).log_e[-1])
        mean["arms"] += chance * math.exp(action_e_process(action, propensity, 2, 0.1).log_e[-1])
        crowds = []
        for m in (1, 2):
            large = (propensity > 1.0 / (m + 1)) / (m * propensity)
            crowds += [np.prod(1.0 + size * (large - 1.0)) for size in (1 / 128, 1 / 32, 1 / 8, 1 / 2)]
        mean["crowds"] += chance * float(np.mean(crowds))
    assert mean["weights"] == pytest.approx(1.0, rel=1e-12)
    assert 0.7 < mean["crowds"] < 1.0
    assert mean["arms"] == pytest.approx((1.0 + mean["crowds"]) / 2.0, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: weight_e_process(np.array([1.0, -1.0])), "weight", "row 1 is -1"),
        (lambda: weight_e_process(np.array([1.0, math.nan])), "weight", "row 1 is nan"),
        (lambda: weight_e_process(np.array([1.0, 9.0]), 5.0), "weight_max", "row 1 is 9"),
        (lambda: weight_e_process(np.ones(2), 0.5), "weight_max", "1 or more"),
        (lambda: weight_e_process(np.ones(2), alpha=5.0), "alpha", "must be in"),
        (lambda: action_e_process(np.array([0, 2]), np.full(2, 0.5), 2), "action", "row 1 has action 2"),
        (lambda: action_e_process(np.array([0, 1]), np.array([0.5, 0.0]), 2), "action", "row 1 has action 1"),
        (lambda: action_e_process(np.array([0, 1]), np.array([0.5, 0.1]), 2, 0.2), "action", r"in \(0.2, 1\]"),
        (lambda: action_e_process(np.array([0, 1]), np.array([0.5]), 2), "length", "1 rows"),
        (lambda: action_e_process(np.array([0]), np.array([0.5]), 2, 0.0), "propensity_min", "must be in"),
        (lambda: diagnose(np.array([0.1]), np.array([0.1]), propensity_min=0.2), "propensity_min", "0.1 was logged"),
    ],
)
def test_what_breaks_an_assumption_is_refused_by_name(call: Callable[[], object], code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        call()
    assert refused.value.code == code


def test_the_tail_of_pareto_weights_has_their_shape() -> None:
    rng = np.random.default_rng(4)
    for k in (0.2, 0.5, 0.9):
        found = [pareto_k(np.sort((1.0 - rng.random(20_000)) ** -k)) for _ in range(10)]
        assert np.mean(found) == pytest.approx(k, abs=0.06)
    assert pareto_k(np.sort(rng.random(20_000))) < 0.0  # bounded: below 0 (-1 for the uniform law)
    assert pareto_k(np.ones(100)) == -math.inf
    assert math.isnan(pareto_k(np.ones(24)))


def test_quantiles_and_what_the_largest_weights_carry() -> None:
    weight = np.arange(1.0, 201.0)
    found = weight_tail(weight)
    assert found.quantiles["0.5"] == 100.5
    assert found.quantiles["1.0"] == 200.0
    assert found.top_share == pytest.approx((199 + 200) / 20100, rel=1e-12)
    assert weight_tail(np.zeros(9)).quantiles == {}


def test_a_sound_log_has_no_warning_and_its_figures_are_right() -> None:
    law, action = softmax_log(800, 4, 5)
    propensity = law[np.arange(800), action]
    target = np.full(800, 0.25)
    found = diagnose(propensity, target, action, 4, decisions=805, rewarded=800)
    weight = target / propensity
    assert found.warnings == []
    assert found.effective_sample_size == pytest.approx(weight.sum() ** 2 / (weight**2).sum(), rel=1e-12)
    assert (found.decisions, found.rewarded, found.overlap) == (805, 800 / 805, 1.0)
    assert found.propensity_min == propensity.min()
    assert found.weight_mean == pytest.approx(weight.mean(), rel=1e-12)
    assert found.weight_error == pytest.approx(weight.std() / math.sqrt(800), rel=1e-12)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (lambda: diagnose(np.zeros(0), np.zeros(0)), "no decisions"),
        (lambda: diagnose(np.full(9, 0.5), np.zeros(9)), "never takes an action"),
        (lambda: diagnose(np.full(300, 0.5), np.ones(300)), "do not average 1"),
        (lambda: diagnose(np.full(300, 0.5), np.full(300, 0.5), np.zeros(300, np.int64), 2), "arm 0 averages 2"),
        (lambda: diagnose(np.full(300, 0.5), np.full(300, 0.5), np.zeros(300, np.int64), 2), "sample-ratio mismatch"),
        (lambda: diagnose(np.full(20, 0.5), np.full(20, 0.5)), "20.0 decisions' worth"),
        (lambda: diagnose(np.full(200, 0.5), np.full(200, 0.5), decisions=150, rewarded=200), "joined twice"),
        (lambda: diagnose(np.full(200, 0.5), np.full(200, 0.5), decisions=250, rewarded=200), "was seen of 80 %"),
        (
            lambda: diagnose(np.sort(1.0 - np.random.default_rng(0).random(400)) ** 2, np.full(400, 0.3)),
            "heavy tail",
        ),
    ],
)
def test_what_speaks_against_a_log_is_said(seen: Callable[[], object], words: str) -> None:
    said = seen().warnings  # type: ignore[attr-defined]
    assert any(words in warning for warning in said), said


def test_a_floor_that_only_the_data_know_is_no_bound_of_the_weights() -> None:
    """A log that took the best arm each time, of propensity 0.999: no rare draw came, and none had to."""
    for seed in range(2):
        action = np.random.default_rng(seed).integers(10, size=1000)
        seen = diagnose(np.full(1000, 0.999), np.full(1000, 0.1), action, 10)
        assert seen.arms is not None
        assert (seen.weights.alarm_at, seen.arms.alarm_at) == (None, None)
        assert not any("average" in warning or "mismatch" in warning for warning in seen.warnings)


@pytest.mark.jit
def test_a_floor_that_was_told_finds_propensities_that_are_all_too_large() -> None:
    law, action = softmax_log(20_000, 4, 7)
    propensity, target = np.minimum(1.2 * law[np.arange(20_000), action], 0.999), np.full(20_000, 0.25)
    blind, told = (diagnose(propensity, target, action, 4, propensity_min=floor) for floor in (None, 0.01))
    assert blind.arms is not None
    assert told.arms is not None
    assert (blind.weights.alarm_at, blind.arms.alarm_at) == (None, None)
    assert told.weights.alarm_at is not None
    assert told.arms.alarm_at is not None
    assert any("averages 0." in warning for warning in told.warnings)


def clicks(seed: int) -> tuple[Array, Array, Array]:
    """Return 800 decisions between two arms, true propensities, and which have a reward: clicks, of arm 1 mostly."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.05, 0.95, 800)
    action = (rng.random(800) < chance).astype(np.int64)
    return action, np.where(action == 1, chance, 1.0 - chance), rng.random(800) < np.where(action == 1, 0.4, 0.05)


def test_decisions_without_a_reward_are_no_sign_of_false_propensities() -> None:
    """Rewards are clicks alone: their decisions, by themselves, took arm 1 far too often."""
    for seed in range(2):
        action, propensity, there = clicks(seed)
        rows = propensity[there], np.full(there.sum(), 0.5), action[there], 2
        alone = diagnose(*rows)
        assert alone.actions is not None
        assert alone.actions.p_value < 1e-3  # what they seem to say, if nothing is known of the others
        seen = diagnose(*rows, 800, int(there.sum()))
        assert (seen.arms, seen.actions, seen.weights.alarm_at) == (None, None, None)
        whole = diagnose(*rows, 800, int(there.sum()), drawn=(action, propensity))
        assert whole.actions is not None
        assert whole.arms is not None
        assert (whole.actions.counts.sum(), whole.arms.alarm_at) == (800, None)
        assert whole.actions.p_value > 1e-3
        assert not any("average" in warning or "mismatch" in warning for warning in whole.warnings)


def test_decisions_with_a_reward_that_were_drawn_evenly_say_nothing_of_the_others() -> None:
    action, propensity, there = clicks(0)
    propensity[there] = 0.5
    seen = diagnose(propensity[there], np.full(there.sum(), 0.5), None, 2, 800, 1, drawn=(action, propensity))
    assert seen.arms is not None
    assert len(seen.arms.log_e)


def test_false_propensities_are_found_though_rewards_are_missing() -> None:
    action, propensity, there = clicks(0)
    false = np.where(action == 1, propensity**2, propensity)
    seen = diagnose(false[there], np.full(there.sum(), 0.5), action[there], 2, 800, 1, drawn=(action, false))
    assert seen.actions is not None
    assert seen.actions.p_value < 1e-3
    assert any("mismatch" in warning for warning in seen.warnings)


@pytest.mark.jit
def test_true_propensities_raise_no_alarm_and_a_logged_softmax_of_an_argmax_does() -> None:
    """100 paths of 1500 decisions, looked at after each; benchmarks/propensity_alarms.py has more and longer ones."""
    false = np.zeros(4, np.int64)
    for seed in range(100):
        law, action = softmax_log(1500, 10, seed)
        propensity, target = law[np.arange(1500), action], np.full(1500, 0.1)
        seen = diagnose(propensity, target, action, 10)
        assert seen.arms is not None
        false += [
            process.alarm_at is not None
            for process in (
                weight_e_process(target / propensity, 10.0),
                action_e_process(action, propensity, 10, 0.01),
                seen.weights,
                seen.arms,
            )
        ]
    assert (false <= 5).all()
    law, _ = softmax_log(20_000, 10, 0)
    seen = diagnose(law.max(axis=1), np.full(20_000, 0.1), law.argmax(axis=1), 10, propensity_min=0.01)
    assert seen.arms is not None
    assert seen.weights.alarm_at is not None
    assert seen.arms.alarm_at is not None
    assert max(seen.weights.alarm_at, seen.arms.alarm_at) < 5000
    assert sum("average" in warning for warning in seen.warnings) == 2
    assert not any("mismatch" in warning for warning in seen.warnings)  # counts, which know of no floor, may wait


def test_what_a_log_never_tries_is_told_and_nothing_else_is_read_into_its_weights() -> None:
    """A log that takes the best action for sure: of a uniform target nine tenths were never tried."""
    law, _ = softmax_log(2000, 10, 1)
    action = law.argmax(axis=1)
    seen = diagnose(np.ones(2000), np.full(2000, 0.1), action, 10)
    assert seen.unreachable == pytest.approx(0.9)
    assert (seen.arms, seen.actions) == (None, None)
    assert len(seen.warnings) == 1
    assert "90 % of what the target does was never tried" in seen.warnings[0]
    itself = diagnose(np.ones(2000), np.ones(2000), action, 10)
    assert (itself.unreachable, itself.warnings) == (0.0, [])


def test_a_few_sure_decisions_are_no_news() -> None:
    law, action = softmax_log(2000, 10, 1)
    propensity, target = law[np.arange(2000), action], np.full(2000, 0.1)
    propensity[:5], target[:5] = 1.0, 0.1
    seen = diagnose(propensity, target, action, 10)
    assert seen.unreachable == pytest.approx(5 * 0.9 / 2000)
    assert seen.actions is not None
    assert not any("never tried" in warning for warning in seen.warnings)


def test_the_likeliest_action_that_is_taken_always_is_found_though_it_is_another_each_time() -> None:
    """Scores so far apart that the likeliest action mostly has more than half of the probability."""
    for seed in range(3):
        power = np.exp(5.0 * np.random.default_rng(seed).standard_normal((600, 10)))
        law = power / power.sum(axis=1, keepdims=True)
        seen = diagnose(law.max(axis=1), np.full(600, 0.1), law.argmax(axis=1), 10)
        assert seen.arms is not None and seen.arms.alarm_at is not None
        assert seen.arms.alarm_at <= 512
        assert any("propensities above 1 / 2 come too often" in warning for warning in seen.warnings)


@pytest.mark.parametrize("n_arms", [2, 3, 5, 7, 9, 13, 17])
@pytest.mark.parametrize("round_to", [np.float32, lambda law: np.ceil(law * 1e3) / 1e3], ids=["float32", "3 digits"])
def test_even_propensities_that_are_rounded_up_are_no_alarm(n_arms: int, round_to: Callable[[Array], Array]) -> None:
    action = np.random.default_rng(n_arms).integers(0, n_arms, 1000)
    propensity = np.asarray(round_to(np.full(1000, 1.0 / n_arms)), np.float64)
    seen = diagnose(propensity, np.full(1000, 1.0 / n_arms), action, n_arms)
    assert (seen.warnings, seen.arms and seen.arms.alarm_at) == ([], None)


def test_many_actions_at_once_are_added_as_one_after_another() -> None:
    law, action = softmax_log(500, 3, 8)
    one, many = start_actions(3), start_actions(3)
    add_actions(one, action, law[np.arange(500), action])
    for page in (slice(0, 0), slice(0, 123), slice(123, 500)):
        add_many(many, action[page], law[np.arange(500), action][page])
    assert log_capital(many) == pytest.approx(log_e(one), rel=1e-9)
    grown = [state.crowd_growth + np.log(state.crowd_product) for state in (one, many)]
    assert grown[0] == pytest.approx(grown[1], rel=1e-9)


def test_excesses_of_one_size_have_a_tail_without_a_warning() -> None:
    assert math.isfinite(pareto_k(np.repeat([1.0, 2.0], [360, 40])))


def test_what_must_not_be_used_is_said_first() -> None:
    rng = np.random.default_rng(3)
    propensity = np.where(rng.random(3000) < 0.001, 1e-6, 0.5)
    leaning = diagnose(propensity, np.where(propensity < 0.5, 0.02, 0.5))
    assert leaning.useless is not None
    assert leaning.warnings[0] == leaning.useless
    assert "do not use this value: one decision of 3,000 carries" in leaning.useless
    far = diagnose(np.full(3000, 0.999), np.full(3000, 0.1))
    assert far.useless is not None and "the weights add up to 0.1 n instead of n" in far.useless
    law, action = softmax_log(3000, 4, 9)
    assert diagnose(law[np.arange(3000), action], np.full(3000, 0.25), action, 4).useless is None


@pytest.mark.jit
@pytest.mark.parametrize("least", [None, 1e-7])
def test_python_bets_as_compiled_code_does(least: float | None) -> None:
    """To the bit: also on weights so large that each has a logarithm of its own."""
    rng = np.random.default_rng(5)
    action, propensity = rng.integers(4, size=600), rng.uniform(0.05, 1.0, 600)
    propensity[rng.random(600) < 0.01] = 1e-6
    largest = None if least is None else 1.0 / least
    compiled, python = (
        (start_weights(largest), start_actions(4, least)),
        (start_weights(largest), start_actions(4, least)),
    )
    add_weights(compiled[0], 1.0 / propensity)
    add_weights.python(python[0], 1.0 / propensity)
    add_actions(compiled[1], action, propensity)
    add_actions.python(python[1], action, propensity)
    for one, other in zip(compiled, python, strict=True):
        assert log_e(one) == log_e.python(other)
        for array, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, same)
