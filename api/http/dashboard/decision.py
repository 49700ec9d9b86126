"""The page of one decision: what was asked, from what it was drawn, why, and what came of it; and it is made again."""

from __future__ import annotations

import json
from typing import Any

from ...service.live import Live
from ...service.records import Record
from ...service.remaking import remake
from ...service.service import Service
from ...service.verification import Verification, verify_log
from ..call import Call
from ..decisions import record_of
from ..endpoint import Answer
from ..requests import find, settled
from .rendering import as_sent, page
from .words import what_of

RANKED_MAX = 30
FEATURES_MAX = 10


async def show(service: Service, call: Call) -> Answer:
    """Show a decision."""
    live = service.live(call.path["experiment_id"])
    told, found = await live.turns.take(_told, live, call.path["decision_id"])
    await settled(found)
    return page(
        call,
        "decision.html",
        experiment_id=call.caller.called(live.row.id),
        told=told,
        what=what_of(told),
        law=_law(told),
        reasons=_reasons(told),
        course=_course(told),
        sent=_pretty(told["sent"]),
        seen=_pretty(told["context"]),
        newest=live.number - 1,
    )


async def again(service: Service, call: Call) -> Answer:
    """Make the log again up to a decision, and say whether that one comes out the same, bit for bit."""
    live = service.live(call.path["experiment_id"])
    found = await find(live, call.path["decision_id"])
    await settled(found)
    await live.committed()
    number, seq = found.event.number, found.event.seq
    assert number is not None, "this is a decision"
    if seq <= live.base:
        said = f"it lies before the base of the log, event {live.base:,}"
        return page(call, "again.html", note=said, same=None, n=0, since=0)
    remade = await service.pools.remakes.run(remake, service.store, live.row, live.created, live.kind, seq)
    if remade.first_difference is None:
        return page(call, "again.html", note="", same=True, n=remade.decisions, since=remade.since)
    made = await service.pools.remakes.run(_verified, service, live, seq)
    same = made.first_difference is None
    note = "" if same else _fault(made, number)
    return page(call, "again.html", same=same, note=note, n=made.decisions, since=made.base or 0)


async def _told(live: Live, decision_id: str) -> tuple[dict[str, Any], Record]:
    """Return what is known of a decision, and what is to be settled before that is told; the caller has the turn."""
    found = await find(live, decision_id)
    return as_sent(record_of(live, found)), found


def _verified(service: Service, live: Live, seq: int) -> Verification:
    """Verify the log up to a decision: a snapshot that leads elsewhere says nothing of it."""
    return verify_log(service.store, live.row.key, live.created, live.kind, seq)


def _fault(made: Verification, number: int) -> str:
    if made.first_difference == number:
        return made.note or "this decision comes out differently"
    return f"an earlier one does not come out the same: decision {made.first_difference} ({made.note or 'it differs'})"


def _law(told: dict[str, Any]) -> dict[str, Any]:
    """Return the probabilities that a decision was drawn from, as far as they are on record."""
    ranked = told.get("ranking") or []
    rows = [
        {"label": one["action_id"], "part": one["probability"], "score": one.get("score")}
        for one in ranked[:RANKED_MAX]
    ]
    chosen = told["action_id"]
    if chosen is not None and told["propensity"] is not None and all(row["label"] != chosen for row in rows):
        rows.append({"label": chosen, "part": told["propensity"], "score": None})
        if len(rows) == 1 and told["propensity"] < 1.0:
            rows.append({"label": "all others", "part": 1.0 - told["propensity"], "score": None})
    return {"rows": rows, "whole": bool(ranked), "left": max(len(ranked) - RANKED_MAX, 0)}


def _reasons(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return why: of what was chosen, and of what else was ranked highest, the parts of the score on one scale."""
    given = told.get("explanation") or []
    chosen = [one for one in given if one["action_id"] == told["action_id"]]
    others = [one for one in given if one["action_id"] != told["action_id"]]
    some = (chosen + others)[:2]
    most = max((abs(part["contribution"]) for one in some for part in one["features"]), default=0.0) or 1.0
    return [
        one
        | {
            "features": [
                part
                | {
                    "width": round(50 * abs(part["contribution"]) / most, 2),
                    "left": round(50 + min(0.0, 50 * part["contribution"] / most), 2),
                }
                for part in one["features"][:FEATURES_MAX]
            ]
        }
        for one in some
    ]


def _course(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what came when, in order."""
    course = [{"seq": told["seq"], "time": told["time"], "said": "it was decided"}]
    if (activation := told.get("activation")) is not None:
        course.append({**_place(activation), "said": activation["status"].replace("_", " ")})
    for one in told.get("outcomes") or []:
        course.append(
            {**_place(one), "said": "a reward came" + (" too late" if one["late"] else ""), "value": one["value"]}
        )
    if (reward := told["reward"]) is not None:
        by = {"default": "the default was learned", "at_once": "a reward was learned at once"}
        course.append(
            {**_place(reward), "said": by.get(reward.get("closed"), "a reward was learned"), "value": reward["value"]}
        )
    for one in told.get("corrections") or []:
        said = "it was retracted" if one["value"] is None else "it was corrected"
        course.append({**_place(one), "said": said, "value": one["value"]})
    return sorted(course, key=lambda each: each["seq"])


def _place(one: dict[str, Any]) -> dict[str, Any]:
    return {"seq": one["seq"], "time": one["time"]}


def _pretty(value: Any) -> str | None:
    """Return JSON as people read it."""
    return None if value is None else json.dumps(value, indent=2, ensure_ascii=False)[:20_000]
