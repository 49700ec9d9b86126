"""What candidates are worth on a log: every method, every interval, and whether the log can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...engine.changes.worlds import standing
from ...engine.errors import InvalidInput, counted
from ...engine.estimate import Diagnostics, Terms, by_unit, diagnose_each, groups_among, groups_of, rank
from ...engine.estimate.blocks import any_nan
from ...engine.storage.room import room
from ...engine.storage.rows import Rows
from ...engine.vocabulary import NOBODY, Array, Change
from .candidate_kinds import Candidate
from .evenness import said_uneven
from .intervals import difference, in_range, interval_of, normal_of, range_of, within
from .judging import Advance, Facts, Readings, Scores, judge
from .methods import Case, of_rows, terms_of
from .models import check_ranges, cross_fitted, more_robust, of_the_past, started
from .options import MODELLED, RANKED, Options

UNWEIGHTED = ("match", "dm")  # methods that take no weights
UNASKED = "nobody asked how far this log can be trusted: diagnostics were left out"


class Estimate(NamedTuple):
    """One candidate's value, by one method, with one interval."""

    target: str  # the candidate's label
    policy: str
    params: Any
    method: str
    interval: str
    value: float  # reward per decision
    low: float
    high: float
    effective_sample_size: float
    matched: int  # decisions that tell something of the candidate
    note: str | None = None
    usable: bool = True  # False where a warning or the note says not to use this value


class SegmentEstimate(NamedTuple):
    """One candidate's value in one part of the log."""

    segment: str
    target: str
    method: str
    events: int
    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """By how much a candidate is worth more than the baseline."""

    target: str
    baseline: str
    method: str
    interval: str
    value: float
    low: float
    high: float
    note: str | None = None


class Standing(NamedTuple):
    """A candidate among all, by one method, with intervals that hold for all at once."""

    target: str
    method: str
    value: float
    low: float
    high: float
    rank_first: int  # the best rank that it can have, from 1 on
    rank_last: int
    can_be_best: bool
    usable: bool = True  # as that of its estimates


class Clusters(NamedTuple):
    """What intervals count where units have several decisions: units, and each decision without a unit."""

    units: int
    decisions: int  # of these units
    alone: int  # decisions without a unit


class Scored(NamedTuple):
    """What one candidate makes of a log."""

    plain: Scores
    fitted: Scores | None  # with a cross-fitted model
    robust: Scores | None  # with a model of its own
    past: Scores | None  # with a model that knows only the past
    changes: list[Change]  # of the world, that it found


@dataclass
class Evaluation:
    """What was found."""

    rows: Rows
    log: Facts  # without the rows that candidates only learned from
    options: Options
    candidates: list[Candidate]
    cases: list[Case]  # of each candidate
    terms: dict[tuple[str, str], Terms]  # by label and method; without those that refused
    estimates: list[Estimate]
    diagnostics: list[Diagnostics | None]  # of each candidate; None where propensities are not known
    ranking: list[Standing]  # from the best on
    differences: list[Difference]  # from the baseline, where there is one
    segments: list[SegmentEstimate]
    changes: list[list[Change]]  # of the world, that each candidate found; by its own clock

    def changed_at(self, i: int) -> list[int]:
        """Return the rows, of those judged, with which the worlds begin that a candidate found."""
        case, places = self.cases[i], [change.place for change in standing(self.changes[i])]
        if self.options.learn == "matched":
            rows = np.flatnonzero(case.plain.chosen == case.log.action)
            return [int(rows[place]) for place in places if place < len(rows)]
        first = len(self.rows) - self.events
        return [place - first for place in places if place >= first]

    @property
    def refuted(self) -> float | None:
        """The p-value of propensities that cannot be true: then no value is to be trusted, and none is ranked."""
        return _refuted(self.diagnostics)

    @property
    def unusable(self) -> set[tuple[str, str]]:
        """Return labels and methods whose values are not to be used."""
        return _unusable(self.estimates)

    @property
    def events(self) -> int:
        """Return the number of decisions on which candidates were judged."""
        return len(self.log.reward)

    @property
    def groups(self) -> Array | None:
        """Return which rows are of one unit, int64[n]; None where each unit has one."""
        return self.cases[0].groups

    @property
    def clusters(self) -> Clusters | None:
        """Return what intervals count, where it is units."""
        return _clusters(self.log.unit, self.groups)

    @property
    def scores(self) -> list[Scores]:
        """Return what each candidate makes of the rows."""
        return [case.plain for case in self.cases]


