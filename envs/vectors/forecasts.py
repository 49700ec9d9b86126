"""Forecasts: weigh experts who foretell one number, and whose skill comes and goes.

Source: the setting of prediction with expert advice, Cesa-Bianchi and Lugosi 2006. Revealed are the losses of all
experts, (forecast - truth)^2 / 2, of which weights x lose the mean; or, with `combine`, the gradient of the squared
error of the weighted forecast, (forecasts . x - truth)^2 / 2, which the best weights make smaller than any expert does.
Without tables truth and forecasts are generated: the truth goes on from its last value by `persistence`, and expert i
is off by normal draws whose standard deviation swings between `error_min` and `error_max` on a cosine of `period`
decisions, all experts in turn.
State: forecasts, truth and the comparator. Cost: O(k) per decision; O(k) or a descent over all rounds at the start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.choices import Vectors
from ...engine.domain import DIMENSION_MAX, simplex
from ...engine.draws import normal
from ...engine.elementary import cos_turns
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_table, check_vector
from ...engine.protocol import register_env
from ...engine.vectors.hindsight import best_by_descent, best_for_slope
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

HORIZON = 10_000  # of one pass over generated rounds
NUMBERS_MAX = 50_000_000  # of all forecasts
PERIOD_MAX = 2**40  # decisions
_ROUNDS = 2**62  # the time of the first round's draws; no decision is numbered so high


class ForecastsParams(NamedTuple):
    """Numbers fixed at creation."""

    combine: bool  # whether the weighted forecast is judged, or each expert's
    forecast: Array  # float64[n, k]; float64[0, k] where they are generated
    truth: Array  # float64[n]
    error_min: float
    error_max: float
    period: int
    persistence: float


class ForecastsState(NamedTuple):
    """Written once, from nature's key."""

    forecast: Array  # float64[n, k]
    truth: Array  # float64[n]
    comparator: Array  # float64[k] the best weights that are kept all along


def forecasts(
    experts: int = 5,
    combine: bool = False,
    error_min: float = 0.2,
    error_max: float = 1.0,
    period: int = 2000,
    persistence: float = 0.9,
    forecast: list[list[float]] | None = None,
    truth: list[float] | None = None,
) -> Environment:
    """Lose by the squared errors of experts, in the mean of the weights, or of their weighted forecast.

    Tables of one's own are `forecast`, float64[n, experts], and `truth`, float64[n]; the first row comes again after
    the last. Regret is against the best fixed weights of one pass: the best expert, or with `combine` a mixture.
    """
    if not isinstance(combine, bool):
        raise InvalidInput("bad_param", f"combine is {as_seen(combine)}: it must be true or false")
    for name, value, most in (("experts", experts, DIMENSION_MAX), ("period", period, PERIOD_MAX)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from 1 to {most}")
    check_param("error_min", error_min, low=0.0, high=1e50)
    check_param("error_max", error_max, low=error_min, high=1e50)
    check_param("persistence", persistence, low=0.0, high=1.0)
    if (forecast is None) != (truth is None):
        raise InvalidInput("bad_param", "only one of forecast and truth is given: tables of your own are both")
    table, values = np.zeros((0, experts)), np.zeros(0)
    if forecast is not None and truth is not None:
        table, values = check_table("forecast", forecast, low=-1e40, high=1e40), check_vector("truth", truth)
        if len(table) != len(values):
            raise InvalidInput(
                "bad_param", f"truth has {len(values)} numbers and forecast {len(table)} rows: they must be as many"
            )
    domain = simplex(table.shape[1])
    if domain.dimension == 1:
        raise InvalidInput("bad_param", "there is one expert: weights are of 2 or more")
    numbers = float(error_min), float(error_max), period, float(persistence)
    params = ForecastsParams(combine, table, values, *numbers)
    problem = Problem.of(Vectors(domain, "gradient" if combine else "losses"), horizon=len(table) or HORIZON)
    return Environment("forecasts", params, init, problem, "best fixed weights" if combine else "best expert")


def init(params: ForecastsParams, problem: Problem, run: np.uint64) -> ForecastsState:
    """Make the rounds where none are given, and find the best weights."""
    domain = problem.domain
    assert domain is not None
    forecast, truth, k = params.forecast, params.truth, domain.dimension
    if not len(forecast):
        n = problem.horizon or HORIZON
        if n * k > NUMBERS_MAX:
            raise InvalidInput("bad_horizon", f"the horizon is {n}: rounds are made up to {NUMBERS_MAX // k}")
        forecast, truth = np.zeros((n, k)), np.zeros(n)
        _make(params, forecast, truth, run)
    error = forecast - truth[:, None]
    if not params.combine:
        return ForecastsState(forecast, truth, best_for_slope(domain, 0.5 * (error**2).sum(axis=0)))
    square = error.T @ error  # weights add up to 1: the error of the mixture is the mixture of the errors
    apart = error - error.mean(axis=1, keepdims=True)
    bend = float(np.linalg.eigvalsh(apart.T @ apart)[-1])
    best = best_by_descent(domain, lambda x: square @ x, max(bend, 1e-300))
    return ForecastsState(forecast, truth, best)


@kernel
def respond(
    params: ForecastsParams, state: ForecastsState, instance: Instance, action: Array, detail: Array, key: Key
) -> tuple[float, int]:
    """Reveal what every expert lost, or the gradient of the weighted forecast's loss, at once."""
    row = instance.t % len(state.truth)
    off = _off(state, row, action)
    reward = 0.0
    for j in range(len(action)):
        if params.combine:
            detail[j] = -off * state.forecast[row, j]
        else:
            error = state.forecast[row, j] - state.truth[row]
            detail[j] = -0.5 * error * error
            reward += detail[j] * action[j]
    return (-0.5 * off * off if params.combine else reward), 0


@kernel
def regret(params: ForecastsParams, state: ForecastsState, instance: Instance, action: Array) -> float:
    """Return how much more the weights lose than the best fixed ones: less than 0 is possible."""
    row = instance.t % len(state.truth)
    if params.combine:
        off, best = _off(state, row, action), _off(state, row, state.comparator)
        return 0.5 * (off - best) * (off + best)
    total = 0.0
    for j in range(len(action)):
        error = state.forecast[row, j] - state.truth[row]
        total += 0.5 * error * error * (action[j] - state.comparator[j])
    return total


@kernel
def _off(state: ForecastsState, row: int, x: Array) -> float:
    """Return the error of the weighted forecast."""
    total = -state.truth[row]
    for j in range(len(x)):
        total += state.forecast[row, j] * x[j]
    return total


@loop
def _make(params: ForecastsParams, forecast: Array, truth: Array, run: np.uint64) -> None:
    n, k = forecast.shape
    value = 0.0
    for t in range(n):
        key = Key(run, _ROUNDS + t)
        value = params.persistence * value + normal(key, k)
        truth[t] = value
        for j in range(k):
            swing = 0.5 - 0.5 * cos_turns((t % params.period) / params.period - j / k)
            size = params.error_min + (params.error_max - params.error_min) * swing
            forecast[t, j] = value + size * normal(key, j)


register_env(ForecastsParams, respond=respond, regret=regret)
