"""Adam takes the steps of its closed forms, with all gradients together cut to a norm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.api.train.adam import BETA1, BETA2, Adam
from onearm.api.train.networks import Weights


def numbers(**values: float | list[float]) -> Weights:
    return {name: np.atleast_1d(np.array(value, np.float32)) for name, value in values.items()}


def test_a_constant_gradient_moves_each_number_by_the_rate() -> None:
    weights = numbers(w1=[0.0, 0.0], b1=0.0)
    adam = Adam(weights)
    for step in range(1, 6):
        adam.step(numbers(w1=[0.3, -0.001], b1=0.2), rate=0.1, clip=1.0)
        assert weights["w1"].tolist() == pytest.approx([-0.1 * step, 0.1 * step], rel=1e-4)
        assert weights["b1"].tolist() == pytest.approx([-0.1 * step], rel=1e-4)


def test_a_second_gradient_is_weighed_against_the_first() -> None:
    weights = numbers(w1=0.0)
    adam = Adam(weights)
    adam.step(numbers(w1=0.5), rate=0.0, clip=1.0)
    adam.step(numbers(w1=-0.25), rate=1.0, clip=1.0)
    mean = (BETA1 * 0.5 - 0.25) / (1.0 + BETA1)
    square = (BETA2 * 0.25 + 0.0625) / (1.0 + BETA2)
    assert weights["w1"].item() == pytest.approx(-mean / math.sqrt(square), rel=1e-5)


def test_long_gradients_are_cut_together() -> None:
    cut, plain = Adam(numbers(w1=0.0, b1=0.0)), Adam(numbers(w1=0.0, b1=0.0))
    for sign in (1.0, -0.5):  # the second, 0.5 long, is short enough
        cut.step(numbers(w1=3.0 * sign, b1=4.0 * sign), rate=0.1, clip=1.0)
        plain.step(numbers(w1=0.6 * max(sign, -1.0), b1=0.8 * sign), rate=0.1, clip=100.0)
    assert cut.mean["w1"].item() != pytest.approx(plain.mean["w1"].item(), rel=1e-3)
    assert cut.mean["w1"].item() == pytest.approx(0.1 * (BETA1 * 0.6 - 0.6), rel=1e-4)
    assert cut.mean["b1"].item() == pytest.approx(0.1 * (BETA1 * 0.8 - 0.8), rel=1e-4)


def test_weights_are_moved_in_place_and_keep_their_type() -> None:
    weights = numbers(w1=[1.0, 2.0])
    held = weights["w1"]
    Adam(weights).step(numbers(w1=[0.3, 0.1]), rate=0.1, clip=1.0)
    assert weights["w1"] is held
    assert held.dtype == np.float32
    assert held.tolist() == pytest.approx([0.9, 1.9])
