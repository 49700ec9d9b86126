"""Intervals by name, with what each must know beforehand: between what rewards lie, how large weights may be."""

from __future__ import annotations

import numpy as np

from ...engine import estimate
from ...engine.errors import InvalidInput
from ...engine.estimate import Interval, Sequence, Terms
from ...engine.estimate.blocks import blocks
from ...engine.storage.room import room
from ...engine.vocabulary import Array
from .judging import Facts
from .methods import Case
from .options import ASSUMING, BY_RANGE, MODELLED, Options

WEIGHTED = ("ips", "snips", "dr", "sndr", "mrdr")  # methods whose weights are target / propensity, as they are
BY_UNIT = ("normal", "bootstrap", "empirical-likelihood")  # intervals that can count units in place of decisions


def interval_of(name: str, case: Case, method: str, terms: Terms) -> Interval:
    """Return the interval of an estimate by a method; its ends are NaN, and a note says why, where there is none.

    No end lies beyond what rewards can be, where that was stated: a mean of them does not either.
    """
    return cut(_as_computed(name, case, method, terms), case.options.reward_range)


def normal_of(terms: Terms, groups: Array | None, options: Options) -> Interval:
    """Return the normal interval of an estimate whose rows may go in groups, int64[n], cut like the others."""
    return cut(estimate.normal(estimate.by_unit(terms, groups), options.level), options.reward_range)


def cut(found: Interval, limits: tuple[float, float] | None) -> Interval:
    """Return an interval whose ends lie within the limits of a value, where there are some; NaN stays NaN."""
    low, high = within(np.array([found.low, found.high]), limits).tolist()
    return found._replace(low=low, high=high)


def within(ends: Array, limits: tuple[float, float] | None) -> Array:
    """Return ends of intervals, float64[n], moved to the limits of a value where they lie beyond; NaN stays NaN."""
    return ends if limits is None else np.clip(ends, *limits)


def _as_computed(name: str, case: Case, method: str, terms: Terms) -> Interval:
    level = case.options.level
    if name in BY_UNIT:
        terms = estimate.by_unit(terms, case.groups)
    elif case.groups is not None:
        return _counts_decisions(name)
    if name == "normal":
        return estimate.normal(terms, level)
    if name == "bootstrap":
        return estimate.bootstrap(terms, level, seed=case.options.seed, resamples=case.options.resamples)
    if name == "clopper-pearson":
        if method != "match":
            why = f"{method} weights its rewards or models them: it is exact on match alone; use empirical-likelihood"
            return Interval(name, np.nan, np.nan, why)
        return estimate.clopper_pearson(terms, level)
    if name == "empirical-likelihood":
        return estimate.empirical_likelihood(terms, level)
    if name == "weighted-likelihood":
        return _weighted(method, terms, level)
    try:
        if name == "confidence-sequence":
            found_sequence, note = sequence_of(case, method, np.array([len(case.log.reward)]))
            return _last(found_sequence, note)
        rewards = range_of(case.log.reward, case.options.reward_range)
    except InvalidInput as refusal:
        return Interval(name, np.nan, np.nan, str(refusal))
    weight_max, note = _weight_max(case, terms)
    found = estimate.empirical_bernstein(
        terms, *_term_range("ips" if case.half_told else method, rewards, weight_max), level
    )
    return found if found.note or method == "match" else found._replace(note=note)


def _counts_decisions(name: str) -> Interval:
    why = f"{name} takes decisions to be independent, and those of one unit are not: {', '.join(BY_UNIT)} count units"
    return Interval(name, np.nan, np.nan, why)


def _weighted(method: str, terms: Terms, level: float) -> Interval:
    """Return the interval that knows that weights average 1, for methods whose weights do."""
    if method not in WEIGHTED:
        why = f"the weights of {method} need not average 1: it is for {', '.join(WEIGHTED)}; use empirical-likelihood"
        return Interval("weighted-likelihood", np.nan, np.nan, why)
    if terms.base is not None and terms.part is None and len(terms.base):
        counted = terms.weight != 0.0
        rewards = terms.base[counted] / terms.weight[counted]
        if not len(rewards) or np.ptp(rewards) <= 1e-12 * np.abs(rewards).max():
            return Interval("weighted-likelihood", np.nan, np.nan, "all rewards that count are the same: no interval")
    return estimate.weighted_likelihood(terms, level)


def difference(
    name: str, method: str, case: Case, baseline: Case, terms: Terms, other: Terms
) -> tuple[float, Interval]:
    """Return by how much a candidate is worth more than the baseline by a method, with an interval."""
    value = terms.value - other.value
    if name not in BY_UNIT and case.groups is not None:
        return value, _counts_decisions(name)
    if name == "confidence-sequence":
        return value, _difference_sequence(method, case, baseline)
    n = len(terms.weight)
    base, weight = room(n), room(n)
    ours, theirs = terms.influences, other.influences
    for rows in blocks(n):
        base[rows] = value + ours(rows) - theirs(rows)
        np.maximum(terms.weight[rows], other.weight[rows], out=weight[rows])
    both = Terms(method, base, None, None, weight)
    if terms.corrected is not None and other.corrected is not None:
        both = both._replace(corrected=terms.corrected - other.corrected)
    both = estimate.by_unit(both, case.groups)
    if name == "bootstrap":
        return value, estimate.bootstrap(both, case.options.level, case.options.seed, case.options.resamples)
    if name == "empirical-likelihood":
        return value, estimate.empirical_likelihood(both, case.options.level)
    if name == "normal" and n:
        return value, estimate.normal(both, case.options.level)
    why = f"{name} is of one value: normal, bootstrap, empirical-likelihood and confidence-sequence compare two"
    return value, Interval(name, np.nan, np.nan, why)


