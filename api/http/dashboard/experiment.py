"""The page of one experiment: what it came to, on what grounds, and what can be done about it.

It shows what the service counts anyway, and the newest of the log: a page costs O(arms + buckets), and never a pass
over all of it.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

from ....engine.errors import Conflict, InvalidInput, Unavailable, counted
from ...access.caller import ADMIN, OPERATOR, Caller
from ...experiment.ids import in_url
from ...experiment.lineup import leader, policy_of
from ...experiment.weights import encoder_of
from ...experiment.weights_schemas import Weight, Weights
from ...service.alarms import UNTRUE, alarms_of
from ...service.draws import CHOICES_MAX as WATCHED_MAX
from ...service.live import Live
from ...service.measured import Route
from ...service.pace import CHOICES_MAX
from ...service.records import Record
from ...service.service import Service
from .. import experiments, reports
from ..call import Call
from ..decisions import record_of
from ..endpoint import Answer, encode
from ..lineup import list_lineup
from ..metrics import evidence_of
from ..reports import Moment
from ..requests import find, settled
from ..weights import weights_of
from . import running, sketches
from .administration import said_of
from .course import course_of
from .delays import delays_of
from .evaluation import is_judged
from .figures import mean
from .overview import FRESH
from .rendering import as_sent, page, redirect, rendered
from .trying import lines_of
from .words import gap_in_words, guard_in_words, told_by, verdict_of, what_of

ARMS_SHOWN = 50
RECENT = 10
MOMENTS = 30  # of the timeline of a rollback
SUSPECTS_FRESH = 10.0
WEIGHTS_FRESH = 60.0  # seconds: they take more than all the rest of the page
WEIGHTS_SHOWN = 5  # of each action
DECIDE = Route("POST", "/v1/experiments/{experiment_id}/decisions")


async def show(service: Service, call: Call) -> Answer:
    """Show an experiment."""
    name = call.path["experiment_id"]
    called = call.caller.called(service.row(name).id)
    try:
        part = await live_part(service, call)
    except Unavailable as error:  # it folds its log, and will be here
        return page(call, "waiting.html", 503, experiment_id=called, said=str(error))
    live = service.live(name)
    acts = _acts(service, live) if ADMIN in call.caller.roles else None
    done = said_of(call.parameter("done") or "")
    about = await lines_of(live, call) | {"live": live, "acts": acts, "done": done}
    return page(call, "experiment.html", part=part.decode(), **about)


async def part(service: Service, call: Call) -> Answer:
    """Show what changes on the page of an experiment, as it is now."""
    answer = page(call, "empty.html")
    return answer._replace(content=await live_part(service, call))


async def live_part(service: Service, call: Call) -> bytes:
    """Return that part, made once for all who look at the same moment."""
    name = call.path["experiment_id"]
    service.live(name).check_usable()
    service.pace.watch()
    key = ("experiment", name, call.caller, call.prefix, call.site)
    made: bytes = await service.glances.get(key, FRESH, lambda: _made(service, call, service.live(name)))
    return made


async def find_decision(service: Service, call: Call) -> Answer:
    """Lead to a decision by its id."""
    from_id = call.parameter("id") or ""
    called = call.caller.called(service.row(call.path["experiment_id"]).id)
    to = f"/experiments/{in_url(called)}"
    return redirect(call, f"{to}/decisions/{in_url(from_id.strip())}" if from_id.strip() else to)


async def _made(service: Service, call: Call, live: Live) -> bytes:
    described = as_sent(experiments.describe(live, call.caller))
    told, now = await _report(service, live)
    limits = live.problem.reward_range
    whole = _sequence(told, limits)
    lineup = await _unless_refused(list_lineup(service, call))
    recommended = None if live.kind.recommend is None else await _unless_refused(experiments.recommend(service, call))
    health = as_sent((await experiments.diagnostics(service, call)).content)
    waiting = await _waiting(service, live)
    await service.glances.get("suspected", SUSPECTS_FRESH, lambda: evidence_of(service))
    suspected = service.writer.draws.known
    values: dict[str, Any] = {
        "experiment_id": call.caller.called(live.row.id),
        "experiment": described,
        "report": told,
        "health": health,
        "rate": service.pace.of(live),
        "alarms": alarms_of(live, suspected),
        "verdict": verdict_of(live, told, whole, recommended, waiting),
        "whole": whole,
        "waiting": waiting,
        "recommended": recommended,
        "arms": _arms(told, await _features(service, live), limits),
        "contexts": live.problem.states is not None or live.problem.context_shape != (0,),
        "lineup": None if lineup is None else _lineup(lineup, live),
        "delays": delays_of(live),
        "latency": latency_of(service, call.caller),
        "suspicion": suspected.get(live.row.key) if live.problem.n_choices <= WATCHED_MAX else None,
        "untrue": UNTRUE,
        "drawn": live.kind.has_curve,
        "queries": _queries(told),
        "plots": await _plots(service, live, now),
        "recent": await _recent(live),
        "judged": is_judged(live),
        "decided": "Decisions" if live.kind.several is None else "Slots filled",
    }
    return rendered(call, "experiment_part.html", **values)


async def _report(service: Service, live: Live) -> tuple[dict[str, Any], Moment | None]:
    """Return the report that costs O(arms), and of which moment; nothing where a kind has none."""
    try:
        made, now = await reports.counted(service, live)
    except InvalidInput:
        return {}, None
    told: dict[str, Any] = as_sent(made)
    return told, now


async def _unless_refused(asked: Awaitable[Answer]) -> Any:
    """Return what is answered, None where an experiment has no such thing, or not yet."""
    try:
        return as_sent((await asked).content)
    except (InvalidInput, Conflict):
        return None


async def _waiting(service: Service, live: Live) -> int:
    """Return how many rewards came that are learned once the windows of their decisions are over."""
    if live.windows is None or live.windows.window.learns_at_once:
        return 0
    return await service.pools.counts.run(service.store.waiting_rewards, live.row.key, live.windows.closed)


async def _features(service: Service, live: Live) -> dict[str, list[Weight]]:
    """Return for each action the named features that weigh most; none where there are no such, or not yet."""
    try:
        encoder_of(live.spec, WEIGHTS_SHOWN)
        await live.prepare_explanations()
        if live.explainer is None or not live.explainer.compiled:
            return {}
        found: Weights = await service.glances.get(
            ("weights", live.row.id), WEIGHTS_FRESH, lambda: weights_of(service, live, WEIGHTS_SHOWN)
        )
    except InvalidInput:
        return {}
    return {action.action_id: action.features for action in found.actions}


def _arms(
    told: dict[str, Any], features: dict[str, list[Weight]], limits: tuple[float, float] | None
) -> dict[str, Any] | None:
    """Return the rows of the table of arms, those taken most first, with intervals that hold at every look."""
    if "arms" not in told or not told["arms"]:
        return None
    rows = sorted(told["arms"], key=lambda arm: -arm["decisions"])[:ARMS_SHOWN]
    total = sum(arm["decisions"] for arm in told["arms"])
    sequences = [_sequence(arm, limits) for arm in rows]
    drawn = sketches.whiskers([_interval(one, arm["reward_mean"]) for one, arm in zip(sequences, rows, strict=True)])
    return {
        "rows": [
            arm
            | {"share": arm["decisions"] / total if total else None, "interval": one, "whisker": whisker}
            | {"features": features.get(arm["arm_id"], [])}
            for arm, one, whisker in zip(rows, sequences, drawn, strict=True)
        ],
        "left": len(told["arms"]) - len(rows),
        "named": bool(features),
    }


def _sequence(mean: dict[str, Any], limits: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the interval of a mean, as it is told, that holds at every look; None where nothing tells."""
    if "reward_mean" not in mean:
        return None
    return running.interval(mean["reward_mean"], mean["rewards"], mean["reward_stderr"], limits)


