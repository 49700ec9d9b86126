"""Maillard chain: arms on a scale share what they learn, and are played as often as they may be best; nothing to tune.

For knobs whose best position moves with something known beforehand: the omega of a linear solver with the shift of its
matrix, say. Per arm the reward is a polynomial of the context, a row of Chebyshev features T_j(z) of its place z in
[low, high] (0 without a context), tied to the polynomials of the arms beside it (`engine/oracles/arm_chain.py`). Then

    p is proportional to exp(-gap^2 / (2 variance)),

with gap how far the arm's expected reward lies below the highest one, and variance that of its own expectation.

Why it ends nearer the best than ChebCB: neighbours tell where the valley is, so that far slopes are hardly visited; a
gap is held against how well this arm is known at this context, not against all errors ever made; and no arm has to be
tried at each context. Since arms share, a grid of 100 omegas is learned as soon as one of 20, and its best is better.

Nothing has a unit: rewards are counted from the first one, the prior deviation is 10 times the noise's, less for higher
degrees, and the noise is estimated with the coefficients (a conjugate prior). Other units of the reward change no draw.

Source: own. The law is that of Bian and Jun, "Maillard sampling: Boltzmann exploration done optimally", AISTATS 2022;
the setting that of Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024. No bound on the regret is known.
An arm keeps a probability, however small, down to where exp is 0: to estimate other policies wrap it in `floor`.
Late feedback: the errors are those of the coefficients that meet it. An arm that is not available has probability 0.
State: the chain's sums, 3 K m (m + 1) numbers; squared errors; the first reward.
Cost: O(K m^3) per decision and per feedback, whatever their number: 17 us for both at 20 arms and
10 features, 83 us at 96 arms.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.elementary import exp
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, leader_of, total_of, work_of
from ...engine.oracles.arm_chain import Links, chain, expect, take_in
from ...engine.oracles.chebyshev import chebyshev, check_features, check_range, describe
from ...engine.oracles.residuals import Residuals, add_residual, residual_sd, residuals
from ...engine.protocol import register_policy
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_PRIOR = 100.0  # variance of the lowest coefficient, in units of the noise's


class MaillardChainParams(NamedTuple):
    """Numbers fixed at creation."""

    low: float  # of the context
    high: float
    features: int  # m >= 1; 1 is a constant


class MaillardChainState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    links: Links  # of the rewards, counted from the first
    errors: Residuals  # of predictions, each over the standard deviation that it should have for noise of 1
    first: Array  # float64[1] the first reward learned
    clipped: Array  # int64[1] feedbacks whose context lay outside of [low, high]
    scratch_features: Array  # float64[m]
    scratch_work: Work
    scratch_uniform: UniformBlock


def maillard_chain(low: float, high: float, features: int = 10) -> Policy:
    """Draw arms, tied to their neighbours, by how likely each is best for a context of one number in [low, high].

    >>> maillard_chain(low=-0.15, high=0.65).context_length_max
    1
    """
    low, high = check_range(low, high)
    params = MaillardChainParams(low, high, check_features(features, 10))
    return Policy("maillard_chain", params, init, context_length_max=1)


def init(params: MaillardChainParams, problem: Problem) -> MaillardChainState:
    """Return the state before any feedback: uniform. Without a context there is one feature, the constant."""
    m = params.features if problem.context_shape[0] > 0 else 1
    return MaillardChainState(
        chain(problem.n_arms, _PRIOR / np.arange(1.0, m + 1.0)),
        residuals(),
        np.zeros(1),
        np.zeros(1, np.int64),
        np.zeros(m),
        work_of(problem.n_arms),
        uniform_block(),
    )


@kernel
def select(params: MaillardChainParams, state: MaillardChainState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(law), uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: MaillardChainParams,
    state: MaillardChainState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward, and from how far it was off how large the noise is."""
    state.clipped[0] += describe(instance.context, params.low, params.high, state.scratch_features)
    if state.errors.weight[0] == 0.0:
        state.first[0] = feedback.reward
    reward = feedback.reward - state.first[0]
    value, variance = expect(state.links, decision.action, state.scratch_features)
    add_residual(state.errors, (reward - value) / math.sqrt(1.0 + variance), 1.0)
    take_in(state.links, decision.action, state.scratch_features, reward)


@kernel
def probability(params: MaillardChainParams, state: MaillardChainState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: MaillardChainParams, state: MaillardChainState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def appraise(
    params: MaillardChainParams, state: MaillardChainState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards and their standard errors."""
    describe(instance.context, params.low, params.high, state.scratch_features)
    sd = residual_sd(state.errors)
    for a in range(len(instance.available)):
        if instance.available[a]:
            value, variance = expect(state.links, a, state.scratch_features)
            scores[a] = state.first[0] + value
            widths[a] = sd * math.sqrt(variance)


@kernel
def attribute(
    params: MaillardChainParams, state: MaillardChainState, instance: Instance, action: int, parts: Array
) -> None:
    """Write what the context adds to the reward predicted for the middle of its range, and that one."""
    describe(instance.context, params.low, params.high, state.scratch_features)
    here = expect(state.links, action, state.scratch_features)[0]
    chebyshev(0.0, state.scratch_features)
    middle = expect(state.links, action, state.scratch_features)[0]
    d = len(instance.context)
    for j in range(len(parts)):
        parts[j] = 0.0
    if d > 0:
        parts[0] = here - middle
    parts[d] = state.first[0] + middle


@kernel
def _weigh(params: MaillardChainParams, state: MaillardChainState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    describe(instance.context, params.low, params.high, state.scratch_features)
    score, width, law = state.scratch_work.score, state.scratch_work.width, state.scratch_work.law
    for a in range(len(law)):
        score[a] = 0.0
        width[a] = 0.0
        if instance.available[a]:
            value, variance = expect(state.links, a, state.scratch_features)
            score[a] = value
            width[a] = variance
    leader = leader_of(score, instance.available)
    best = score[leader]
    sd = residual_sd(state.errors)
    for a in range(len(law)):
        spread = sd * math.sqrt(width[a])
        gap = best - score[a]
        distance = gap / spread if spread > 0.0 else 0.0  # no error yet: all scores are the same
        weight = exp(-0.5 * distance * distance)
        law[a] = weight if instance.available[a] else 0.0
    share = 1.0 / total_of(law, len(law))
    for a in range(len(law)):
        law[a] *= share
    return leader


register_policy(
    MaillardChainParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    appraise=appraise,
    attribute=attribute,
)