def evaluate(
    candidates: Sequence[Candidate],
    log: Readings,
    options: Options,
    advance: Advance = lambda rows: None,
) -> Evaluation:
    """Estimate what each candidate is worth.

    A method that the log does not allow is told in a note. Raises `InvalidInput` where there is none that it allows.
    """
    check_rows(log.main)
    return concluded(candidates, log.main, log.facts, score(candidates, log, options, advance), options)


def concluded(
    candidates: Sequence[Candidate], rows: Rows, logged: Facts, scored: Sequence[Scored], options: Options
) -> Evaluation:
    """Estimate from what was logged and from what each candidate made of it; its pages are read for mips alone."""
    check_rows(rows)
    cases = _cases(rows, logged, scored, options)
    terms: dict[tuple[str, str], Terms] = {}
    estimates: list[Estimate] = []
    refusals: list[InvalidInput] = []
    for candidate, case in zip(candidates, cases, strict=True):
        for method in options.methods:
            try:
                found = terms_of(method, case)
            except InvalidInput as refusal:
                refusals.append(refusal)
                estimates += [_refused(candidate, method, interval, refusal) for interval in options.intervals]
                continue
            terms[candidate.label, method] = found
            estimates += [_estimate(candidate, case, method, found, interval) for interval in options.intervals]
    if refusals and not terms:
        raise refusals[0]
    facts, groups = cases[0].log, cases[0].groups
    diagnostics, notes = _diagnostics(rows, logged, cases)
    useless = {each.label for each, of in zip(candidates, diagnostics, strict=True) if of and of.useless}
    estimates = [each._replace(usable=each.usable and _stands(each, useless)) for each in estimates]
    unusable = _unusable(estimates)
    refuted = _refuted(diagnostics) is not None
    ranking = [] if refuted else _ranking(candidates, terms, options, groups)
    told = (*_unrewarded(rows), *_counted(_clusters(facts.unit, groups)), *notes)
    rows.notes += [note for note in told if note not in rows.notes]
    return Evaluation(
        rows,
        facts,
        options,
        list(candidates),
        cases,
        terms,
        estimates,
        diagnostics,
        [each._replace(usable=(each.target, each.method) not in unusable) for each in ranking],
        [] if refuted else _differences(candidates, cases, terms, options),
        _segments(rows, facts, terms, options, groups),
        [each.changes for each in scored],
    )


def passes(options: Options) -> int:
    """Return how often candidates go through the log."""
    modelled = MODELLED & set(options.methods)
    return (
        1
        + bool(modelled - {"mrdr"})
        + ("mrdr" in modelled)
        + ("confidence-sequence" in options.intervals and bool(modelled))
    )


def check_rows(rows: Rows) -> None:
    """Refuse a log without a row."""
    if not len(rows):
        raise InvalidInput(
            "no_rows", f"the log has no rewarded decision{rows.bad_lines.told}: there is nothing to judge"
        )


def score(
    candidates: Sequence[Candidate],
    log: Readings,
    options: Options,
    advance: Advance = lambda rows: None,
    part: int = 0,
) -> list[Scored]:
    """Let candidates, and the models that the methods need, go through a log, or a part of one."""
    facts = log.facts
    if options.reward_range is not None:
        range_of(facts.reward, options.reward_range)  # narrower than what was seen, it would cut intervals falsely
    targets = started(candidates, log, options, part)
    check_ranges(candidates, log, options)
    plain = judge(targets, log, advance=advance)
    modelled = MODELLED & set(options.methods)
    nothing: list[None] = [None] * len(candidates)
    fitted: Sequence[Scores | None] = nothing
    robust: Sequence[Scores | None] = nothing
    past: Sequence[Scores | None] = nothing
    if modelled - {"mrdr"}:
        fitted = cross_fitted(candidates, log, options, advance)
    if "mrdr" in modelled:
        with suppress(InvalidInput):  # what it says, the method says again
            robust = more_robust(candidates, log, plain, facts.propensity, options, advance)
    if modelled and "confidence-sequence" in options.intervals and in_range(facts.reward, options.reward_range):
        past = of_the_past(candidates, log, range_of(facts.reward, options.reward_range), options, advance)
    changes = [target.changes for target in targets]
    return [Scored(*each) for each in zip(plain, fitted, robust, past, changes, strict=True)]


