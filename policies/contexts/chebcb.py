"""ChebCB: fit the loss of each arm by Chebyshev polynomials of one number, and weigh by inverse gaps; nothing to tune.

For knobs whose best position moves with something known beforehand: the omega of a linear solver with the shift of its
matrix, say. Losses are max(reward_max - reward, 0); for iteration counts the reward is -iterations and `reward_max` -1.
Per arm the loss is <theta, (T_0(z) .. T_{m-1}(z))>, z the place of the context in [low, high] (0 without a context),
with theta the best box-constrained least squares on all that the arm earned so far
(`engine/oracles/box_least_squares.py`):

    |theta_0| <= K, |theta_j| <= 2 K / j, where K is the largest loss so far, of any arm.

An arm that was never played has theta = 0, the least loss there can be, so it is tried first. Over k available arms
p = 1 / (k + gamma gap) for all but the best, who takes the rest; ties go to the lowest arm. After t feedbacks

    gamma = 2 t sqrt(d t / (E - S + 2 t (K a)^2)),   a = (pi + (2 / pi) ln(2 m + 1)) / (2 (m + 1)),

with d arms, E the sum of the squared errors of predictions, each made before its feedback was learned, and S the
squared residuals of the last fit of that feedback in which a bound held (0 where none did). Before that it is uniform.

Source: Khodak, Chow, Balcan, Talwalkar, "Learning to relax: setting solver parameters across a sequence of linear
system instances", ICLR 2024, with the constants of its released experiments: degrees 0 to m - 1, and a gamma that
grows with t. The paper's regret, O(T^(9/11) sqrt(K)), is for a constant one and grows with the largest loss.
Departs from both: all is in units of the loss, where the constant N of the paper cancels out of law and fit; loss is
iterations - 1 everywhere (the released code counts an iteration more in E and in K); E - S is no less than 0; what the
past leaves open is settled by the smallest coefficients also where a bound holds.
Late feedback: E has the error of the coefficients that meet it. An arm that is not available has probability 0.
State: a triangle of m x m numbers, m coefficients and their bounds' sides per arm; E, S, K and counts.
Cost: O(K m) per decision, O(m^3) per feedback whatever its number, and as much for each arm when K grows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.elementary import log
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, inverse_gap, work_of
from ...engine.oracles.box_least_squares import BoxFit, box_fit, fit_within, residual_square, take_in, value_of
from ...engine.oracles.chebyshev import FARTHEST, check_features, check_range, describe
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class ChebCbParams(NamedTuple):
    """Numbers fixed at creation."""

    low: float  # of the context
    high: float
    features: int  # m >= 1; 1 is a constant
    reward_max: float  # the largest reward there can be


class ChebCbState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    fit: BoxFit  # of the loss, a system per arm
    learned: Array  # int64[1] feedbacks
    clipped: Array  # int64[1] those whose context lay outside of [low, high]
    largest: Array  # float64[1] K, the largest loss
    excess: Array  # float64[2] E and S: squared errors so far, and squares left by the last fit that a bound held
    scratch_features: Array  # float64[m]
    scratch_bound: Array  # float64[m]
    scratch_work: Work
    scratch_uniform: UniformBlock


def chebcb(low: float, high: float, features: int = 6, reward_max: float = -1.0) -> Policy:
    """Play by inverse gap weighting over a Chebyshev fit per arm, of contexts of one number in [low, high].

    >>> chebcb(low=-0.15, high=0.65).context_length_max
    1
    """
    low, high = check_range(low, high)
    largest = check_param("reward_max", reward_max, low=-FARTHEST, high=FARTHEST)
    params = ChebCbParams(low, high, check_features(features, 6), largest)
    return Policy("chebcb", params, init, context_length_max=1, grow=by_padding(init))


def init(params: ChebCbParams, problem: Problem) -> ChebCbState:
    """Return the state before any feedback: uniform."""
    k, m = problem.n_arms, params.features
    return ChebCbState(
        box_fit(k, m),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(2),
        np.zeros(m),
        np.zeros(m),
        work_of(k),
        uniform_block(),
    )


@kernel
def select(params: ChebCbParams, state: ChebCbState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(law), uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: ChebCbParams,
    state: ChebCbState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Take the loss in, and fit its arm again: all arms that were played, where no loss was so large before."""
    arm = decision.action
    loss = max(params.reward_max - feedback.reward, 0.0)
    state.clipped[0] += describe(instance.context, params.low, params.high, state.scratch_features)
    error = loss - value_of(state.fit, arm, state.scratch_features)
    state.excess[0] += error * error
    take_in(state.fit, arm, state.scratch_features, loss)
    state.learned[0] += 1
    grows = loss > state.largest[0]
    state.largest[0] = max(state.largest[0], loss)
    _bound(state)
    state.excess[1] = 0.0
    for a in range(len(state.fit.rows)):
        if (a == arm or (grows and state.fit.rows[a] > 0)) and fit_within(state.fit, a, state.scratch_bound):
            state.excess[1] = residual_square(state.fit, a)


@kernel
def probability(params: ChebCbParams, state: ChebCbState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: ChebCbParams, state: ChebCbState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def appraise(params: ChebCbParams, state: ChebCbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards; how sure they are is unknown."""
    describe(instance.context, params.low, params.high, state.scratch_features)
    for a in range(len(instance.available)):
        widths[a] = math.nan
        if instance.available[a]:
            scores[a] = params.reward_max - value_of(state.fit, a, state.scratch_features)


@kernel
def attribute(params: ChebCbParams, state: ChebCbState, instance: Instance, action: int, parts: Array) -> None:
    """Write what the context adds to the predicted reward, and then the rest, which does not move with it."""
    describe(instance.context, params.low, params.high, state.scratch_features)
    fixed = state.fit.theta[action, 0]
    d = len(instance.context)
    for j in range(len(parts)):
        parts[j] = 0.0
    if d > 0:
        parts[0] = fixed - value_of(state.fit, action, state.scratch_features)
    else:
        fixed = value_of(state.fit, action, state.scratch_features)
    parts[d] = params.reward_max - fixed


@kernel
def _bound(state: ChebCbState) -> None:
    """Write how large each coefficient may be."""
    largest = state.largest[0]
    state.scratch_bound[0] = largest
    for j in range(1, len(state.scratch_bound)):
        state.scratch_bound[j] = 2.0 * largest / j


@kernel
def _weigh(params: ChebCbParams, state: ChebCbState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    describe(instance.context, params.low, params.high, state.scratch_features)
    score = state.scratch_work.score
    for a in range(len(score)):
        score[a] = -value_of(state.fit, a, state.scratch_features)
    return inverse_gap(score, instance.available, _gamma(state), state.scratch_work.law)


@kernel
def _gamma(state: ChebCbState) -> float:
    """Return how soon gaps count, in units of 1 / loss; 0 where all losses were 0, and all predictions are."""
    t = float(state.learned[0])
    m = len(state.scratch_bound)
    misfit = (math.pi + 2.0 / math.pi * log(2.0 * m + 1.0)) / (2.0 * (m + 1.0)) * state.largest[0]
    below = max(state.excess[0] - state.excess[1], 0.0) + 2.0 * t * misfit * misfit
    return 2.0 * t * math.sqrt(len(state.fit.rows) * t / below) if below > 0.0 else 0.0


register_policy(
    ChebCbParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    appraise=appraise,
    attribute=attribute,
)
