"""Worlds that are mixtures of known ones: P = sum of theta_i phi_i, theta from the simplex.

theta is learned by regression on values (value-targeted: Ayoub, Jia, Szepesvari, Wang, Yang 2020). With h what the
plan values states at, shifted so that the largest is as far from 0 as the least, a transition says that the mean of
h(s') is theta . f, f_i = sum of phi_i h over the next state. With Sigma = lam I + sum of f f' and c = sum of f h(s')
the estimate is the theta of the simplex that makes theta' Sigma theta - 2 c theta least.
Believed are the thetas around it with |theta - estimate|^2 <= beta in the norm of Sigma, beta = (sigma sqrt(2 ln(1 /
delta) + ln(det Sigma / lam^d)) + sqrt lam)^2; sigma^2 is the mean of the squared errors of the estimate, and span^2 / 4
as one error more. sigma = span / 2 would be proved, and learns nothing for very long.
Cost: O(d^2) a transition, and O(d) for each step of the estimate, some 10.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import log
from ..errors import InvalidInput
from ..kernel import kernel, routine
from ..vocabulary import Array, Problem
from .known_mixtures import KNOWN
from .transitions import Transitions, append, clear

LAMBDA = 1e-4  # features are small where values are: 1 would swamp them
STEPS_MAX = 500  # of an estimate
SETTLED = 1e-12
SUM_OFF = 1e-9


class Mixture(NamedTuple):
    """What is known of a world: how it moves in each part, and what it pays."""

    reward: Array  # float64[S, A]
    successors: Array  # int64[S, A] how many states may come, in any part
    successor: Array  # int32[S, A, S] which
    chance: Array  # float64[S, A, S, d] how likely each of them is in each part


class Regression(NamedTuple):
    """What was learned of the shares of the parts."""

    sigma: Array  # float64[d, d]
    inverse: Array  # float64[d, d]
    moment: Array  # float64[d] c
    square: Array  # float64[1] sum of the squares of h(s')
    learned: Array  # int64[1] transitions
    log_det: Array  # float64[1] ln(det Sigma / lam^d)
    theta: Array  # float64[d] the estimate
    scratch_feature: Array  # float64[d]
    scratch_image: Array  # float64[d]


class KnownParts(NamedTuple):
    """What somebody said of a mixture: a name, or the numbers."""

    name: str | None
    phi: Array  # float64[S, A, d, S]
    reward: Array  # float64[S, A]


def check_parts(model: object, reward: object) -> KnownParts:
    """Return what is known, a name of `known_mixtures.py` or numbers; raise `InvalidInput` where it is neither."""
    if isinstance(model, str) and model in KNOWN and reward is None:
        return KnownParts(model, np.zeros((0, 0, 0, 0)), np.zeros((0, 0)))
    try:
        phi, paid = np.array(model, np.float64), np.array(reward, np.float64)
    except (TypeError, ValueError):
        phi, paid = np.zeros(0), np.zeros(0)
    if phi.ndim != 4 or phi.shape[3] != phi.shape[0] or paid.shape != phi.shape[:2] or 0 in phi.shape:
        raise InvalidInput(
            "bad_model",
            f"the model has the shape {list(phi.shape)} and the rewards {list(paid.shape)}: they must be numbers, "
            "[states][arms][parts][states] and [states][arms]; or the model is one of "
            f"{', '.join(map(repr, sorted(KNOWN)))}, and no rewards are given",
        )
    sums = phi.sum(axis=3)
    bad = ~((np.abs(sums - 1.0) <= SUM_OFF) & (phi >= 0.0).all(axis=3))
    for s, a, i in np.argwhere(bad):
        raise InvalidInput(
            "bad_model",
            f"the probabilities of state {s}, arm {a} and part {i} add up to {sums[s, a, i]:.12g}: each must be 0 or "
            "more, and they must add up to 1",
        )
    for s, a in np.argwhere(~((paid >= 0.0) & (paid <= 1.0))):
        raise InvalidInput(
            "bad_model", f"the reward of state {s} and arm {a} is {paid[s, a]:g}: it must be from 0 to 1"
        )
    return KnownParts(None, phi, paid)


def mixture_of(parts: KnownParts, problem: Problem) -> Mixture:
    """Return the mixture that is known; raise `InvalidInput` where the problem has other states or arms."""
    assert problem.states is not None
    shape = (problem.states, problem.n_arms)
    phi, reward = KNOWN[parts.name](*shape) if parts.name is not None else (parts.phi, parts.reward)
    if reward.shape != shape:
        raise InvalidInput(
            "bad_model",
            f"the model has {phi.shape[0]} states and {phi.shape[1]} arms, and the problem has {shape[0]} and "
            f"{shape[1]}: give the model of this problem",
        )
    may = phi.any(axis=2)
    successor = np.argsort(~may, axis=2, kind="stable")
    chance = np.take_along_axis(phi.transpose(0, 1, 3, 2), successor[..., np.newaxis], axis=2)
    return Mixture(reward.copy(), may.sum(axis=2), successor.astype(np.int32), np.ascontiguousarray(chance))


def regression(d: int) -> Regression:
    """Return what is known of d shares before anything is."""
    return Regression(
        sigma=LAMBDA * np.eye(d),
        inverse=np.eye(d) / LAMBDA,
        moment=np.zeros(d),
        square=np.zeros(1),
        learned=np.zeros(1, np.int64),
        log_det=np.zeros(1),
        theta=np.full(d, 1.0 / d),
        scratch_feature=np.zeros(d),
        scratch_image=np.zeros(d),
    )


@kernel
def write_features(mixture: Mixture, s: int, a: int, value: Array, feature: Array) -> int:
    """Write the mean of `value` in each part, float64[d]. Return the work."""
    for i in range(len(feature)):
        feature[i] = 0.0
    for k in range(mixture.successors[s, a]):
        v = value[mixture.successor[s, a, k]]
        for i in range(len(feature)):
            feature[i] += mixture.chance[s, a, k, i] * v
    return mixture.successors[s, a] * len(feature)


@kernel
def centre(value: Array, states: int, centred: Array) -> None:
    """Write values of S states, shifted so that the largest and the least are as far from 0."""
    low, high = math.inf, -math.inf
    for s in range(states):
        low = min(low, value[s])
        high = max(high, value[s])
    for s in range(states):
        centred[s] = value[s] - 0.5 * (low + high)


@routine
def learn_transition(found: Regression, mixture: Mixture, s: int, a: int, after: int, centred: Array) -> None:
    """Learn that `after` came next, by the values `centred`, float64[S + 1]; find the estimate."""
    d = len(found.theta)
    f, image, y = found.scratch_feature, found.scratch_image, centred[after]
    write_features(mixture, s, a, centred, f)
    length = 0.0
    for i in range(d):
        image[i] = 0.0
        for j in range(d):
            image[i] += found.inverse[i, j] * f[j]
        length += f[i] * image[i]
    for i in range(d):
        found.moment[i] += f[i] * y
        for j in range(d):
            found.sigma[i, j] += f[i] * f[j]
            found.inverse[i, j] -= image[i] * image[j] / (1.0 + length)
    found.square[0] += y * y
    found.learned[0] += 1
    found.log_det[0] += log(1.0 + length)
    estimate(found)


@kernel
def estimate(found: Regression) -> None:
    """Move the estimate to the least of the quadratic on the simplex: share from one part to another, exactly each."""
    theta, d = found.theta, len(found.theta)
    scale = 0.0
    for i in range(d):
        scale = max(scale, found.sigma[i, i])
    for _ in range(STEPS_MAX):
        least, most, to, of = math.inf, -math.inf, -1, -1
        for i in range(d):
            slope = -found.moment[i]
            for j in range(d):
                slope += found.sigma[i, j] * theta[j]
            if slope < least:
                least, to = slope, i
            if theta[i] > 0.0 and slope > most:
                most, of = slope, i
        bend = found.sigma[to, to] + found.sigma[of, of] - 2.0 * found.sigma[to, of]
        if to == of or most - least <= SETTLED * scale or bend <= 0.0:
            break
        moved = min(theta[of], (most - least) / bend)
        theta[to] += moved
        theta[of] = theta[of] - moved if moved < theta[of] else 0.0


@kernel
def loss_beyond(found: Regression, theta: Array) -> float:
    """Return how much more a theta loses than the estimate: both of the simplex."""
    return _loss(found, theta) - _loss(found, found.theta)


@kernel
def _loss(found: Regression, theta: Array) -> float:
    total = 0.0
    for i in range(len(theta)):
        total -= 2.0 * found.moment[i] * theta[i]
        for j in range(len(theta)):
            total += theta[i] * found.sigma[i, j] * theta[j]
    return total


@kernel
def budget(found: Regression, span: float, delta: float) -> float:
    """Return beta."""
    theta = found.theta
    errors = found.square[0] + _loss(found, theta)
    for i in range(len(theta)):
        errors -= LAMBDA * theta[i] * theta[i]
    variance = (0.25 * span * span + max(errors, 0.0)) / max(found.learned[0], 1)
    width = math.sqrt(variance * (found.log_det[0] - 2.0 * log(delta))) + math.sqrt(LAMBDA)
    return width * width


@kernel
def write_laws(mixture: Mixture, s: int, theta: Array, laws: Transitions) -> int:
    """Write the laws of a state's actions at theta. Return the work."""
    work = 0
    for a in range(mixture.successors.shape[1]):
        clear(laws, s, a)
        for k in range(mixture.successors[s, a]):
            chance = 0.0
            for i in range(len(theta)):
                chance += theta[i] * mixture.chance[s, a, k, i]
            if chance > 0.0:
                append(laws, s, a, mixture.successor[s, a, k], chance)
        work += mixture.successors[s, a] * len(theta)
    return work
