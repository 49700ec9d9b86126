"""The log of an experiment as a stream, and an experiment from such a log."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from ...engine.errors import Conflict, InvalidInput
from ..log_files import EXPORTS, ROWS
from ..service.experiment_log import log_of
from ..service.exporting import exported, exported_joined
from ..service.importing import read_export
from ..service.live import Live
from ..service.service import Service
from .call import Call
from .endpoint import Answer
from .experiments import describe
from .requests import whole_number

SEQ_MAX = 2**63 - 1
MEDIA_TYPES = {"jsonl": b"application/jsonl", "parquet": b"application/vnd.apache.parquet"}


async def log(service: Service, call: Call) -> Answer:
    """Stream the log, as `onearm export` writes it; JSON lines can be gone on with after any event.

    With rows=decisions it comes in the joined form, as `--rows decisions` writes it, and from its beginning.
    One that was compacted begins after its base, which X-Log-Begins names; so does one that is read from 0 on.
    """
    form = call.parameter("format") or "jsonl"
    if form not in EXPORTS:
        raise InvalidInput("bad_format", f"format is {form[:20]!r}: it must be one of {', '.join(EXPORTS)}")
    after, until = _seq(call, "after") or None, _seq(call, "until")
    joined = _joined(call, after)
    live = service.live(call.path["experiment_id"])
    _check_epoch(service, call)
    parts = _parts(service, live, form, joined, after, until, call.caller.tenant)
    begins, last = (await anext(parts)).split()  # from here on it has a place, until it is closed
    headers = ((b"x-log-until", last), (b"x-log-begins", begins), (b"x-log-epoch", b"%d" % service.epoch))
    return Answer(200, b"", headers, MEDIA_TYPES[form], parts)


async def import_log(service: Service, call: Call) -> Answer:
    """Make an experiment from an export of JSON lines; nothing is written unless all of it is in order."""
    caller, renamed = call.caller, call.parameter("experiment_id")
    new_id = None if renamed is None else caller.placed({"experiment_id": renamed})[1]["experiment_id"]
    found = await service.pools.imports.run(read_export, call.body, new_id, service.room.limits.one)
    tenant, _ = caller.placed({"experiment_id": renamed or found.spec.id})
    return Answer(201, describe(await service.take_over(found, tenant), caller))


async def _parts(
    service: Service, live: Live, form: str, joined: bool, after: int | None, until: int | None, tenant: str | None
) -> AsyncGenerator[bytes]:
    """Yield the seq after which the log begins and that of the last event that is told, and then the log."""
    pool = service.pools.exports
    with service.exports.place(tenant):
        found = await pool.run(log_of, service.store, live.row, until)
        if after is not None and after > found.size:
            raise Conflict(
                "ahead_of_log",
                f"after is {after}, and the log ends at {found.size}: the database was restored from a backup, so read "
                "the log from its beginning",
            )
        found.check_after(min(found.size, found.begins if after is None else after))
        yield b"%d %d" % (found.begins, found.size)
        written = exported_joined(pool, found, form) if joined else exported(pool, found, form, after)
        async for part in written:
            yield part


def _joined(call: Call, after: int | None) -> bool:
    """Return whether the joined form is asked for, which no part of a log has."""
    form = call.parameter("rows") or "events"
    if form not in ROWS:
        raise InvalidInput("bad_rows", f"rows is {form[:20]!r}: it must be one of {', '.join(ROWS)}")
    if form == "decisions" and after is not None:
        raise InvalidInput(
            "bad_after",
            "rows of decisions hold rewards that came later, so a log cannot be gone on with: leave out after, or "
            "read rows=events",
        )
    return form == "decisions"


def _check_epoch(service: Service, call: Call) -> None:
    """Refuse to go on with a log that is another one since the database was restored from a backup."""
    epoch = _seq(call, "epoch")
    if epoch is not None and epoch != service.epoch:
        raise Conflict(
            "another_epoch",
            f"epoch is {epoch}, and the log has {service.epoch}: the database was restored from a backup, and events "
            "that were read before may be others now; read the log from its beginning",
        )


def _seq(call: Call, name: str) -> int | None:
    """Return a parameter that this service said before, or 0: the seq of an event, or an epoch."""
    text = call.parameter(name)
    return None if text is None else whole_number(name, text, SEQ_MAX, least=0)