def _interval(interval: Any, value: float | None) -> tuple[float, float, float] | None:
    if not interval or value is None:
        return None
    return (interval[0], value, interval[1])


def _queries(told: dict[str, Any]) -> list[dict[str, Any]] | None:
    if "queries" not in told:
        return None
    rows = told["queries"][:ARMS_SHOWN]
    wide = sketches.whiskers([_interval(one["interval"], one["answer_mean"]) for one in rows])
    return [one | {"whisker": whisker} for one, whisker in zip(rows, wide, strict=True)]


def _lineup(lineup: dict[str, Any], live: Live) -> dict[str, Any]:
    """Return the policies with pictures of their values, on one scale."""
    policies = lineup["policies"]
    floored = bool(policy_of(live.created, leader(live.members)).probability_min)
    values = sketches.whiskers([_estimate(one["value"]) for one in policies])
    guards = {member.policy: member.guard for member in live.members if member.guard is not None}
    rows = []
    for one, whisker in zip(policies, values, strict=True):
        guard = guards.get(one["policy"])
        said = {"guarded": None if guard is None else guard_in_words(guard)}
        gaps = [
            gap | {"said": gap_in_words(gap, one["role"] == "shadow" and not floored)} for gap in one["differences"]
        ]
        rows.append(
            one | said | {"whisker": whisker, "differences": gaps, "told_by": told_by(one["decisions"], one["units"])}
        )
    return lineup | {"policies": rows, "several": len(rows) > 1}


