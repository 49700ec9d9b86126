"""`evaluate` and `replay` at work: read a log, judge candidates on it, show what was found."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from onearm.api.cli.offline_options import options_of
from onearm.api.cli.show import print_json, progress
from onearm.api.cli.telling import as_data, tell, tell_bad_lines
from onearm.api.offline.candidates import Candidate
from onearm.api.offline.embeddings import embedding_of
from onearm.api.offline.evaluation import evaluate, passes
from onearm.api.offline.reading import read, source_of
from onearm.engine.errors import Damaged
from onearm.engine.storage.rows import Rows


def run(
    place: str,
    form: str | None,
    candidates: list[Candidate],
    methods_default: tuple[str, ...],
    *,
    experiment: str | None,
    arms: int | None,
    dimension: int | None,
    strict: bool,
    segment: str | None,
    embedding: str | None,
    methods: tuple[str, ...],
    report: Path | None,
    plots: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Do what `evaluate` and `replay` have in common."""
    source, form = source_of(place, form, experiment)
    categories = None if embedding is None else embedding_of(embedding, Path(place), form)
    options = options_of(methods=methods or methods_default, embedding=categories, **asked)
    began = time.process_time()
    with progress("reading", source.size, "bytes") as advance:
        source.progress = advance
        log = read(source, form, candidates, options, dimension=dimension, n_arms=arms, segment=segment)
    if strict:
        _refuse_bad_lines(log.main)
    if not methods and not known_propensities(log.main):
        log.main.notes.append("the log has no propensities: no snips; match holds if it drew uniformly")
        options = replace(options, methods=("match",))
    with progress("judging", len(log.main) * len(candidates) * passes(options), "rows") as advance:
        found = evaluate(candidates, log, options, advance)
    speed = found.events * len(candidates) / max(time.process_time() - began, 1e-9)
    about = About(place, form, options, click.get_current_context().info_name or "")
    if report is not None:
        write_report(report, found, about)
    if plots is not None:
        write_plots(plots, found, about)
    if as_json:
        print_json(as_data(found) | {"events_per_second": speed})
    else:
        tell(found, f"{place}: {found.events:,} decisions, logged mean reward {found.log.reward.mean():.6g}", speed)


def _refuse_bad_lines(rows: Rows) -> None:
    """Stop where there is a bad line."""
    if rows.bad_lines.count:
        tell_bad_lines(rows.bad_lines)
        raise Damaged(
            "bad_lines", f"{rows.bad_lines.count.total()} lines are bad, and --strict was said: mend or leave them out"
        )
