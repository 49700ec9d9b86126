"""What Prometheus reads: how the service is, how fast it answers, and how far each experiment has come."""

from __future__ import annotations

import asyncio
import importlib
from typing import NamedTuple

from ...engine.changes.worlds import changes_of
from ...engine.storage.tables import Experiment
from ..experiment.tenants import parts_of
from ..service.live import Live
from ..service.service import Service
from .endpoint import Answer, Call

EXPERIMENTS_MAX = 1000  # with series of their own, the oldest; of the others the sums are told
OTHERS = ("", "")  # what these go by: no tenant and no experiment has such a name
AT_ONCE = 100  # experiments that are looked at before others have a turn
LABELS = ("tenant", "experiment")


class Course(NamedTuple):
    """How far an experiment has come."""

    decisions: int
    rewards: int
    state_bytes: int
    changes: int  # of the world, that a policy found or was told of
    interpreted: int  # 1 where it is not compiled yet
    recovering: int  # 1 where it does not answer


NOTHING = Course(0, 0, 0, 0, 0, 1)  # of one whose log waits


async def metrics(service: Service, call: Call) -> Answer:
    """Tell in Prometheus' text format what the service measures of itself."""
    courses = await _courses(service)
    exposition = await asyncio.to_thread(importlib.import_module, "onearm.api.http.exposition")
    text = await asyncio.to_thread(exposition.text, [*exposition.of_service(service)], courses)
    return Answer(200, text, kind=exposition.KIND)


async def _courses(service: Service) -> dict[tuple[str, str], Course]:
    """Return how far each experiment has come, by tenant and id; what is beyond the limit is summed up."""
    courses: dict[tuple[str, str], Course] = {}
    for i, (name, one) in enumerate(service.listed(None).items()):
        if i % AT_ONCE == 0:
            await asyncio.sleep(0)
        course = NOTHING if isinstance(one, Experiment) else _course(one)
        if i < EXPERIMENTS_MAX:
            courses[parts_of(name)] = course
        else:
            courses[OTHERS] = Course(*map(sum, zip(courses.get(OTHERS, (0,) * len(course)), course, strict=True)))
    return courses


def _course(live: Live) -> Course:
    if live.unusable is not None:
        return Course(live.number, live.rewards, 0, 0, 0, 1)
    if live.state is None:  # archived
        return Course(live.number, live.rewards, 0, 0, 0, 0)
    changes = changes_of(live.spec.policy, live.state)
    number = changes[-1].number if changes else 0
    return Course(live.number, live.rewards, live.state_bytes, number, int(not live.compiled), 0)
