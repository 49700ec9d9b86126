"""`onearm compact`: what lies before an event of a log becomes small, and a file."""

from __future__ import annotations

import click

from ...engine.errors import counted
from ...engine.storage.numerals import natural_in
from ..console import print_json
from ..experiment.ids import in_url
from .calling import answered, client_of, key_option, url_option
from .json_option import as_json


@click.command()
@click.argument("experiment")
@click.option(
    "--before",
    metavar="SEQ|TIME",
    help="The last event to compact, or the time (2026-01-31T00:00:00Z) before which all are.  [default: now]",
)
@click.option("--drop", is_flag=True, help="Keep no archive: what is removed is gone for good.")
@url_option
@key_option("admin")
@as_json
def compact(experiment: str, before: str | None, drop: bool, url: str, key: str | None, as_json: bool) -> None:
    """Shorten the log of an EXPERIMENT of a running service: what lies before an event is archived.

    The archive is a Parquet file in the service's folder of archives. Contexts and what clients sent are removed from
    the database; decisions, rewards and their ids stay. The experiment goes on meanwhile.

    \b
    Example:
      onearm compact banner --before 2026-01-31T00:00:00Z
    """
    seq = None if before is None else natural_in(before)
    body = {"before": before if seq is None else seq, "archive": not drop}
    path = f"/v1/experiments/{in_url(experiment)}:compact"
    with client_of(url, key) as client:
        found = answered(path, lambda: client.post(path, json=body, timeout=None))  # a long log takes its time
    if as_json:
        print_json(found)
        return
    where = "in no archive" if found["archive"] is None else f"in {found['archive']} ({found['archive_bytes']} bytes)"
    click.echo(f"{found['experiment_id']} is folded from event {found['base']} on")
    click.echo(f"{counted(found['events'], 'event is', 'events are')} {where}")
