"""What to type in a terminal to try an experiment: a decision, and what came of one of those that there are."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ...kinds.form import FormError, number_of
from ...kinds.kind import id_of
from ...service.live import Live
from ...service.service import Service
from ..endpoint import Answer, Call
from ..requests import find
from .rendering import page

LOOKED_AT = 20  # decisions, for those that have no reward yet


async def part(service: Service, call: Call) -> Answer:
    """Show the lines for another decision, or another reward."""
    live = service.live(call.path["experiment_id"])
    live.check_usable()
    return page(call, "try_lines.html", **await lines_of(live, call))


async def lines_of(live: Live, call: Call) -> dict[str, Any]:
    """Return what the lines are about: the decision and reward that are asked for, or the newest that waits, and 1."""
    waiting = await _open(live)
    asked = (call.parameter("decision") or "").strip()[:256]
    wrong, value = "", "1"
    try:
        number = number_of({"value": call.parameter("value") or ""}, "value", "the reward")
        value = value if number is None else json.dumps(number)
    except FormError as error:
        wrong = str(error)
    window = live.created.window
    return {
        "experiment_id": call.caller.called(live.row.id),
        "tried": asked or next(iter(waiting), "~0"),
        "value": value,
        "wrong": wrong,
        "waiting": waiting,
        "window": None if window is None or window.learns_at_once else window.wait / 1e6,
    }


async def _open(live: Live) -> list[str]:
    """Return the newest decisions that have no reward yet, by their ids."""
    numbers = range(live.number - 1, max(live.number - 1 - LOOKED_AT, -1), -1)
    found = await asyncio.gather(*(find(live, f"~{number}") for number in numbers), return_exceptions=True)
    return [id_of(one.event) for one in found if not isinstance(one, BaseException) and one.reward is None]
