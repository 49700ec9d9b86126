"""Thompson sampling for rewards of any unit: play each arm as often as it is believed to be the best.

Euros, minutes, minus the latency: nothing has to be declared. It is the default for arms. What is believed of an arm's
mean follows from a normal-inverse-gamma prior, whose parts are learned: its mean is the mean m of all rewards, worth
two of them, and its variance v the mean squared error of the predictions so far, worth six more. After n rewards of an
arm with the mean x and the sum S of squared deviations from it

    mean = (2 m + n x) / (n + 2),    variance = (3 v + S / 2 + n (x - m)^2 / (n + 2)) / ((2 + n / 2) (n + 2)).

Until two rewards differ there is no unit, and every arm is played alike.

With more arms than plays nothing could be learned of each, so among more than 128 it begins with a sample: 64 arms, and
one more for each hundred rewards, in an order that is random and the same in every run; arms that join are in it at
once. Where something is known beforehand, the sales of last year or the score of a model, `expected` has a number for
each arm, and arms of larger ones come first; only the order of the numbers counts, and equal ones stand at random. The
sample never has more than 2000 arms; further ones come in where others retire. Those outside have probability 0. A
decision among a hundred thousand costs no more than one among two thousand.

Source: Thompson 1933; Honda and Takemura, "Optimality of Thompson sampling for Gaussian bandits depends on priors",
AISTATS 2014: priors that expect too little spread lose for long; Bayati, Hamidi, Johari, Khosravi, "Unreasonable
effectiveness of greedy algorithms in multi-armed bandit with many arms", 2020: a sample of about the root of the
horizon. Departs from these: the prior is learned, in place of Student's t a normal variable of the same mean and
variance is drawn, whose law is known, and the sample grows in proportion to what was learned. No bound is known.
For rewards of 0 and 1 `thompson_beta` knows more: there the spread follows from the mean.
Units: rewards are measured from the first one, so an offset changes nothing as long as differences stay exact, and a
scale that is a power of two nothing at all.
State: the first reward, and of each arm how many, their mean and squared deviations; sums over all; the arms' order.
Propensities: the law P(this arm's mean is the largest) is computed by quadrature (`engine/laws/largest.py`) and drawn
from. With `propensities=False` one mean per arm is drawn and the largest played: faster, and the propensity is NaN.
Cost: O(m) a decision, m the arms in the sample (where few of them are available O(K)); about 2 us an arm with
propensities (20 us at K = 10, 2 ms at m = 1000) and 0.03 us without. O(1) per feedback.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import categorical, normal, unit, words
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import padded
from ...engine.kernel import kernel
from ...engine.laws.largest import ARMS_MAX, MaximumWorkspace, normal_law, workspace
from ...engine.problem import check_vector
from ...engine.protocol import register_policy
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem

_PRIOR_MEAN = 2.0  # rewards that the prior's mean is worth
_PRIOR_SHAPE = 3.0  # half the number of deviations that its variance is worth
_LEAST = 1e-280  # of the variance: divided by how often an arm was played, what is less may become 0
_WHOLE = 128  # arms in the beginning up to which the sample is all of them
_FIRST = 64  # arms of the sample of more, before any reward
_PLAYS = 100.0  # rewards for one more
_RUN = np.uint64(0x73616D706C65)  # of the draws that order the arms


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
    order: Array  # int64[k] in which arms come into the sample
    joined: Array  # int64[1] arms that were not there at the beginning


class Sample(NamedTuple):
    """Working space: the arms that may be played, and what is believed of their means, in sd of the rewards."""

    arm: Array  # int64[m]
    there: Array  # bool[m] whether there is one in this place
    mean: Array  # float64[m]
    sd: Array  # float64[m]


class ThompsonAnyState(NamedTuple):
    """What was learned, and working space of `select`."""

    seen: Seen
    scratch_sample: Sample
    scratch_maximum: MaximumWorkspace


class ThompsonAnySampledState(NamedTuple):
    """The same without the law's working space."""

    seen: Seen
    scratch_sample: Sample


