"""`onearm export`: the log of an experiment as a file."""

from __future__ import annotations

from pathlib import Path

import click

from ..console import print_json, progress
from ..log_files import writer
from .json_option import as_json
from .options import DatabaseCommand, database_option


@click.command(cls=DatabaseCommand)
@click.argument("experiment")
@click.argument("file", type=click.Path(path_type=Path))
@database_option
@as_json
def export(experiment: str, file: Path, database: str, as_json: bool) -> None:
    """Write the log of EXPERIMENT to FILE, as JSON lines (.jsonl) or Parquet (.parquet).

    A running service is not disturbed; what it logs meanwhile is left out.

    \b
    Example:
      onearm export hello hello.jsonl --database sqlite:///onearm.db
    """
    from ..service.experiment_log import opened

    with opened(database, experiment) as log:
        last, note = log.size - log.begins, log.note
        with progress("exporting", last, "events") as advance, writer(file, log.problem, log.spec, log.begins) as out:
            for page in log.pages():
                out.write_events(page)
                advance(len(page))
    if as_json:
        print_json({"experiment": experiment, "file": str(file), "events": last} | ({"note": note} if note else {}))
    else:
        click.echo(f"{last} events of {experiment} in {file}", err=True)
        if note is not None:
            click.echo(note, err=True)
