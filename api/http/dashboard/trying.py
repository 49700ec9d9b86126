"""What to type in a terminal to try an experiment: a decision, and what came of one of those that there are."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any

from ...experiment.ids import in_url
from ...kinds.form import FormError, number_of
from ...kinds.kind import id_of
from ...service.live import Live
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer
from ..requests import find
from .rendering import page

LOOKED_AT = 20  # decisions, for those that have no reward yet


async def part(service: Service, call: Call) -> Answer:
    """Show the lines for another decision, or another reward."""
    live = service.live(call.path["experiment_id"])
    live.check_usable()
    return page(call, "try_lines.html", **await lines_of(live, call))


async def lines_of(live: Live, call: Call) -> dict[str, Any]:
    """Return the lines, and what they are about: the decision and reward that are asked for, or those that suggest
    themselves. That is the newest decision that waits; where none does, the one that the first line makes.
    """
    waiting = await _open(live)
    asked = (call.parameter("decision") or "").strip()[:256]
    wrong, value = "", _usual_reward(live)
    try:
        number = number_of({"value": call.parameter("value") or ""}, "value", "the reward")
        value = value if number is None else number
    except FormError as error:
        wrong = str(error)
    sample = live.kind.sample(live, value)
    own = {} if asked or waiting else {"decision_id": f"try-{live.number}"}
    tried = asked or (waiting[0] if waiting else own["decision_id"])
    sent = [*sample.before, ("decisions", sample.decision | own), (f"decisions/{in_url(tried)}/reward", sample.reward)]
    called, window = call.caller.called(live.row.id), live.created.window
    key = '-H "Authorization: Bearer $ONEARM_KEY" ' if call.caller.key is not None else ""
    address = f"{call.site}/v1/experiments/{in_url(called)}"
    return {
        "experiment_id": called,
        "lines": [f"curl -d {shlex.quote(json.dumps(body))} {key}{address}/{path}" for path, body in sent],
        "asked": asked,
        "tried": tried,
        "own": bool(own),
        "value": json.dumps(value),
        "wrong": wrong,
        "waiting": waiting,
        "window": None if window is None or window.learns_at_once else window.wait / 1e6,
    }


def _usual_reward(live: Live) -> float:
    """Return 1, or the greatest reward where that is less, the least where that is more."""
    low, high = live.limits
    return min(max(1, low), high)


async def _open(live: Live) -> list[str]:
    """Return the newest decisions that have no reward yet, by their ids; of those made together the last one."""
    numbers = range(live.number - 1, max(live.number - 1 - LOOKED_AT, -1), -1)
    found = await asyncio.gather(*(find(live, f"~{number}") for number in numbers), return_exceptions=True)
    several = live.kind.several
    return [
        id_of(one.event)
        for one in found
        if not isinstance(one, BaseException)
        and one.reward is None
        and not one.outcomes
        and (several is None or several.numbers(one.event)[-1] == one.event.number)
    ]
