"""Portfolio: divide one's money anew each day; the loss is minus the logarithm of what it grows by.

Source: Cover, "Universal portfolios", 1991. A row of price relatives r says what one unit of each asset becomes; the
loss of weights x on the simplex is -ln(r . x), which is 1-exp-concave, and the gradient is -r / (r . x).
Without a table the relatives are generated: a random walk of the logarithms of prices with the standard deviation
`volatility`, in which every asset leads for a while: `edge` is added where it does, for `period` days each.
State: the relatives and the comparator. Cost: O(d) per decision; a descent over all days at the start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.choices import Vectors
from ...engine.domain import DIMENSION_MAX, simplex
from ...engine.draws import normal
from ...engine.elementary import exp, log
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_table
from ...engine.protocol import register_env
from ...engine.vectors.hindsight import best_by_descent
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

HORIZON = 2500  # of one pass over generated days: ten years
NUMBERS_MAX = 50_000_000  # of all relatives
RELATIVE_MIN, RELATIVE_MAX = 1e-6, 1e6  # what an asset may fall or rise to in a day
PERIOD_MAX = 2**40  # days
_DAYS = 2**62  # the time of the first day's draws; no decision is numbered so high


class PortfolioParams(NamedTuple):
    """Numbers fixed at creation."""

    relatives: Array  # float64[n, d], > 0; float64[0, d] where they are generated
    volatility: float
    edge: float
    period: int


class PortfolioState(NamedTuple):
    """Written once, from nature's key."""

    relatives: Array  # float64[n, d]
    comparator: Array  # float64[d] the best weights that are kept all along


def portfolio(
    assets: int = 5,
    volatility: float = 0.02,
    edge: float = 0.002,
    period: int = 250,
    relatives: list[list[float]] | None = None,
) -> Environment:
    """Earn ln(r . x), r the next row of price relatives; the first comes again after the last.

    `relatives` is a table of them, float64[days, assets], each from 1e-6 to 1e6: tomorrow's price over today's.
    Without one they are generated. Regret is against the best constantly rebalanced portfolio of one pass.
    """
    check_param("volatility", volatility, low=0.0, high=1.0)
    check_param("edge", edge, low=-1.0, high=1.0)
    for name, value, most in (("period", period, PERIOD_MAX), ("assets", assets, DIMENSION_MAX)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from 1 to {most}")
    if relatives is None:
        table = np.zeros((0, assets))
    else:
        table = check_table("relatives", relatives, low=RELATIVE_MIN, high=RELATIVE_MAX)
    domain = simplex(table.shape[1])
    if domain.dimension == 1:
        raise InvalidInput("bad_param", "there is one asset: a portfolio divides money among 2 or more")
    params = PortfolioParams(table, float(volatility), float(edge), period)
    problem = Problem.of(Vectors(domain, "gradient"), horizon=len(table) or HORIZON)
    return Environment("portfolio", params, init, problem, regret_kind="best constantly rebalanced portfolio")


def init(params: PortfolioParams, problem: Problem, run: np.uint64) -> PortfolioState:
    """Make the days where none are given, and find the best weights."""
    assert problem.domain is not None
    relatives, d = params.relatives, problem.dimension
    if not len(relatives):
        n = problem.horizon or HORIZON
        if n * d > NUMBERS_MAX:
            raise InvalidInput("bad_horizon", f"the horizon is {n}: days are made up to {NUMBERS_MAX // d}")
        relatives = np.zeros((n, d))
        _make(params, relatives, run)

    def gradient(x: Array) -> Array:
        slope: Array = -(relatives / (relatives @ x)[:, None]).sum(axis=0)
        return slope

    # Along the simplex only differences of assets count, and the worst day's growth is its smallest relative.
    apart = relatives - relatives.mean(axis=1, keepdims=True)
    bend = float(((apart**2).sum(axis=1) / relatives.min(axis=1) ** 2).sum())
    return PortfolioState(relatives, best_by_descent(problem.domain, gradient, max(bend, 1e-300)))


@kernel
def respond(
    params: PortfolioParams, state: PortfolioState, instance: Instance, action: Array, detail: Array, key: Key
) -> tuple[float, int]:
    """Reveal the gradient of the logarithm of the growth, at once."""
    row = state.relatives[instance.t % len(state.relatives)]
    growth = _growth(row, action)
    for j in range(len(action)):
        detail[j] = row[j] / growth
    return log(growth), 0


@kernel
def regret(params: PortfolioParams, state: PortfolioState, instance: Instance, action: Array) -> float:
    """Return how much less the logarithm grows than with the best fixed weights: less than 0 is possible."""
    row = state.relatives[instance.t % len(state.relatives)]
    return log(_growth(row, state.comparator) / _growth(row, action))


@kernel
def _growth(row: Array, x: Array) -> float:
    total = 0.0
    for j in range(len(x)):
        total += row[j] * x[j]
    return total


@loop
def _make(params: PortfolioParams, relatives: Array, run: np.uint64) -> None:
    n, d = relatives.shape
    for t in range(n):
        leader = (t // params.period) % d
        for j in range(d):
            change = params.volatility * normal(Key(run, _DAYS + t), j) + (params.edge if j == leader else 0.0)
            relatives[t, j] = exp(change)


register_env(PortfolioParams, respond=respond, regret=regret)
