"""What the report shows of an evaluation: candidates from the best on, with what is drawn of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ....engine.errors import InvalidInput
from ....engine.estimate.clusters import by_unit, groups_among
from ....engine.estimate.diagnostics import Diagnostics
from ....engine.estimate.ranking import rank
from ....engine.estimate.sequence import Sequence
from ....engine.estimate.terms import Terms
from ....engine.vocabulary import Array
from ..evaluation import Difference, Evaluation, Standing, standings
from ..intervals import normal_of, sequence_of, within
from ..methods import of_rows
from ..options import ASSUMING, MODELLED, RANKED, Options
from .curves import (
    Curve,
    Spread,
    largest,
    moments,
    running,
    shares,
    spread,
    weight_edges,
)

PANELS = 8  # candidates with a panel of their own where each has one, the best first
ACTIONS = 6  # with a share of their own; the rest are "others"
PARTS = 5  # of the log by time, where no segments are named
UNFITTED = (
    "the model of the reward, which must know only the past here, is not used: it is fitted where --interval "
    "confidence-sequence is asked for"
)
SEGMENTS = 50  # that are shown, those with the most decisions


@dataclass(frozen=True)
class Row:
    """A candidate, by the report's method."""

    label: str
    is_log: bool  # it is the policy that made the log
    value: float  # reward per decision
    low: float  # all candidates' intervals hold at once
    high: float
    can_be_best: bool  # no other candidate is better beyond doubt
    diagnostics: Diagnostics | None  # None where propensities are unknown
    curve: Curve  # as the log went on
    sequence: Curve | None  # with intervals that hold at every look; of the best ones
    spread: Spread | None  # of weights; None where propensities are unknown
    usable: bool = True  # no warning says not to use its value
    changes: tuple[int, ...] = ()  # decisions of the log with which the worlds begin that it found


class Cell(NamedTuple):
    """A candidate in a part of the log."""

    value: float
    low: float
    high: float
    heat: float  # from -1, much less than the log earned there, to 1


class Segment(NamedTuple):
    """A part of the log."""

    name: str
    events: int
    log_value: float
    cells: list[Cell]  # of each row

    @property
    def width(self) -> float:
        """Return how wide the narrowest interval is."""
        return min((cell.high - cell.low for cell in self.cells if cell.high > cell.low), default=math.nan)


@dataclass(frozen=True)
class Findings:
    """What the report shows, rows from the best on."""

    method: str
    level: float
    rows: list[Row]
    refused: list[tuple[str, str]]  # candidates that the method refused, with the reason
    log_value: float
    log_interval: tuple[float, float]
    log_curve: Curve
    against_log: int  # 1: the best candidate is better beyond doubt, -1: it is worse
    sequence_note: str | None  # what to know of intervals that hold at every look, or why there are none
    differences: list[Difference]  # from a baseline, where there is one
    share_names: list[str]
    shares: Array  # float64[rows + 1, names], first of the log
    named_segments: bool
    segments: list[Segment]
    segments_left: int  # not shown


def find(found: Evaluation) -> Findings:
    """Return what the report shows of an evaluation."""
    log, level = found.log, found.options.level
    method = _main_method(found)
    place = {each.label: i for i, each in enumerate(found.candidates)}
    ranking = found.ranking or _standings(found, method)
    kept = [place[each.target] for each in ranking]
    terms = [found.terms[each.target, method] for each in ranking]
    own = Terms("ips", log.reward, None, None, np.ones(found.events))
    interval = normal_of(own, found.groups, found.options)
    at = moments(found.events)
    sequences, sequence_note = _sequences(found, method, kept, at)
    spreads = _spreads(found, kept)
    names, table = _action_shares(found, kept)
    segments = _segments(found, method, [each.target for each in ranking])
    return Findings(
        method,
        level,
        [
            Row(
                standing.target,
                found.candidates[kept[j]].is_log,
                standing.value,
                standing.low,
                standing.high,
                standing.can_be_best,
                found.diagnostics[kept[j]],
                _running(terms[j], at, found),
                sequences[j],
                spreads[j],
                (standing.target, method) not in found.unusable,
                tuple(found.changed_at(kept[j])),
            )
            for j, standing in enumerate(ranking)
        ],
        _refused(found, method),
        own.value,
        (own.value, own.value) if math.isnan(interval.low) else (interval.low, interval.high),
        _running(own, at, found),
        _against_log([each for i, each in zip(kept, terms, strict=True) if not found.candidates[i].is_log], own, found),
        sequence_note,
        [each for each in found.differences if each.method == method],
        names,
        table,
        bool(found.rows.segments),
        segments[:SEGMENTS],
        len(segments[SEGMENTS:]),
    )


def _main_method(found: Evaluation) -> str:
    """Return the method by which candidates are ranked; without a ranking the best that most candidates have."""
    if found.ranking:
        return found.ranking[0].method
    labels = [each.label for each in found.candidates]
    asked = [method for method in RANKED if method in found.options.methods]
    return max(asked, key=lambda method: sum((label, method) in found.terms for label in labels))


def _standings(found: Evaluation, method: str) -> list[Standing]:
    """Rank those candidates that have the method."""
    labels = [each.label for each in found.candidates if (each.label, method) in found.terms]
    return standings(labels, method, [found.terms[label, method] for label in labels], found.options, found.groups)


