"""Grouped: many arms in a few hidden groups, where the arms of a group pay nearly the same.

A shop has thousands of articles and a few tastes. Contexts x are normal draws, float64[d]. Each arm a belongs to one of
the groups, g(a), drawn evenly, and its mean reward is

    m_a(x) = theta_g' x + bend (|phi_g' x| - sqrt(2 / pi)) + own delta_a' x,

where theta and phi of each group and delta of each arm are directions, drawn once, of unit length: theta' x is N(0, 1),
and so is delta' x. With bend = 0 a linear model is right. A "bernoulli" reward is 1 with the probability 1/2 + m / 4,
clipped to [0, 1], a "normal" one is m plus noise of standard deviation `noise`. Groups are never shown.

Source: clusters of arms, Gentile, Li, Zappella, "Online clustering of bandits", ICML 2014, have such groups without an
own part; bend and own part are ours.
State: the group of each arm and all directions. Cost: a decision draws d numbers, a reward takes O(d); regret O(K d).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import normal, normals, uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

REWARDS = ("bernoulli", "normal")
_MEAN_SIZE = math.sqrt(2.0 / math.pi)  # the mean of |N(0, 1)|
_DIMENSION_MAX = 10_000
_THETA, _PHI, _DELTA = 2**28, 2**29, 2**30  # draws beyond those of any context, at the times 0, 1, 2 ... of rows
_REWARD, _GROUP = 2**31, 2**31 + 1


class GroupedParams(NamedTuple):
    """Numbers fixed at creation."""

    groups: int
    bend: float
    own: float
    bernoulli: bool  # whether rewards are 0 or 1
    noise: float  # standard deviation of a normal reward, >= 0


class GroupedState(NamedTuple):
    """Written once, from nature's key."""

    group: Array  # int64[k] of each arm
    theta: Array  # float64[groups, d]
    phi: Array  # float64[groups, d]
    delta: Array  # float64[k, d]


def grouped(
    arms: int = 300,
    groups: int = 20,
    dimension: int = 16,
    bend: float = 0.0,
    own: float = 0.2,
    reward: str = "bernoulli",
    noise: float = 0.5,
) -> Environment:
    """Pay by the law of the arm's group and a small part of its own, as 0 or 1, or with normal noise."""
    _check_whole("arms", arms, 1_000_000)
    _check_whole("groups", groups, arms)
    _check_whole("dimension", dimension, _DIMENSION_MAX)
    if reward not in REWARDS:
        raise InvalidInput("bad_param", f"reward is {as_seen(reward)}: it must be one of {', '.join(REWARDS)}")
    params = GroupedParams(
        groups,
        check_param("bend", bend, low=-1e100, high=1e100),
        check_param("own", own, low=0.0, high=1e100),
        reward == "bernoulli",
        check_param("noise", noise, low=0.0, high=1e100),
    )
    problem = Problem(arms, (dimension,))
    return Environment("grouped", params, init, problem, regret_kind="best arm of all, by its mean")


def init(params: GroupedParams, problem: Problem, run: np.uint64) -> GroupedState:
    """Draw the groups and the directions."""
    k, d = problem.n_arms, problem.context_shape[0]
    group = np.array([int(uniform(Key(run, a), _GROUP) * params.groups) for a in range(k)])
    return GroupedState(
        group,
        _directions(normals(run, params.groups, _THETA, d)),
        _directions(normals(run, params.groups, _PHI, d)),
        _directions(normals(run, k, _DELTA, d)),
    )


@kernel
def observe(params: GroupedParams, state: GroupedState, t: int, context: Array, available: Array, key: Key) -> None:
    """Draw the context; all arms are there."""
    for j in range(len(context)):
        context[j] = normal(key, j)


@kernel
def respond(
    params: GroupedParams, state: GroupedState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Draw the reward of the arm, at once."""
    mean = _mean(params, state, instance.context, action)
    if params.bernoulli:
        return (1.0 if uniform(key, _REWARD) < mean else 0.0), 0
    return mean + params.noise * normal(key, _REWARD), 0


@kernel
def regret(params: GroupedParams, state: GroupedState, instance: Instance, action: int) -> float:
    """Return how much less than that of the best arm the mean of this one is."""
    best = -math.inf
    for a in range(len(instance.available)):
        if instance.available[a]:
            best = max(best, _mean(params, state, instance.context, a))
    return best - _mean(params, state, instance.context, action)


@kernel
def _mean(params: GroupedParams, state: GroupedState, x: Array, arm: int) -> float:
    g = state.group[arm]
    straight, bent, own = 0.0, 0.0, 0.0
    for j in range(len(x)):
        straight += state.theta[g, j] * x[j]
        bent += state.phi[g, j] * x[j]
        own += state.delta[arm, j] * x[j]
    mean = straight + params.bend * (abs(bent) - _MEAN_SIZE) + params.own * own
    return min(max(0.5 + 0.25 * mean, 0.0), 1.0) if params.bernoulli else mean


def _directions(drawn: Array) -> Array:
    """Return the rows of float64[n, d] at unit length."""
    lengths = [math.sqrt(math.fsum(row)) for row in np.square(drawn).tolist()]
    return np.asarray(drawn / np.array(lengths)[:, None])


def _check_whole(name: str, value: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from 1 to {high}")


register_env(GroupedParams, observe=observe, respond=respond, regret=regret)
