"""`evaluate` and `replay` at work: read a log, judge candidates on it, show what was found."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...engine.errors import Damaged, counted
from ...engine.storage.bad_lines import BadLines
from ...engine.storage.period import Period
from ...engine.storage.rows import Naming, Wanted
from ..console import finite, print_json, progress
from ..offline.asked import answer, question_of
from ..offline.candidate_kinds import Candidate
from ..offline.data import as_data
from ..offline.reading import place_of
from ..offline.showing import draw, pen_for
from ..offline.tables import title_of
from .telling import tell, tell_bad_lines


def run(
    log: str,
    form: str | None,
    candidates: list[Candidate],
    methods_usual: tuple[str, ...],
    *,
    experiment: str | None,
    arms: int | None,
    dimension: int | None,
    strict: bool,
    segment: str | None,
    since: int | None,
    until: int | None,
    naming: Naming,
    embedding: str | None,
    baseline: str | None,
    methods: tuple[str, ...],
    report: Path | None,
    plots: Path | None,
    scheduler: str | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Do what `evaluate` and `replay` have in common; return the exit code, 1 where propensities cannot be true."""
    pen = None if report is None and plots is None else pen_for(log, report, plots, diagnostics=asked["diagnostics"])
    place = place_of(log, form, experiment)
    question = question_of(
        place,
        candidates,
        Wanted(dimension=dimension, n_arms=arms, segment=segment, naming=naming),
        Period(since, until),
        methods=methods,
        usual=methods_usual,
        embedding=embedding,
        baseline=baseline,
        **asked,
    )
    check = refuse_bad_lines if strict else None
    with ExitStack() as stack:
        found, speed = answer(place, question, stack, progress, check, scheduler)
        if pen is not None:
            draw(pen, found, place, shlex.join(["onearm", *sys.argv[1:]]), report, plots)
    data = finite(as_data(found))
    if as_json:
        print_json(data | {"events_per_second": speed})
    else:
        tell(found, data, f"{log}: {title_of(data)}", speed)
    return 0 if found.refuted is None else 1


def refuse_bad_lines(bad_lines: BadLines) -> None:
    """Stop where there is a bad line."""
    if bad_lines.count:
        tell_bad_lines(bad_lines)
        lines = counted(bad_lines.count.total(), "line is", "lines are")
        raise Damaged("bad_lines", f"{lines} bad, and --strict was said: mend or leave them out")
