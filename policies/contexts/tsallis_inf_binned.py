"""Tsallis-INF in bins of a context of one number: in each bin a bandit of its own, which knows nothing of the others.

Source: Khodak, Chow, Balcan, Talwalkar, "Learning to relax: setting solver parameters across a sequence of linear
system instances", ICLR 2024 (Tsallis-INF-CB), for the omega of a solver and the diagonal shift of its matrices. The law
is that of Zimmert and Seldin (`engine/laws/tsallis.py`) over the loss reward_max - reward in units of its running mean.
The bins are equally wide, and a context falls to the nearest centre, the lower one of two; one outside [low, high]
falls to the end. Where the problem has no context it is the middle. Each bin has its own clock, the feedbacks learned
in it plus 1, and its own mean: regret O(sqrt(K T m)) against the best arm of each of m bins, to which comes what the
best arm varies within a bin; with m and K like the fourth root of T together O(T^(3/4)).
Departs from the paper: estimates of reduced variance are the default, and the law is solved for exactly.
State: per bin and arm the cumulative estimated loss and its baselines; per bin the sum and number of losses; how many
feedbacks had a context outside the range. Cost: O(K) per decision; O(1) per feedback, or O(K) with reduced variance.
Late feedback divides by the propensity that was logged; it moves the clock and the mean of its bin when it is learned,
so that decisions in between are all drawn from one law.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, pick, uniform_block, uniform_from
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.laws.tsallis import (
    ScaledLosses,
    TsallisWork,
    add_reduced,
    add_weighted,
    scaled_law,
    scaled_losses,
    tsallis_work,
)
from ...engine.problem import REWARD_MAX, check_param
from ...engine.protocol import register_policy, row_of
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

BINS_MAX = 1000


class TsallisInfBinnedParams(NamedTuple):
    """Numbers fixed at creation, for importance-weighted losses."""

    eta: float  # eta_t = eta / sqrt(t)
    reward_max: float  # the reward whose loss is 0
    low: float  # where the first bin begins
    high: float  # where the last bin ends, > low
    bins: int


class TsallisInfBinnedReducedParams(NamedTuple):
    """Numbers fixed at creation, for losses of reduced variance."""

    eta: float
    reward_max: float
    low: float
    high: float
    bins: int


class TsallisInfBinnedState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    losses: ScaledLosses  # of each bin: all arrays with a first axis of `bins`
    clipped: Array  # int64[1] feedbacks whose context lay outside [low, high]
    scratch_work: TsallisWork
    scratch_uniform: UniformBlock


Params = TsallisInfBinnedParams | TsallisInfBinnedReducedParams


def tsallis_inf_binned(
    low: float, high: float, bins: int = 5, estimator: str = "reduced_variance", reward_max: float = -1.0
) -> Policy:
    """Draw an arm as `tsallis_inf` does, apart in each of `bins` equal parts of the context's range [low, high].

    `estimator` of the losses: "importance_weighted" or "reduced_variance". `reward_max` is the largest reward there can
    be, whose loss is 0: where the reward is minus the iterations of a solver -1, minus a time 0, a click 1. Rewards
    above it count as it: one set too low leaves nothing to tell the arms apart.
    """
    known: dict[str, tuple[type[Params], float]] = {
        "importance_weighted": (TsallisInfBinnedParams, 2.0),
        "reduced_variance": (TsallisInfBinnedReducedParams, 4.0),
    }
    if estimator not in known:
        raise InvalidInput("bad_param", f"estimator is {as_seen(estimator)}: it must be one of {', '.join(known)}")
    if isinstance(bins, bool) or not isinstance(bins, int) or not 1 <= bins <= BINS_MAX:
        raise InvalidInput("bad_param", f"bins is {as_seen(bins)}: it must be a whole number from 1 to {BINS_MAX}")
    low = check_param("low", low, low=-1e100, high=1e100)
    high = check_param("high", high, low=low, high=1e100, low_open=True)
    most = check_param("reward_max", reward_max, low=-REWARD_MAX, high=REWARD_MAX)
    params, eta = known[estimator]
    return Policy(
        "tsallis_inf_binned",
        params(eta, most, low, high, bins),
        init,
        context_length_max=1,
        foretells=False,
        divides=True,
    )


def init(params: Params, problem: Problem) -> TsallisInfBinnedState:
    """Return the state before any feedback."""
    losses = scaled_losses(params.bins, problem.n_arms)
    return TsallisInfBinnedState(losses, np.zeros(1, np.int64), tsallis_work(problem.n_arms), uniform_block())


@kernel
def select(params: Params, state: TsallisInfBinnedState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law of the context's bin."""
    law = state.scratch_work.law
    total = _solve(params, state, instance)
    action = pick(law, uniform_from(state.scratch_uniform, key) * total)
    return Decision(action, law[action] / total)


@kernel
def update(
    params: TsallisInfBinnedParams,
    state: TsallisInfBinnedState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add the loss of the arm that was played, over its propensity, in the context's bin."""
    _count_clipped(params, state, instance.context)
    losses = row_of(state.losses, _bin_of(params, instance.context))
    loss = max(params.reward_max - feedback.reward, 0.0)
    add_weighted(losses, decision.action, loss, decision.propensity)


@kernel
def update_reduced(
    params: TsallisInfBinnedReducedParams,
    state: TsallisInfBinnedState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Do the same around baselines of half the bin's mean."""
    _count_clipped(params, state, instance.context)
    losses = row_of(state.losses, _bin_of(params, instance.context))
    loss = max(params.reward_max - feedback.reward, 0.0)
    add_reduced(
        losses,
        params.eta,
        losses.learned[0] + 1.0,
        instance.available,
        decision.action,
        loss,
        decision.propensity,
        state.scratch_work,
    )


@kernel
def probability(params: Params, state: TsallisInfBinnedState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    total = _solve(params, state, instance)
    return state.scratch_work.law[action] / total


@kernel
def _solve(params: Params, state: TsallisInfBinnedState, instance: Instance) -> float:
    """Write the law of the context's bin but for a factor near 1, and return its sum."""
    losses = row_of(state.losses, _bin_of(params, instance.context))
    return scaled_law(losses, params.eta, losses.learned[0] + 1.0, instance.available, state.scratch_work)


@kernel
def _bin_of(params: Params, context: Array) -> int:
    """Return the bin of the nearest centre, the lower one of two: bin j holds (j, j + 1] of the range's parts."""
    share = 0.5
    if len(context) > 0:
        share = (min(max(context[0], params.low), params.high) - params.low) / (params.high - params.low)
    return max(math.ceil(share * params.bins) - 1, 0)


@kernel
def _count_clipped(params: Params, state: TsallisInfBinnedState, context: Array) -> None:
    if len(context) > 0 and not params.low <= context[0] <= params.high:
        state.clipped[0] += 1


register_policy(TsallisInfBinnedParams, select=select, update=update, probability=probability)
register_policy(TsallisInfBinnedReducedParams, select=select, update=update_reduced, probability=probability)
