"""`evaluate` and `replay` at work: read a log, judge candidates on it, show what was found."""

from __future__ import annotations

import datetime
import shlex
import sys
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...engine.errors import Damaged, InvalidInput
from ...engine.storage.log import BadLines
from ...engine.storage.period import Period
from ...engine.storage.rows import Naming, Wanted
from ..console import print_json, progress
from ..offline.asked import answer, question_of
from ..offline.candidate_kinds import Candidate
from ..offline.data import as_data
from ..offline.drawing import drawing
from ..offline.evaluation import Evaluation
from ..offline.reading import Place, place_of
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
) -> None:
    """Do what `evaluate` and `replay` have in common."""
    pen = None if report is None and plots is None else _pen(log, report, plots)
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
            _draw(pen, found, place, report, plots)
    if as_json:
        print_json(as_data(found) | {"events_per_second": speed})
    else:
        tell(found, f"{log}: {found.events:,} decisions, logged mean reward {found.log.reward.mean():.6g}", speed)


def _pen(log: str, report: Path | None, plots: Path | None) -> Any:
    """Return what draws, after a check that all can be written: a long run must not end in an error."""
    if report is not None:
        if report.suffix.lower() not in (".html", ".htm"):
            raise InvalidInput("bad_report", f"{report} does not end in .html: the report is a page")
        if report.is_dir() or (Path(log).exists() and report.exists() and report.samefile(log)):
            raise InvalidInput("bad_report", f"{report} is the log, or a folder: name another file for the report")
    for folder in (None if report is None else report.parent, plots):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput("bad_folder", f"{folder} cannot be made ({error.strerror}): name another one") from None
    return drawing()


def _draw(pen: Any, found: Evaluation, place: Place, report: Path | None, plots: Path | None) -> None:
    """Write the page and its plots, where they are asked for."""
    command = shlex.join(["onearm", *sys.argv[1:]])
    made = datetime.datetime.now().astimezone().isoformat(" ", "minutes")
    about = pen.About(place.name, place.form, command, version("onearm"), made, found.options.seed)
    if report is not None:
        pen.write_report(report, found, about)
    if plots is not None:
        pen.write_plots(plots, found, about)


def refuse_bad_lines(bad_lines: BadLines) -> None:
    """Stop where there is a bad line."""
    if bad_lines.count:
        tell_bad_lines(bad_lines)
        raise Damaged(
            "bad_lines", f"{bad_lines.count.total()} lines are bad, and --strict was said: mend or leave them out"
        )
