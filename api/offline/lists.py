"""What targets are worth on a log of lists: several slots are filled at once.

The log is one of Vowpal Wabbit (`engine/storage/formats/slots.py`), or of lists that the service filled
(`list_logs.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import estimate
from ...engine.errors import InvalidInput
from ...engine.estimate import Interval, Terms
from ...engine.storage.formats.slots import Slots, targets
from ...engine.vocabulary import Array
from .candidate_kinds import Candidate
from .evaluation import Estimate
from .intervals import cut
from .list_logs import ListLog, judged
from .options import Options

INTERVAL_OF: dict[str, Callable[[Terms, Options], Interval]] = {
    "normal": lambda terms, asked: estimate.normal(terms, asked.level),
    "bootstrap": lambda terms, asked: estimate.bootstrap(terms, asked.level, asked.seed, asked.resamples),
    "empirical-likelihood": lambda terms, asked: estimate.empirical_likelihood(terms, asked.level),
}


def evaluate_lists(slots: Slots, labels: Sequence[str], options: Options) -> list[Estimate]:
    """Estimate what targets would have earned per list, on a log of Vowpal Wabbit.

    A method that the log does not allow is told in a note. Raises `InvalidInput` where there is none that it allows.
    """
    asked = [Asked(label, label, {}, targets(slots, label)) for label in labels]
    return _estimates(asked, options, _limits(slots, options), lambda method, target: _terms(method, slots, target))


def evaluate_own(
    log: ListLog, candidates: Sequence[Candidate], options: Options, progress: Callable[[int], None]
) -> list[Estimate]:
    """Estimate what candidates would have earned per list, on lists that the service filled; the rest as above."""
    for each in candidates:
        if not each.is_policy:
            raise InvalidInput(
                "bad_target",
                f"the target {each.label!r} is no policy, and a list has several actions: name a policy, or logged",
            )

    def terms(method: str, target: Array) -> Terms:
        if method not in ("cascade", "slate-ips"):
            raise InvalidInput(
                "slots_depend",
                f"{method} needs slots that were filled independently of each other, and here each gets one of the "
                "actions that are left by those above: take cascade",
            )
        return _terms(method, log.slots, target)

    asked = [
        Asked(each.label, each.spec["name"], each.spec["params"], judged(log, each, options, progress))
        for each in candidates
    ]
    return _estimates(asked, options, _limits(log.slots, options), terms)


class Asked(NamedTuple):
    """A target, and how likely it puts what was shown into each slot."""

    label: str
    policy: str
    params: Any
    target: Array  # float64[n, L]


def _limits(slots: Slots, options: Options) -> tuple[float, float] | None:
    """Return between what the rewards of a list lie together, where it was stated of one; a slate has one."""
    if options.reward_range is None or slots.reward.ndim == 1:
        return options.reward_range
    low, high = options.reward_range
    return float(np.min(slots.length * low)), float(np.max(slots.length * high))


def _estimates(
    asked: Sequence[Asked],
    options: Options,
    limits: tuple[float, float] | None,
    terms_of: Callable[[str, Array], Terms],
) -> list[Estimate]:
    found, refusals = [], []
    for one in asked:
        for method in options.methods:
            try:
                terms = terms_of(method, one.target)
            except InvalidInput as refusal:
                refusals.append(refusal)
                found += [_refused(one, method, interval, refusal) for interval in options.intervals]
                continue
            found += [_estimate(one, method, terms, interval, options, limits) for interval in options.intervals]
    if len(refusals) == len(asked) * len(options.methods):
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


def _estimate(
    asked: Asked,
    method: str,
    terms: Terms,
    interval: str,
    options: Options,
    limits: tuple[float, float] | None,
) -> Estimate:
    if interval in INTERVAL_OF:
        found = cut(INTERVAL_OF[interval](terms, options), limits)
    else:
        found = Interval(interval, math.nan, math.nan, f"{interval} is not for lists: {', '.join(INTERVAL_OF)} are")
    size, matched = terms.effective_sample_size, terms.matched
    value = terms.value, found.low, found.high, size, matched, found.note
    return Estimate(asked.label, asked.policy, asked.params, method, interval, *value)


def _refused(asked: Asked, method: str, interval: str, refusal: InvalidInput) -> Estimate:
    nan = math.nan
    value = nan, nan, nan, nan, 0, str(refusal)
    return Estimate(asked.label, asked.policy, asked.params, method, interval, *value)