def _difference_sequence(method: str, case: Case, baseline: Case) -> Interval:
    log, options = case.log, case.options
    try:
        if method == "match" or case.rows.ratios_only:
            raise InvalidInput("no_sequence", f"{method} compares no two targets row by row: ips and snips do")
        found = estimate.difference_sequence(
            log.reward,
            log.propensity,
            case.plain.target,
            baseline.plain.target,
            range_of(log.reward, options.reward_range),
            options.level,
            np.array([len(log.reward)]),
            options.weight_max or _largest_weight(log),
        )
    except InvalidInput as refusal:
        return Interval("confidence-sequence", np.nan, np.nan, str(refusal))
    return _last(found, None)


def _last(found: Sequence, note: str | None) -> Interval:
    """Return the last interval of a sequence."""
    low, high = float(found.low[-1]), float(found.high[-1])
    if low > high:
        why = (
            "the bounds contradict each other: logged propensities or what was stated of rewards and weights are false"
        )
        return Interval("confidence-sequence", np.nan, np.nan, why)
    return Interval("confidence-sequence", low, high, note)


def in_range(reward: Array, stated: tuple[float, float] | None) -> bool:
    """Whether all rewards lie between what they must: as it was stated, or in [0, 1]."""
    low, high = stated or (0.0, 1.0)
    return not len(reward) or bool(reward.min() >= low and reward.max() <= high)


def range_of(reward: Array, stated: tuple[float, float] | None) -> tuple[float, float]:
    """Return between what all rewards lie: as it was stated, or [0, 1] where all that were seen do.

    >>> range_of(np.array([0.0, 0.5]), None)
    (0.0, 1.0)
    """
    low, high = stated or (0.0, 1.0)
    if not in_range(reward, stated):
        raise InvalidInput(
            "reward_range",
            f"the rewards reach from {reward.min():g} to {reward.max():g}, beyond [{low:g}, {high:g}]: state the "
            f"range of all rewards {BY_RANGE}",
        )
    return low, high


def _weight_max(case: Case, terms: Terms) -> tuple[float, str | None]:
    """Return the largest possible weight, and what to know of it."""
    known = case.options.weight_max or _largest_weight(case.log)
    cut = terms.weight if terms.corrected is None else case.plain.target / case.log.propensity  # dr cuts none
    seen = float(cut.max(initial=0.0))
    if known is not None:
        return known, None
    return seen, f"the largest weight seen, {seen:.4g}, is taken for the largest possible: state it by --weight-max"


def _term_range(method: str, rewards: tuple[float, float], weight_max: float) -> tuple[float, float]:
    """Return between what the terms of a method lie."""
    low, high = rewards
    if method == "match":
        return low, high
    if method in MODELLED:  # expected + weight (reward - predicted), of predictions that rewards could be
        reach = weight_max * (high - low)
        return low - reach, high + reach
    return min(0.0, low * weight_max), max(0.0, high * weight_max)


def sequence_of(case: Case, method: str, at: Array | None = None) -> tuple[Sequence, str | None]:
    """Return the confidence sequence of a method's value at some moments, and what to know of it.

    That of `match` counts matched rewards. All others weigh rewards; those with a model of the reward use one that
    knows only the past. Raises `InvalidInput` where there is none.
    """
    log, options = case.log, case.options
    if case.groups is not None:
        raise InvalidInput("no_sequence", _counts_decisions("confidence-sequence").note or "")
    rewards = range_of(log.reward, options.reward_range)
    if method == "match":
        agrees = case.plain.chosen == log.action
        return estimate.match_sequence(log.reward, agrees, rewards, options.level, at), None
    if case.rows.ratios_only:
        raise InvalidInput("no_sequence", "the shares of events that were dropped differ too much for a sequence")
    if method in ASSUMING:
        raise InvalidInput(
            "no_sequence",
            f"{method} is as wrong as what it assumes, which no sequence can know: ips, snips and dr have one",
        )
    weight_max = options.weight_max or _largest_weight(log)
    columns = (log.reward, log.propensity, case.plain.target, rewards, options.level, at, weight_max)
    if method not in MODELLED:
        return estimate.confidence_sequence(*columns), None
    if case.half_told:
        return estimate.confidence_sequence(
            *columns
        ), "the target's law is not known: the model of the reward is not used"
    if weight_max is None:
        return estimate.confidence_sequence(*columns), "without --weight-max the model of the reward is not used"
    assert case.past is not None, "a sequence with a model, and none was fitted"
    return estimate.confidence_sequence(*columns, case.past.predicted, case.past.expected), None


def _largest_weight(log: Facts) -> float | None:
    """Return the largest weight that there can be, where the log took every available action alike; else None.

    Equal propensities alone are not enough: those of a log that always takes the same action are all 1.
    """
    return float(log.choices.max()) if log.even else None
