"""`onearm export`: the log of an experiment as a file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onearm.api.artefacts import keep_all
from onearm.api.cli.files import writer
from onearm.api.cli.options import database_option
from onearm.api.cli.show import as_json, print_json, progress
from onearm.api.history import History
from onearm.api.spec import Spec
from onearm.engine.errors import NotFound
from onearm.engine.storage.sql import Store

PAGE = 5000


@click.command()
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
    store = Store.open(database, write=False)
    try:
        keep_all(store)
        rows = {row.id: row for row in store.experiments()}
        if experiment not in rows:
            known = ", ".join(rows) or "none"
            raise NotFound("unknown_experiment", f"there is no experiment {experiment!r}: there are {known}")
        key = rows[experiment].key
        spec = Spec.from_json(json.loads(rows[experiment].spec))
        last = store.counts(key).seq
        history = History(spec, store.changes(key))
        problem = history.problem(last)
        header = spec.to_json() | {"seed": str(spec.seed)}
        after = 0
        with progress("exporting", last, "events") as advance, writer(file, problem, header) as out:
            while after < last:
                events = store.read_events(key, after, min(PAGE, last - after))
                out.write_events(history.masked(events))
                after = events[-1].seq
                advance(len(events))
    finally:
        store.close()
    if as_json:
        print_json({"experiment": experiment, "file": str(file), "events": last})
    else:
        click.echo(f"{last} events of {experiment} in {file}", err=True)