def _estimate(one: dict[str, Any]) -> tuple[float, float, float] | None:
    if one["value"] is None or one["low"] is None or one["high"] is None:
        return None
    if not math.isfinite(one["low"] + one["high"]):
        return None
    return (one["low"], one["value"], one["high"])


def latency_of(service: Service, caller: Caller) -> dict[str, str | None] | None:
    """Return within what time half and nearly all decisions of all tenants were answered; that is the operator's."""
    histogram = service.requests.seconds.get(DECIDE)
    if histogram is None or not caller.may(OPERATOR):
        return None
    up_to = histogram.up_to()
    n = up_to[-1][1]
    return {name: _bound(up_to, part * n) for name, part in (("half", 0.5), ("most", 0.99))}


def _bound(up_to: list[tuple[str, int]], wanted: float) -> str | None:
    bound = next(bound for bound, count in up_to if count >= wanted)
    return None if bound == "+Inf" else bound


async def _plots(service: Service, live: Live, now: Moment | None) -> dict[str, str | None]:
    """Return the curves that there can be at a moment, as JSON. Where a curve has no two points yet it is None."""
    if not live.kind.has_curve or now is None:
        return {}
    steps = await course_of(service, live, now)
    labels = now.labels if now.tally.choices == len(now.labels) else ()
    found: dict[str, dict[str, object] | None] = {"rewards": running.of_rewards(steps, live.problem.reward_range)}
    if 2 <= len(labels) <= CHOICES_MAX:
        found["shares"] = running.of_shares(steps, labels)
    if (watch := service.policies.watch(live)) is not None and len(live.members) > 1:
        named = {member.policy: live.named[member.policy] for member in live.members}
        found["worths"] = running.of_values(watch.way, named, live.problem.reward_range)
    return {name: None if plot is None else json.dumps(plot, separators=(",", ":")) for name, plot in found.items()}


async def _recent(live: Live) -> list[dict[str, Any]]:
    """Return the newest decisions."""
    told = await live.turns.take(_newest, live)
    for record, _ in told:
        await settled(record)
    return [one | {"what": what_of(one)} for _, one in told]


async def _newest(live: Live) -> list[tuple[Record, dict[str, Any]]]:
    """Return the newest decisions, and what is known of each, which is told once they are settled.

    The caller has the turn.
    """
    numbers = range(live.number - 1, max(live.number - 1 - RECENT, -1), -1)
    found = await asyncio.gather(*(find(live, f"~{number}") for number in numbers), return_exceptions=True)
    there = [one for one in found if not isinstance(one, BaseException)]  # else it is being erased
    return [(one, as_sent(record_of(live, one))) for one in there]


def _acts(service: Service, live: Live) -> dict[str, Any]:
    """Return what an admin may do here."""
    several = live.kind.corrects and live.created.problem.states is None
    others = [member for member in live.members if member.policy != live.members[0].policy]
    retired = [(arm["id"], encode(arm).decode()) for arm in live.roster.arms if arm["id"] in live.roster.retired]
    return {
        "archived": live.archived,
        "several": several,
        "others": [
            {"policy": member.policy, "name": live.named[member.policy], "role": member.role} for member in others
        ],
        "leader": live.named[live.members[0].policy],
        "rollback": live.kind.corrects,
        "seq": live.seq,
        "timeline": _timeline(service, live) if live.kind.corrects else [],
        "arms": [label for label in live.roster.labels if label not in live.roster.retired][:ARMS_SHOWN]
        if live.kind.has_arms
        else [],
        "retired": retired[:ARMS_SHOWN],
    }


def _timeline(service: Service, live: Live) -> list[dict[str, str]]:
    """Return moments to which policies can be set back, the newest first, with how far they were."""
    points = running.thinned(service.pace.way(live)[:-1], MOMENTS)
    times = [(datetime.fromtimestamp(one.time, UTC).isoformat(timespec="milliseconds"), one) for one in points]
    return [
        {
            "at": at.removesuffix("+00:00"),
            "said": f"{at[11:19]} UTC: {counted(one.decisions, 'decision')}, mean {mean(one.mean, one.stderr)}",
        }
        for at, one in reversed(times)
    ]
