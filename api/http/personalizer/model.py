"""The model, the log, and whether the service is there."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from ....engine import snapshot
from ....engine.storage.store import Store
from ...service.live import Live
from ...service.read_state import read_state
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer
from ..requests import iso


class ModelProperties(msgspec.Struct, rename="camel"):
    """When the model was made, and when it last learned or decided."""

    creation_time: str
    last_modified_time: str


class DateRange(msgspec.Struct, rename={"begins": "from", "ends": "to"}):
    """From when to when there are events."""

    begins: str | UnsetType = UNSET
    ends: str | UnsetType = UNSET


class LogProperties(msgspec.Struct, rename="camel"):
    """Of when the log tells."""

    date_range: DateRange


class ServiceStatus(msgspec.Struct, rename="camel"):
    """That the service answers."""

    service: str
    api_status: str
    api_status_message: str


async def export(service: Service, call: Call) -> Answer:
    """Send the state of the policy: the bytes whose digest the experiment tells."""
    live = service.live(call.path["experiment_id"])
    packed = await read_state(live, service.pools.states, lambda: snapshot.pack)
    return Answer(200, packed, kind=b"application/octet-stream")


async def properties(service: Service, call: Call) -> Answer:
    """Tell when the model was made, and when something last happened."""
    live = service.live(call.path["experiment_id"])
    _, last = await _times(service, live)
    created = iso(live.row.created_at)
    return Answer(200, ModelProperties(created, created if last is None else iso(last)))


async def log_properties(service: Service, call: Call) -> Answer:
    """Tell from when to when the log has events."""
    first, last = await _times(service, service.live(call.path["experiment_id"]))
    dates = DateRange() if first is None or last is None else DateRange(iso(first), iso(last))
    return Answer(200, LogProperties(dates))


async def status(service: Service, call: Call) -> Answer:
    """Tell that the service answers, with this key."""
    return Answer(200, ServiceStatus("personalizer", "Valid", "the service answers, and the key may read"))


async def _times(service: Service, live: Live) -> tuple[int | None, int | None]:
    """Return when the first and the last event of a log were, in microseconds; None where there is none."""
    last = await live.committed()
    return await service.pools.lookups.run(_times_of, service.store, live.row.key, last)


def _times_of(store: Store, key: int, last: int) -> tuple[int | None, int | None]:
    ends = [store.read_events(key, after, 1) for after in (0, max(last - 1, 0))]
    first, end = ((events[0].time if events else None) for events in ends)
    return first, end
