"""Adam takes the steps of its closed forms, with all gradients together cut to a norm."""

from __future__ import annotations

import math

import pytest
import torch

from onearm.api.train.adam import BETA1, BETA2, Adam


def test_a_constant_gradient_moves_each_number_by_the_rate() -> None:
    values = [torch.zeros(2), torch.zeros(1)]
    adam = Adam(values)
    for step in range(1, 6):
        adam.step([torch.tensor([0.3, -0.001]), torch.tensor([0.2])], rate=0.1, clip=1.0)
        assert values[0].tolist() == pytest.approx([-0.1 * step, 0.1 * step], rel=1e-4)
        assert values[1].tolist() == pytest.approx([-0.1 * step], rel=1e-4)


def test_a_second_gradient_is_weighed_against_the_first() -> None:
    value = torch.zeros(1)
    adam = Adam([value])
    adam.step([torch.tensor([0.5])], rate=0.0, clip=1.0)
    adam.step([torch.tensor([-0.25])], rate=1.0, clip=1.0)
    mean = (BETA1 * 0.5 - 0.25) / (1.0 + BETA1)
    square = (BETA2 * 0.25 + 0.0625) / (1.0 + BETA2)
    assert value.item() == pytest.approx(-mean / math.sqrt(square), rel=1e-5)


def test_long_gradients_are_cut_together() -> None:
    long, short = [torch.zeros(1), torch.zeros(1)], [torch.zeros(1), torch.zeros(1)]
    cut, plain = Adam(long), Adam(short)
    for sign in (1.0, -0.5):  # the second, 0.5 long, is short enough
        cut.step([torch.tensor([3.0 * sign]), torch.tensor([4.0 * sign])], rate=0.1, clip=1.0)
        plain.step([torch.tensor([0.6 * max(sign, -1.0)]), torch.tensor([0.8 * sign])], rate=0.1, clip=100.0)
    assert cut.mean[0].item() != pytest.approx(plain.mean[0].item(), rel=1e-3)
    assert cut.mean[0].item() == pytest.approx(0.1 * (BETA1 * 0.6 - 0.6), rel=1e-4)
    assert cut.mean[1].item() == pytest.approx(0.1 * (BETA1 * 0.8 - 0.8), rel=1e-4)
