"""Thompson sampling for clicks: logistic regression, its posterior kept as a normal; play what a draw says is best.

Source: Chapelle and Li, "An empirical evaluation of Thompson sampling", NIPS 2011 (alg. 3), with the full covariance
and one feedback a batch: the posterior after a feedback is the normal at its mode (Laplace). There the logit m*
of the action solves m* = m + q (reward - p*), p* = logistic(m*), with m the logit predicted and q its variance; a ridge
regression that learns the response m* + (reward - p*) / w with the weight w = p* (1 - p*) gets just this posterior. So
the oracle is ridge: a model for each arm on dense contexts, one for all on rows of actions; the prior of each weight,
in scaled features, is N(0, 1 / regularisation).
Departs from the paper: the score of each action is drawn, not the weights, independently of the others.
The standard deviations are multiplied with alpha, as they found that less than the posterior's 1 explores better.
Rewards in [0, 1], or as parts of the range that is declared; what lies outside is clipped. A fraction counts
as that part of a click.
State: the model.
Propensities: the law P(this action's logit is the largest) is computed by quadrature (`engine/laws/largest.py`) and
drawn from. With `propensities=False` one logit per action is drawn and the largest played: faster, and the propensity
is NaN. Cost: a prediction and a width of all actions per decision, O(K p^2) with p features, and about 2 us an action
with propensities; one fit per feedback.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...engine.draws import categorical, normal
from ...engine.elementary import exp
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, work_of
from ...engine.laws.largest import MaximumWorkspace, check_arms, normal_law, workspace
from ...engine.oracles.choice import oracle
from ...engine.oracles.forgetting import check_half_life
from ...engine.oracles.oracle import fit, predict, predict_one, split, spread
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, clipped_part
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange

_WEIGHT_MIN = 1e-4  # of a feedback: below, its response would be so large that nothing but rounding comes of it
_SD_MIN = 1e-9  # of a logit: an action whose features are all 0 may have none, and the quadrature needs some
_LOGIT_MAX = 1e100  # what is learned from it, and its square, stay finite


class LogisticThompsonParams(NamedTuple):
    """Numbers fixed at creation."""

    alpha: float  # >= 0, what the posterior's standard deviations are multiplied with
    regularisation: float  # > 0, precision of the prior of each weight
    half_life: float  # in feedbacks; inf where nothing is forgotten
    rewards: RewardRange = UNIT  # a click is a part of 1


class LogisticThompsonSampledParams(NamedTuple):
    """The same, for the kernels without propensities."""

    alpha: float
    regularisation: float
    half_life: float
    rewards: RewardRange = UNIT


class LogisticThompsonState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose; it predicts logits
    scratch_work: Work
    scratch_maximum: MaximumWorkspace


class LogisticThompsonSampledState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any
    scratch_work: Work


def logistic_thompson(
    alpha: float = 0.25, regularisation: float = 0.1, half_life: float | None = None, propensities: bool = True
) -> Policy:
    """Play each action with the probability that its chance of a click is the largest."""
    numbers = (
        check_param("alpha", alpha, low=0.0, high=1e6),
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        check_half_life(half_life),
    )
    if not isinstance(propensities, bool):
        raise InvalidInput("bad_param", f"propensities is {as_seen(propensities)}: it must be true or false")
    if propensities:
        return Policy(
            "logistic_thompson",
            LogisticThompsonParams(*numbers),
            init,
            contexts=("dense", "actions"),
            grow=by_padding(init),
            foretells=False,
        )
    params = LogisticThompsonSampledParams(*numbers)
    return Policy(
        "logistic_thompson",
        params,
        init_sampled,
        contexts=("dense", "actions"),
        grow=by_padding(init_sampled),
        foretells=False,
    )


def init(params: LogisticThompsonParams, problem: Problem) -> LogisticThompsonState:
    """Return the prior; up to 2000 arms."""
    check_arms(problem.n_arms)
    return LogisticThompsonState(_prior(params, problem), work_of(problem.n_arms), workspace(problem.n_arms))


def init_sampled(params: LogisticThompsonSampledParams, problem: Problem) -> LogisticThompsonSampledState:
    """Return the prior."""
    return LogisticThompsonSampledState(_prior(params, problem), work_of(problem.n_arms))


def _prior(params: LogisticThompsonParams | LogisticThompsonSampledParams, problem: Problem) -> Any:
    return oracle(problem, regularisation=params.regularisation, half_life=params.half_life)


@kernel
def select(params: LogisticThompsonParams, state: LogisticThompsonState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    _weigh(params, state, instance)
    law = state.scratch_maximum.law
    action = categorical(key, 0, law)
    return Decision(action, law[action])


@kernel
def select_sampled(
    params: LogisticThompsonSampledParams, state: LogisticThompsonSampledState, instance: Instance, key: Key
) -> Decision:
    """Draw a logit for every available action and take the largest."""
    _appraise(params, state, instance)
    work = state.scratch_work
    best = -math.inf
    leader = -1
    for a in range(len(instance.available)):
        if instance.available[a]:
            logit = work.score[a] + work.width[a] * normal(key, a)
            if logit > best:
                best = logit
                leader = a
    return Decision(leader, math.nan)


@kernel
def update(
    params: LogisticThompsonParams,
    state: LogisticThompsonState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move the posterior to its mode, by way of the ridge regression that has it."""
    work = state.scratch_work
    k = len(instance.available)
    action: int = decision.action
    only = work.only[:k]
    reward = clipped_part(params.rewards, feedback.reward)
    mean = _bounded(predict_one(state.model, instance.context, action, only, work.score))
    only[action] = True
    spread(state.model, instance.context, only, work.width)
    only[action] = False
    mode = posterior_mode(mean, work.width[action] * work.width[action], reward)
    p = logistic(mode)
    weight = max(p * (1.0 - p), _WEIGHT_MIN)
    fit(state.model, instance.context, action, mode + (reward - p) / weight, weight)