def thompson_any(propensities: bool = True, expected: list[float] | None = None) -> Policy:
    """Play each arm with the probability that its mean is the largest, for rewards of any unit.

    Of many arms those come first of which more is `expected`: a number for each arm that is there at the beginning.
    """
    if not isinstance(propensities, bool):
        raise InvalidInput("bad_param", f"propensities is {as_seen(propensities)}: it must be true or false")
    policy = (
        Policy("thompson_any", ThompsonAnyParams(), init, contexts=NO_CONTEXT, grow=_growing(init))
        if propensities
        else Policy(
            "thompson_any", ThompsonAnySampledParams(), init_sampled, contexts=NO_CONTEXT, grow=_growing(init_sampled)
        )
    )
    if expected is None:
        return policy
    numbers = _check_expected(expected)
    begin = _sorted(policy.init, numbers)

    def resolve(problem: Problem) -> Policy:
        if problem.n_arms != len(numbers):
            raise InvalidInput(
                "bad_param",
                f"expected has {len(numbers)} numbers and there are {problem.n_arms} arms: give one for each arm, in "
                "their order, or leave expected out",
            )
        params = {"propensities": propensities, "expected": numbers.tolist()}
        return dataclasses.replace(resolved, spec={"name": "thompson_any", "params": params})

    resolved = dataclasses.replace(policy, init=begin, grow=_growing(begin), resolve=resolve)
    return resolved


def _check_expected(expected: Any) -> Array:
    """Return float64[n] of finite numbers; texts and truth values, which NumPy would turn into some, are refused."""
    numbers = check_vector("expected", expected)
    for i, value in enumerate(expected):
        if isinstance(value, (str, bytes, bool, np.bool_)):
            raise InvalidInput("bad_param", f"expected[{i}] is {as_seen(value)}: it must be a finite number")
    return numbers


def init(params: ThompsonAnyParams, problem: Problem) -> ThompsonAnyState:
    """Return the state before any reward."""
    return ThompsonAnyState(*_nothing(problem.n_arms), workspace(min(problem.n_arms, ARMS_MAX)))


def init_sampled(params: ThompsonAnySampledParams, problem: Problem) -> ThompsonAnySampledState:
    """Return the state before any reward."""
    return ThompsonAnySampledState(*_nothing(problem.n_arms))


def _nothing(k: int) -> tuple[Seen, Sample]:
    m = min(k, ARMS_MAX)
    number: Any = np.arange(k)
    order = number if k <= _WHOLE else np.argsort(unit(words(Key(_RUN, number), 0, 0)[0]), kind="stable")
    sums, of_arms = [np.zeros(1) for _ in range(4)], [np.zeros(k) for _ in range(3)]
    seen = Seen._make([*sums, *of_arms, order, np.zeros(1, np.int64)])
    return seen, Sample(np.zeros(m, np.int64), np.zeros(m, np.bool_), np.zeros(m), np.ones(m))


def _sorted(init: Callable[[Any, Problem], Any], expected: Array) -> Callable[[Any, Problem], Any]:
    """Return an `init` with the arms in falling order of what is expected of them; arms that joined come last."""

    def begin(params: Any, problem: Problem) -> Any:
        state = init(params, problem)
        order = state.seen.order
        rank = np.full(len(order), np.inf)
        rank[: len(expected)] = -expected
        ordered = order[np.argsort(rank[order], kind="stable")]
        return state._replace(seen=state.seen._replace(order=ordered))

    return begin


def _growing(init: Callable[[Any, Problem], Any]) -> Callable[[Any, Any, Problem], Any]:
    """Return what gives a state more arms: the new ones are in the sample at once."""

    def grow(params: Any, state: Any, problem: Problem) -> Any:
        grown = padded(state, init(params, problem))
        return grown._replace(seen=_joined(state.seen, grown.seen))

    return grow


def _joined(before: Seen, grown: Seen) -> Seen:
    """Put the new arms at the end of the sample; what was is not written into, as another thread may read it."""
    m, new = _size(before), np.arange(len(before.order), len(grown.order))
    order = np.concatenate([before.order[:m], new, before.order[m:]])
    return grown._replace(order=order, joined=before.joined + len(new))


