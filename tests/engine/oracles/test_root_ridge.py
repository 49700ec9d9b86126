"""The ridge that keeps square roots, against direct solutions: after many feedbacks, and with numbers of any size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine.kernel import loop
from onearm.engine.oracles.root_ridge import RootRidge, fit, forget, numbers_of, predict, root_ridge, spread
from onearm.engine.snapshot import digest
from onearm.engine.vocabulary import Array


@loop
def learn_all(model: RootRidge, z: Array, arm: Array, reward: Array, weight: Array) -> None:
    for i in range(len(arm)):
        fit(model, z[i], arm[i], reward[i], weight[i])


@loop
def ask(model: RootRidge, z: Array, available: Array, scores: Array, widths: Array) -> None:
    predict(model, z, available, scores)
    spread(model, z, available, widths)


def model_of(k: int, p: int, regularisation: float = 0.3, half_life: float | None = None) -> RootRidge:
    return root_ridge(k, p, regularisation=regularisation, half_life=half_life)


def answers(model: RootRidge, z: Array) -> tuple[Array, Array]:
    k = len(model.theta)
    scores, widths = np.zeros(k), np.zeros(k)
    ask(model, z, np.ones(k, np.bool_), scores, widths)
    return scores, widths


def course(n: int, k: int, p: int, seed: int = 1) -> tuple[Array, Array, Array, Array]:
    """Return coordinates, arms, rewards and weights; the last arm is never played."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, p)) / math.sqrt(p)
    return z, random.integers(k - 1, size=n), random.normal(size=n), random.uniform(0.5, 2.0, size=n)


def solved(of: tuple[Array, ...], k: int, z: Array, prior: float, half_life: float = math.inf) -> tuple[Array, Array]:
    """Return each arm's score and width at z, by NumPy; every half-life the prior counts in full again."""
    rows, arms, rewards, weights = of
    p, n = rows.shape[1], len(arms)
    old = 0 if half_life == math.inf else n - n % int(half_life)
    age = (n - np.arange(1, n + 1)) / half_life
    scores, widths = np.zeros(k), np.zeros(k)
    for a in range(k):
        w = (weights * 0.5**age)[arms == a, None]
        x, y = rows[arms == a], rewards[arms == a, None]
        left = 0.5 ** ((n - old) / half_life)
        gram = (w * x).T @ x + prior * left * np.eye(p)
        scores[a] = z @ np.linalg.solve(gram, (w * x).T @ y)[:, 0]
        widths[a] = math.sqrt(z @ np.linalg.solve(gram, z))
    return scores, widths


@pytest.mark.covering
@pytest.mark.parametrize("half_life", [math.inf, 25.0, 1.0])
@pytest.mark.parametrize(("p", "n"), [(8, 130), (24, 61)])
def test_it_is_ridge_regression(p: int, n: int, half_life: float) -> None:
    of, z = course(n, 4, p), np.random.default_rng(2).normal(size=p)
    model = model_of(4, p, half_life=half_life)
    learn_all(model, *of)
    for found, expected in zip(answers(model, z), solved(of, 4, z, 0.3, half_life), strict=True):
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.jit
@pytest.mark.parametrize("half_life", [math.inf, 3000.0])
def test_nothing_drifts_in_a_hundred_thousand_feedbacks(half_life: float) -> None:
    of, z = course(100_000, 3, 40), np.random.default_rng(2).normal(size=40)
    of[0][:, :20] *= 1e-3  # directions that are hardly ever seen
    model = model_of(3, 40, half_life=half_life)
    learn_all(model, *of)
    for found, expected in zip(answers(model, z), solved(of, 3, z, 0.3, half_life), strict=True):
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.jit
def test_compiled_and_plain_python_have_the_same_bits() -> None:
    of, found = course(70, 4, 24), []
    for learning in (learn_all, learn_all.python):
        model = model_of(4, 24, half_life=20.0)
        learning(model, *of)
        found.append(digest(model))
    assert found[0] == found[1]
    numbers = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(4)
    ask(model, of[0][0], np.ones(4, np.bool_), *numbers[:2])
    ask.python(model, of[0][0], np.ones(4, np.bool_), *numbers[2:])
    assert [n.tobytes() for n in numbers[:2]] == [n.tobytes() for n in numbers[2:]]


@pytest.mark.parametrize("regularisation", [1e-12, 1e12])
@pytest.mark.parametrize("size", [1e-150, 1.0, 1e50])
@pytest.mark.parametrize("half_life", [math.inf, 7.0])
def test_numbers_of_any_size_stay_numbers(regularisation: float, size: float, half_life: float) -> None:
    z, arms, rewards, weights = course(60, 3, 8)
    z[::3] = z[0]  # again and again the same
    model = model_of(3, 8, regularisation, half_life)
    learn_all(model, size * z, arms, 1e100 * np.sign(rewards), weights)
    scores, widths = answers(model, size * z[0])
    assert np.isfinite(scores).all() and np.isfinite(widths).all() and (widths >= 0.0).all()
    assert np.isfinite(model.root).all() and np.isfinite(model.theta).all()


def test_of_an_arm_that_was_never_played_nothing_is_written() -> None:
    z, arms, rewards, weights = course(30, 4, 16)
    model = model_of(4, 16)
    learn_all(model, z, arms, rewards, weights)
    assert model.played.tolist() == [True, True, True, False]
    assert not model.root[3].any() and not model.theta[3].any()
    scores, widths = answers(model, z[0])
    assert scores[3] == 0.0
    assert widths[3] == pytest.approx(np.linalg.norm(z[0]) / math.sqrt(0.3))


def test_above_the_diagonal_all_stays_zero() -> None:
    model = model_of(2, 24, half_life=9.0)
    learn_all(model, *course(40, 2, 24))
    start = 0
    for i in range(24):
        n = i + 8 - i % 8
        assert not model.root[0, start + i + 1 : start + n].any()
        assert model.root[0, start + i] > 0.0
        start += n
    assert start == numbers_of(24) == model.root.shape[1]


def test_what_is_forgotten_was_never_there() -> None:
    model: Any = model_of(3, 8, half_life=9.0)
    learn_all(model, *course(40, 3, 8))
    forget(model)
    assert digest(model) == digest(model_of(3, 8, half_life=9.0))
