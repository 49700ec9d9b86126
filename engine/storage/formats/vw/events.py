"""Reads every decision of a log in Vowpal Wabbit's text, for `onearm convert`."""

from __future__ import annotations

import msgspec
import numpy as np

from ....contexts import pack_context
from ....vocabulary import EXTERNAL, LEARN, Features, Problem
from ...bad_lines import BadLines
from ...events import Events
from ...log import no_good_line, reading
from ...records import Event
from ...source import Source
from ...spool import Spool
from .. import vw_text
from .features import encoded, encoder_of, features_of, vw_problem
from .labels import BadEvent, Text, decision_of
from .texts import texts_of


def read_events(source: Source) -> Events:
    """Read every decision with its reward, for `onearm convert`."""
    bad_lines, spool = BadLines(), Spool()
    k, nonzeros, seq, decisions = 1, 1, 0, 0
    with reading(source.path, "a log of Vowpal Wabbit's text"):
        numbered, texts = texts_of(source, bad_lines)
        encoder = encoder_of(None, numbered)
        for text in texts:
            try:
                decision = decision_of(text, numbered, None)
                shared, actions, lines = features_of(text, numbered)
                context = encoded(shared, actions, encoder, numbered)
            except BadEvent as bad:
                bad.tell(bad_lines, text.number)
                continue
            k = max(k, decision.size)
            if isinstance(context, Features):
                context = context._replace(start=context.start[0])
                nonzeros = max(nonzeros, len(context.index))
            event = Event(0, (seq := seq + 1), EXTERNAL, decisions, decision.action, decision.propensity)
            given = event._replace(
                context=pack_context(context, Problem(1)),
                available=_packed(decision.listed),
                sent=_sent(text),
                decision_id=(lines[0].tag or None) if numbered or lines[0].words == ["shared"] else None,
                actions=None if numbered else _ids(lines[-decision.size :]),
            )
            spool.append(given)
            spool.append(event._replace(seq=(seq := seq + 1), kind=LEARN, reward=decision.reward, reward_id=""))
            decisions += 1
    if not decisions:
        raise no_good_line(source.path, bad_lines)
    return Events(
        vw_problem(k, nonzeros, encoder, numbered), (_fitted(event, k) for event in spool), {"from": "vw"}, bad_lines
    )


def _fitted(event: Event, k: int) -> Event:
    """Return an event whose mask, if it has one, has room for k arms."""
    return event if event.available is None else event._replace(available=event.available.ljust((k + 7) // 8, b"\0"))


def _packed(listed: tuple[int, ...] | None) -> bytes | None:
    if listed is None:
        return None
    mask = np.zeros(max(listed) + 1, np.bool_)
    mask[list(listed)] = True
    return np.packbits(mask).tobytes()


def _sent(text: Text) -> str:
    return msgspec.json.encode({"from": "vw", "line": b"\n".join(text.lines).decode()}).decode()


def _ids(lines: list[vw_text.Line]) -> str:
    """Return the ids of actions as JSON: their tags, where all have another, and their positions else."""
    tags = [line.tag for line in lines]
    known = "" not in tags and len(set(tags)) == len(tags)
    return msgspec.json.encode(tags if known else [str(a) for a in range(len(lines))]).decode()
