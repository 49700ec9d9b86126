"""Adversarial: the table is what is paid, and regret is against the best fixed arm in hindsight."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.vocabulary import Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)
TABLE = [[1.0, 0.0, 0.5], [0.0, 0.75, 0.5], [0.0, 0.0, 0.5], [0.0, 3.0, -1.0]]


@pytest.mark.parametrize("horizon", range(1, 12))
def test_summed_regret_is_hindsight_over_the_cycled_table(horizon: int) -> None:
    env = catalog.make("adversarial", table=TABLE)
    problem = dataclasses.replace(env.problem, horizon=horizon)
    state = env.init(env.params, problem, RUN)
    paid = np.array([TABLE[t % 4] for t in range(horizon)])
    actions = np.random.default_rng(horizon).integers(3, size=horizon)
    total = 0.0
    for t, arm in enumerate(actions):
        instance = Instance(t, np.zeros(0), np.ones(3, np.bool_))
        assert respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t)) == (paid[t, arm], 0)
        total += regret(env.params, state, instance, arm)
    assert total == pytest.approx(paid.sum(axis=0).max() - paid[np.arange(horizon), actions].sum(), abs=1e-12)


def test_without_a_horizon_one_pass_counts() -> None:
    env = catalog.make("adversarial", table=TABLE)
    assert env.problem.horizon == 4
    assert env.init(env.params, dataclasses.replace(env.problem, horizon=None), RUN).best[0] == 1


def test_in_the_phases_one_arm_always_pays_a_tenth_more() -> None:
    table = catalog.make("adversarial").params.reward
    assert table.shape[0] >= 30_000
    assert np.ptp(table[:, 9] - table[:, 0]) < 1e-12
    assert table[0, 9] - table[0, 0] == pytest.approx(0.1)
    assert (table[:, :9] == table[:, :1]).all()
    starts = np.flatnonzero(np.diff(table[:, 0])) + 1
    assert starts[:4].tolist() == [10, 25, 47, 80]


@pytest.mark.parametrize("table", ["phase", [], [[]], [[1.0], [1.0, 2.0]], [[float("nan")]], 5])
def test_a_bad_table_is_refused(table: object) -> None:
    with pytest.raises(InvalidInput, match="table"):
        catalog.make("adversarial", table=table)
