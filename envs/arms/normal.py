"""Normal: every arm pays its own fixed mean plus Gaussian noise.

Source: the stochastic bandit of Robbins 1952. State: none. Cost: one draw per reward.
Rewards are not bounded: policies whose theory needs [0, 1] clip them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.draws import normal as draw_normal
from ...engine.kernel import kernel
from ...engine.problem import check_param, check_vector
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem


class NormalParams(NamedTuple):
    """Numbers fixed at creation."""

    mean: Array  # float64[k] expected reward per arm
    best: float  # the largest of them
    sd: float  # standard deviation of the noise, >= 0


class NormalState(NamedTuple):
    """Nothing changes."""


def normal(mean: list[float], sd: float = 1.0) -> Environment:
    """Pay `mean[arm]` plus a normal draw of standard deviation `sd`."""
    means = check_vector("mean", mean)
    params = NormalParams(means, float(means.max()), check_param("sd", sd, low=0.0))
    return Environment("normal", params, init, Problem(len(means)), regret_kind="best arm's mean")


def init(params: NormalParams, problem: Problem, run: np.uint64) -> NormalState:
    """Return the empty state."""
    return NormalState()


@kernel
def respond(
    params: NormalParams, state: NormalState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Draw the reward of the arm, at once."""
    return params.mean[action] + params.sd * draw_normal(key, 0), 0


@kernel
def regret(params: NormalParams, state: NormalState, instance: Instance, action: int) -> float:
    """Return the gap of the arm."""
    return params.best - params.mean[action]


register_env(NormalParams, respond=respond, regret=regret)
