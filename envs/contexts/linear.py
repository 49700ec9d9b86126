"""Linear: rewards whose mean is linear in the context, with one coefficient vector per arm or with features per action.

Source: the model of Abe and Long 1999 and of Auer 2002. Contexts are normal draws; coefficients are drawn once, from
nature's key, with unit length, so that x'theta is N(0, 1). A "normal" reward is x'theta plus noise, a "bernoulli" one
is 1 with the probability 1/2 + x'theta / 4, clipped to [0, 1].
With `action_features` each of up to `arms` actions has a row of features that are drawn anew at each t, and one theta
serves all; `min_actions` to `arms` of them can be chosen.
State: theta. Cost: a draw for each number of a context.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import normal, uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

REWARDS = ("normal", "bernoulli")
DIMENSION_MAX = 100_000
_THETA = 2**62  # the time of the draws of theta; no decision is numbered so high
_MASK = 2**30  # draws of what is there, and of the reward: beyond those of any context
_REWARD = 2**31


class LinearParams(NamedTuple):
    """Numbers fixed at creation, for contexts float64[d]."""

    noise: float  # standard deviation of a normal reward, >= 0
    bernoulli: bool  # whether rewards are 0 or 1
    min_actions: int  # how many arms are there at least


class LinearActionsParams(NamedTuple):
    """The same, for contexts float64[k, d]."""

    noise: float
    bernoulli: bool
    min_actions: int


class LinearState(NamedTuple):
    """Written once, from nature's key."""

    theta: Array  # float64[k, d], or float64[1, d] with action features; each row has unit length


def linear(
    arms: int = 10,
    dimension: int = 8,
    noise: float = 0.5,
    action_features: bool = False,
    min_actions: int | None = None,
    reward: str = "normal",
) -> Environment:
    """Pay x'theta plus noise of standard deviation `noise`, or 0 or 1 with a probability linear in x.

    `min_actions` (all, where it is left out) is how many actions can be chosen at least; how many, and which, is drawn.
    """
    _check_whole("arms", arms, 1_000_000)
    _check_whole("dimension", dimension, DIMENSION_MAX)
    least = _check_whole("min_actions", arms if min_actions is None else min_actions, arms)
    if reward not in REWARDS:
        raise InvalidInput("bad_param", f"reward is {as_seen(reward)}: it must be one of {', '.join(REWARDS)}")
    numbers = check_param("noise", noise, low=0.0, high=1e100), reward == "bernoulli", least
    shape = (arms, dimension) if action_features else (dimension,)
    params = LinearActionsParams(*numbers) if action_features else LinearParams(*numbers)
    problem = Problem(arms, shape, reward_range=(0.0, 1.0) if reward == "bernoulli" else None)
    return Environment("linear", params, init, problem, regret_kind="best action there, by its mean")


def init(params: LinearParams | LinearActionsParams, problem: Problem, run: np.uint64) -> LinearState:
    """Draw theta."""
    rows = 1 if isinstance(params, LinearActionsParams) else problem.n_arms
    theta = np.zeros((rows, problem.context_shape[-1]))
    _draw_theta(theta, Key(run, _THETA))
    return LinearState(theta)


@kernel
def observe(params: Any, state: LinearState, t: int, context: Array, available: Array, key: Key) -> None:
    """Draw the context, and what can be chosen: every set of that size is as likely."""
    numbers = context.reshape(context.size)
    for i in range(len(numbers)):
        numbers[i] = normal(key, i)
    k = len(available)
    if params.min_actions < k:
        wanted = params.min_actions + int(uniform(key, _MASK) * (k - params.min_actions + 1))
        for a in range(k):
            available[a] = uniform(key, _MASK + 1 + a) * (k - a) < wanted
            wanted -= available[a]


@kernel
def respond(
    params: LinearParams, state: LinearState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Draw the reward of the arm, at once."""
    return _reward(params, _mean(params, state.theta[action], instance.context), key), 0


@kernel
def respond_actions(
    params: LinearActionsParams, state: LinearState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Draw the reward of the action, at once."""
    return _reward(params, _mean(params, state.theta[0], instance.context[action]), key), 0


@kernel
def regret(params: LinearParams, state: LinearState, instance: Instance, action: int) -> float:
    """Return how much less than that of the best arm the mean of this one is."""
    best = -math.inf
    for a in range(len(instance.available)):
        if instance.available[a]:
            best = max(best, _mean(params, state.theta[a], instance.context))
    return best - _mean(params, state.theta[action], instance.context)


@kernel
def regret_actions(params: LinearActionsParams, state: LinearState, instance: Instance, action: int) -> float:
    """Return how much less than that of the best action the mean of this one is."""
    best = -math.inf
    for a in range(len(instance.available)):
        if instance.available[a]:
            best = max(best, _mean(params, state.theta[0], instance.context[a]))
    return best - _mean(params, state.theta[0], instance.context[action])


@kernel
def _mean(params: Any, theta: Array, x: Array) -> float:
    total = 0.0
    for j in range(len(theta)):
        total += theta[j] * x[j]
    if params.bernoulli:
        return min(max(0.5 + 0.25 * total, 0.0), 1.0)
    return total


@kernel
def _reward(params: Any, mean: float, key: Key) -> float:
    if params.bernoulli:
        return 1.0 if uniform(key, _REWARD) < mean else 0.0
    return mean + params.noise * normal(key, _REWARD)


@loop
def _draw_theta(theta: Array, key: Key) -> None:
    rows, d = theta.shape
    for a in range(rows):
        square = 0.0
        for j in range(d):
            theta[a, j] = normal(key, a * d + j)
            square += theta[a, j] * theta[a, j]
        for j in range(d):
            theta[a, j] /= math.sqrt(square)


def _check_whole(name: str, value: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from 1 to {high}")
    return value


register_env(LinearParams, observe=observe, respond=respond, regret=regret)
register_env(LinearActionsParams, observe=observe, respond=respond_actions, regret=regret_actions)
