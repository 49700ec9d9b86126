"""Seasonal: another environment where what each arm pays rises and falls with the time of the year.

At decision t arm a of k pays swing cos(2 pi (t / period - a / k)) more than in the environment inside: so arm a is at
its best when the share a / k of a year is over, and in each year every arm has its season. Nothing changes at once and
nothing for good; what was learned a year ago is true again. `switching` has years of a few seasons, each of which is
one world.
Source: the means with a period of Chen, Wang, Wang, "Learning and optimization with seasonal patterns", 2020; that they
follow a cosine is ours.
State: the inner environment's. Cost: the inner environment's, and a cosine; of the regret, O(K) of both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...engine.elementary import cos_turns
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import HORIZON_MAX, REWARD_MAX, check_param
from ...engine.protocol import observe as inner_observe
from ...engine.protocol import register_env
from ...engine.protocol import regret as inner_regret
from ...engine.protocol import respond as inner_respond
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem


class SeasonalParams(NamedTuple):
    """Numbers fixed at creation."""

    inner: Any  # params of the environment inside
    swing: float  # most that an arm pays more, or less; > 0
    period: int  # decisions of a year, 2 or more


class SeasonalState(NamedTuple):
    """What the environment inside holds."""

    inner: Any


def seasonal(env: Environment, swing: float = 0.5, period: int = 1000) -> Environment:
    """Pay what `env` pays and up to `swing` more or less, by the arm and the time of a year of `period` decisions."""
    if env.problem.action_kind != "arm" or env.problem.context_kind != "dense":
        raise InvalidInput("bad_param", "env has no arms that are numbered once for all: name one that has")
    if _holds_seasonal(env.params):
        raise InvalidInput("bad_param", "env is seasonal already: one year is enough")
    if isinstance(period, bool) or not isinstance(period, int) or not 2 <= period <= HORIZON_MAX:
        raise InvalidInput(
            "bad_param", f"period is {as_seen(period)}: it must be a whole number of decisions, 2 to 2^53"
        )
    params = SeasonalParams(env.params, check_param("swing", swing, low=0.0, high=1e100, low_open=True), period)

    def init(params: SeasonalParams, problem: Problem, run: np.uint64) -> SeasonalState:
        return SeasonalState(env.init(params.inner, problem, run))

    kind = None if env.regret_kind is None else "best arm of the moment, season included"
    problem = replace(env.problem, reward_range=_range_of(params.swing, env.problem.reward_range))
    return Environment("seasonal", params, init, problem, regret_kind=kind, delay_max=env.delay_max)


def _holds_seasonal(params: Any) -> bool:
    """Tell whether there is one inside at any depth: its kernels would call themselves, which numba cannot link."""
    return isinstance(params, SeasonalParams) or (isinstance(params, tuple) and any(map(_holds_seasonal, params)))


def _range_of(swing: float, inside: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the range of what is paid, where that of the environment inside is known."""
    if inside is None:
        return None
    return max(inside[0] - swing, -REWARD_MAX), min(inside[1] + swing, REWARD_MAX)


@kernel
def observe(params: SeasonalParams, state: SeasonalState, t: int, context: Any, available: Array, key: Key) -> None:
    """Show what the environment inside shows."""
    inner_observe(params.inner, state.inner, t, context, available, key)


@kernel
def respond(
    params: SeasonalParams, state: SeasonalState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay what the environment inside pays, and the season's share."""
    reward, delay = inner_respond(params.inner, state.inner, instance, action, detail, key)
    reward += _season(params, instance, action)
    return min(max(reward, -REWARD_MAX), REWARD_MAX), delay


@kernel
def regret(params: SeasonalParams, state: SeasonalState, instance: Instance, action: int) -> float:
    """Return how much more the best arm of the moment pays in expectation: the inside tells what each arm lacks."""
    own = _season(params, instance, action) - inner_regret(params.inner, state.inner, instance, action)
    best = own
    for a in range(len(instance.available)):
        if instance.available[a]:
            best = max(best, _season(params, instance, a) - inner_regret(params.inner, state.inner, instance, a))
    return best - own


@kernel
def _season(params: SeasonalParams, instance: Instance, arm: int) -> float:
    """Return what the season adds to an arm."""
    year = float(instance.t % params.period) / params.period
    return params.swing * cos_turns(year - arm / len(instance.available))


register_env(SeasonalParams, observe=observe, respond=respond, regret=regret)
