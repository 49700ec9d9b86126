"""Thompson sampling for rewards of any unit: play each arm as often as it is believed to be the best.

Euros, minutes, minus the latency: nothing has to be declared. It is the default for arms whose rewards have no declared
range. What is believed of an arm's mean follows from a normal-inverse-gamma prior, whose parts are learned: its mean is
the mean m of all rewards, worth two of them, and its variance v the mean squared error of the predictions so far, worth
six more. After n rewards of an arm with the mean x and the sum S of squared deviations from it

    mean = (2 m + n x) / (n + 2),    variance = (3 v + S / 2 + n (x - m)^2 / (n + 2)) / ((2 + n / 2) (n + 2)).

Until two rewards differ there is no unit, and every arm is played alike.

Source: Thompson 1933; Honda and Takemura, "Optimality of Thompson sampling for Gaussian bandits depends on priors",
AISTATS 2014: priors that expect too little spread lose for long. Departs from both: the prior is learned, and in place
of Student's t a normal variable of the same mean and variance is drawn, whose law is known. No bound is known. For
rewards of 0 and 1 `thompson_beta` knows more: there the spread follows from the mean.
Units: rewards are measured from the first one, so an offset changes nothing as long as differences stay exact, and a
scale that is a power of two nothing at all.
State: the first reward, and of each arm how many, their mean and squared deviations; sums over all.
Propensities: the law P(this arm's mean is the largest) is computed by quadrature (`engine/laws/largest.py`) and drawn
from. With `propensities=False` one mean per arm is drawn and the largest played: faster, and the propensity is NaN.
Cost: O(K) a decision; about 2 us an arm with propensities (20 us at K = 10, 2 ms at K = 1000) and 0.03 us without. O(1)
per feedback.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import categorical, normal
from ...engine.errors import InvalidInput
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.largest import MaximumWorkspace, check_arms, normal_law, workspace
from ...engine.protocol import register_policy
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_PRIOR_MEAN = 2.0  # rewards that the prior's mean is worth
_PRIOR_SHAPE = 3.0  # half the number of deviations that its variance is worth


class ThompsonAnyParams(NamedTuple):
    """Nothing is to be set: a class of its own, by which its kernels are found."""


class ThompsonAnySampledParams(NamedTuple):
    """The same, for the kernels without propensities."""


class Seen(NamedTuple):
    """What was learned, in rewards less the first one."""

    origin: Array  # float64[1] the first reward
    learned: Array  # float64[1] rewards
    total: Array  # float64[1] their sum
    error: Array  # float64[1] sum of the squared errors of predictions, each in units of its predictive variance
    count: Array  # float64[k] rewards of each arm
    mean: Array  # float64[k] of them
    square: Array  # float64[k] sum of their squared deviations from it


class Believed(NamedTuple):
    """Working space: of each arm's mean, in standard deviations of the rewards."""

    mean: Array  # float64[k]
    sd: Array  # float64[k]


class ThompsonAnyState(NamedTuple):
    """What was learned, and working space of `select`."""

    seen: Seen
    scratch_believed: Believed
    scratch_maximum: MaximumWorkspace


class ThompsonAnySampledState(NamedTuple):
    """The same without the law's working space."""

    seen: Seen
    scratch_believed: Believed


def thompson_any(propensities: bool = True) -> Policy:
    """Play each arm with the probability that its mean is the largest, for rewards of any unit."""
    if not isinstance(propensities, bool):
        raise InvalidInput("bad_param", f"propensities is {propensities!r}: it must be true or false")
    if propensities:
        return Policy("thompson_any", ThompsonAnyParams(), init, grow=by_padding(init))
    return Policy("thompson_any", ThompsonAnySampledParams(), init_sampled, grow=by_padding(init_sampled))


def init(params: ThompsonAnyParams, problem: Problem) -> ThompsonAnyState:
    """Return the state before any reward; up to 2000 arms."""
    check_arms(problem.n_arms)
    return ThompsonAnyState(*_nothing(problem.n_arms), workspace(problem.n_arms))


