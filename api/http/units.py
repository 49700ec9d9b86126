"""What is on record of one person, or whatever else decisions are for: it is told, and it is erased."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import UNSET

from ...engine.errors import InvalidInput
from ...engine.storage.store import Store
from ..experiment.ids import check_id
from ..experiment.tenants import parts_of
from ..service.records import Record, records_of
from ..service.service import Service
from .audit import deed
from .bodies import LARGE, read
from .call import Call
from .decisions import record_of
from .endpoint import Answer
from .requests import name_of, whole_number
from .schemas import Erase, Erased, UnitDecisions

PAGE = 100
PAGE_MAX = 1000
NUMBER_MAX = 2**63 - 1
_erase = msgspec.json.Decoder(Erase)


async def decisions_of(service: Service, call: Call) -> Answer:
    """Tell everything on record of the decisions for one unit, a page at a time; none where nothing is."""
    live = service.live(call.path["experiment_id"])
    live.check_usable()
    unit_id = check_id("unit_id", call.path["unit_id"])
    after, limit = call.parameter("after"), call.parameter("limit") or str(PAGE)
    first = -1 if after is None else whole_number("after", after, NUMBER_MAX, least=0)
    most = whole_number("limit", limit, PAGE_MAX)
    await live.committed()
    found = await service.pools.lookups.run(_found, service.store, live.row.key, unit_id, first, most + 1)
    told = []
    for one in found[:most]:
        if one.event.number in live.erasing:
            continue
        told.append(record_of(live, one))
        await asyncio.sleep(0)
    return Answer(200, UnitDecisions(told, found[most - 1].event.number if len(found) > most else None))


async def erase(service: Service, call: Call) -> Answer:
    """Blank the decisions for one unit, or some decisions: of whom, and why, is not on record any more.

    The audit log has how many there were, and neither the unit nor the decisions.
    """
    name = call.path["experiment_id"]
    live = service.live(name)
    if len(call.body) <= LARGE:
        body = read(_erase, call.body, "the erasure")
    else:
        async with service.lanes.large.turn():
            body = read(_erase, call.body, "the erasure")
    if (body.unit_id is None) == (body.decision_ids is None):
        raise InvalidInput("one_of_two", "the erasure names unit_id, or decision_ids: send one of the two")
    await service.deeds.check()
    if body.unit_id is not None:
        erasure = await service.erasing.erase_unit(live, check_id("unit_id", body.unit_id))
    else:
        names = [found for one in body.decision_ids or [] if (found := name_of(one)) is not None]
        erasure = await service.erasing.erase_decisions(live, names)
    await service.deeds.note(
        deed(service, call, parts_of(name)[0], "units.erase", f"{name} {erasure.counted.decisions} decisions")
    )
    return Answer(200, Erased(call.caller.called(live.row.id), *erasure.counted, erasure.left or UNSET))


def _found(store: Store, key: int, unit_id: str, after: int, limit: int) -> list[Record]:
    """Read decisions for a unit and their rewards, in order. Runs in a worker thread."""
    numbers = store.of_unit(key, unit_id, after, limit)
    records = records_of(store.find(key, numbers))
    return [records[number] for number in numbers if number in records]
