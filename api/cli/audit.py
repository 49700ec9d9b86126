"""`onearm audit`: who did what to experiments and keys."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ...engine.storage.access import Access
from ..console import print_json, print_table
from .json_option import as_json
from .options import DatabaseCommand, Whole, database_option

ROWS_MAX = 10_000


@click.command(cls=DatabaseCommand)
@click.option("--limit", type=Whole(1, ROWS_MAX), default=100, show_default=True, help="How many entries at most.")
@click.option("--tenant", help="Only entries about this tenant's experiments and keys.")
@database_option
@as_json
def audit(limit: int, tenant: str | None, database: str, as_json: bool) -> None:
    """List what was created, changed, archived, and done to keys, newest first: by which key, when, and from where.

    \b
    Example:
      onearm audit --limit 20
    """
    access = Access.open(database)
    try:
        deeds = access.deeds(limit, tenant=tenant)
    finally:
        access.close()
    times = [datetime.fromtimestamp(deed.time // 1_000_000, UTC).isoformat() for deed in deeds]
    if as_json:
        said = [deed._asdict() | {"time": time} for deed, time in zip(deeds, times, strict=True)]
        print_json({"deeds": said})
        return
    rows = [
        [time, deed.key or "none", deed.tenant or "(operator)", deed.action, deed.subject, deed.origin]
        for deed, time in zip(deeds, times, strict=True)
    ]
    print_table("Who did what, newest first", ["time", "key", "tenant", "action", "subject", "from"], rows)
