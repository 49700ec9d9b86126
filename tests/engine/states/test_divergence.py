"""Minimum empirical divergences: as SciPy finds them, by hand, and at the ends of what x may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from support.state_steps import Steps

from onearm.engine.states.counts import Experience
from onearm.engine.states.divergence import MARGIN, PLACES, divergence, no_rewards, note_reward
from onearm.engine.vocabulary import Array
from onearm.policies import catalog


def told(rows: list[tuple[float, int]], states: int) -> tuple[Experience, Array]:
    """Return what was learned of the one pair (0, 0): rewards and next states."""
    steps, rewards = Steps(catalog.make("half_visit"), states, 1), no_rewards(states, 1)
    for reward, after in rows:
        steps.tell(0, 0, reward, after)
        note_reward(rewards, 0, 0, reward)
    return steps.state.seen, rewards


def outcomes(rows: list[tuple[float, int]], value: Array) -> tuple[Array, Array]:
    """Return all X of the pair, and how likely each is."""
    states = len(value) - 1
    rewards = np.append([reward for reward, _ in rows], 0.5)
    law = np.bincount([after for _, after in rows], minlength=states + 1) + np.append(np.full(states, 1 / states), 0.0)
    x = rewards[:, np.newaxis] + value
    return x.ravel(), np.broadcast_to(law / law.sum() / len(rewards), x.shape).ravel()


def largest(x: Array, law: Array, mean: float, most: float, top: float) -> float:
    """Return the largest E ln(1 - y (X - m) / B), by SciPy within 0 and `top`, or there."""

    def lack(y: float) -> float:
        return -float(law @ np.log1p(-y * (x - mean) / most))

    inside = minimize_scalar(lack, bounds=(0.0, top), method="bounded", options={"xatol": 1e-12})
    return -min(float(inside.fun), lack(top))


def test_a_divergence_by_hand() -> None:
    """One state, rewards 0 and 1 and the 1/2 imagined, m = 3/4, B = 1.

    (ln(1 + 3 x / 4) + ln(1 + x / 4) + ln(1 - x / 4)) / 3 is largest where 3 / (4 + 3 x) = 2 x / (16 - x^2), so
    9 x^2 + 8 x - 48 = 0, and x = (sqrt 448 - 4) / 9 is less than u = 3.99.
    """
    seen, rewards = told([(0.0, 0), (1.0, 0)], 1)
    x = (math.sqrt(448.0) - 4.0) / 9.0
    k = (math.log(1 + 3 * x / 4) + math.log(1 - x * x / 16)) / 3
    assert divergence(seen, rewards, np.zeros(2), 0, 0, 0.75, 1.0) == pytest.approx(k, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_divergences_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states, n = int(rng.integers(1, 6)), int(rng.integers(1, 60))
    value = np.append(rng.random(states) * rng.choice([0.1, 1.0, 20.0]), 0.0)
    value[states] = value[:states].mean()
    kept = int(rng.choice([1, 3, 33]))  # rewards that may come
    places = rng.choice(PLACES, kept)
    rows = [(float(rng.choice(places)) / (PLACES - 1), int(rng.integers(states + 1))) for _ in range(n)]
    seen, rewards = told(rows, states)
    x, law = outcomes(rows, value)
    most, worth = 1.0 + value.max(), float(x @ law)
    before = 0.0
    for part in (1e-3, 0.1, 0.5, 0.9, 0.99):
        mean = worth + part * (most - worth)
        top = most / (most - mean) - MARGIN
        found = divergence(seen, rewards, value, 0, 0, mean, most)
        assert found == pytest.approx(largest(x, law, mean, most, top), abs=1e-8)
        assert found > before
        before = found


def test_what_falls_short_for_sure_is_told_at_the_end_of_the_bracket() -> None:
    """All X are less than m: the more x, the more speaks against it."""
    rows = [(0.0, 0)] * 9
    seen, rewards = told(rows, 1)
    top = 1.0 / 0.25 - MARGIN
    exact = 0.9 * math.log1p(0.75 * top) + 0.1 * math.log1p(0.25 * top)
    assert divergence(seen, rewards, np.zeros(2), 0, 0, 0.75, 1.0) == pytest.approx(exact, abs=1e-12)


def test_nothing_speaks_against_what_is_worth_as_much() -> None:
    seen, rewards = told([(0.0, 0), (1.0, 0)], 1)
    assert divergence(seen, rewards, np.zeros(2), 0, 0, 0.5, 1.0) == 0.0


def test_rewards_between_places_keep_their_mean() -> None:
    rewards, rng = no_rewards(1, 1), np.random.default_rng(1)
    told = [0.0, 1.0, *rng.random(40).tolist()]
    for reward in told:
        note_reward(rewards, 0, 0, reward)
    places = np.arange(PLACES) / (PLACES - 1)
    mean = rewards[0, 0] @ places / len(told)
    assert rewards.sum() == pytest.approx(len(told), abs=1e-12)
    assert mean == pytest.approx(np.mean(told), abs=1e-14)
    more = rewards[0, 0] @ (places - mean) ** 2 / len(told) - np.var(told)
    assert 0.0 < more <= 1 / 4096
    assert min(rewards[0, 0, 0], rewards[0, 0, -1]) >= 1.0
