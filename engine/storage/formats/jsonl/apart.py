"""The lines of an export in the joined form, taken apart: the events that they hold, in the order of the log."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

import numpy as np

from ....vocabulary import CORRECTED, LEARN
from ...bad_lines import BadLines
from ...joined_form import Extent, Order, RewardCheck
from .decoding import Lines
from .lines import Decide, Learn, Learned

_seq = attrgetter("seq")


def lines_apart(lines: Lines, extent: Extent, bad_lines: BadLines) -> Lines:
    """Yield events as lines of the form of events, each with its seq.

    Rewards wait until the lines came by whose events lie before them: no more than that is kept. Events that are
    missing, or are there twice, are counted, and so are decisions with another reward than their events have.
    """
    order, check = Order(extent, bad_lines), RewardCheck(extent, bad_lines)
    waiting: list[Any] = []
    final: set[int] = set()  # the seqs of what was learned and is all that a row says
    for page, _ in lines:
        last = max((line.seq for line in page if line.seq <= extent.until), default=0)
        decided = [line for line in page if isinstance(line, Decide)]
        for line in decided:
            _say(line, check)
        learned = [_learned(line, line.learned, final) for line in decided if line.learned is not None]
        events = sorted([*waiting, *page, *learned], key=_seq)
        ready = int(np.searchsorted(list(map(_seq, events)), last, side="right"))
        waiting = events[ready:]
        yield from _checked(events[:ready], final, order, check)
    yield from _checked(waiting, final, order, check)
    order.end()
    check.end()


def _say(line: Decide, check: RewardCheck) -> None:
    """Tell `check` what the line of a decision says, where that is not the reward that was learned."""
    is_final = line.reward is None if line.learned is None else line.learned.reward is None
    if not is_final:
        check.say(line.number, line.seq, math.nan if line.reward is None else line.reward)


def _learned(line: Decide, said: Learned, final: set[int]) -> Learn:
    """Return what was learned of a decision as a line of its own."""
    reward = said.reward
    if reward is None:
        final.add(said.seq)
        reward = math.nan if line.reward is None else line.reward
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


def _checked(events: list[Any], final: set[int], order: Order, check: RewardCheck) -> Lines:
    """Yield the events that come once, and tell `check` what was learned of decisions, but not what is `final`."""
    seq = np.array(list(map(_seq, events)), np.int64)
    kept = order.good(seq)
    good = [event for event, is_good in zip(events, kept.tolist(), strict=True) if is_good]
    for event in good:
        if event.code == LEARN and event.seq in final:
            final.remove(event.seq)
        elif event.code in (LEARN, CORRECTED):
            check.tell(event.number, event.seq, event.code, math.nan if event.reward is None else event.reward)
    if good:
        yield good, seq[kept]
