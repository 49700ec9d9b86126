"""The Fourier ridge against NumPy, and against the kernel that its features stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.kernel import loop
from onearm.engine.oracles.fourier_coordinates import KEPT
from onearm.engine.oracles.fourier_ridge import FourierRidge, fourier_ridge
from onearm.engine.oracles.oracle import fit, predict, split, spread
from onearm.engine.vocabulary import Array, Problem


@loop
def learn_all(model: FourierRidge, contexts: Array, actions: Array, rewards: Array) -> None:
    for i in range(len(actions)):
        fit(model, contexts[i], actions[i], rewards[i], 1.0)


@loop
def ask(model: FourierRidge, context: Array, available: Array, scores: Array, widths: Array, parts: Array) -> None:
    predict(model, context, available, scores)
    spread(model, context, available, widths)
    for a in range(len(available)):
        split(model, context, a, parts[a])


def stream(n: int, d: int, k: int, seed: int) -> tuple[Array, Array, Array]:
    random = np.random.default_rng(seed)
    contexts = 5.0 + random.normal(size=(n, d)) * np.geomspace(0.01, 100, d)
    return contexts, random.integers(k, size=n), random.normal(size=n) - 3.0


def answers(model: FourierRidge, context: Array) -> tuple[Array, Array, Array]:
    k, d = len(model.ridge.moment), len(model.mean)
    scores, widths, parts = np.zeros(k), np.zeros(k), np.zeros((k, d + 1))
    ask(model, context, np.ones(k, np.bool_), scores, widths, parts)
    return scores, widths, parts


def coordinates(model: FourierRidge, contexts: Array, units: Array) -> Array:
    """Return NumPy's coordinates in the units of some contexts."""
    z = (contexts - units.mean(0)) / units.std(0)
    z = z / np.sqrt(1 + (z / 2.5) ** 2)
    turns = z @ model.scratch_frequency.T + model.scratch_phase
    m = len(model.scratch_phase)
    cosines = math.sqrt(2 / m) * np.cos(2 * math.pi * turns)
    own = [1.5 * z / math.sqrt(z.shape[1])] if z.shape[1] < 128 else []
    return np.hstack([np.full((len(z), 1), 0.1), *own, cosines])


def by_numpy(model: FourierRidge, course: tuple[Array, Array, Array], fresh: Array) -> tuple[Array, Array, Array]:
    """Return each arm's score and width at a fresh context, and its coefficients."""
    contexts, actions, rewards = course
    first = min(KEPT, 2 ** int(math.log2(len(rewards))))  # the feedbacks that the units come from
    features = coordinates(model, contexts, contexts[:first])
    f = coordinates(model, fresh[None], contexts[:first])[0]
    origin = rewards[:first].min()
    scores, widths, theta = [], [], []
    for a in range(3):
        x, y = features[actions == a], rewards[actions == a] - origin
        gram = x.T @ x + 0.2 * np.eye(x.shape[1])
        theta.append(np.linalg.solve(gram, x.T @ y))
        scores.append(origin + f @ theta[a])
        widths.append(math.sqrt(f @ np.linalg.solve(gram, f)))
    return np.array(scores), np.array(widths), np.array(theta)


@pytest.mark.usefixtures("few_cosines")
@pytest.mark.parametrize(("n", "d"), [(5, 3), (40, 3), (400, 3), (70, 130)])
def test_it_is_ridge_regression_on_its_coordinates(n: int, d: int) -> None:
    contexts, actions, rewards = course = stream(n, d, 3, seed=1)
    model = fourier_ridge(Problem(3, (d,)), regularisation=0.2)
    learn_all(model, contexts, actions, rewards)
    fresh = contexts[0] + 0.1
    scores, widths, _ = answers(model, fresh)
    expected = by_numpy(model, course, fresh)
    assert scores == pytest.approx(expected[0], abs=1e-9)
    assert widths == pytest.approx(expected[1], abs=1e-9)


@pytest.mark.jit
@pytest.mark.parametrize(("n", "d"), [(400, 3), (70, 130)])
def test_compiled_it_learns_the_regression_on_all_coordinates(n: int, d: int) -> None:
    course = stream(n, d, 3, seed=1)
    model = fourier_ridge(Problem(3, (d,)), regularisation=0.2)
    learn_all(model, *course)
    assert len(model.scratch_coordinates) == 256
    assert model.ridge.theta == pytest.approx(by_numpy(model, course, course[0][0])[2], abs=1e-9)


@pytest.mark.jit
def test_cosines_stand_for_a_gaussian_kernel() -> None:
    model = fourier_ridge(Problem(2, (6,)), regularisation=1.0)
    random = np.random.default_rng(2)
    z = random.normal(size=(40, 6))
    turns = z @ model.scratch_frequency.T + model.scratch_phase
    cosines = math.sqrt(2 / 249) * np.cos(2 * math.pi * turns)
    distance = ((z[:, None] - z[None]) ** 2).sum(2)
    kernel = np.exp(-0.5 * 1.44 / 6 * distance)
    assert np.abs(cosines @ cosines.T - kernel).max() < 4 / math.sqrt(249)
    assert model.scratch_frequency.std() == pytest.approx(1.2 / math.sqrt(6) / (2 * math.pi), rel=0.06)


@pytest.mark.usefixtures("few_cosines")
def test_what_features_add_sums_to_the_prediction() -> None:
    contexts, actions, rewards = stream(20, 4, 2, seed=3)
    model = fourier_ridge(Problem(2, (4,)), regularisation=0.2)
    learn_all(model, contexts, actions, rewards)
    scores, _, parts = answers(model, contexts[7] + 0.5)
    assert parts.sum(1) == pytest.approx(scores, abs=1e-12)
    _, _, at_mean = answers(model, model.mean.copy())
    assert at_mean[:, :4] == pytest.approx(np.zeros((2, 4)), abs=1e-12)


@pytest.mark.usefixtures("few_cosines")
def test_a_feature_that_never_varies_counts_for_nothing() -> None:
    contexts, actions, rewards = stream(16, 3, 2, seed=4)
    contexts[:, 1] = 0.1
    model = fourier_ridge(Problem(2, (3,)), regularisation=0.2)
    learn_all(model, contexts, actions, rewards)
    here = contexts[3].copy()
    before = answers(model, here)
    here[1] = 1e9
    after = answers(model, here)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("few_cosines")
def test_units_stay_after_the_first_feedbacks() -> None:
    contexts, actions, rewards = stream(KEPT + 16, 2, 2, seed=5)
    model = fourier_ridge(Problem(2, (2,)), regularisation=0.2)
    learn_all(model, contexts[:KEPT], actions[:KEPT], rewards[:KEPT])
    mean, factor = model.mean.copy(), model.factor.copy()
    learn_all(model, 1e6 * contexts[KEPT:], actions[KEPT:], rewards[KEPT:])
    np.testing.assert_array_equal(model.mean, mean)
    np.testing.assert_array_equal(model.factor, factor)
    assert np.isfinite(model.ridge.theta).all()


@pytest.mark.usefixtures("few_cosines")
def test_the_largest_numbers_there_are_do_no_harm() -> None:
    contexts, actions, rewards = stream(16, 3, 2, seed=6)
    contexts[5] = [1.7e308, -1.7e308, 1e-300]
    contexts[6] = [-1.7e308, 1.7e308, -1e-300]
    model = fourier_ridge(Problem(2, (3,)), regularisation=0.2)
    learn_all(model, contexts, actions, rewards)
    for context in contexts:
        scores, widths, parts = answers(model, context)
        assert np.isfinite(scores).all() and np.isfinite(widths).all() and np.isfinite(parts).all()