@kernel
def select(params: ThompsonAnyParams, state: ThompsonAnyState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    _weigh(state, instance)
    law = state.scratch_maximum.law
    place = categorical(key, 0, law)
    return Decision(state.scratch_sample.arm[place], law[place])


@kernel
def select_sampled(
    params: ThompsonAnySampledParams, state: ThompsonAnySampledState, instance: Instance, key: Key
) -> Decision:
    """Draw a mean for every arm of the sample and take the largest."""
    sample = state.scratch_sample
    m = _take(state.seen, sample, instance.available)
    _believe(state.seen, sample, m)
    best = -math.inf
    leader = -1
    for i in range(m):
        mean = sample.mean[i] + sample.sd[i] * normal(key, sample.arm[i])
        if mean > best:
            best = mean
            leader = sample.arm[i]
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
    """Return the probability that the arm's mean is the largest of the sample's; 0 where it is not in that."""
    _weigh(state, instance)
    sample = state.scratch_sample
    for i in range(len(sample.arm)):
        if sample.there[i] and sample.arm[i] == action:
            return state.scratch_maximum.law[i]
    return 0.0


@kernel
def write_law(params: ThompsonAnyParams, state: ThompsonAnyState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    _weigh(state, instance)
    sample = state.scratch_sample
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = 0.0
    for i in range(len(sample.arm)):
        if sample.there[i]:
            law[sample.arm[i]] = state.scratch_maximum.law[i]


@kernel
def appraise(params: Any, state: Any, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the mean of what is believed of each arm's mean, and its standard deviation.

    There is neither before the first reward, and no deviation until two rewards differ.
    """
    seen = state.seen
    variance = _variance(seen)
    for a in range(len(instance.available)):
        scores[a] = math.nan
        widths[a] = math.nan
        if instance.available[a] and seen.learned[0] > 0.0:
            scores[a] = seen.origin[0] + _expected(seen, a)
            if variance > _LEAST:
                widths[a] = _doubt(seen, a, variance, seen.total[0] / seen.learned[0])


@kernel
def _weigh(state: ThompsonAnyState, instance: Instance) -> None:
    """Write the law of the sample."""
    sample = state.scratch_sample
    _believe(state.seen, sample, _take(state.seen, sample, instance.available))
    normal_law(state.scratch_maximum, sample.mean, sample.sd, sample.there)


@kernel
def _expected(seen: Seen, arm: int) -> float:
    """Return the mean of what is believed of an arm's mean."""
    prior = seen.total[0] / seen.learned[0]
    count = seen.count[arm]
    return (_PRIOR_MEAN * prior + count * seen.mean[arm]) / (_PRIOR_MEAN + count)


@kernel
def _size(seen: Seen) -> int:
    """Return how many arms the sample has, where so many are available."""
    began = len(seen.order) - seen.joined[0]
    first = began if began <= _WHOLE else _FIRST
    wanted = max(first, int(seen.learned[0] / _PLAYS)) + seen.joined[0]
    return min(wanted, min(len(seen.order), ARMS_MAX))


@kernel
def _take(seen: Seen, sample: Sample, available: Array) -> int:
    """Write the sample, the first available arms of the order, and return how many these are."""
    size = _size(seen)
    m = 0
    for i in range(len(seen.order)):
        if m == size:
            break
        if available[seen.order[i]]:
            sample.arm[m] = seen.order[i]
            m += 1
    for i in range(len(sample.there)):
        sample.there[i] = i < m
    return m


@kernel
def _believe(seen: Seen, sample: Sample, m: int) -> None:
    """Write what is believed of each arm of the sample; until two rewards differ, of all the same.

    In units of the rewards' spread: so the law has the same bits whatever power of two scales them.
    """
    variance = _variance(seen)
    sd = math.sqrt(variance)
    prior = seen.total[0] / max(seen.learned[0], 1.0)
    for i in range(m):
        sample.mean[i] = 0.0
        sample.sd[i] = 1.0
        if variance > _LEAST:
            arm = sample.arm[i]
            count = seen.count[arm]
            worth = _PRIOR_MEAN + count
            sample.mean[i] = (_PRIOR_MEAN * prior + count * seen.mean[arm]) / worth / sd
            sample.sd[i] = _doubt(seen, arm, variance, prior) / sd


@kernel
def _variance(seen: Seen) -> float:
    """Return the mean squared error of the predictions so far; 0 until there are two rewards."""
    return seen.error[0] / (seen.learned[0] - 1.0) if seen.learned[0] > 1.0 else 0.0


@kernel
def _doubt(seen: Seen, arm: int, variance: float, prior: float) -> float:
    """Return the standard deviation of what is believed of an arm's mean, in units of the reward."""
    count = seen.count[arm]
    worth = _PRIOR_MEAN + count
    off = seen.mean[arm] - prior
    spread = _PRIOR_SHAPE * variance + 0.5 * seen.square[arm] + count * off * off / worth
    return math.sqrt(spread / ((_PRIOR_SHAPE - 1.0 + 0.5 * count) * worth))


register_policy(
    ThompsonAnyParams, select=select, update=update, probability=probability, write_law=write_law, appraise=appraise
)
register_policy(ThompsonAnySampledParams, select=select_sampled, update=update, appraise=appraise)
