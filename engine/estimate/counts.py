"""Are the arms of a log taken as often as its propensities promise? One look, at its end: sample-ratio mismatch.

A log names the propensity of the arm that was taken, and not those of the others. So how much the counts may vary is
not known: an arm that has 1e-4 at each of 2,000 decisions is mostly not taken at all, and no row says what it was
promised. What is known is that 1{action = a} / propensity averages 1 for every arm a, whatever the propensities are.
A bettor buys shares of these averages, of all arms at once, with at most half of the capital, and chooses the shares
by earlier rows alone. So the capital, 1 at the start, is on average 1 while the propensities are true, and is c or more
with a probability of 1 / c at most: its inverse is a p-value, of logs of any length and of any propensities.

Shares are never below 0, as one large weight could then ruin more than there is. An arm that is taken too rarely is
found by the others, which are taken too often. Propensities that are all too large alike are not found: arms that the
log has not named yet might still make up for it.

Source: Shafer, "Testing by betting", 2021; the shares: Kelly, "A new interpretation of information rate", 1956, to
second order, for arms that exclude each other. Where all propensities are 1 / k the law of the counts is known, and
Pearson's chi-square says more.

>>> action = np.tile([0, 1, 2, 3], 500)
>>> count_actions(action, np.full(2000, 0.25), 4).p_value
1.0
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import log
from ..kernel import loop
from ..vocabulary import Array
from .eprocess import CROWDS, above
from .tails import chi_square_tail

_FIRST = 64  # rows before the first bet, and between bets at the least
_GROWTH = 4  # bets are chosen anew when a quarter more rows were seen
_DOUBT = 0.5  # standard errors that a gap must have before anything is bet on it: of 0 to 1.5 it finds the most
_MOST = 0.5  # of the capital that is bet
_LARGE = 1e100  # of a product, whose logarithm is then taken
_COCHRAN = 5  # decisions of each arm from which on the counts' chi-square has its law: 1 in 900 is below 0.001


class Likeliest(NamedTuple):
    """How often propensities are above 1 / (arms + 1), which they can be of so many arms at most.

    `average` is that of 1 / (arms propensity) over all decisions, 0 where the propensity is smaller.
    """

    arms: int
    average: float  # 1 at most where propensities are true
    z: float  # standard errors by which it is above 1


class Actions(NamedTuple):
    """Counts of actions against what the propensities promise: sample-ratio mismatch."""

    counts: Array  # int64[k]
    promised: Array  # float64[k], sum of 1{action = a} / propensity: about n where the propensities are true
    z: Array  # float64[k], standard errors between the two, as rows vary; no test where draws are few; NaN for none
    likeliest: Likeliest  # that which is farthest above 1
    p_value: float  # at most alpha in a share alpha of logs with true propensities; no row: NaN


def count_actions(action: Array, propensity: Array, n_arms: int) -> Actions:
    """Compare how often each arm was taken, int64[n], with what the propensities promise, float64[n] in (0, 1].

    The p-value is that of chi-square where all propensities are 1 / k and each arm may expect five decisions, else the
    inverse of the capital of bets. Cost: O(n + k log n).
    """
    action, propensity = np.ascontiguousarray(action, np.int64), np.ascontiguousarray(propensity, np.float64)
    n = len(action)
    total, promised, square = np.zeros(n_arms, np.int64), np.zeros(n_arms), np.zeros(n_arms)
    _count.compiled(action, propensity, total, promised, square)(action, propensity, total, promised, square)
    square += n  # sums of (1{action = a} / propensity - 1)^2
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (promised - n) / np.sqrt(square)
    return Actions(total, promised, z, _likeliest(propensity, n_arms), _p_value(action, propensity, total))


def _p_value(action: Array, propensity: Array, total: Array) -> float:
    """Return the p-value of actions that were taken so often, int64[k]; NaN where there are none."""
    n, n_arms = len(action), len(total)
    expected = n / n_arms
    if n == 0:
        return math.nan
    if n_arms == 1:
        return 1.0
    if expected >= _COCHRAN and drawn_evenly(propensity, n_arms):
        return chi_square_tail(float(((total - expected) ** 2).sum() / expected), n_arms - 1)
    return math.exp(-max(0.0, _log_capital(action, propensity, n_arms)))


@loop
def _count(action: Array, propensity: Array, total: Array, promised: Array, square: Array) -> None:
    """Count actions, int64[n], into `total`, int64[k]; add up w = 1 / propensity, and w (w - 2), of each arm's."""
    for i in range(len(action)):
        weight = 1.0 / propensity[i]
        total[action[i]] += 1
        promised[action[i]] += weight
        square[action[i]] += weight * (weight - 2.0)


