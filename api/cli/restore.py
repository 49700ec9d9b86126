"""`onearm restore`: a backup in place of a database."""

from __future__ import annotations

from pathlib import Path

import click

from ...engine.errors import Damaged, counted
from ...engine.storage.backup import restore as put_back
from ...engine.storage.backup import undone
from ..console import print_json
from .json_option import as_json
from .options import DatabaseCommand, artefact_option, database_option, policy_file_option
from .verify import has_fault, verified


@click.command(cls=DatabaseCommand)
@click.argument("file", type=click.Path(path_type=Path))
@database_option
@policy_file_option
@artefact_option
@as_json
def restore(file: Path, database: str, as_json: bool) -> None:
    """Put a backup FILE in place of a database of SQLite, if every decision in it comes out again.

    The service must be stopped. What was there before is kept beside it, under a name that is printed. Keys that were
    revoked since the backup, and what was erased or deleted, are back: the command says how many.

    \b
    Example:
      onearm restore copies/monday.db --database sqlite:///run.db
    """
    found = verified(f"sqlite:///{file}")
    if wrong := [one["id"] for one in found if has_fault(one)]:
        raise Damaged(
            "does_not_verify",
            f"{file} does not verify ({', '.join(wrong[:5])}), and nothing was replaced: "
            f"onearm verify --database sqlite:///{file} says what differs",
        )
    back = undone(file, database)
    kept = put_back(file, database)
    if as_json:
        print_json({"experiments": len(found), "kept": None if kept is None else str(kept), "undone": back})
    else:
        click.echo(f"{counted(len(found), 'experiment verifies, and is', 'experiments verify, and are')} in place")
        if kept is not None:
            click.echo(f"what was there before is {kept}")
        if back:
            deeds = ", ".join(f"{count} {deed}" for deed, count in sorted(back.items()))
            click.echo(
                f"done since the backup, and to be done again: {deeds}; onearm audit --database sqlite:///{kept}"
            )
