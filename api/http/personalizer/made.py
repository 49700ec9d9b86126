"""The experiments that a client of Personalizer's speaks to, of which two are made when they are first asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from ....engine.errors import Conflict, NotFound
from ...experiment.tenants import parts_of
from ...service.live import Live
from ...service.service import Service
from .. import experiments
from ..audit import audited
from ..call import Call

ACTIONS_MAX = 50  # of a rank, and slots of one: Personalizer's limits
SINGLE, SLOTS = "personalizer", "personalizer-multislot"
FEATURES = {"context": {"kind": "features"}, "actions": {"kind": "listed", "max": ACTIONS_MAX}}
PROBLEMS: dict[str, dict[str, Any]] = {
    SINGLE: FEATURES,
    SLOTS: {"kind": "lists", **FEATURES, "slots": {"max": ACTIONS_MAX}},
}
REWARD: dict[str, Any] = {
    "range": [-1, 1],
    "wait_time": "10m",
    "default": 0,
    "aggregation": "earliest",
    "late": "record",
}

_create = audited(experiments.create)


async def at_work(service: Service, call: Call) -> Live:
    """Return the experiment of a call; one of the two is made where there is none yet."""
    name = call.path["experiment_id"]
    try:
        return service.live(name)
    except NotFound:
        if parts_of(name)[1] not in PROBLEMS:
            raise
    try:
        return await create(service, call, {})
    except Conflict as error:
        if error.code != "experiment_exists":  # by another call meanwhile, and otherwise configured
            raise
        return service.live(name)


async def create(service: Service, call: Call, body: dict[str, Any]) -> Live:
    """Create the experiment of a call, with what `body` says of its reward and its policy."""
    name = call.path["experiment_id"]
    problem = PROBLEMS.get(parts_of(name)[1], PROBLEMS[SINGLE])
    spec = {"experiment_id": call.caller.called(name), "problem": problem, "reward": REWARD, **body}
    await _create(service, call._replace(body=msgspec.json.encode(spec)))
    return service.live(name)
