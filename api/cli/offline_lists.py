"""`evaluate` on a log of lists."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ...engine.errors import InvalidInput
from ...engine.storage.formats.slots import Slots, read_slots
from ...engine.storage.rows import Naming
from ..console import finite, print_json, progress
from ..log_files import form_of, source_of
from ..offline.candidates import candidate, checked
from ..offline.data import list_data
from ..offline.evaluation import Estimate
from ..offline.list_logs import is_own, read_list_log
from ..offline.lists import evaluate_lists, evaluate_own
from ..offline.options import LIST_METHODS, Options, options_of
from .offline_run import refuse_bad_lines
from .telling import tell_estimates

SINGLE = (
    "learn",
    "model",
    "weight_limit",
    "weight_max",
    "diagnostics",
)  # options of single actions, with usual values
NOT_FOR_LISTS = (
    "law",
    "since",
    "until",
    "arms",
    "dimension",
    "segment",
    "embedding",
    "baseline",
    "report",
    "plots",
    "scheduler",
)


def run_lists(
    log: str,
    form: str | None,
    targets: tuple[str, ...],
    *,
    methods: tuple[str, ...],
    experiment: str | None,
    strict: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Estimate what targets would have earned per list."""
    began = time.process_time()
    if others := [method for method in methods if method not in LIST_METHODS]:
        raise InvalidInput("mixed_methods", f"{others[0]} is not for lists: {', '.join(LIST_METHODS)} are")
    for name in NOT_FOR_LISTS:
        if asked.pop(name) is not None:
            raise InvalidInput("not_for_lists", f"--{name} is not for logs of lists: leave it out")
    if asked.pop("naming") != Naming():
        raise InvalidInput("not_for_lists", "columns are named of tables of single decisions: leave these options out")
    context = click.get_current_context()
    own = is_own(log, form)
    for name in (set(SINGLE) - {"learn"}) if own else SINGLE:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise InvalidInput("not_for_lists", f"--{name.replace('_', '-')} is not for logs of lists: leave it out")
    if not own and (form := form_of(Path(log), form)) != "dsjson":
        raise InvalidInput(
            "no_lists",
            f"{log} is read as {form}, which has no lists: they are in our exports, and in logs of Vowpal Wabbit "
            "(--format dsjson)",
        )
    if not own and experiment is not None:
        raise InvalidInput("no_experiment", f"{log} is a file: --experiment is for a database")
    options = options_of(methods=methods, embedding=None, baseline=None, **asked)
    if own:
        estimates, slots = _on_own(log, form, experiment, targets, options, strict=strict)
    else:
        slots = _read(log, strict=strict)
        estimates = evaluate_lists(slots, list(dict.fromkeys(targets)), options)
    data = finite(list_data(estimates, slots, options))
    if as_json:
        print_json(data)
        return
    speed = len(slots.length) / max(time.process_time() - began, 1e-9)
    tell_estimates(data, f"{log}: {len(slots.length):,} lists", speed)


def _read(log: str, *, strict: bool) -> Slots:
    """Read a log of Vowpal Wabbit."""
    source = source_of(Path(log))
    with progress("reading", source.size, "bytes") as advance:
        source.progress = advance
        slots = read_slots(source)
    if strict:
        refuse_bad_lines(slots.bad_lines)
    return slots


def _on_own(
    log: str, form: str | None, experiment: str | None, targets: tuple[str, ...], options: Options, *, strict: bool
) -> tuple[list[Estimate], Slots]:
    """Estimate on lists that the service filled."""
    candidates = checked([candidate(text) for text in targets])
    size = None if "://" in log else source_of(Path(log)).size
    with progress("reading", size, "bytes") as advance:
        found = read_list_log(log, form, experiment, advance)
    if strict:
        refuse_bad_lines(found.slots.bad_lines)
    with progress("judging", len(found.decided) * len(candidates), "rows") as advance:
        return evaluate_own(found, candidates, options, advance), found.slots
