"""Decisions that are one for a client, as the slots of a list: their rewards, and what is on record of them.

What is said of some of them is checked for all before anything is learned or written, and written together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from ...engine.errors import Conflict
from ...engine.storage.records import Event
from ...engine.vocabulary import Feedback
from ..kinds.kind import Several
from ..service.at_once import learned_at_once
from ..service.live import Live
from ..service.records import Record
from .requests import find, held, numbers_of, settled
from .schemas import DecisionRecord, Rewarded
from .windowed import Status, judged, recorded

STATUSES: tuple[Status, ...] = ("accepted", "late", "duplicate")  # of several rewards the first that one of them has


class Share(NamedTuple):
    """What is said of one of several decisions."""

    record: Record
    feedback: Feedback


class Shared(NamedTuple):
    """Rewards that were sent of several decisions, and what became of them."""

    records: Sequence[Record]
    status: Status

    async def answer(self, live: Live) -> Rewarded:
        """Return the answer to them, once they are committed."""
        for record in self.records:
            await settled(record)
        return Rewarded(self.status)


async def shared(live: Live, several: Several, decision_id: str, said: object, reward_id: str) -> Shared:
    """Take rewards of several decisions; the caller has the turn.

    Nothing is learned, nor written, where one of them has another reward already, or comes too late.
    """
    last = await find(live, decision_id)
    numbers_of(several, last.event)  # it is the last one
    told = several.shares(live, last.event, said)
    async with held(live, [number for number, _ in told]) as records:
        shares = [Share(record, feedback) for record, (_, feedback) in zip(records, told, strict=True)]
        if live.windows is not None:
            return Shared(records, await _came(live, shares, reward_id))
        new = [share for share in shares if not await _is_known(live, share, reward_id)]
        await _learn(live, new, reward_id)
    return Shared(records, "accepted" if new else "duplicate")


async def _came(live: Live, shares: Sequence[Share], reward_id: str) -> Status:
    """Take rewards of decisions with windows, which all began at the same time.

    All are on record before anything is awaited: steps may take long, and what they are judged by changes meanwhile.
    """
    now, state, made = live.now(), live.state, list[Event]()
    verdicts = [judged(live, f"~{one.record.event.number}", *one, reward_id, now) for one in shares]
    try:
        for one, verdict in zip(shares, verdicts, strict=True):
            made += recorded(live, *one, reward_id, verdict)
        for one, verdict in zip(shares, verdicts, strict=True):
            learned = None if verdict.status == "late" else await learned_at_once(live, one.record)
            made += [] if learned is None else [learned]
    finally:
        if made and live.state is state:  # else the log is folded again, without them
            committed, there = live.queue(*made), {event.number for event in made}
            for record, _ in shares:
                if record.event.number in there:
                    record.rewarded = committed
    live.keeping.snapshot_if_due()
    found = {verdict.status for verdict in verdicts}
    return next(status for status in STATUSES if status in found)


async def _is_known(live: Live, share: Share, reward_id: str) -> bool:
    """Tell whether a decision has this reward; refuse another one."""
    before, sent = share.record.reward, share.feedback
    if before is None:
        return False
    if (before.reward, before.reward_id) == (sent.reward, reward_id):
        return True
    await settled(share.record)
    raise Conflict("reward_exists", live.kind.reward_exists(f"~{share.record.event.number}", before))


async def _learn(live: Live, shares: Sequence[Share], reward_id: str) -> None:
    """Learn what came of decisions, and queue it to be written together."""
    if not shares:
        return
    live.check_open()
    state, now = live.state, live.now()
    made = []
    try:
        for record, feedback in shares:
            action, record.learning = live.kind.action(live, record.event), True
            await live.teach(record.event, action, feedback)
            record.reward = live.entered(record.event, action, feedback, reward_id, now)
            made.append(record)
    finally:
        for record, _ in shares:
            record.learning = False
        if made and live.state is state:
            committed = live.queue(*(record.reward for record in made if record.reward is not None))
            for record in made:
                record.rewarded = committed
    live.keeping.snapshot_if_due()


def record_of_list(last: DecisionRecord, slots: list[DecisionRecord]) -> DecisionRecord:
    """Return what is on record of a list: of its slots, and what holds for all of them as the last one says it."""
    return msgspec.structs.replace(
        last,
        action_id=None,
        propensity=None,
        context=None,
        eligible_actions=None,
        reward=None,
        list_id=UNSET,
        slot_id=UNSET,
        ranking=UNSET,
        explanation=UNSET,
        outcomes=UNSET,
        slots=slots,
    )
