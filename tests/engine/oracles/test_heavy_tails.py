"""Errors with heavy tails are found and cut; rare rewards, and light tails, are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.oracles.heavy_tails import HeavyTails, cut, cuts, heavy_tails, varies

SEEDS = range(5)


def enter(tails: HeavyTails, reward: float, width: float = 0.0) -> float:
    """Return what is learned of a reward whose prediction is 0."""
    return cut(tails, reward, 0.0, width) if varies(tails, reward) else reward


def learned(rewards: np.ndarray) -> np.ndarray:
    """Return what is learned of rewards whose prediction is 0 and known well."""
    tails = heavy_tails()
    return np.array([enter(tails, float(reward)) for reward in rewards])


def share_cut(rewards: np.ndarray) -> float:
    """Return the share of rewards that were cut."""
    return float(np.mean(learned(rewards) != rewards))


def test_students_t_of_two_degrees_is_cut_by_a_fifth():
    shares = [share_cut(np.random.default_rng(seed).standard_t(2, 1000)) for seed in SEEDS]
    assert 0.12 < np.mean(shares) < 0.25


def test_what_is_cut_lies_at_the_limit_on_its_own_side():
    rewards = np.random.default_rng(0).standard_t(2, 500)
    kept = learned(rewards)
    assert (np.sign(kept) == np.sign(rewards)).all()
    assert (np.abs(kept) <= np.abs(rewards)).all()


def test_the_limit_grows_so_that_less_and_less_is_cut():
    rewards = np.random.default_rng(0).standard_t(2, 4000)
    kept = learned(rewards) == rewards
    assert kept[:1000].mean() < 0.8
    assert kept[-1000:].mean() > 0.92


@pytest.mark.parametrize("clicks", [0.5, 0.1, 0.01, 0.001])
def test_clicks_are_learned_whole_however_rare(clicks: float):
    for seed in SEEDS:
        assert share_cut((np.random.default_rng(seed).random(2000) < clicks).astype(float)) == 0.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_purchases_or_disasters_are_learned_whole_beside_small_noise(sign: float):
    """Their sizes differ, and no reward repeats itself: cut to the noise they would count for nothing."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rewards = 0.1 * rng.standard_normal(2000) + np.where(rng.random(2000) < 0.05, rng.lognormal(3.0, 0.7, 2000), 0)
        kept = learned(sign * rewards)[500:]
        assert sign * kept.sum() > 0.95 * rewards[500:].sum()


@pytest.mark.parametrize("at", [30, 100, 1001])
@pytest.mark.parametrize("size", [1e3, -1e50])
def test_one_error_that_outweighs_all_others_is_cut_whenever_it_comes(at: int, size: float):
    """Where those before it lie on one side by chance it is not; that is one in five."""
    cut_down = []
    for seed in SEEDS:
        rewards = np.random.default_rng(seed).standard_normal(at + 1)
        rewards[at] = size
        cut_down.append(abs(learned(rewards)[at]) < 5.0)
    assert np.mean(cut_down) >= 0.7


def test_purchases_are_learned_whole():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        assert share_cut(np.where(rng.random(2000) < 0.2, rng.lognormal(3.0, 1.0, 2000), 0.0)) == 0.0


def test_light_tails_are_hardly_cut():
    for law, most in (("normal", 0.1), ("uniform", 0.01)):
        courses = [getattr(np.random.default_rng(seed), law)(size=2000) for seed in SEEDS]
        shares = [np.mean((learned(rewards) != rewards).reshape(2, 1000), axis=1) for rewards in courses]
        first, second = np.mean(shares, axis=0)
        assert first < most
        assert second < most / 10


def test_rare_rewards_that_are_alike_are_no_tail():
    rng = np.random.default_rng(0)
    rare = rng.random(3000) < 0.02
    rewards = rng.normal(0.0, 0.01, 3000) + rare
    kept = learned(rewards)
    assert (kept[1000:] == rewards[1000:])[rare[1000:]].all()


def test_what_was_not_known_yet_is_not_taken_for_noise():
    tails = heavy_tails()
    rng = np.random.default_rng(0)
    for reward in rng.standard_t(2, 300):
        enter(tails, float(reward))
    assert cuts(tails)
    limit = tails.limit[0]
    assert enter(tails, 3.0 * limit) < 3.0 * limit
    assert enter(tails, 3.1 * limit, 4.0) == 3.1 * limit


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-30, 2.0**30, 2.0**300])
def test_units_do_not_matter(scale: float):
    rewards = np.random.default_rng(1).standard_t(2, 400)
    assert (learned(rewards * scale) == learned(rewards) * scale).all()


def test_the_largest_are_the_largest():
    tails = heavy_tails()
    rewards = np.random.default_rng(2).standard_t(2, 512)
    for reward in rewards:
        enter(tails, float(reward))
    assert tails.largest.tolist() == sorted(np.abs(rewards), reverse=True)[: len(tails.largest)]
    assert tails.ends[0] == sorted(rewards[-128:])[int(0.075 * 127)]
    assert math.isclose(tails.square[0], np.mean(np.minimum(np.abs(rewards[-128:]), tails.limit[0]) ** 2), rel_tol=0.2)


@pytest.mark.parametrize("far", [1e15, -1e200])
def test_a_prediction_far_from_all_rewards_is_what_is_corrected(far: float):
    """That of a context far from all others: with its error cut it would stay where it is."""
    tails = heavy_tails()
    rng = np.random.default_rng(0)
    for reward in rng.standard_t(2, 100):
        enter(tails, float(reward))
    assert cuts(tails)
    low, high = tails.ends
    assert low - tails.limit[0] <= cut(tails, 0.1, far, 0.0) <= high + tails.limit[0]


def test_a_width_beyond_all_numbers_tells_nothing_of_errors():
    tails = heavy_tails()
    assert cut(tails, 0.1, 1e300, 1e300) == 0.1
    assert tails.entered[0] == 0
