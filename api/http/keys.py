"""Keys over HTTP: an admin makes, lists, rotates and revokes those of their tenant, and the operator those of all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

import msgspec

from ...engine.errors import Conflict, Forbidden, NotFound, Unavailable
from ...engine.storage.access import ROTATE
from ...engine.storage.records import StoredKey
from ..access.caller import ADMIN, EVERY, ROLES
from ..access.keys import DAY_SECONDS, SECOND, NewKey, check_seconds, key_like, new_key
from ..service.service import Service
from .audit import check_files, check_unlimited, deed
from .bodies import read
from .call import Call
from .endpoint import Answer
from .requests import iso

log = logging.getLogger("onearm")

P = ParamSpec("P")
Written = TypeVar("Written")


class WantedKey(msgspec.Struct, forbid_unknown_fields=True):
    """What a new key may do: its roles, of whose experiments, and for how many seconds (null: for good)."""

    roles: Annotated[list[str], msgspec.Meta(max_length=len(ROLES))]
    name: str
    tenant: str | None = None
    experiments: str = "*"
    expires_in: float | None = None


class Overlap(msgspec.Struct, forbid_unknown_fields=True):
    """For how many seconds the old key goes on beside the new one."""

    overlap: float = float(DAY_SECONDS)


class Key(msgspec.Struct):
    """A key, without its secret. `tenant` is null for the operator's."""

    id: str
    name: str
    tenant: str | None
    roles: list[str]
    experiments: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class MadeKey(Key):
    """A new key. `key` is shown this once."""

    key: str


class Keys(msgspec.Struct):
    """The keys that an admin may manage, in the order of their creation; ended and revoked ones stay listed."""

    keys: list[Key]


_wanted = msgspec.json.Decoder(WantedKey)
_overlap = msgspec.json.Decoder(Overlap)


async def create_key(service: Service, call: Call) -> Answer:
    """Make a key; its text is in this answer, and nowhere else."""
    check_unlimited(call.caller)
    wanted = read(_wanted, call.body, "the key")
    mine = call.caller.tenant
    if mine is not None and wanted.tenant not in (None, mine):
        raise Forbidden("other_tenant", f"this key is of the tenant {mine!r}: leave tenant out, or name that one")
    if call.caller.key is None:
        _check_first(wanted)
    now = service.clock()
    tenant = wanted.tenant if mine is None else mine
    made = new_key(
        wanted.name, tenant, wanted.roles, now=now, experiments=wanted.experiments, seconds=wanted.expires_in
    )
    said = deed(service, call, tenant, "keys.create", made.row.id)
    await _written(service, service.access.add_key, made.row, said)
    await _go_by(service)
    return Answer(201, _made(made))


async def list_keys(service: Service, call: Call) -> Answer:
    """List the keys, without their secrets."""
    check_unlimited(call.caller)
    check_files(service)
    await service.keyring.read()
    mine = call.caller.tenant
    return Answer(200, Keys([_key(row) for row in service.keyring.rows if mine in (None, row.tenant)]))


async def rotate_key(service: Service, call: Call) -> Answer:
    """Make a key like another one, which ends after a while."""
    check_unlimited(call.caller)
    seconds = check_seconds("of overlap", read(_overlap, call.body or b"{}", "the overlap").overlap)
    old, now = await _found(service, call), service.clock()
    new = key_like(old, now=now)
    said = deed(service, call, old.tenant, ROTATE, f"{old.id} {new.row.id}")
    await _written(service, service.access.replace_key, old.id, now + int(seconds * SECOND), new.row, said)
    await _go_by(service)
    return Answer(201, _made(new))


async def revoke_key(service: Service, call: Call) -> Answer:
    """End a key at once."""
    check_unlimited(call.caller)
    old = await _found(service, call)
    said = deed(service, call, old.tenant, "keys.revoke", old.id)
    revoked = await _written(service, service.access.revoke_key, old.id, said)
    await service.keyring.read()  # or it is no end at once; it may be asked for again
    return Answer(200, _key(revoked))


def _check_first(wanted: WantedKey) -> None:
    """Raise `Conflict` where the first key is none that manages all others: from it on every call needs one."""
    limits = (wanted.tenant, wanted.expires_in, wanted.experiments)
    if ADMIN not in wanted.roles or limits != (None, None, EVERY):
        raise Conflict(
            "first_key",
            "this is the first key: from it on every call needs one, so it must be able to make others. Make the "
            "operator's first, an admin without tenant, experiments and expires_in, and this one with it; or use "
            "`onearm keys create` on the machine of the database",
        )


async def _found(service: Service, call: Call) -> StoredKey:
    check_files(service)
    await service.keyring.read()
    found, mine = service.keyring.find(id := call.path["key_id"]), call.caller.tenant
    if found is None or mine not in (None, found.tenant):
        raise NotFound("unknown_key", f"there is no key {id!r}: GET /v1/keys lists all")
    return found


async def _written(service: Service, write: Callable[P, Written], *given: P.args, **named: P.kwargs) -> Written:
    """Write to the table of keys."""
    check_files(service)
    return await asyncio.to_thread(write, *given, **named)


async def _go_by(service: Service) -> None:
    """Go by a new key at once, or where the keys cannot be read now soon: it is made, and shown this once."""
    try:
        await service.keyring.read()
    except Unavailable as error:
        log.error("the keys could not be read: %s", error)


def _key(row: StoredKey) -> Key:
    return Key(**_fields(row))


def _made(made: NewKey) -> MadeKey:
    return MadeKey(**_fields(made.row), key=made.text)


def _fields(row: StoredKey) -> dict[str, Any]:
    times = {name: getattr(row, name) for name in ("created_at", "expires_at", "revoked_at")}
    return {
        "id": row.id,
        "name": row.name,
        "tenant": row.tenant,
        "roles": row.roles.split(","),
        "experiments": row.experiments,
        **{name: None if at is None else iso(at) for name, at in times.items()},
    }
