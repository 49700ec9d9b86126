"""Events that no policy learns from as lines of an export, and back."""

from __future__ import annotations

import json
from typing import Any

from ....vocabulary import ACTIVATION, CHANGE, CORRECTED, EARLY
from ...records import Event
from ...windows import (
    ACTIVATIONS,
    LATE,
    beside_in,
    decision_of,
    early_detail,
    early_seq,
    is_late,
    shown_detail,
    taken_detail,
    with_beside,
)
from .lines import BESIDE, Activation, Change, Corrected, Early, Outcome


def line_of(event: Event) -> BESIDE:
    """Return the line of an event of these kinds."""
    said, time = event.detail, event.time or None
    if event.kind == CHANGE:
        return Change(seq=event.seq, detail=said, sent=event.sent, time=time)
    assert event.number is not None
    if event.kind == ACTIVATION:
        return Activation(seq=event.seq, number=event.number, sent=event.sent, time=time, **json.loads(said or "{}"))
    if event.kind == CORRECTED:
        return Corrected(seq=event.seq, number=event.number, reward=event.reward, time=time)
    assert event.reward is not None
    told: dict[str, Any] = {"seq": event.seq, "reward": event.reward, "sent": event.sent, "time": time}
    reward_id = event.reward_id or None
    if event.kind == EARLY:
        return Early(decision_id=decision_of(event), reward_id=reward_id, **told)
    beside = beside_in(said)
    return Outcome(
        number=event.number, reward_id=reward_id, late=is_late(event), early=early_seq(event), detail=beside, **told
    )


def event_of(line: BESIDE) -> Event:
    """Return what such a line says as a row of the database."""
    event = Event(0, line.seq, line.code, time=line.time or 0)
    if isinstance(line, Corrected):
        return event._replace(number=line.number, reward=line.reward)
    event = event._replace(sent=line.sent)
    if isinstance(line, Change):
        return event._replace(detail=line.detail)
    if isinstance(line, Activation):
        detail = None if line.activation is None else ACTIVATIONS[line.activation]
        return event._replace(number=line.number, detail=detail if line.shown is None else shown_detail(line.shown))
    event = event._replace(reward=line.reward, reward_id=line.reward_id or "")
    if isinstance(line, Early):
        return event._replace(number=-line.seq, detail=early_detail(line.decision_id))
    when = LATE if line.late else None if line.early is None else taken_detail(line.early)
    return event._replace(number=line.number, detail=with_beside(when, line.detail or []))
