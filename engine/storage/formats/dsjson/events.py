"""Reads every decision of a dsjson log with all that the line says, for `onearm convert`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from ....contexts import pack_context
from ....errors import InvalidInput
from ....features import Encoder
from ....vocabulary import EXTERNAL, LEARN, Problem
from ...bad_lines import BadLines
from ...events import Events
from ...log import no_good_line, reading
from ...records import Event
from ...source import Source
from ...spool import Spool
from .labels import line_of

NAMED = Problem(1, (1, 1), nonzeros=1)  # any with named features: all are packed alike
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_events(source: Source) -> Events:
    """Read every decision with its reward, for `onearm convert`; the propensities are those of the lines."""
    encoder, bad_lines, spool = Encoder(), BadLines(), Spool()
    k, nonzeros, seq, lines, decisions = 1, 1, 0, 0, 0
    with reading(source.path, "a dsjson log"):
        for lines, text in source.lines():
            line = line_of(text, lines, bad_lines)
            if line is None:
                continue
            event, decision = line
            try:
                context = encoder.encode(event["c"], event["c"]["_multi"])
            except InvalidInput:
                bad_lines.add("bad_features", lines)
                continue
            k, nonzeros = max(k, decision.size), max(nonzeros, len(context.index))
            given = Event(
                experiment=0,
                seq=(seq := seq + 1),
                kind=EXTERNAL,
                number=decisions,
                action=decision.action,
                propensity=decision.propensity,
                context=pack_context(context, NAMED),
                sent=_sent(text),
                decision_id=_text(event.get("eventid", event.get("event_id"))),
                time=_microseconds(event.get("timestamp")),
                actions=_ids(event["c"]["_multi"]),
            )
            spool.append(given)
            if not np.isnan(decision.reward):
                learn = Event(0, (seq := seq + 1), LEARN, decisions, decision.action, decision.propensity)
                spool.append(learn._replace(reward=decision.reward, reward_id="", time=given.time))
            decisions += 1
    if source.broken is not None:
        bad_lines.add("truncated", lines + 1)
    if not decisions:
        raise no_good_line(source.path, bad_lines)
    problem = Problem(k, (k, 1 << encoder.bits), nonzeros=nonzeros)
    return Events(problem, iter(spool), {"from": "dsjson"}, bad_lines)


def _sent(text: bytes) -> str:
    return msgspec.json.encode({"from": "dsjson", "line": msgspec.Raw(text.strip())}).decode()


def _ids(actions: list[Any]) -> str:
    """Return the ids of actions as JSON: their tags, where all have another, and their positions else."""
    tags = [_tag(action) for action in actions]
    known = None not in tags and len(set(tags)) == len(tags)
    return msgspec.json.encode(tags if known else [str(a) for a in range(len(actions))]).decode()


def _tag(action: dict[str, Any]) -> str | None:
    return next((_text(value) for key, value in action.items() if key.lower() == "_tag"), None)


def _text(value: Any) -> str | None:
    """Return an id; what is no text is none."""
    return value if isinstance(value, str) and value else None


def _microseconds(stamp: Any) -> int:
    """Return a time as the log keeps it, without a zone in UTC; 0 where there is none."""
    try:
        time = datetime.fromisoformat(stamp)
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError, OverflowError):
        return 0
