"""Bernoulli: every arm pays 1 with its own fixed probability, else 0.

Source: the stochastic bandit of Robbins 1952. State: none. Cost: one draw per reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.kernel import kernel
from ...engine.problem import check_vector
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem


class BernoulliParams(NamedTuple):
    """Numbers fixed at creation."""

    mean: Array  # float64[k] probability of reward 1, in [0, 1]
    best: float  # the largest of them


class BernoulliState(NamedTuple):
    """Nothing changes but working space."""

    scratch_uniform: UniformBlock


def bernoulli(mean: Sequence[float] = (0.1, 0.5, 0.9)) -> Environment:
    """Pay 1 with probability `mean[arm]`, else 0."""
    means = check_vector("mean", mean, low=0.0, high=1.0)
    params = BernoulliParams(means, float(means.max()))
    problem = Problem(len(means), reward_range=(0.0, 1.0))
    return Environment("bernoulli", params, init, problem, regret_kind="best arm's mean")


def init(params: BernoulliParams, problem: Problem, run: np.uint64) -> BernoulliState:
    """Return the state, which is the same for every run."""
    return BernoulliState(uniform_block())


@kernel
def respond(
    params: BernoulliParams, state: BernoulliState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Draw the reward of the arm, at once."""
    return (1.0 if uniform_from(state.scratch_uniform, key) < params.mean[action] else 0.0), 0


@kernel
def regret(params: BernoulliParams, state: BernoulliState, instance: Instance, action: int) -> float:
    """Return the gap of the arm."""
    return params.best - params.mean[action]


register_env(BernoulliParams, respond=respond, regret=regret)
