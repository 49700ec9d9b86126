"""`onearm keys`: who may call the service, and for what. It works beside a running service, which notices at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from ...engine.errors import InvalidInput, NotFound
from ...engine.storage.access import ROTATE, Access, deed_by_command
from ...engine.storage.connections import without_password
from ...engine.storage.records import StoredKey
from ...engine.storage.store import Store
from ..access.caller import EVERY, ROLES
from ..access.keys import DAY_SECONDS, SECOND, NewKey, caller_of, check_seconds, key_like, new_key
from ..console import print_json, print_table
from .duration import DURATION
from .json_option import as_json
from .options import DatabaseCommand, database_option


@click.group()
def keys() -> None:
    """Make keys for callers of the service, list, rotate and revoke them; a running service notices within a second.

    As long as a database has no key the service listens on this machine alone and everyone there may do everything.
    From the first one on every call needs one.

    \b
    Example:
      onearm keys create --role admin --name me
      onearm keys create --role write --tenant shop --name web --expires-in 90d
    """


@keys.command(cls=DatabaseCommand)
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="Repeatable.")
@click.option("--name", required=True, help="What the key is for, as people say it.")
@click.option("--tenant", help="Whose experiments it is for; left out: the operator's, for those of all.")
@click.option("--experiments", default=EVERY, show_default=True, metavar="PATTERN", help="Ids, as in banner-*.")
@click.option("--expires-in", "seconds", type=DURATION, help="When it ends, such as 90d or 12h; left out: never.")
@database_option
@as_json
def create(
    roles: tuple[str, ...],
    name: str,
    tenant: str | None,
    experiments: str,
    seconds: float | None,
    database: str,
    as_json: bool,
) -> None:
    """Make a key and show it, this once.

    \b
    Roles: read sees experiments, reports and decisions; write decides, rewards and sends examples; admin may do
    everything. Example:
      onearm keys create --role write --tenant shop --name web
    """
    made = new_key(name, tenant, roles, now=_now(), experiments=experiments, seconds=seconds)
    with _opened(database, make=True) as access:
        first = not access.all_keys()
        access.add_key(made.row, deed_by_command(tenant, "keys.create", made.row.id))
        where = access.name
    if first:
        click.echo(f"the first key of {where}: whoever calls its service needs one from now on", err=True)
    _show(made, as_json)


@keys.command("list", cls=DatabaseCommand)
@database_option
@as_json
def list_keys(database: str, as_json: bool) -> None:
    """List the keys, without their secrets. Ended and revoked ones stay: the audit log names them.

    \b
    Example:
      onearm keys list
    """
    with _opened(database) as access:
        rows = access.all_keys()
    if as_json:
        print_json({"keys": [_told(row) for row in rows]})
        return
    columns = ["id", "name", "tenant", "roles", "experiments", "state"]
    table = [[row.id, row.name, row.tenant or "(operator)", row.roles, row.experiments, _state(row)] for row in rows]
    print_table("Keys", columns, table)


@keys.command(cls=DatabaseCommand)
@click.argument("id")
@click.option(
    "--overlap",
    "seconds",
    type=DURATION,
    default=float(DAY_SECONDS),
    show_default="1d",
    help="For how long the old key goes on, such as 1d or 0s.",
)
@database_option
@as_json
def rotate(id: str, seconds: float, database: str, as_json: bool) -> None:
    """Make a key like the key ID and show it; the old one ends after a while.

    \b
    Example:
      onearm keys rotate 0f3a51c2b7de --overlap 12h
    """
    now, overlap = _now(), int(check_seconds("of overlap", seconds) * SECOND)
    with _opened(database) as access:
        old = _found(access, id)
        new = key_like(old, now=now)
        access.replace_key(id, now + overlap, new.row, deed_by_command(old.tenant, ROTATE, f"{id} {new.row.id}"))
    _show(new, as_json)


@keys.command(cls=DatabaseCommand)
@click.argument("id")
@database_option
@as_json
def revoke(id: str, database: str, as_json: bool) -> None:
    """End the key ID; a running service refuses it within a second.

    \b
    Example:
      onearm keys revoke 0f3a51c2b7de
    """
    with _opened(database) as access:
        row = access.revoke_key(id, deed_by_command(_found(access, id).tenant, "keys.revoke", id))
    if as_json:
        print_json(_told(row))
    else:
        click.echo(f"{id} ({row.name}) is revoked", err=True)


@contextmanager
def _opened(url: str, *, make: bool = False) -> Iterator[Access]:
    """Open the keys of a database; with `make` one that is not there yet is made, and an older one upgraded."""
    try:
        access = Access.open(url)
    except InvalidInput as error:
        if not make or error.code not in ("no_database", "older_schema"):
            raise
        Store.open(url).close()
        access = Access.open(url)
        if error.code == "no_database":
            click.echo(f"{access.name} is new: the service must run with --database {without_password(url)}", err=True)
    try:
        yield access
    finally:
        access.close()


def _found(access: Access, id: str) -> StoredKey:
    row = next((row for row in access.all_keys() if row.id == id), None)
    if row is None:
        raise NotFound("unknown_key", f"there is no key {id!r}: onearm keys list shows all")
    return row


def _show(made: NewKey, as_json: bool) -> None:
    if as_json:
        print_json(_told(made.row) | {"key": made.text})
    else:
        click.echo(f"{made.row.id} ({made.row.name}); the key is shown this once:", err=True)
        click.echo(made.text)


def _told(row: StoredKey) -> dict[str, Any]:
    said = row._asdict()
    del said["digest"]
    times = {name: _iso(said[name]) for name in ("created_at", "expires_at", "revoked_at")}
    return said | {"roles": row.roles.split(","), "state": _state(row)} | times


def _state(row: StoredKey) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if caller_of(row).until <= _now():
        return "ended"
    return "valid" if row.expires_at is None else f"valid until {_iso(row.expires_at)}"


def _iso(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at // SECOND, UTC).isoformat()


def _now() -> int:
    return time.time_ns() // 1000
