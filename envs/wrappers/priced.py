"""Priced: another environment in which a decision costs something, and what it has cost comes with its reward.

Arm a costs cost[a] times a draw of mean 1 and standard deviation `spread` (gamma; the cost itself where that is 0), and
from decision `at` on `factor` times as much. The rewards are those of the environment inside, of which costs are not
taken off: so what a policy of a budget earns and what it spends are told apart.
Source: bandits with knapsacks, Badanidiyuru, Kleinberg, Slivkins, "Bandits with knapsacks", FOCS 2013, with one
resource. Regret is not told: the best that a limit allows is a mixture of arms, which depends on the limit.
State: the inner environment's. Cost: the inner environment's, and a draw where costs vary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import gamma
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import HORIZON_MAX, REWARD_MAX, check_param, check_vector
from ...engine.protocol import observe as inner_observe
from ...engine.protocol import register_env
from ...engine.protocol import respond as inner_respond
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

_DRAW = 1 << 23  # index of the draw of the cost: the environment inside, and other wrappers, draw below it


class PricedParams(NamedTuple):
    """Numbers fixed at creation."""

    inner: Any  # params of the environment inside
    cost: Array  # float64[k], >= 0
    spread: float  # >= 0, standard deviation of a cost by its mean
    at: int  # number of the decision from which on costs are others
    factor: float  # >= 0, by how much


class PricedState(NamedTuple):
    """What the environment inside holds."""

    inner: Any


def priced(
    env: Environment, cost: list[float], spread: float = 0.0, at: int | None = None, factor: float = 1.0
) -> Environment:
    """Pay what `env` pays, and tell that arm a has cost about `cost[a]`; from decision `at` on `factor` times that."""
    if env.problem.action_kind != "arm" or env.problem.context_kind != "dense":
        raise InvalidInput("bad_param", "env has no arms that are numbered once for all: name one that has")
    if env.problem.feedback == "cost":
        raise InvalidInput("bad_param", "env tells costs already: name the environment inside")
    costs = check_vector("cost", cost, low=0.0, high=1e50)
    if len(costs) != env.problem.n_arms:
        raise InvalidInput(
            "bad_param", f"cost has {len(costs)} numbers and env {env.problem.n_arms} arms: give one per arm"
        )
    if at is not None and (isinstance(at, bool) or not isinstance(at, int) or not 0 <= at <= HORIZON_MAX):
        raise InvalidInput(
            "bad_param", f"at is {as_seen(at)}: it must be the number of a decision, 0 to 2^53, or left out"
        )
    params = PricedParams(
        env.params,
        costs,
        check_param("spread", spread, low=0.0, high=100.0),
        HORIZON_MAX if at is None else at,
        check_param("factor", factor, low=0.0, high=1e10),
    )

    def init(params: PricedParams, problem: Problem, run: np.uint64) -> PricedState:
        return PricedState(env.init(params.inner, problem, run))

    return Environment("priced", params, init, replace(env.problem, feedback="cost"), delay_max=env.delay_max)


@kernel
def observe(params: PricedParams, state: PricedState, t: int, context: Any, available: Array, key: Key) -> None:
    """Show what the environment inside shows."""
    inner_observe(params.inner, state.inner, t, context, available, key)


@kernel
def respond(
    params: PricedParams, state: PricedState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay what the environment inside pays, and write the cost into `detail`."""
    cost = params.cost[action] * (params.factor if instance.t >= params.at else 1.0)
    if params.spread > 0.0:
        shape = 1.0 / (params.spread * params.spread)
        cost *= gamma(key, _DRAW, shape) / shape
    detail[0] = min(cost, REWARD_MAX)
    return inner_respond(params.inner, state.inner, instance, action, detail, key)


register_env(PricedParams, observe=observe, respond=respond)
