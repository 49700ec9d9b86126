"""Replays of LinUCB on a uniform log, by Li et al.'s matching and by learning every row, against a plain NumPy twin."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine import estimate
from onearm.engine.columns import empty
from onearm.engine.replay.matching import Contender, Learning
from onearm.engine.vocabulary import Array, Columns, Problem
from onearm.policies import catalog

K, D, ROWS, ALPHA, PRECISION = 5, 4, 2_000, 0.6, 1.5


def uniform_log() -> Columns:
    rng = np.random.default_rng(7)
    table = empty(ROWS, Problem(K, (D,)))
    theta = rng.normal(size=(K, D))
    table.context[:] = rng.normal(size=(ROWS, D))
    table.action[:] = rng.integers(K, size=ROWS)
    table.propensity[:] = 1.0 / K
    table.reward[:] = (table.context * theta[table.action]).sum(axis=1) + rng.normal(size=ROWS)
    return table


def twin(table: Columns, learns_all: bool) -> tuple[Array, Array]:
    """Return what LinUCB chooses in each row, and the coefficients of every arm in the end."""
    gram, moment, chosen = np.array([PRECISION * np.eye(D)] * K), np.zeros((K, D)), []
    for x, action, reward in zip(table.context, table.action, table.reward, strict=True):
        inverse = np.linalg.inv(gram)
        bounds = [x @ inverse[a] @ moment[a] + ALPHA * np.sqrt(x @ inverse[a] @ x) for a in range(K)]
        chosen.append(int(np.argmax(bounds)))
        if learns_all or chosen[-1] == action:
            gram[action] += np.outer(x, x)
            moment[action] += reward * x
    return np.array(chosen), np.linalg.solve(gram, moment[:, :, np.newaxis])[:, :, 0]


@pytest.mark.parametrize("learn", ["matched", "logged"])
def test_linucb_replays_as_its_numpy_twin(learn: Learning) -> None:
    table = uniform_log()
    policy = catalog.make("linucb", alpha=ALPHA, regularisation=PRECISION, scaling="none", noise=1.0)
    contender = Contender(policy, Problem(K, (D,)), ROWS, learn=learn)
    found = contender.judge(table)
    chosen, theta = twin(table, learn == "logged")
    assert found.chosen.tolist() == chosen.tolist()
    assert contender.state.model.theta == pytest.approx(theta, abs=1e-9)
    agrees = chosen == table.action
    assert estimate.match(table.reward, found.chosen == table.action).value == pytest.approx(
        table.reward[agrees].mean(), abs=1e-9
    )
    assert estimate.snips(table.reward, table.propensity, found.target).value == pytest.approx(
        table.reward[agrees].mean(), abs=1e-9
    )
    assert 300 < agrees.sum() < 500
