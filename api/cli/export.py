"""`onearm export`: the log of an experiment as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...engine.errors import counted
from ..console import print_json, progress
from ..log_files import EXPORTED, EXPORTS, check_rows, form_to_export, module_of, open_joined, open_writer
from .json_option import as_json
from .options import DatabaseCommand, database_option, rows_option

if TYPE_CHECKING:
    from ..service.experiment_log import ExperimentLog


@click.command(cls=DatabaseCommand)
@click.argument("experiment")
@click.argument("file", type=click.Path(path_type=Path))
@database_option
@click.option("--format", "form", type=click.Choice(EXPORTED), help="The format of FILE; default: by its ending.")
@rows_option
@as_json
def export(experiment: str, file: Path, database: str, form: str | None, rows: str, as_json: bool) -> None:
    """Write the log of EXPERIMENT to FILE, as JSON lines (.jsonl) or Parquet (.parquet), which hold all of it.

    As dsjson or vw, for Vowpal Wabbit, it has decisions and what was learned from them; what these formats cannot hold
    is left out and counted. A running service is not disturbed; what it logs in the meantime is left out.

    With --rows decisions, the joined form, rewards stand in the rows of their decisions: verify and convert read such
    a file as any other, evaluate and replay faster, and pandas or DuckDB have nothing to join.

    \b
    Examples:
      onearm export hello hello.jsonl --database sqlite:///onearm.db
      onearm export hello hello.parquet --rows decisions
      onearm export hello hello.dsjson
    """
    from ..service.experiment_log import opened_log

    form = form_to_export(file, form)
    check_rows(rows, form)
    with opened_log(database, experiment) as log, progress("exporting", log.size - log.begins, "events") as advance:
        last, note = log.size - log.begins, log.note
        left_out: dict[str, int] = {}
        if rows == "decisions":
            _export_joined(log, form, file, advance)
        elif form in EXPORTS:
            _export(log, form, file, advance)
        else:
            left_out = _export_what_fits(log, form, file, advance)
    if as_json:
        told: dict[str, Any] = {"experiment": experiment, "file": str(file), "events": last}
        print_json(told | ({"note": note} if note else {}) | ({"left_out": left_out} if left_out else {}))
        return
    click.echo(f"{counted(last, 'event')} of {experiment} in {file}", err=True)
    for what, count in left_out.items():
        click.echo(f"left out: {what} ({count:,})", err=True)
    if note is not None:
        click.echo(note, err=True)


def _export(log: ExperimentLog, form: str, file: Path, advance: Callable[[int], None]) -> None:
    with open_writer(form, file, log.problem, log.spec, log.begins) as out:
        for page in log.pages():
            out.write_events(page)
            advance(len(page))


def _export_joined(log: ExperimentLog, form: str, file: Path, advance: Callable[[int], None]) -> None:
    extent = log.extent
    with open_joined(form, file, log.problem, log.spec, extent) as out:
        for page in log.joined_pages(extent):
            out.write_rows(page)
            advance(sum(1 if row.learned is None else 2 for row in page))


def _export_what_fits(log: ExperimentLog, form: str, file: Path, advance: Callable[[int], None]) -> dict[str, int]:
    """Write what another format can hold; return in words what it cannot, and how much that is."""
    from .fitting import WORDS, Copy

    copy = Copy(form, lossy=True, follows=getattr(module_of(form).Writer, "FOLLOWS", frozenset()))
    with open_writer(form, file, log.problem, log.spec) as out:
        for page in log.pages():
            out.write_events(copy.fitting(page))
            advance(len(page))
    copy.check_left_out(getattr(out, "unrewarded", 0))
    return {WORDS[field]: count for field, count in copy.left_out.items()}
