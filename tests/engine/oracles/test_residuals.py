"""The size of an oracle's errors, with and without forgetting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.oracles.choice import oracle
from onearm.engine.oracles.forgetting import kept
from onearm.engine.oracles.oracle import fit, predict_one
from onearm.engine.oracles.residuals import add_residual, residual_sd, residuals
from onearm.engine.vocabulary import Problem


def test_the_size_is_the_root_of_the_mean_square() -> None:
    errors = residuals()
    assert residual_sd(errors) == 0.0
    for error in (1.0, -2.0, 2.0):
        add_residual(errors, error, 1.0)
    assert residual_sd(errors) == math.sqrt(3.0)


def test_older_errors_count_less_by_half_every_half_life() -> None:
    keep = kept(10.0)
    assert keep**10 == pytest.approx(0.5, rel=1e-14)
    assert kept(math.inf) == 1.0
    errors = residuals()
    found = np.random.default_rng(0).normal(size=50)
    for error in found:
        add_residual(errors, float(error), keep)
    weights = 0.5 ** (np.arange(50)[::-1] / 10.0)
    assert residual_sd(errors) == pytest.approx(math.sqrt((weights * found**2).sum() / weights.sum()), rel=1e-12)


def test_one_prediction_leaves_the_mask_as_it_was() -> None:
    model = oracle(Problem(3))
    fit(model, np.zeros(0), 1, 4.0, 1.0)
    only = np.zeros(3, np.bool_)
    assert predict_one(model, np.zeros(0), 1, only, np.zeros(3)) == 2.0
    assert not only.any()
