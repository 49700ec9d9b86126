"""Portfolio: growth and its gradient, days by their law, the best constant weights by SciPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize
from scipy.stats import kstest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
SWINGS = [[1.0, 2.0], [1.0, 0.5]]  # Cover's example: money that lies, and a stock that doubles and halves


def start(env: Environment, horizon: int | None = None) -> Any:
    return env.init(env.params, replace(env.problem, horizon=horizon or env.problem.horizon), RUN)


def at(env: Environment, state: Any, t: int, x: Array) -> tuple[float, Array, float]:
    """Return reward, gradient and regret."""
    detail, instance = np.full(len(x), np.nan), Instance(t, np.zeros(0), np.ones(1, np.bool_))
    reward, delay = respond(env.params, state, instance, x, detail, Key(RUN, t))
    assert delay == 0
    return reward, detail, regret(env.params, state, instance, x)


def test_half_in_a_stock_that_doubles_and_halves_grows_by_an_eighth_in_two_days() -> None:
    env = catalog.make("portfolio", relatives=SWINGS)
    state, half = start(env), np.array([0.5, 0.5])
    assert state.comparator == pytest.approx(half, abs=1e-9)
    rewards = [at(env, state, t, half)[0] for t in range(4)]
    assert rewards == pytest.approx(np.log([1.5, 0.75, 1.5, 0.75]), rel=1e-15)
    assert at(env, state, 0, half)[1] == pytest.approx([1.0 / 1.5, 2.0 / 1.5])
    lying = sum(at(env, state, t, np.array([1.0, 0.0]))[2] for t in range(2))
    assert lying == pytest.approx(np.log(9.0 / 8.0))


def test_days_that_are_made_are_a_random_walk_with_a_leader() -> None:
    env = catalog.make("portfolio", assets=3, volatility=0.01, edge=0.05, period=4)
    logs = np.log(start(env, 600).relatives)
    leads = (np.arange(600)[:, None] // 4) % 3 == np.arange(3)
    assert kstest((logs - 0.05 * leads).ravel(), "norm", (0.0, 0.01)).pvalue > 0.01


def test_the_best_weights_are_those_that_scipy_finds() -> None:
    state = start(catalog.make("portfolio", assets=4, volatility=0.05), 300)
    relatives = state.relatives
    other = minimize(
        lambda x: -np.log(relatives @ x).sum(),
        np.full(4, 0.25),
        bounds=[(0.0, 1.0)] * 4,
        constraints=LinearConstraint(np.ones(4), 1.0, 1.0),
        method="SLSQP",
        options={"ftol": 1e-15},
    )
    assert state.comparator.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.log(relatives @ state.comparator).sum() >= -other.fun - 1e-10
    assert state.comparator == pytest.approx(other.x, abs=1e-4)


def test_the_best_weights_are_found_where_days_differ_by_a_hundredfold() -> None:
    relatives = np.exp(np.random.default_rng(3).normal(size=(40, 3)) * 1.5)
    best = start(catalog.make("portfolio", relatives=relatives.tolist())).comparator
    slopes = (relatives / (relatives @ best)[:, None]).mean(
        axis=0
    )  # of the mean growth: 1 where money is, at most 1 else
    assert slopes.max() <= 1.0 + 1e-6
    assert (best * (1.0 - slopes)).max() < 1e-6


def test_no_certificate_is_below_the_regret_at_any_time() -> None:
    curves = simulate(policies.make("optimistic_omd"), catalog.make("portfolio"), horizon=600, replications=4, seed=3)
    assert (curves.bound >= curves.regret).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"assets": 0}, "assets is 0"),
        ({"assets": 1}, "there is one asset"),
        ({"assets": 10**400}, "assets is a number of some 400 digits"),
        ({"period": 0}, "period is 0"),
        ({"period": 2**41}, "period is 2199"),
        ({"volatility": -0.1}, "volatility is -0.1"),
        ({"relatives": [[1.0, 0.0]]}, r"relatives\[0\]\[1\] is 0"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("portfolio", **params)
