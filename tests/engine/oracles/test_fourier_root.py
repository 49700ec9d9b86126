"""The Fourier ridge that fits its size: the same regression as the larger one, and how large it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import loop
from onearm.engine.oracles import fourier_ridge as wide
from onearm.engine.oracles.fourier_root import (
    BUDGET,
    BUDGET_OWN,
    bytes_of,
    check_coordinates,
    coordinates_for,
    fourier_root,
    more_for,
)
from onearm.engine.oracles.oracle import fit, predict, split, spread
from onearm.engine.snapshot import size
from onearm.engine.vocabulary import Array, Problem

K = 3


@loop
def learn_all(model: Any, contexts: Array, actions: Array, rewards: Array, errors: Array) -> None:
    for i in range(len(actions)):
        errors[i] = fit(model, contexts[i], actions[i], rewards[i], 1.0)


@loop
def ask(model: Any, context: Array, available: Array, scores: Array, widths: Array, parts: Array) -> None:
    predict(model, context, available, scores)
    spread(model, context, available, widths)
    for a in range(len(available)):
        split(model, context, a, parts[a])


def stream(n: int, d: int) -> tuple[Array, Array, Array]:
    random = np.random.default_rng(1)
    contexts = 5.0 + random.normal(size=(n, d)) * np.geomspace(0.01, 100, d)
    return contexts, random.integers(K - 1, size=n), random.normal(size=n) - 3.0


def answers(model: Any, context: Array) -> list[Array]:
    scores, widths, parts = np.zeros(K), np.zeros(K), np.zeros((K, len(context) + 1))
    ask(model, context, np.ones(K, np.bool_), scores, widths, parts)
    return [scores, widths, parts]


@pytest.mark.parametrize(
    ("n", "d", "half_life"), [(1, 3, None), (40, 3, None), (90, 3, None), (90, 3, 20.0), (70, 20, None)]
)
def test_it_is_the_regression_of_the_large_model(
    n: int, d: int, half_life: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "COORDINATES", 24)
    monkeypatch.setattr(wide, "OWN_MAX", 15)
    contexts, actions, rewards = stream(n, d)
    found: list[list[Array]] = []
    for model in (
        wide.fourier_ridge(Problem(K, (d,)), regularisation=0.2, half_life=half_life),
        fourier_root(Problem(K, (d,)), 24, regularisation=0.2, half_life=half_life),
    ):
        errors = np.zeros(n)
        learn_all(model, contexts, actions, rewards, errors)
        found.append([errors, *answers(model, contexts[0] + 0.1)])
    for large, small in zip(*found, strict=True):
        assert small == pytest.approx(large, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("coordinates", "d", "cosines"), [(24, 16, 7), (24, 17, 23), (256, 248, 7), (256, 249, 255)])
def test_own_features_are_coordinates_where_that_leaves_seven_cosines(coordinates: int, d: int, cosines: int) -> None:
    model = fourier_root(Problem(2, (d,)), coordinates, regularisation=0.3)
    assert len(model.scratch_phase) == cosines
    assert len(model.scratch_coordinates) == model.ridge.theta.shape[1] == coordinates


@pytest.mark.parametrize(("k", "d", "mb"), [(10, 64, 4.0), (100, 64, 64.0), (1000, 64, 100.0), (10_000, 16, 400.0)])
def test_memory_stays_within_what_was_promised(k: int, d: int, mb: float) -> None:
    model = fourier_root(Problem(k, (d,)), coordinates_for(k, d), regularisation=0.3)
    assert model.ridge.root.nbytes + model.ridge.theta.nbytes == bytes_of(k, coordinates_for(k, d)) <= BUDGET
    assert size(model) < mb * 1e6


def test_own_features_get_the_coordinates_that_they_need_up_to_a_larger_budget() -> None:
    for k, d in ((1000, 100), (10_000, 30), (10_000, 64), (150, 248)):
        coordinates = coordinates_for(k, d)
        least = 8 * math.ceil((d + 8) / 8)
        assert coordinates >= least or bytes_of(k, least) > BUDGET_OWN
        assert bytes_of(k, coordinates) <= BUDGET_OWN
        assert (coordinates == coordinates_for(k, 1)) == (bytes_of(k, least) > BUDGET_OWN)


def test_more_arms_never_get_more_coordinates() -> None:
    numbers = [coordinates_for(k, 8) for k in range(1, 20_000, 7)]
    assert sorted(numbers, reverse=True) == numbers
    priors = [more_for(k) for k in range(1, 20_000, 7)]
    assert sorted(priors) == priors
    assert more_for(1) == 1.0


def test_a_million_arms_are_refused_with_the_memory_that_they_would_take() -> None:
    assert coordinates_for(240_000, 8) == 16
    with pytest.raises(
        InvalidInput, match=r"1000000 arms .* 1664 MB, with the fewest coordinates \(16\), and may take 400"
    ):
        coordinates_for(1_000_000, 8)


@pytest.mark.parametrize("wrong", [-8, 12, 1032, 16.0, True])
def test_coordinates_come_in_eights(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="a multiple of 8, up to 1024"):
        check_coordinates(wrong)
    assert [check_coordinates(right) for right in (0, 8, 1024)] == [0, 8, 1024]


def test_the_largest_numbers_there_are_do_no_harm() -> None:
    contexts, actions, rewards = stream(16, 3)
    contexts[5] = [1.7e308, -1.7e308, 1e-300]
    contexts[6] = [-1.7e308, 1.7e308, -1e-300]
    model = fourier_root(Problem(K, (3,)), 16, regularisation=0.2)
    learn_all(model, contexts, actions, 1e100 * np.sign(rewards), np.zeros(16))
    for context in contexts:
        assert all(np.isfinite(numbers).all() for numbers in answers(model, context))
