"""What is asked of a log, and its answer: for the command line, and for Python."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace

import numpy as np

from ...engine.storage.log import BadLines
from ...engine.storage.period import ALWAYS, Period
from ...engine.storage.rows import Rows, Wanted
from ..scheduling.scheduler import Scheduler
from .candidates import Candidate, candidate
from .evaluation import Evaluation, concluded, evaluate, passes
from .judging import Facts
from .options import Options
from .reading import ALL, Logged, Place, read
from .spread import judge_in_parts

Bar = Callable[[str, int | None, str], AbstractContextManager[Callable[[int], None]]]  # what is done, how much, of what


@dataclass(frozen=True)
class Question:
    """What is asked of a log."""

    candidates: list[Candidate]
    options: Options
    wanted: Wanted = ALL
    period: Period = ALWAYS
    named_methods: bool = True  # whether a person named the methods: if not, those count that the log allows


def answer(
    place: Logged,
    question: Question,
    stack: ExitStack,
    bar: Bar,
    check: Callable[[BadLines], None] | None = None,
) -> Evaluation:
    """Read a log, whose rows `stack` keeps, and judge the candidates on it; `check` may refuse its bad lines."""
    candidates = question.candidates
    with bar("reading", place.size, place.counted) as advance:
        found = read(place, candidates, question.options, stack, question.wanted, question.period, advance)
    options = _options(question, found.main, lambda: found.facts, check)
    with bar("judging", len(found.main) * len(candidates) * passes(options), "rows") as advance:
        return evaluate(candidates, found, options, advance)


def answer_in_parts(
    place: Place,
    question: Question,
    scheduler: Scheduler,
    bar: Bar,
    check: Callable[[BadLines], None] | None = None,
) -> Evaluation:
    """Do the same with a log whose files, or whose candidates, a scheduler gives to its workers."""
    candidates, options = question.candidates, question.options
    with bar("judging", len(place.files) * len(candidates), "files, once for each candidate") as advance:
        found = judge_in_parts(place, candidates, options, scheduler, question.wanted, question.period, advance)
    found.rows.notes.extend(place.notes)
    options = _options(question, found.rows, lambda: found.facts, check)
    return concluded(candidates, found.rows, found.facts, found.scored, options)


def _options(
    question: Question, rows: Rows, facts: Callable[[], Facts], check: Callable[[BadLines], None] | None
) -> Options:
    """Return what is asked of a log that was read, after a look at its bad lines."""
    if check is not None:
        check(rows.bad_lines)
    return question.options if question.named_methods else allowed(rows, facts(), question.options)


def with_baseline(candidates: list[Candidate], baseline: str | None) -> tuple[list[Candidate], str | None]:
    """Return the candidates with the baseline among them, and the label of that."""
    if baseline is None:
        return candidates, None
    labels = [each.label for each in candidates]
    if baseline in labels:
        return candidates, baseline
    compared = candidate(baseline)
    return [*candidates, *([] if compared.label in labels else [compared])], compared.label


def allowed(rows: Rows, facts: Facts, options: Options) -> Options:
    """Return what is asked where nobody says: without propensities match alone."""
    unknown = int(np.isnan(facts.propensity).sum())
    if not unknown:
        return options
    rows.notes.append(
        f"the propensity of {unknown} of {len(rows)} decisions is unknown: no snips, and match holds if the log "
        "was drawn uniformly"
    )
    return replace(options, methods=("match",))