def _cases(rows: Rows, facts: Facts, scored: Sequence[Scored], options: Options) -> list[Case]:
    """Return all that methods need of each candidate."""
    judged = slice(math.floor(options.learn * len(rows)) if isinstance(options.learn, float) else 0, None)
    groups = groups_of(facts.unit[judged], room)
    unknown = "match" in options.methods and any_nan(facts.propensity)
    uneven = said_uneven(rows, facts, groups_of(facts.unit, room)) if unknown else None
    return [
        replace(
            Case(facts, rows, each.plain, each.fitted, each.robust, each.past, options).rows_of(judged),
            groups=groups,
            uneven=uneven,
        )
        for each in scored
    ]


def _clusters(unit: Array, groups: Array | None) -> Clusters | None:
    if groups is None:
        return None
    alone = int(np.count_nonzero(unit == NOBODY))
    return Clusters(int(groups.max()) + 1 - alone, len(unit) - alone, alone)


def _unrewarded(rows: Rows) -> list[str]:
    """Return in words how many decisions have no reward, and none by default."""
    missing = rows.decisions - len(rows)
    if missing <= 0:
        return []
    has, left = ("has", "is left") if missing == 1 else ("have", "are left")
    of = counted(rows.decisions, "decision")
    return [f"{missing:,} of {of} {has} no reward and {left} out: if no reward means 0, write it into the log"]


def _counted(clusters: Clusters | None) -> list[str]:
    """Return in words what intervals count, where it is units."""
    if clusters is None:
        return []
    note = f"intervals count {counted(clusters.units, 'unit')}, not their {counted(clusters.decisions, 'decision')}"
    if clusters.alone:
        note += f"; decisions without a unit count as one each: {clusters.alone:,}"
    return [note]


def _estimate(candidate: Candidate, case: Case, method: str, terms: Terms, interval: str) -> Estimate:
    found = interval_of(interval, case, method, terms)
    notes = [note for note in (found.note, _note(method, case)) if note is not None]
    return Estimate(
        candidate.label,
        candidate.spec["name"],
        candidate.spec["params"],
        method,
        interval,
        terms.value,
        found.low,
        found.high,
        math.nan if case.untold else terms.effective_sample_size,
        terms.matched,
        "; ".join(notes) or None,
        method != "match" or case.uneven is None,
    )


def _stands(estimate: Estimate, useless: set[str]) -> bool:
    """Whether an estimate is of a candidate with usable weights, or takes none."""
    return estimate.method in UNWEIGHTED or estimate.target not in useless


def _unusable(estimates: Sequence[Estimate]) -> set[tuple[str, str]]:
    return {(each.target, each.method) for each in estimates if not each.usable}


def _note(method: str, case: Case) -> str | None:
    """Return what is to be known of a method on this log, whatever the interval."""
    if method in MODELLED - {"mips"} and case.half_told:
        return "of the target only the probability of the logged action is known: a model adds nothing to its weights"
    if method != "match":
        return None
    if case.uneven is not None:
        return f"propensities are unknown, and {case.uneven}: do not use this value"
    if any_nan(case.log.propensity):
        return "propensities are unknown: this holds if the log was drawn uniformly"
    return None if case.log.drawn_uniformly else "the log was not drawn uniformly: trust snips"


def _refused(candidate: Candidate, method: str, interval: str, refusal: InvalidInput) -> Estimate:
    nan, spec = math.nan, candidate.spec
    return Estimate(
        candidate.label, spec["name"], spec["params"], method, interval, nan, nan, nan, nan, 0, str(refusal)
    )


