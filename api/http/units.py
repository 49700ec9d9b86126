"""What is on record of one person, or whatever else decisions are for."""

from __future__ import annotations

import asyncio

from ...engine.storage.store import Store
from ..experiment.ids import check_id
from ..service.records import Record, together
from ..service.service import Service
from .decisions import record_of
from .endpoint import Answer, Call
from .requests import whole_number
from .schemas import UnitDecisions

PAGE = 100
PAGE_MAX = 1000
NUMBER_MAX = 2**63 - 1


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
        told.append(record_of(live, one))
        await asyncio.sleep(0)
    return Answer(200, UnitDecisions(told, told[-1].number if len(found) > most else None))


def _found(store: Store, key: int, unit_id: str, after: int, limit: int) -> list[Record]:
    """Read decisions for a unit and their rewards, in order. Runs in a worker thread."""
    numbers = store.of_unit(key, unit_id, after, limit)
    records = together(store.find(key, numbers))
    return [records[number] for number in numbers if number in records]
