"""The overview: the experiments of whoever asks, those with alarms first, with what comes in and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ....engine.storage.buckets import HOUR
from ....engine.storage.records import Bucket, Experiment
from ....engine.storage.store import Store
from ...experiment.explanation import wrapped
from ...experiment.lineup import leader, shares_of
from ...service.alarms import alarms_of
from ...service.live import Live
from ...service.pace import AT_ONCE, Rate
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer
from ..experiments import listed, shown
from ..requests import whole_number
from ..schemas import Listed
from . import sketches
from .figures import share
from .rendering import page, rendered

HELLO = "hello"  # the experiment of an empty database
YOUNG = 3  # experiments, up to which a page says what to try
PAGE = 25
PAGES_MAX = 1_000_000
HOURS = 24
FRESH = 2.0  # seconds for which a part of a page is good for all who look
SORTS = {"alarms": "alarms first", "newest": "newest", "name": "name", "decisions": "decisions", "rate": "decisions/s"}


class Seen(NamedTuple):
    """What the table tells of an experiment beside its entry in the list; where its log waits or rests, nothing."""

    key: int
    alarms: Sequence[str] = ()
    policy: str = ""  # the one that leads
    roles: str = ""  # who plays a part beside it
    decisions: int = -1
    open: int | None = None  # decisions
    rate: Rate | None = None
    mean: float | None = None
    stderr: float | None = None


class Row(NamedTuple):
    """An experiment in the table."""

    listed: Listed
    seen: Seen
    sketch: str | None  # of the decisions of each hour of a day, as the path of an SVG

    @property
    def state(self) -> str:
        """Why it does not decide, in a word."""
        return "archived" if self.listed.archived else "recovering" if self.listed.recovering is True else ""


async def front(service: Service, call: Call) -> Answer:
    """Show the experiments and how they do."""
    part = await _table(service, call)
    names = list(listed(service, call))
    tried = HELLO if HELLO in names or not names else call.caller.called(names[-1])
    young = len(names) <= YOUNG
    return page(call, "overview.html", table=part.decode(), **_asked(call), sorts=SORTS, tried=tried, young=young)


async def rows(service: Service, call: Call) -> Answer:
    """Show the table of experiments alone, as it is now."""
    answer = page(call, "empty.html")
    return answer._replace(content=await _table(service, call))


async def _table(service: Service, call: Call) -> bytes:
    service.pace.watch()
    await service.look_around()
    key = ("overview", call.caller, call.prefix, call.site, call.query)
    made: bytes = await service.glances.get(key, FRESH, lambda: _made(service, call))
    return made


def _asked(call: Call) -> dict[str, Any]:
    sort = call.parameter("sort") or "alarms"
    number = whole_number("page", call.parameter("page") or "1", PAGES_MAX)
    return {"search": (call.parameter("search") or "")[:256], "sort": sort if sort in SORTS else "alarms", "at": number}


async def _made(service: Service, call: Call) -> bytes:
    asked = _asked(call)
    mine = listed(service, call)
    seen: dict[str, Seen] = {}
    for i, (name, one) in enumerate(mine.items()):
        if i % AT_ONCE == 0:
            await asyncio.sleep(0)
        seen[name] = _seen(service, one)
    found = _sorted(_sought(seen, asked["search"], call), asked["sort"])
    pages = max(1, -(-len(found) // PAGE))
    at = min(asked["at"], pages)
    names = found[(at - 1) * PAGE : at * PAGE]
    since = (time.time_ns() // 1000 // (HOUR * 1_000_000) - HOURS + 1) * HOUR * 1_000_000
    days = await service.pools.lookups.run(_days, service.store, [seen[name].key for name in names], since)
    told = {one.experiment_id: one for one in await shown(service, [mine[name] for name in names], call.caller)}
    made = []
    for name in names:
        if (listing := told.get(call.caller.called(name))) is not None:
            made.append(Row(listing, seen[name], sketches.hours(days[seen[name].key], since, HOURS)))
    unwell = sum(bool(one.alarms) for one in seen.values())
    everything = {"rows": made, "n": len(mine), "found": len(found), "pages": pages, "unwell": unwell}
    return rendered(call, "overview_table.html", **everything, **asked | {"at": at})


def _days(store: Store, keys: Sequence[int], since: int) -> dict[int, list[Bucket]]:
    return {key: store.totals(key, HOUR, since) for key in keys}


def _sought(seen: Mapping[str, Seen], search: str, call: Call) -> dict[str, Seen]:
    """Return the experiments whose id, or policy, has what is searched for in it."""
    wanted = search.strip().casefold()
    if not wanted:
        return dict(seen)
    return {name: one for name, one in seen.items() if wanted in f"{call.caller.called(name)} {one.policy}".casefold()}


def _sorted(some: Mapping[str, Seen], sort: str) -> list[str]:
    """Return names in the order that was asked for; of equal ones the newest first."""
    newest = list(some)[::-1]
    if sort == "name":
        return sorted(some)
    if sort == "decisions":
        return sorted(newest, key=lambda name: -some[name].decisions)
    if sort == "rate":
        return sorted(newest, key=lambda name: -_pace(some[name]))
    if sort == "newest":
        return newest
    return sorted(newest, key=lambda name: not some[name].alarms)


def _pace(one: Seen) -> float:
    return -1.0 if one.rate is None else one.rate.decisions


def _seen(service: Service, one: Live | Experiment) -> Seen:
    """Return what there is to tell of an experiment; 8 us."""
    if isinstance(one, Experiment):
        return Seen(one.key)
    all = one.tally.all
    return Seen(
        one.row.key,
        alarms_of(one, service.writer.draws.known),
        wrapped(leader(one.members).spec),
        roles_of(one),
        one.number,
        one.number - one.rewards if one.windows is None else one.windows.n_open(one.number),
        service.pace.of(one),
        *((all.reward_mean, all.reward_stderr) if one.kind.has_curve else ()),
    )


def roles_of(live: Live) -> str:
    """Return who plays a part beside the policy that leads: "canary 10 %, 2 shadows"."""
    if len(live.members) == 1:
        return ""
    shares = shares_of(live.members)
    said = []
    for role in ("canary", "control"):
        said += [f"{role} {share(shares.get(one.policy, 0.0))}" for one in live.members if one.role == role]
    shadows = sum(one.role == "shadow" for one in live.members)
    if shadows:
        said.append("a shadow" if shadows == 1 else f"{shadows} shadows")
    return ", ".join(said)