def _diagnostics(rows: Rows, logged: Facts, cases: Sequence[Case]) -> tuple[list[Diagnostics | None], list[str]]:
    """Return what the log says of each candidate's weights, and in words what was not looked at, or how exactly."""
    facts, options = cases[0].log, cases[0].options
    if not options.diagnostics:
        return [None] * len(cases), [UNASKED]
    if rows.ratios_only or any_nan(facts.propensity):
        return [None] * len(cases), []
    k = rows.problem.n_arms
    numbered = (rows.problem.layout == "dense" or rows.example is not None) and bool(
        facts.choices.min(initial=k) == k == facts.choices.max(initial=k)
    )
    action, n_arms = (facts.action, k) if numbered else (None, None)
    rewarded = len(rows) - rows.unobserved
    drawn = None
    if numbered:
        drawn = (logged.action, logged.propensity) if len(rows) == rows.decisions else rows.drawn()
    if drawn is not None and any_nan(drawn[1]):
        drawn = None
    laws, law = rows.laws(), None
    if laws is not None:
        law = laws[1]
        drawn = drawn or (laws[0], np.ones(len(law)))  # whose propensities nobody asks for without `n_arms`
    found = diagnose_each(
        facts.propensity,
        [case.plain.target for case in cases],
        action=action,
        n_arms=n_arms,
        decisions=rows.decisions or None,
        rewarded=rewarded,
        drawn=drawn,
        law=law,
        room=room,
    )
    return [*found], _tested(rows, laws)


def _tested(rows: Rows, laws: tuple[Array, Array] | None) -> list[str]:
    """Return in words which tests of propensities were exact, where the log says whole laws."""
    if rows.law is None:
        return []
    exact = (
        "some decisions have no reward, and were not kept: whether actions are drawn by the probabilities of all of "
        "them was not tested"
        if laws is None
        else f"whether actions are drawn by the probabilities of all of them was tested exactly, on {len(laws[0]):,} "
        "decisions; weights and counts of actions by the propensities of those that were taken"
    )
    return [exact]


def _refuted(diagnostics: Sequence[Diagnostics | None]) -> float | None:
    found = [each.refuted for each in diagnostics if each is not None]
    return min((p for p in found if p is not None), default=None)


def _ranking(
    candidates: Sequence[Candidate], terms: dict[tuple[str, str], Terms], options: Options, groups: Array | None
) -> list[Standing]:
    """Rank the candidates by the method of those asked that says most."""
    for method in RANKED:
        labels = [each.label for each in candidates if (each.label, method) in terms]
        if len(labels) == len(candidates) > 1:
            return standings(labels, method, [terms[label, method] for label in labels], options, groups)
    return []


def standings(
    labels: Sequence[str], method: str, terms: Sequence[Terms], options: Options, groups: Array | None
) -> list[Standing]:
    """Rank candidates by what a method says of each, from the best on."""
    found = rank([by_unit(each, groups) for each in terms], options.level, options.seed)
    low, high = (within(ends, options.reward_range) for ends in (found.low, found.high))
    columns = (found.value, low, high, found.rank_first, found.rank_last, found.can_be_best)
    return [Standing(labels[i], method, *(column[i].item() for column in columns)) for i in found.order]


def _differences(
    candidates: Sequence[Candidate], cases: Sequence[Case], terms: dict[tuple[str, str], Terms], options: Options
) -> list[Difference]:
    """Return how much more each other candidate is worth than the baseline, where there is one."""
    place = next((i for i, each in enumerate(candidates) if each.label == options.baseline), None)
    if place is None:
        return []
    baseline, found = candidates[place], []
    for candidate, case in zip(candidates, cases, strict=True):
        if candidate is baseline:
            continue
        for method in options.methods:
            both = [terms.get((each.label, method)) for each in (candidate, baseline)]
            if both[0] is None or both[1] is None:
                continue
            for name in options.intervals:
                value, interval = difference(name, method, case, cases[place], both[0], both[1])
                found.append(
                    Difference(
                        candidate.label, baseline.label, method, name, value, interval.low, interval.high, interval.note
                    )
                )
    return found


def _segments(
    rows: Rows, facts: Facts, terms: dict[tuple[str, str], Terms], options: Options, groups: Array | None
) -> list[SegmentEstimate]:
    """Return every estimate anew for each segment, with its normal interval."""
    estimates = []
    for place, name in enumerate(rows.segments):
        some = facts.segment == place
        count = int(np.count_nonzero(some))
        if not count:  # as where the rows of a segment lie outside the period
            continue
        for (label, method), whole in terms.items():
            part = of_rows(whole, some)
            interval = normal_of(part, groups_among(groups, some), options)
            estimates.append(SegmentEstimate(name, label, method, count, part.value, interval.low, interval.high))
    return estimates
