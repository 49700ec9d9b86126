"""Scaled: another environment whose rewards have another unit and another origin, and noise with heavy tails.

Paid is scale (reward + noise t) + offset, where t is drawn from Student's distribution with `degrees` degrees of
freedom (2: no variance; 1: no mean either), and 1e100 where it is more, as no reward is. So a policy is tried on euros,
minutes or minus the latency: one that is free of units decides with any scale that is a power of two as it does with 1.
Source: drawn as a normal variable over the root of a mean of squares, W. S. Gosset ("Student"), 1908.
State: the inner environment's. Cost: the inner environment's, and two draws where there is noise.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import gamma, normal
from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import REWARD_MAX, WIDTH_MIN, check_param
from ...engine.protocol import observe as inner_observe
from ...engine.protocol import register_env
from ...engine.protocol import regret as inner_regret
from ...engine.protocol import respond as inner_respond
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

_DRAW = 1 << 21  # index of the first of two draws: the environment inside draws below it


class ScaledParams(NamedTuple):
    """Numbers fixed at creation."""

    inner: Any  # params of the environment inside
    scale: float  # > 0
    offset: float
    noise: float  # >= 0, in the unit of the environment inside
    degrees: float  # > 0


class ScaledState(NamedTuple):
    """What the environment inside holds."""

    inner: Any


def scaled(
    env: Environment, scale: float = 1.0, offset: float = 0.0, noise: float = 0.0, degrees: float = 2.0
) -> Environment:
    """Pay `scale` times what `env` pays and `noise` times a draw of Student's t, plus `offset`."""
    if env.problem.action_kind != "arm":
        raise InvalidInput("bad_param", f"env decides {env.problem.action_kind}s: name one with numbered arms")
    params = ScaledParams(
        env.params,
        check_param("scale", scale, low=0.0, high=1e100, low_open=True),
        check_param("offset", offset, low=-1e100, high=1e100),
        check_param("noise", noise, low=0.0, high=1e100),
        check_param("degrees", degrees, low=0.1, high=1e6),
    )

    def init(params: ScaledParams, problem: Problem, run: np.uint64) -> ScaledState:
        return ScaledState(env.init(params.inner, problem, run))

    problem = replace(env.problem, reward_range=_range_of(params, env.problem.reward_range))
    return Environment("scaled", params, init, problem, regret_kind=env.regret_kind, delay_max=env.delay_max)


def _range_of(params: ScaledParams, inside: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the range of what is paid, where that of the environment inside is known and there is no noise."""
    if inside is None or params.noise > 0.0:
        return None
    low, high = (min(max(params.scale * end + params.offset, -REWARD_MAX), REWARD_MAX) for end in inside)
    return (low, high) if high - low >= WIDTH_MIN else None


@kernel
def observe(params: ScaledParams, state: ScaledState, t: int, context: Any, available: Array, key: Key) -> None:
    """Show what the environment inside shows."""
    inner_observe(params.inner, state.inner, t, context, available, key)


@kernel
def respond(
    params: ScaledParams, state: ScaledState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay what the environment inside pays, in other units."""
    reward, delay = inner_respond(params.inner, state.inner, instance, action, detail, key)
    if params.noise > 0.0:
        half = 0.5 * params.degrees
        reward += params.noise * normal(key, _DRAW) / math.sqrt(gamma(key, _DRAW + 1, half) / half)
    return min(max(params.scale * reward + params.offset, -REWARD_MAX), REWARD_MAX), delay


@kernel
def regret(params: ScaledParams, state: ScaledState, instance: Instance, action: int) -> float:
    """Return the regret that the environment inside knows, in the units of what is paid."""
    return params.scale * inner_regret(params.inner, state.inner, instance, action)


register_env(ScaledParams, observe=observe, respond=respond, regret=regret)
