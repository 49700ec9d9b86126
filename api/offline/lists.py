"""What targets are worth on a log of lists: several slots are filled at once (`engine/storage/formats/slots.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ...engine import estimate
from ...engine.errors import InvalidInput
from ...engine.estimate import Interval, Terms
from ...engine.storage.formats.slots import Slots, targets
from ...engine.vocabulary import Array
from .evaluation import Estimate
from .options import Options

INTERVAL_OF: dict[str, Callable[[Terms, Options], Interval]] = {
    "normal": lambda terms, asked: estimate.normal(terms, asked.level),
    "bootstrap": lambda terms, asked: estimate.bootstrap(terms, asked.level, asked.seed, asked.resamples),
    "empirical-likelihood": lambda terms, asked: estimate.empirical_likelihood(terms, asked.level),
}


def evaluate_lists(slots: Slots, labels: Sequence[str], options: Options) -> list[Estimate]:
    """Estimate what targets would have earned per list.

    A method that the log does not allow is told in a note. Raises `InvalidInput` where there is none that it allows.
    """
    found, refusals = [], []
    for label in labels:
        target = targets(slots, label)
        for method in options.methods:
            try:
                terms = _terms(method, slots, target)
            except InvalidInput as refusal:
                refusals.append(refusal)
                found += [_refused(label, method, interval, refusal) for interval in options.intervals]
                continue
            found += [_estimate(label, method, terms, interval, options) for interval in options.intervals]
    if len(refusals) == len(labels) * len(options.methods):
        raise refusals[0]
    return found


def _terms(method: str, slots: Slots, target: Array) -> Terms:
    one = slots.reward.ndim == 1  # of the whole list
    columns = (slots.propensity, target, slots.length)
    if method == "pseudo-inverse":
        if not one:
            raise InvalidInput(
                "no_pseudo_inverse",
                "each slot has a reward of its own, and draws from what is left by those above it: pseudo-inverse is "
                "for slates, with one reward and slots that draw independently; cascade is for these",
            )
        return estimate.pseudo_inverse(slots.reward, *columns)
    if method == "slate-ips":
        reward = slots.reward
        if one:
            reward = np.zeros(slots.propensity.shape)
            reward[:, 0] = slots.reward
        return estimate.slate_ips(reward, *columns)
    if one:
        raise InvalidInput(
            "no_slot_rewards",
            f"a slate has one reward for all its slots, and {method} needs one for each: take pseudo-inverse or "
            "slate-ips",
        )
    return (estimate.cascade if method == "cascade" else estimate.independent)(slots.reward, *columns)


def _estimate(label: str, method: str, terms: Terms, interval: str, options: Options) -> Estimate:
    if interval in INTERVAL_OF:
        found = INTERVAL_OF[interval](terms, options)
    else:
        found = Interval(interval, math.nan, math.nan, f"{interval} is not for lists: {', '.join(INTERVAL_OF)} are")
    size, matched = terms.effective_sample_size, terms.matched
    return Estimate(label, label, {}, method, interval, terms.value, found.low, found.high, size, matched, found.note)


def _refused(label: str, method: str, interval: str, refusal: InvalidInput) -> Estimate:
    nan = math.nan
    return Estimate(label, label, {}, method, interval, nan, nan, nan, nan, 0, str(refusal))
