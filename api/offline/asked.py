"""What is asked of a log, and its answer: for the command line, and for Python."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace

import numpy as np

from ...engine.storage.log import BadLines
from ...engine.storage.period import ALWAYS, Period
from ...engine.storage.rows import Wanted
from .candidates import Candidate, candidate
from .evaluation import Evaluation, evaluate, passes
from .judging import Readings
from .options import Options
from .reading import ALL, Logged, read

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
    candidates, options = question.candidates, question.options
    with bar("reading", place.size, place.counted) as advance:
        found = read(place, candidates, options, stack, question.wanted, question.period, advance)
    if check is not None:
        check(found.main.bad_lines)
    if not question.named_methods:
        options = allowed(found, options)
    with bar("judging", len(found.main) * len(candidates) * passes(options), "rows") as advance:
        return evaluate(candidates, found, options, advance)


def with_baseline(candidates: list[Candidate], baseline: str | None) -> tuple[list[Candidate], str | None]:
    """Return the candidates with the baseline among them, and the label of that."""
    if baseline is None:
        return candidates, None
    labels = [each.label for each in candidates]
    if baseline in labels:
        return candidates, baseline
    compared = candidate(baseline)
    return [*candidates, *([] if compared.label in labels else [compared])], compared.label


def allowed(log: Readings, options: Options) -> Options:
    """Return what is asked where nobody says: without propensities match alone."""
    unknown = int(np.isnan(log.facts.propensity).sum())
    if not unknown:
        return options
    log.main.notes.append(
        f"the propensity of {unknown} of {len(log.main)} decisions is unknown: no snips, and match holds if the log "
        "was drawn uniformly"
    )
    return replace(options, methods=("match",))
