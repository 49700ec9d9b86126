"""The overview: the experiments of whoever asks, those with alarms first, with what comes in and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ....engine.storage.buckets import HOUR
from ....engine.storage.store import Store
from ....engine.storage.tables import Bucket, Experiment
from ...experiment.explanation import wrapped
from ...experiment.lineup import leader, shares_of
from ...experiment.report import warnings_of
from ...service.live import Live
from ...service.pace import AT_ONCE, Rate
from ...service.service import Service
from ..endpoint import Answer, Call
from ..experiments import listed, shown
from ..requests import whole_number
from . import sketches
from .figures import share
from .rendering import page, rendered

HELLO = "hello"  # the experiment of an empty database
YOUNG = 3  # experiments, up to which a page says what to try
PAGE = 25
PAGES_MAX = 1_000_000
HOURS = 24
FRESH = 2.0  # seconds for which a part of a page is good for all who look
SILENT = 100  # decisions after which no reward at all is an alarm
UNTRUE = 2.0  # log10 of the capital of a bettor against the propensities
SORTS = {"alarms": "alarms first", "newest": "newest", "name": "name", "decisions": "decisions", "rate": "decisions/s"}


class Row(NamedTuple):
    """An experiment in the table."""

    experiment_id: str
    kind: str
    policy: str
    roles: str  # who plays a part beside the live policy
    state: str
    alarms: Sequence[str]
    decisions: int
    rewards: int
    open: int
    rate: Rate | None
    mean: float | None
    stderr: float | None
    sketch: str | None  # of the decisions of each hour of a day, as the path of an SVG


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
    suspected = service.writer.draws.known
    alarms: dict[str, Sequence[str]] = {}
    for i, (name, one) in enumerate(mine.items()):
        if i % AT_ONCE == 0:
            await asyncio.sleep(0)
        alarms[name] = alarms_of(one, suspected)
    found = _sorted(_sought(mine, asked["search"], call), asked["sort"], alarms, service)
    pages = max(1, -(-len(found) // PAGE))
    at = min(asked["at"], pages)
    names = found[(at - 1) * PAGE : at * PAGE]
    some = [mine[name] for name in names]
    since = (time.time_ns() // 1000 // (HOUR * 1_000_000) - HOURS + 1) * HOUR * 1_000_000
    days = await service.pools.lookups.run(_days, service.store, some, since)
    told = {one.experiment_id: one for one in await shown(service, some, call.caller)}
    made = []
    for name, one in zip(names, some, strict=True):
        if (listing := told.get(call.caller.called(name))) is not None:
            made.append(_row(service, one, listing, alarms[name], sketches.hours(days[one_key(one)], since, HOURS)))
    unwell = sum(1 for said in alarms.values() if said)
    everything = {"rows": made, "n": len(mine), "found": len(found), "pages": pages, "unwell": unwell}
    return rendered(call, "overview_table.html", **everything, **asked | {"at": at})


def one_key(one: Live | Experiment) -> int:
    """Return the key of an experiment, at work or not."""
    return one.key if isinstance(one, Experiment) else one.row.key


def _days(store: Store, some: Sequence[Live | Experiment], since: int) -> dict[int, list[Bucket]]:
    return {one_key(one): store.totals(one_key(one), HOUR, since) for one in some}


def _sought(mine: Mapping[str, Live | Experiment], search: str, call: Call) -> dict[str, Live | Experiment]:
    """Return the experiments whose id, or policy, has what is searched for in it."""
    wanted = search.strip().casefold()
    if not wanted:
        return dict(mine)
    return {
        name: one for name, one in mine.items() if wanted in f"{call.caller.called(name)} {_policy(one)}".casefold()
    }


def _policy(one: Live | Experiment) -> str:
    return "" if isinstance(one, Experiment) else wrapped(leader(one.members).spec)


def _sorted(
    some: Mapping[str, Live | Experiment], sort: str, alarms: Mapping[str, Sequence[str]], service: Service
) -> list[str]:
    """Return names in the order that was asked for; of equal ones the newest first."""
    newest = list(some)[::-1]
    if sort == "name":
        return sorted(some)
    if sort == "decisions":
        return sorted(newest, key=lambda name: -_number(some[name]))
    if sort == "rate":
        return sorted(newest, key=lambda name: -_pace(service, some[name]))
    if sort == "newest":
        return newest
    return sorted(newest, key=lambda name: not alarms[name])


def _number(one: Live | Experiment) -> int:
    return -1 if isinstance(one, Experiment) else one.number


def _pace(service: Service, one: Live | Experiment) -> float:
    rate = None if isinstance(one, Experiment) else service.pace.of(one)
    return -1.0 if rate is None else rate.decisions


def alarms_of(one: Live | Experiment, suspected: Mapping[int, float]) -> list[str]:
    """Return what somebody should look at, in words; 2 us."""
    if isinstance(one, Experiment) or one.archived:
        return []
    if one.unusable is not None:
        return [f"it does not answer: {one.unusable}"]
    said = warnings_of(one.tally.all, one.spec) if one.kind.has_rewards else []
    due = one.number if one.windows is None else one.number - one.windows.n_open(one.number)
    if not one.rewards and due >= SILENT:
        said.append(f"no reward has come for {due:,} decisions: see that rewards are sent")
    if suspected.get(one.row.key, 0.0) >= UNTRUE:
        said.append("arms are taken more often than their propensities say")
    if one.uncorrected:
        said.append(f"{one.uncorrected:,} corrections are not learned yet")
    return said


def _row(service: Service, one: Live | Experiment, told: Any, alarms: Sequence[str], sketch: str | None) -> Row:
    rate = mean = stderr = None
    n_open, roles = told.pending, ""
    if not isinstance(one, Experiment):
        rate, roles = service.pace.of(one), roles_of(one)
        n_open = one.number - one.rewards if one.windows is None else one.windows.n_open(one.number)
        if one.kind.has_curve:
            all = one.tally.all
            mean, stderr = all.reward_mean, all.reward_stderr
    state = "archived" if told.archived else "recovering" if told.recovering is True else ""
    return Row(
        told.experiment_id,
        told.kind,
        _policy(one) or told.policy,
        roles,
        state,
        alarms,
        told.decisions,
        told.rewards,
        n_open,
        rate,
        mean,
        stderr,
        sketch,
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
