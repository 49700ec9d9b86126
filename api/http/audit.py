"""The audit log: who did what with which key, when, and from where. Never a secret, never a context."""

from __future__ import annotations

import asyncio
import functools

import msgspec

from ...engine.errors import Forbidden
from ...engine.storage.records import Deed
from ..access.caller import EVERY, Caller
from ..experiment.tenants import parts_of
from ..service.service import Service
from .call import Call
from .endpoint import Answer, Handler
from .requests import iso, whole_number

PAGE = 100
PAGE_MAX = 1000
ORIGIN_MAX = 100  # characters: a proxy passes on what it is told


class Noted(msgspec.Struct):
    """What somebody did. `key` is the id of theirs, null where none was asked for."""

    seq: int
    time: str
    key: str | None
    tenant: str | None  # null: the operator
    action: str
    subject: str
    origin: str


class Audit(msgspec.Struct):
    """A page of the audit log, newest first; `next` is the `before` of the next one."""

    deeds: list[Noted]
    next: int | None


def audited(handler: Handler) -> Handler:
    """Return a handler whose deeds come into the audit log; what it refused is not there.

    It answers when the deed is written, or cannot be yet: then it is done all the same, and nothing more is until then.
    """
    action = f"{handler.__module__.rsplit('.', 1)[-1]}.{handler.__name__}"

    @functools.wraps(handler)
    async def noted(service: Service, call: Call) -> Answer:
        await service.deeds.check()
        answer = await handler(service, call)
        name = call.path.get("experiment_id") or call.caller.named(answer.content.experiment_id)
        subject = " ".join((name, *(part for field, part in call.path.items() if field != "experiment_id")))
        await service.deeds.note(deed(service, call, parts_of(name)[0], action, subject))
        return answer

    return noted


def deed(service: Service, call: Call, tenant: str | None, action: str, subject: str) -> Deed:
    """Return what a call does now to something of a tenant."""
    return Deed(None, service.clock(), call.caller.key, tenant, action, subject, call.origin[:ORIGIN_MAX])


def check_unlimited(caller: Caller) -> None:
    """Raise `Forbidden` for a key that is for some experiments only: it must not see or give more than it has."""
    if caller.experiments != EVERY:
        raise Forbidden(
            "limited_key",
            f"this key is for experiments as {caller.experiments!r} alone, and may neither read the audit log nor "
            "manage keys: use one for all experiments",
        )


def check_files(service: Service) -> None:
    """Raise `Unavailable` where the database was deleted or replaced: what is read is another one's; 6 us."""
    if (lost := service.lost()) is not None:
        raise lost


async def list_deeds(service: Service, call: Call) -> Answer:
    """List what was created, changed, archived, and done to keys, newest first; a tenant's admin sees the tenant's."""
    caller = call.caller
    check_unlimited(caller)
    check_files(service)
    before, limit = call.parameter("before"), call.parameter("limit")
    most = PAGE if limit is None else whole_number("limit", limit, PAGE_MAX)
    seq = None if before is None else whole_number("before", before, 2**31)
    found = await asyncio.to_thread(service.access.deeds, most, seq, caller.tenant)
    noted = [_noted(one, caller) for one in found]
    return Answer(200, Audit(noted, noted[-1].seq if len(noted) == most else None))


def _noted(one: Deed, caller: Caller) -> Noted:
    assert one.seq is not None, "it was read"
    return Noted(one.seq, iso(one.time), one.key, one.tenant, one.action, caller.called(one.subject), one.origin)