@kernel
def probability(params: LogisticThompsonParams, state: LogisticThompsonState, instance: Instance, action: int) -> float:
    """Return the probability that the action's logit is the largest."""
    _weigh(params, state, instance)
    return state.scratch_maximum.law[action]


@kernel
def appraise(
    params: LogisticThompsonParams, state: LogisticThompsonState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted logits and their standard deviations, as they are drawn with."""
    predict(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    for a in range(len(instance.available)):
        widths[a] *= params.alpha


@kernel
def attribute(
    params: LogisticThompsonParams, state: LogisticThompsonState, instance: Instance, action: int, parts: Array
) -> None:
    """Write what each feature adds to the predicted logit."""
    split(state.model, instance.context, action, parts)


@kernel
def logistic(x: float) -> float:
    """Return 1 / (1 + exp(-x)), without overflow."""
    small = exp(-abs(x))
    return (1.0 if x >= 0.0 else small) / (1.0 + small)


@kernel
def posterior_mode(mean: float, variance: float, reward: float) -> float:
    """Return the x that solves x = mean + variance (reward - logistic(x)): where prior and one feedback agree.

    Newton's method on an increasing function, kept in the interval that must hold the root by halving it.
    """
    low = mean + variance * (reward - 1.0)
    high = mean + variance * reward
    x = mean
    for _ in range(60):
        p = logistic(x)
        excess = x - mean - variance * (reward - p)
        if excess > 0.0:
            high = x
        else:
            low = x
        step = excess / (1.0 + variance * p * (1.0 - p))
        if abs(step) <= 1e-12 * (1.0 + abs(x)):
            break
        x -= step
        if x <= low or x >= high:
            x = 0.5 * (low + high)
    return x


@kernel
def _weigh(params: LogisticThompsonParams, state: LogisticThompsonState, instance: Instance) -> None:
    """Write the law; the working space has all arms, of which a set of fewer actions uses the first."""
    _appraise(params, state, instance)
    work = state.scratch_work
    k = len(instance.available)
    for a in range(k):
        work.only[a] = instance.available[a]
    normal_law(state.scratch_maximum, work.score, work.width, work.only)
    for a in range(k):
        work.only[a] = False


@kernel
def _appraise(params: Any, state: Any, instance: Instance) -> None:
    """Write means and standard deviations of the logits, as they are drawn with."""
    k = len(instance.available)
    width = state.scratch_work.width
    predict(state.model, instance.context, instance.available, state.scratch_work.score)
    spread(state.model, instance.context, instance.available, width)
    for a in range(k):
        state.scratch_work.score[a] = _bounded(state.scratch_work.score[a])
        width[a] = max(params.alpha * width[a], _SD_MIN)


@kernel
def _bounded(logit: float) -> float:
    return min(max(logit, -_LOGIT_MAX), _LOGIT_MAX)


register_policy(
    LogisticThompsonParams,
    select=select,
    update=update,
    probability=probability,
    appraise=appraise,
    attribute=attribute,
)
register_policy(
    LogisticThompsonSampledParams,
    select=select_sampled,
    update=update,
    appraise=appraise,
    attribute=attribute,
)