def _against_log(terms: list[Terms], own: Terms, found: Evaluation) -> int:
    """Return 1 where the best candidate is better than the log beyond doubt, -1 where it is worse, otherwise 0."""
    by = rank([by_unit(each, found.groups) for each in (*terms, own)], found.options.level, found.options.seed)
    first, log = int(by.order[0]), len(terms)
    behind = by.behind_low[0] if first == log else by.behind_low[log]
    return (-1 if first == log else 1) if behind > 0.0 else 0


def _refused(found: Evaluation, method: str) -> list[tuple[str, str]]:
    """Return the candidates without terms by a method, and why that is so."""
    notes = {each.target: each.note or "" for each in found.estimates if each.method == method}
    return [
        (each.label, notes.get(each.label, "")) for each in found.candidates if (each.label, method) not in found.terms
    ]


def _sequences(found: Evaluation, method: str, kept: list[int], at: Array) -> tuple[list[Curve | None], str | None]:
    """Return intervals that hold at every look, of the best candidates, and what to know of them or why there are none.

    The model of the reward that a method takes is not the one for this: here it must know only the past.
    """
    unfitted = method in MODELLED - ASSUMING and any(found.cases[i].past is None for i in kept)
    left: list[Curve | None] = [None] * len(kept[PANELS:])
    try:
        pairs = [sequence_of(found.cases[i], "ips" if unfitted else method, at) for i in kept[:PANELS]]
    except InvalidInput as refusal:
        return [None] * len(kept), str(refusal)
    return [_within(sequence) for sequence, _ in pairs] + left, UNFITTED if unfitted else pairs[0][1]


def _running(terms: Terms, at: Array, found: Evaluation) -> Curve:
    """Return an estimate as the log went on, with normal intervals that are cut like the others."""
    curve, limits = running(terms, at, found.options.level), found.options.reward_range
    return curve._replace(low=within(curve.low, limits), high=within(curve.high, limits))


def _within(found: Sequence) -> Curve:
    """Return a sequence as a curve; the mean of weighted rewards, which can be anywhere, is drawn within its bounds."""
    return Curve(found.at, np.minimum(np.maximum(found.value, found.low), found.high), found.low, found.high)


def _spreads(found: Evaluation, kept: list[int]) -> list[Spread] | list[None]:
    propensity = found.log.propensity
    if not (propensity > 0.0).all():
        return [None] * len(kept)
    weights = [found.cases[i].plain.target / propensity for i in kept]
    edges = weight_edges(weights)
    return [spread(weight, edges) for weight in weights]


def _action_shares(found: Evaluation, kept: list[int]) -> tuple[list[str], Array]:
    """Return the names of the most frequent actions and of the rest, and their shares."""
    actions = [found.log.action, *(found.cases[i].plain.chosen for i in kept)]
    n_actions = 1 + max(int(action.max(initial=0)) for action in actions)
    table = np.array([shares(action[action >= 0], n_actions) for action in actions])  # one may not say what it chooses
    chosen = largest(table, ACTIONS)
    others = 1.0 - table[:, chosen].sum(axis=1)
    labels = found.rows.labels
    names = [labels[action] if action < len(labels) else f"action {action}" for action in chosen]
    if n_actions <= len(chosen):
        return names, table[:, chosen]
    return [*names, f"{n_actions - len(chosen)} others"], np.column_stack([table[:, chosen], np.maximum(others, 0.0)])


def _segments(found: Evaluation, method: str, labels: list[str]) -> list[Segment]:
    """Return named segments, the largest first, or five parts of the log by time."""
    numbers = np.arange(found.events)
    if found.rows.segments:
        count = np.bincount(found.log.segment, minlength=len(found.rows.segments))
        places = [int(place) for place in np.argsort(-count, kind="stable") if count[place]]
        parts = [(found.rows.segments[place], found.log.segment == place) for place in places]
        known = {(each.segment, each.target): each[4:] for each in found.segments if each.method == method}
        estimates = [[known[name, label] for label in labels] for name, _ in parts]
    else:
        ends = [found.events * part // PARTS for part in range(PARTS + 1)]
        spans = [(first, last) for first, last in pairwise(ends) if last > first]
        parts = [
            (f"decisions {first + 1:,} to {last:,}", (numbers >= first) & (numbers < last)) for first, last in spans
        ]
        terms = [found.terms[label, method] for label in labels]
        estimates = [
            [_estimate(of_rows(each, some), groups_among(found.groups, some), found.options) for each in terms]
            for _, some in parts
        ]
    own = [float(np.mean(found.log.reward[some])) for _, some in parts]
    off = np.array([[value - log for value, _, _ in cells] for cells, log in zip(estimates, own, strict=True)])
    most = float(np.nanmax(np.abs(off), initial=0.0)) or 1.0
    return [
        Segment(name, int(np.count_nonzero(some)), log, [Cell(*each, (each[0] - log) / most) for each in cells])
        for (name, some), cells, log in zip(parts, estimates, own, strict=True)
    ]


def _estimate(terms: Terms, groups: Array | None, options: Options) -> tuple[float, float, float]:
    interval = normal_of(terms, groups, options)
    return terms.value, interval.low, interval.high
