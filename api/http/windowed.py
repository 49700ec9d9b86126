"""Rewards of decisions with windows: each is on record when it comes, and is learned when its window closes."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ...engine.errors import Conflict, InvalidInput
from ...engine.problem import check_reward
from ...engine.storage.tables import Event
from ...engine.storage.windows import LATE
from ...engine.vocabulary import EXTERNAL
from ..service.live import Live
from ..service.records import Record
from .requests import find, iso, settled
from .schemas import OutcomeRecord, Rewarded

Status = Literal["accepted", "duplicate", "late"]


class Came(NamedTuple):
    """A reward that came, and what became of it."""

    record: Record
    status: Status

    async def answer(self, live: Live) -> Rewarded:
        """Return the answer to it, once it is committed."""
        await settled(self.record)
        return Rewarded(self.status)


async def came(live: Live, decision_id: str, reward: float, reward_id: str) -> Came:
    """Take a reward, queued for the log; the caller has the turn.

    Raises `Conflict` ("late") where the window of its decision is closed and late rewards are refused, and
    ("reward_exists") where there is another reward of this id; `InvalidInput` ("bad_reward") where what came of the
    decision would lie outside of the range.
    """
    found, windows = await find(live, decision_id), live.windows
    assert windows is not None
    if found.event.kind == EXTERNAL and found.reward is not None:
        raise Conflict("reward_exists", live.kind.reward_exists(decision_id, found.reward))
    for before in found.outcomes:
        if before.reward_id == reward_id:
            return _again(decision_id, found, before, reward)
    live.check_open()
    now, window = live.now(), windows.window
    if windows.is_closed(found.event, now):
        if window.late == "refuse":
            raise Conflict(
                "late",
                f"the reward of decision {decision_id!r} came at {iso(now)}, and its window closed at "
                f"{iso(windows.due(found.event))}, {window.wait_time} after it was made: send rewards before, or "
                'create the experiment with "late": "record", which keeps them',
            )
        live.take(found, reward, reward_id, now, late=True)
        return Came(found, "late")
    together = window.together([*windows.rewards(found), reward])
    try:
        check_reward(together, live.limits)
    except InvalidInput as error:
        raise InvalidInput(
            error.code, f"the {window.aggregation} of the rewards of decision {decision_id!r}: {error}"
        ) from None
    live.take(found, reward, reward_id, now, late=False)
    return Came(found, "accepted")


def outcomes_of(found: Record) -> list[OutcomeRecord]:
    """Return what is on record of the rewards of a decision that came, in their order."""
    return [
        OutcomeRecord(event.reward or 0.0, event.reward_id or None, event.seq, iso(event.time), event.detail == LATE)
        for event in found.outcomes
    ]


def _again(decision_id: str, found: Record, before: Event, reward: float) -> Came:
    """Return that a reward came before; refuse another one of the same id."""
    if before.reward == reward:
        return Came(found, "duplicate")
    named = f"the id {before.reward_id!r}" if before.reward_id else "no id"
    raise Conflict(
        "reward_exists",
        f"the decision {decision_id!r} has a reward with {named}, which is {before.reward} (seq {before.seq}): a "
        "second reward needs a reward_id of its own",
    )
