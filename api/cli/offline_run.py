"""`evaluate` and `replay` at work: read a log, judge candidates on it, show what was found."""

from __future__ import annotations

import datetime
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import Damaged, InvalidInput
from ...engine.storage.log import BadLines
from ...engine.storage.period import Period
from ...engine.storage.rows import Naming, Rows, Wanted
from ..console import print_json, progress
from ..offline.candidates import Candidate, candidate
from ..offline.drawing import drawing
from ..offline.embeddings import embedding_of
from ..offline.evaluation import Evaluation, concluded, evaluate, passes
from ..offline.judging import Facts
from ..offline.options import Options
from ..offline.reading import Place, place_of, read
from ..offline.spread import judge_in_parts
from ..scheduling.scheduler import Scheduler, opened
from .offline_options import options_of
from .telling import as_data, tell, tell_bad_lines


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
    if baseline is not None:
        compared = candidate(baseline)
        baseline = compared.label
        candidates = [*candidates, *([] if baseline in [each.label for each in candidates] else [compared])]
    categories = None if embedding is None else embedding_of(embedding, Path(log), place.form)
    options = options_of(methods=methods or methods_usual, embedding=categories, baseline=baseline, **asked)
    work = Work(
        place,
        candidates,
        options,
        Wanted(dimension=dimension, n_arms=arms, segment=segment, naming=naming),
        Period(since, until),
        strict=strict,
        free=not methods,
    )
    with ExitStack() as stack:
        if scheduler is None and not place.inside:
            began = time.process_time()
            found = _evaluated(work, stack)
            seconds = time.process_time() - began
        else:
            began = time.monotonic()
            found = _evaluated_in_parts(work, stack.enter_context(opened(scheduler)))
            seconds = time.monotonic() - began  # that of the workers is theirs
        speed = found.events * len(candidates) / max(seconds, 1e-9)
        if pen is not None:
            _draw(pen, found, place, report, plots)
    if as_json:
        print_json(as_data(found) | {"events_per_second": speed})
    else:
        tell(found, f"{log}: {found.events:,} decisions, logged mean reward {found.log.reward.mean():.6g}", speed)


@dataclass(frozen=True)
class Work:
    """What is asked of which log."""

    place: Place
    candidates: list[Candidate]
    options: Options
    wanted: Wanted
    period: Period
    strict: bool  # whether a bad line ends it
    free: bool  # whether the log decides which of the usual methods it allows


def _evaluated(work: Work, stack: ExitStack) -> Evaluation:
    """Evaluate on a log that is read here, in one piece."""
    place = work.place.here(stack)
    with progress("reading", place.size, "bytes") as advance:
        log = read(place, work.candidates, work.options, stack, work.wanted, work.period, advance)
    options = _checked(work, log.main, lambda: log.facts)
    with progress("judging", len(log.main) * len(work.candidates) * passes(options), "rows") as advance:
        return evaluate(work.candidates, log, options, advance)


def _evaluated_in_parts(work: Work, scheduler: Scheduler) -> Evaluation:
    """Evaluate on a log whose files, or whose candidates, a scheduler gives to its workers."""
    candidates = work.candidates
    with progress("judging", len(work.place.files) * len(candidates), "files, once for each candidate") as advance:
        found = judge_in_parts(work.place, candidates, work.options, scheduler, work.wanted, work.period, advance)
    options = _checked(work, found.rows, lambda: found.facts)
    return concluded(candidates, found.rows, found.facts, found.scored, options)


def _checked(work: Work, rows: Rows, facts: Callable[[], Facts]) -> Options:
    """Return what is asked of a log that was read, after a look at its bad lines."""
    if work.strict:
        refuse_bad_lines(rows.bad_lines)
    return allowed(rows, facts(), work.options) if work.free else work.options


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
