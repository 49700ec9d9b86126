"""What Prometheus reads: how the service is, how fast it answers, and how far each experiment has come."""

from __future__ import annotations

import asyncio
import importlib
import time
from typing import NamedTuple

from ...engine.changes.worlds import changes_of
from ...engine.storage.access import BACKUP
from ..experiment.tenants import parts_of
from ..service.live import Live
from ..service.service import Service
from .call import Call
from .endpoint import Answer

EXPERIMENTS_MAX = 1000  # with series of their own, the oldest; of the others the sums are told
OTHERS = ("", "")  # what these go by: no tenant and no experiment has such a name
AT_ONCE = 100  # experiments that are looked at before others have a turn
LABELS = ("tenant", "experiment")


class Course(NamedTuple):
    """How far an experiment has come."""

    decisions: int
    rewards: int
    open_decisions: int  # whose reward has not come
    state_bytes: int
    changes: int  # of the world, that a policy found or was told of
    interpreted: int  # 1 where it is not compiled yet
    recovering: int  # 1 where it does not answer
    snapshot_age: float  # seconds; 0 where nothing came since
    base_seq: int = 0  # from which its log is folded
    base_events: int = 0  # since


class Behind(NamedTuple):
    """How far logs were published to a stream."""

    lag: int  # events of these logs that are not there
    at: float  # when some were sent last, in seconds since 1970 UTC


WAITING = Course(0, 0, 0, 0, 0, 0, 1, 0.0)  # of one whose log is not folded yet
RESTING = WAITING._replace(recovering=0)  # of one that is archived, and was not asked for since the start


async def metrics(service: Service, call: Call) -> Answer:
    """Tell in Prometheus' text format what the service measures of itself."""
    await service.look_around()
    courses = await _courses(service)
    keys = {one.row.key: parts_of(name) for name, one in service.listed(None).items() if isinstance(one, Live)}
    evidence = await evidence_of(service)
    exposition = await asyncio.to_thread(importlib.import_module, "onearm.api.http.exposition")
    nodes = call.scope["app"].nodes
    gathered = [*exposition.of_service(service), *(() if nodes is None else exposition.of_node(nodes))]

    def text() -> bytes:
        named = {keys[key]: value for key, value in evidence.items() if keys.get(key) in courses}
        backup = service.access.last(BACKUP)
        streams = _streams(service)
        told: bytes = exposition.text(gathered, courses, named, None if backup is None else backup.time / 1e6, streams)
        return told

    return Answer(200, await service.pools.scrapes.run(text), kind=exposition.KIND)


def _streams(service: Service) -> dict[str, Behind]:
    """Return how far the logs were published, by the stream; none where nobody publishes."""
    seqs = {one.row.key: one.seq for one in service.listed(None).values() if isinstance(one, Live)}
    found: dict[str, Behind] = {}
    for row in service.store.published():
        last = seqs[row.experiment] if row.experiment in seqs else service.store.last(row.experiment)[0]
        before = found.get(row.stream, Behind(0, 0.0))
        found[row.stream] = Behind(before.lag + max(last - row.seq, 0), max(before.at, row.time / 1e6))
    return found


async def evidence_of(service: Service) -> dict[int, float]:
    """Return log10 of what bets against the logged propensities have grown to, by the key of each experiment."""
    at_work = (one for one in service.listed(None).values() if isinstance(one, Live))
    choices = {live.row.key: live.problem.n_choices for live in at_work}
    draws = service.writer.draws
    return await service.pools.scrapes.run(draws.evidence, draws.taken(), choices)


async def _courses(service: Service) -> dict[tuple[str, str], Course]:
    """Return how far each experiment has come, by tenant and id; what is beyond the limit is summed up."""
    courses: dict[tuple[str, str], Course] = {}
    for i, (name, one) in enumerate(service.listed(None).items()):
        if i % AT_ONCE == 0:
            await asyncio.sleep(0)
        course = _course(service, one) if isinstance(one, Live) else WAITING if one.archived_at is None else RESTING
        if i < EXPERIMENTS_MAX:
            courses[parts_of(name)] = course
        else:
            courses[OTHERS] = Course._make(map(sum, zip(courses.get(OTHERS, (0,) * len(course)), course, strict=True)))
    return courses


def _course(service: Service, live: Live) -> Course:
    number, rewards, waiting = live.number, live.rewards, live.number - live.rewards
    base = live.base, live.seq - live.base
    if live.unusable is not None:
        return Course(number, rewards, waiting, 0, 0, 0, 1, 0.0, *base)
    age = _snapshot_age(service, live)
    if live.state is None:  # archived
        return Course(number, rewards, waiting, 0, 0, 0, 0, age, *base)
    changes = changes_of(live.spec.policy, live.state)
    found = changes[-1].number if changes else 0
    return Course(number, rewards, waiting, live.state_bytes, found, int(not live.compiled), 0, age, *base)


def _snapshot_age(service: Service, live: Live) -> float:
    """Return how long ago the last snapshot was written, or the service was started; 0 where it holds all."""
    kept = service.writer.kept.get(live.row.key)
    if live.seq == (live.kept_at if kept is None else kept.seq):
        return 0.0
    return time.monotonic() - (service.begun if kept is None else kept.at)
