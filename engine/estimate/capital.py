"""The capital of an e-process: what its state holds, and what all its bets have come to.

Methods and sources are those of `eprocess.py`, which bets.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import exp, exp_of_each, log, log_of_each
from ..kernel import kernel, kernel_beside, loop, routine
from ..vocabulary import Array


class EState(NamedTuple):
    """What an e-process stores of the past; `add_weights` and `add_actions` write it."""

    size: Array  # float64[j], eta of bets on too large weights, and less than 0 of those on too small ones
    idle: Array  # float64[j], ln of what a bet on an arm grows by at each decision for another arm
    scale: Array  # float64[j], exp(-idle)
    growth: Array  # float64[arms, j], ln of what each bet has grown to, less `idle` for each decision, but for
    product: Array  # float64[arms, j], what it has grown by since, in the same way
    taken: Array  # int64[arms], how often each was taken since its products began
    worth: Array  # float64[arms, j], at the last turn: what a bet has of what the alarm takes, but for `product`,
    change: Array  # float64[j], and what any has grown by since, until the last look, at decisions for other arms
    step: Array  # float64[j], what that is from one look to the next
    crowd: Array  # int64[m], so many arms at most have a propensity above 1 / (crowd + 1); none for weights
    crowd_growth: Array  # float64[m c], c sizes of each: ln of what these bets have grown to, as `growth`, but for
    crowd_product: Array  # float64[m c], what they have grown by since
    crowd_above: Array  # float64[m c], 1 over what propensities are that are above
    crowd_slope: Array  # float64[m c], by which a bet grows for each 1 / propensity
    crowd_idle: Array  # float64[m c], as `idle`
    crowd_worth: Array  # float64[m c], at the last look: as `worth`
    crowd_step: Array  # float64[m c], as `step`
    scratch_total: Array  # float64[j]
    seen: Array  # int64[2]: decisions, and those after which the alarm came, or 0
    limit: float  # ln of the capital at which the alarm comes


def log_capital(state: EState) -> float:
    """Return what `log_e` does but for the last digits; nothing is compiled."""
    of_arms = log_mean(state.growth + np.log(state.product) + state.seen[0] * state.idle)
    if not len(state.crowd):
        return float(of_arms)
    of_crowds = log_mean(state.crowd_growth + np.log(state.crowd_product) + state.seen[0] * state.crowd_idle)
    return float(log_mean(np.array([of_arms, of_crowds])))


def log_mean(logs: Array, axis: int | None = None) -> Array:
    """Return ln of the mean, over an axis or over all, of what `logs` are the logarithms of."""
    largest = logs.max(axis=axis)
    return np.asarray(largest + np.log(np.exp(logs - largest).mean(axis=axis)))


@loop
def log_e(state: EState) -> float:
    """Return ln of the capital: the mean over arms, and over the bets that are made."""
    return log_e_in_loops(state)


@routine
def log_e_in_loops(state: EState) -> float:
    """Return ln of the capital, in a loop."""
    of_arms = _of_arms(state)
    if len(state.crowd_growth) == 0:
        return of_arms
    of_crowds = _of_crowds(state)
    largest = max(of_arms, of_crowds)
    return largest + log(0.5 * (exp(of_arms - largest) + exp(of_crowds - largest)))


def _of_arms_in_python(state: EState) -> float:
    return _log_of_mean(state.growth + log_of_each(state.product) + state.seen[0] * state.idle)


@kernel_beside(_of_arms_in_python)
def _of_arms(state: EState) -> float:
    n_arms, n_sizes = state.growth.shape
    largest = -math.inf
    for a in range(n_arms):
        for j in range(n_sizes):
            largest = max(largest, _grown(state, a, j))
    total = 0.0
    for a in range(n_arms):
        for j in range(n_sizes):
            total += exp(_grown(state, a, j) - largest)
    return largest + log(total / (n_arms * n_sizes))


@kernel
def _grown(state: EState, a: int, j: int) -> float:
    return state.growth[a, j] + log(state.product[a, j]) + state.seen[0] * state.idle[j]


def _of_crowds_in_python(state: EState) -> float:
    return _log_of_mean(state.crowd_growth + log_of_each(state.crowd_product) + state.seen[0] * state.crowd_idle)


@kernel_beside(_of_crowds_in_python)
def _of_crowds(state: EState) -> float:
    n_crowds = len(state.crowd_growth)
    largest = -math.inf
    for q in range(n_crowds):
        largest = max(largest, _crowd_grown(state, q))
    total = 0.0
    for q in range(n_crowds):
        total += exp(_crowd_grown(state, q) - largest)
    return largest + log(total / n_crowds)


@kernel
def _crowd_grown(state: EState, q: int) -> float:
    return state.crowd_growth[q] + log(state.crowd_product[q]) + state.seen[0] * state.crowd_idle[q]


def _log_of_mean(logs: Array) -> float:
    """Return ln of the mean of what has these logarithms, summed one after the other as kernels do."""
    largest = logs.max()
    return float(largest + log(np.add.accumulate(exp_of_each(logs.ravel() - largest))[-1] / logs.size))
