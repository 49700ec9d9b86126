"""`onearm backup`: a copy of a database, taken while it is in use."""

from __future__ import annotations

from pathlib import Path

import click

from ...engine.errors import OnearmError, counted
from ...engine.storage.access import BACKUP, Access, deed_by_command
from ...engine.storage.backup import back_up
from ...engine.storage.connections import parse_url
from ...engine.storage.store import Store
from ..console import print_json
from ..service.archives import Archives
from .json_option import as_json
from .options import DatabaseCommand, database_option


@click.command(cls=DatabaseCommand)
@click.argument("file", type=click.Path(path_type=Path))
@database_option
@as_json
def backup(file: Path, database: str, as_json: bool) -> None:
    """Copy a database of SQLite to a new FILE, as it is at this moment.

    A running service is not disturbed. `cp` would leave out what it committed last.

    \b
    Example:
      onearm backup copies/monday.db --database sqlite:///run.db
    """
    back_up(database, file)
    _note(database, file)
    store = Store.open(f"sqlite:///{file}", write=False)
    try:
        rows = store.experiments()
        events = sum(store.counts(row.key).seq for row in rows)
    finally:
        store.close()
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file), "bytes": size, "experiments": len(rows), "events": events})
    else:
        held = f"{counted(len(rows), 'experiment')} and {counted(events, 'event')}"
        click.echo(f"{file} has {held} in {counted(size, 'byte')}")
        click.echo(f"to check it: onearm verify --database sqlite:///{file}{_archives(database)}")


def _archives(database: str) -> str:
    """Return the option by which a check of a backup finds the archives, which stay with the database."""
    place = Archives.beside(parse_url(database)).place
    return f" --archives {place}" if place is not None and Path(place).is_dir() else ""


def _note(database: str, file: Path) -> None:
    """Write into the audit log that there is a backup: the service tells how old the last one is."""
    try:
        access = Access.open(database, write=True)
    except OnearmError as error:  # of an earlier version, or in a folder that nobody may write to
        click.echo(f"the audit log does not have this backup: {error}", err=True)
        return
    try:
        access.note(deed_by_command(None, BACKUP, str(file.resolve())))
    except OnearmError as error:
        click.echo(f"the audit log does not have this backup: {error}", err=True)
    finally:
        access.close()
