"""Forecasts: losses by their formulas, rounds by their law, the best weights by enumeration and by SciPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
TABLES = {"forecast": [[1.0, 3.0], [0.0, -1.0], [2.0, 2.5]], "truth": [2.0, -1.0, 3.0]}


def start(env: Environment, horizon: int | None = None) -> Any:
    return env.init(env.params, replace(env.problem, horizon=horizon or env.problem.horizon), RUN)


def at(env: Environment, state: Any, t: int, x: Array) -> tuple[float, Array, float]:
    """Return loss, minus the detail, and regret."""
    detail, instance = np.full(len(x), np.nan), Instance(t, np.zeros(0), np.ones(1, np.bool_))
    reward, delay = respond(env.params, state, instance, x, detail, Key(RUN, t))
    assert delay == 0
    return -reward, -detail, regret(env.params, state, instance, x)


def test_experts_lose_their_squared_errors_and_weights_the_mean() -> None:
    env = catalog.make("forecasts", **TABLES)
    state, x = start(env), np.array([0.25, 0.75])
    assert env.problem.feedback == "losses"
    assert state.comparator.tolist() == [0.0, 1.0]  # the losses are 0.5 + 0.5 + 0.5 and 0.5 + 0 + 0.125
    for t, losses in enumerate([[0.5, 0.5], [0.5, 0.0], [0.5, 0.125], [0.5, 0.5]]):
        lost, detail, more = at(env, state, t, x)
        assert detail.tolist() == losses
        assert lost == pytest.approx(x @ losses)
        assert more == pytest.approx(x @ losses - losses[1])


def test_a_mixture_loses_the_squared_error_of_its_forecast() -> None:
    env = catalog.make("forecasts", combine=True, **TABLES)
    state, x = start(env), np.array([0.25, 0.75])
    assert env.problem.feedback == "gradient"
    for t, (row, truth) in enumerate(zip(TABLES["forecast"], TABLES["truth"], strict=True)):
        off = np.dot(row, x) - truth  # type: ignore[arg-type]
        best = np.dot(row, state.comparator) - truth  # type: ignore[arg-type]
        lost, detail, more = at(env, state, t, x)
        assert lost == pytest.approx(off**2 / 2)
        assert detail == pytest.approx(off * np.array(row))
        assert more == pytest.approx((off**2 - best**2) / 2)


def test_the_best_mixture_is_that_of_least_squares_with_weights_of_sum_one() -> None:
    state = start(catalog.make("forecasts", experts=4, combine=True), 300)
    error = state.forecast - state.truth[:, None]
    heavy = 1e4 * np.ones((1, 4))  # a row that all but forces the sum to 1
    other = nnls(np.vstack([error, heavy]), np.r_[np.zeros(300), heavy[0, 0]])[0]
    assert state.comparator == pytest.approx(other, abs=1e-5)
    assert 0.1 < state.comparator.max() < 0.9


def test_the_truth_persists_and_experts_are_good_in_turn() -> None:
    env = catalog.make("forecasts", experts=4, error_min=0.1, error_max=0.9, period=400, persistence=0.8)
    state = start(env, 4000)
    truth = state.truth
    assert (truth[1:] @ truth[:-1]) / (truth[:-1] @ truth[:-1]) == pytest.approx(0.8, abs=0.04)
    assert (truth[1:] - 0.8 * truth[:-1]).std() == pytest.approx(1.0, rel=0.04)
    error = state.forecast - truth[:, None]
    news = np.column_stack([truth[1:] - 0.8 * truth[:-1], error[1:]])
    assert np.abs(np.corrcoef(news.T) - np.eye(5)).max() < 4.0 / np.sqrt(4000)  # nobody errs as another, or as the news
    error = error.reshape(10, 400, 4)
    phase = np.arange(400)[:, None] / 400 - np.arange(4) / 4
    size = 0.1 + 0.8 * (0.5 - 0.5 * np.cos(2 * np.pi * phase))
    assert (error / size).std(axis=(0, 1)) == pytest.approx([1.0] * 4, rel=0.04)
    best = (error[:, ::100][:, :4] ** 2).mean(axis=0).argmin(axis=1)
    assert best.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("combine", [False, True])
def test_no_certificate_is_below_the_regret_at_any_time(combine: bool) -> None:
    env = catalog.make("forecasts", combine=combine)
    curves = simulate(policies.make("optimistic_omd"), env, horizon=600, replications=4, seed=3)
    assert (curves.bound >= curves.regret).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"experts": 0}, "experts is 0"),
        ({"experts": 1}, "there is one expert"),
        ({"experts": 10**400}, "experts is a number of some 400 digits"),
        ({"combine": 1}, "combine is 1: it must be true or false"),
        ({"period": 0}, "period is 0"),
        ({"period": 2**41}, "period is 2199"),
        ({"error_min": 2.0}, "error_max is 1"),
        ({"persistence": 1.1}, "persistence is 1.1"),
        ({"truth": [1.0]}, "only one of forecast and truth"),
        ({"truth": [1.0], "forecast": [[1.0, 2.0], [1.0, 2.0]]}, "truth has 1 numbers and forecast 2 rows"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("forecasts", **params)