def _likeliest(propensity: Array, n_arms: int) -> Likeliest:
    n, crowds = len(propensity), CROWDS[n_arms >= CROWDS]
    if not n:
        return Likeliest(1, math.nan, -math.inf)
    begin, scale = 1.0 / float(propensity[0]), above(crowds)
    sums = np.zeros((3, len(crowds) + 1))
    given = propensity, scale, begin, sums
    _add_up.compiled(*given)(*given)
    count, gaps, square = np.cumsum(sums[:, ::-1], axis=1)[:, :-1]  # of each crowd
    # What counts is 1 / propensity or, in no crowd, 0: as far from what it is at the first row as it is, or `more` far.
    first = np.where(propensity[0] * scale > 1.0, begin, 0.0)
    more = begin - first
    off = (gaps + count * more - (n - count) * first) / n
    square = (square + 2.0 * more * gaps + count * more**2 + (n - count) * first**2) / n
    errors = np.sqrt(np.maximum(square - off * off, 0.0) / n) / crowds
    found = Likeliest(1, math.nan, -math.inf)
    for arms, average, error in zip(crowds.tolist(), ((first + off) / crowds).tolist(), errors.tolist(), strict=True):
        gap = average - 1.0
        z = gap / error if error > 0.0 else math.copysign(math.inf, gap) if gap else 0.0
        found = max(found, Likeliest(arms, average, z), key=lambda one: one.z)
    return found


@loop
def _add_up(propensity: Array, scale: Array, begin: float, sums: Array) -> None:
    """Add up propensities by how many of m they are above 1 / `scale` of, float64[m].

    Into `sums`, float64[3, 1 + m]: how many there are, their 1 / propensity less `begin`, and its square.
    """
    for i in range(len(propensity)):
        gap, crowds = 1.0 / propensity[i] - begin, 0
        for m in range(len(scale)):
            crowds += 1 if propensity[i] * scale[m] > 1.0 else 0
        sums[0, crowds] += 1.0
        sums[1, crowds] += gap
        sums[2, crowds] += gap * gap


def drawn_evenly(propensity: Array, n_arms: int) -> bool:
    """Return whether all propensities, float64[n], are 1 / n_arms; those of no row are not."""
    if not len(propensity):
        return False
    ends = float(propensity.min()), float(propensity.max())
    return all(abs(n_arms * end - 1.0) < 1e-9 for end in ends)


def _log_capital(action: Array, propensity: Array, n_arms: int) -> float:
    """Return ln of the capital after all rows, of bets that are chosen by earlier ones."""
    total, square, share = np.zeros(n_arms), np.zeros(n_arms), np.zeros(n_arms)
    bet = _bet_on.compiled(action, propensity, share, total, square)
    capital, first, last = 0.0, 0, min(_FIRST, len(action))
    while first < len(action):
        if first:
            share = _shares(total, square, first)
        capital += bet(action[first:last], propensity[first:last], share, total, square)
        first, last = last, min(last + max(_FIRST, last // _GROWTH), len(action))
    return capital


@loop
def _bet_on(action: Array, propensity: Array, share: Array, total: Array, square: Array) -> float:
    """Return ln of what a capital grows by, whose `share`, float64[k], goes on each arm; add up weights and squares."""
    staked = 0.0
    for a in range(len(share)):
        staked += share[a]
    grown, product = 0.0, 1.0
    for i in range(len(action)):
        a, weight = action[i], 1.0 / propensity[i]
        total[a] += weight
        square[a] += weight * weight
        if staked > 0.0:
            product *= 1.0 + share[a] * weight - staked
            if product > _LARGE or product < 1.0 / _LARGE:
                grown += log(product)
                product = 1.0
    return grown + log(product)


def _shares(total: Array, square: Array, n: int) -> Array:
    """Return the share of the capital that goes on each arm, float64[k], by sums and squares of n weights."""
    gap = total / n - 1.0
    variance = np.maximum((square - 2.0 * total) / n + 1.0, 1e-9)  # around 1, as it is if there is no gap
    share = np.maximum(gap - _DOUBT * np.sqrt(variance / n), 0.0) / variance
    return share * min(1.0, _MOST / max(float(share.sum()), _MOST))
