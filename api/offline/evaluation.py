"""What candidates are worth on a log: every method, every interval, and whether the log can be trusted."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from onearm.api.offline.candidates import Candidate
from onearm.api.offline.intervals import interval_of, range_of
from onearm.api.offline.judging import Advance, Log, Logged, Scores, judge, logged
from onearm.api.offline.methods import Case, of_rows, terms_of
from onearm.api.offline.models import cross_fitted, more_robust, of_the_past, started
from onearm.api.offline.options import MODELLED, Options
from onearm.engine.errors import InvalidInput
from onearm.engine.estimate import Diagnostics, Terms, diagnose
from onearm.engine.storage.rows import Rows


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


class SegmentEstimate(NamedTuple):
    """One candidate's value in one part of the log."""

    segment: str
    target: str
    method: str
    events: int
    value: float
    low: float
    high: float


@dataclass
class Evaluation:
    """What was found."""

    rows: Rows
    log: Logged  # without the rows that candidates only learned from
    options: Options
    candidates: list[Candidate]
    scores: list[Scores]  # of each candidate
    terms: dict[tuple[str, str], Terms]  # by label and method; without those that refused
    estimates: list[Estimate]
    diagnostics: list[Diagnostics]  # of each candidate
    segments: list[SegmentEstimate] = field(default_factory=list)
    seconds: float = 0.0  # of CPU, reading left out

    @property
    def events(self) -> int:
        """Return the number of decisions on which candidates were judged."""
        return len(self.log.reward)


def evaluate(
    candidates: Sequence[Candidate],
    log: Log,
    options: Options,
    advance: Advance = lambda rows: None,
) -> Evaluation:
    """Estimate what each candidate is worth.

    A method that the log does not allow is told in a note. Raises `InvalidInput` where there is none that it allows.
    """
    started_at = time.process_time()
    cases = _cases(candidates, log, options, advance)
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
    found_evaluation = Evaluation(
        log.main,
        cases[0].log,
        options,
        list(candidates),
        [case.plain for case in cases],
        terms,
        estimates,
        [diagnose(case.log, case.plain) for case in cases],
    )
    found_evaluation.segments = _segments(found_evaluation)
    found_evaluation.seconds = time.process_time() - started_at
    return found_evaluation


def passes(options: Options) -> int:
    """Return how often candidates go through the log."""
    modelled = MODELLED & set(options.methods)
    return (
        1
        + bool(modelled - {"mrdr"})
        + ("mrdr" in modelled)
        + ("confidence-sequence" in options.intervals and bool(modelled))
    )


def _cases(candidates: Sequence[Candidate], log: Log, options: Options, advance: Advance) -> list[Case]:
    rows = log.main
    if not len(rows):
        raise InvalidInput("no_rows", f"the log has no rewarded decision ({dict(rows.bad_lines.count)})")
    facts = logged(rows)
    plain = judge(started(candidates, log, options), log, advance=advance)
    modelled = MODELLED & set(options.methods)
    nothing: list[None] = [None] * len(candidates)
    fitted: Sequence[Scores | None] = nothing
    robust: Sequence[Scores | None] = nothing
    past: Sequence[Scores | None] = nothing
    if modelled - {"mrdr"}:
        fitted = cross_fitted(candidates, log, options, advance)
    if "mrdr" in modelled:
        robust = more_robust(candidates, log, plain, facts.propensity, options, advance)
    if modelled and "confidence-sequence" in options.intervals:
        past = of_the_past(candidates, log, range_of(facts.reward, options.reward_range), options, advance)
    judged = slice(math.floor(options.learn * len(rows)) if isinstance(options.learn, float) else 0, None)
    kept = _some(facts, judged)
    return [
        Case(kept, rows, *(None if scores is None else _some(scores, judged) for scores in each), options)
        for each in zip(plain, fitted, robust, past, strict=True)
    ]


def _some(columns: Any, some: slice) -> Any:
    """Return columns of `Logged` or `Scores` for some rows; those of no length stay so."""
    return type(columns)(*(column[some] if len(column) else column for column in vars(columns).values()))


def _estimate(candidate: Candidate, case: Case, method: str, terms: Terms, interval: str) -> Estimate:
    found = interval_of(interval, case, method, terms)
    return Estimate(
        candidate.label,
        candidate.spec["name"],
        candidate.spec["params"],
        method,
        interval,
        terms.value,
        found.low,
        found.high,
        terms.effective_sample_size,
        terms.matched,
        found.note,
    )


def _refused(candidate: Candidate, method: str, interval: str, refusal: InvalidInput) -> Estimate:
    nan, spec = math.nan, candidate.spec
    return Estimate(
        candidate.label, spec["name"], spec["params"], method, interval, nan, nan, nan, nan, 0, str(refusal)
    )


def _segments(found: Evaluation) -> list[SegmentEstimate]:
    """Return every estimate anew for each segment, with its first interval."""
    estimates = []
    for place, name in enumerate(found.rows.segments):
        some = found.log.segment == place
        for (label, method), terms in found.terms.items():
            part = of_rows(terms, some)
            interval = normal(part, found.options.level)
            estimates.append(
                SegmentEstimate(
                    name, label, method, int(np.count_nonzero(some)), part.value, interval.low, interval.high
                )
            )
    return estimates