def init_sampled(params: ThompsonAnySampledParams, problem: Problem) -> ThompsonAnySampledState:
    """Return the state before any reward."""
    return ThompsonAnySampledState(*_nothing(problem.n_arms))


def _nothing(k: int) -> tuple[Seen, Believed]:
    seen = Seen(*(np.zeros(1) for _ in range(4)), *(np.zeros(k) for _ in range(3)))
    return seen, Believed(np.zeros(k), np.ones(k))


@kernel
def select(params: ThompsonAnyParams, state: ThompsonAnyState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    _weigh(state, instance)
    law = state.scratch_maximum.law
    arm = categorical(key, 0, law)
    return Decision(arm, law[arm])


@kernel
def select_sampled(
    params: ThompsonAnySampledParams, state: ThompsonAnySampledState, instance: Instance, key: Key
) -> Decision:
    """Draw a mean for every available arm and take the largest."""
    believed = state.scratch_believed
    _believe(state.seen, believed)
    best = -math.inf
    leader = -1
    for a in range(len(believed.mean)):
        if instance.available[a]:
            mean = believed.mean[a] + believed.sd[a] * normal(key, a)
            if mean > best:
                best = mean
                leader = a
    return Decision(leader, np.nan)


@kernel
def update(
    params: ThompsonAnyParams,
    state: ThompsonAnyState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Count the reward, and how far off it was from what was expected of its arm."""
    seen, arm = state.seen, decision.action
    if seen.learned[0] == 0.0:
        seen.origin[0] = feedback.reward
    reward = feedback.reward - seen.origin[0]
    if seen.learned[0] > 0.0:
        worth = _PRIOR_MEAN + seen.count[arm]
        error = reward - _expected(seen, arm)
        seen.error[0] += error * error * (worth / (worth + 1.0))
    seen.learned[0] += 1.0
    seen.total[0] += reward
    seen.count[arm] += 1.0
    deviation = reward - seen.mean[arm]
    seen.mean[arm] += deviation / seen.count[arm]
    seen.square[arm] += deviation * (reward - seen.mean[arm])


@kernel
def probability(params: ThompsonAnyParams, state: ThompsonAnyState, instance: Instance, action: int) -> float:
    """Return the probability that the arm's mean is the largest."""
    _weigh(state, instance)
    return state.scratch_maximum.law[action]


@kernel
def _weigh(state: ThompsonAnyState, instance: Instance) -> None:
    """Write the law."""
    _believe(state.seen, state.scratch_believed)
    normal_law(state.scratch_maximum, state.scratch_believed.mean, state.scratch_believed.sd, instance.available)


@kernel
def _expected(seen: Seen, arm: int) -> float:
    """Return the mean of what is believed of an arm's mean."""
    prior = seen.total[0] / seen.learned[0]
    count = seen.count[arm]
    return (_PRIOR_MEAN * prior + count * seen.mean[arm]) / (_PRIOR_MEAN + count)


@kernel
def _believe(seen: Seen, believed: Believed) -> None:
    """Write what is believed of each arm; until two rewards differ, of all the same.

    In units of the rewards' spread: so the law has the same bits whatever power of two scales them.
    """
    variance = seen.error[0] / (seen.learned[0] - 1.0) if seen.learned[0] > 1.0 else 0.0
    unit = math.sqrt(variance)
    prior = seen.total[0] / max(seen.learned[0], 1.0)
    for a in range(len(believed.mean)):
        believed.mean[a] = 0.0
        believed.sd[a] = 1.0
        if unit > 0.0:
            count = seen.count[a]
            worth = _PRIOR_MEAN + count
            off = seen.mean[a] - prior
            spread = _PRIOR_SHAPE * variance + 0.5 * seen.square[a] + count * off * off / worth
            believed.mean[a] = (_PRIOR_MEAN * prior + count * seen.mean[a]) / worth / unit
            believed.sd[a] = math.sqrt(spread / ((_PRIOR_SHAPE - 1.0 + 0.5 * count) * worth)) / unit


register_policy(ThompsonAnyParams, select=select, update=update, probability=probability)
register_policy(ThompsonAnySampledParams, select=select_sampled, update=update)
