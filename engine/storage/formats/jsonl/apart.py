"""The lines of an export in the joined form, taken apart: the events that they hold, in the order of the log."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

import numpy as np

from ....vocabulary import CORRECTED, LEARN
from ...joined_form import Extent, Order, RewardCheck
from ...log import BadLines
from .decoding import Lines
from .lines import Decide, Learn

_seq = attrgetter("seq")


def lines_apart(lines: Lines, extent: Extent, bad_lines: BadLines) -> Lines:
    """Yield events as lines of the form of events, each with its seq.

    Rewards wait until the lines came by whose events lie before them: no more than that is kept. Events that are
    missing, or are there twice, are counted, and so are decisions with another reward than their events have.
    """
    order, check = Order(extent, bad_lines), RewardCheck(bad_lines)
    waiting: list[Any] = []
    for page, _ in lines:
        last = max(map(_seq, page), default=0)
        learned = [_learned(line, check) for line in page if isinstance(line, Decide) and line.learned is not None]
        made = set(map(_seq, learned)) | set(map(_seq, waiting))
        events = sorted([*waiting, *page, *learned], key=_seq)
        ready = int(np.searchsorted(list(map(_seq, events)), last, side="right"))
        waiting = events[ready:]
        yield from _checked(events[:ready], made, order, check)
    yield from _checked(waiting, set(map(_seq, waiting)), order, check)
    order.end()
    check.end()


def _learned(line: Decide, check: RewardCheck) -> Learn:
    """Return what was learned of a decision as a line of its own, and take it out of the line of that."""
    said, reward = line.learned, math.nan if line.reward is None else line.reward
    assert said is not None
    if said.reward is not None:
        check.say(line.number, line.seq, reward, said.reward)
        reward = said.reward
    line.reward = line.learned = None
    return Learn(
        seq=said.seq,
        number=line.number,
        reward=reward,
        detail=said.detail,
        reward_id=said.reward_id,
        closed=said.closed,
        sent=said.sent,
        time=said.time,
    )


def _checked(events: list[Any], made: set[int], order: Order, check: RewardCheck) -> Lines:
    """Yield the events that come once, and tell `check` of those that have lines of their own: not the ones `made`."""
    seq = np.array(list(map(_seq, events)), np.int64)
    kept = order.good(seq)
    good = [event for event, is_good in zip(events, kept.tolist(), strict=True) if is_good]
    for event in good:
        if event.code in (LEARN, CORRECTED) and event.seq not in made:
            check.tell(event.number, event.code, math.nan if event.reward is None else event.reward)
    if good:
        yield good, seq[kept]
