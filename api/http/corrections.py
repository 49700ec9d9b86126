"""A reward that was learned is corrected or retracted."""

from __future__ import annotations

import msgspec

from ...engine.errors import Conflict, InvalidInput
from ...engine.problem import check_reward
from ...engine.storage.records import Event
from ...engine.storage.windows import shown_number
from ..service.floor import reach
from ..service.live import Live
from ..service.records import Record
from ..service.service import Service
from ..service.windows import is_over
from .bodies import read
from .call import Call
from .correction_schemas import Correction, Rollback, RolledBack
from .endpoint import Answer
from .requests import find, iso, settled, time_of
from .schemas import CorrectionRecord, Rewarded

_rollback = msgspec.json.Decoder(Rollback)
_correction = msgspec.json.Decoder(Correction)


async def correct(service: Service, call: Call) -> Answer:
    """Correct the reward of a decision that was learned.

    The record tells it from now on, and so do reports, curves, exports and evaluation. The policy's state is folded
    again beside the one at work, and takes its place once it has caught up: until then decisions are made as before.
    The same again changes nothing.
    """
    live = service.live(call.path["experiment_id"])
    value = check_reward(read(_correction, call.body, "the correction").value, live.limits)
    return await _answered(live, call.path["decision_id"], value)


async def retract(service: Service, call: Call) -> Answer:
    """Retract the reward of a decision that was learned: it counts as one of which nothing was learned.

    As for a correction, the state follows. The same again changes nothing, and a correction brings a reward back.
    """
    return await _answered(service.live(call.path["experiment_id"]), call.path["decision_id"], None)


async def rollback(service: Service, call: Call) -> Answer:
    """Set what the policies of an experiment have learned back to what it was earlier.

    Rewards that are corrected stay so, and arms that joined since are there, of which nothing is known. The record,
    and what reports tell, stays as it is. Whoever asks waits until the state is set.
    """
    live = service.live(call.path["experiment_id"])
    _check_kind(live)
    said = read(_rollback, call.body, "the rollback").to
    if isinstance(said, str):
        at = time_of(said)
        if at is None:
            raise InvalidInput("bad_to", f"to is {said[:40]!r}: it must be a seq, or a time with its zone (RFC 3339)")
        before = round(at.timestamp() * 1e6)
        last = await live.committed()
        to = await service.pools.lookups.run(service.store.seq_before, live.row.key, before, last)
        if to == 0:
            raise InvalidInput(
                "bad_to",
                f"to is {said[:40]!r}, before the first event of {live.spec.id!r}: its policies would forget all that "
                'they learned. If that is meant, say {"to": 0}',
            )
    elif said < 0:
        raise InvalidInput("bad_to", f"to is {said}: it must be a seq, 0 for before all events, or a time")
    else:
        to = said
    seq = await service.correcting.roll_back(live, to)
    return Answer(200, RolledBack(call.caller.called(live.row.id), to, seq))


def _check_kind(live: Live) -> None:
    if not live.kind.corrects:
        raise InvalidInput(
            "no_corrections",
            f"{live.spec.id!r} decides {live.kind.plural}: only what arms earned is corrected or undone",
        )


async def _answered(live: Live, decision_id: str, value: float | None) -> Answer:
    _check_kind(live)
    found, is_new = await live.turns.take(_said, live, decision_id, value)
    await settled(found)
    return Answer(200, Rewarded("accepted" if is_new else "duplicate"))


async def _said(live: Live, decision_id: str, value: float | None) -> tuple[Record, bool]:
    """Return the decision, with its correction queued for the log, and whether that says something new."""
    found = await find(live, decision_id)
    if found.reward is None:
        raise Conflict("no_reward", f"nothing was learned of decision {decision_id!r}{_why_nothing(live, found)}")
    if found.value == value:
        return found, False
    if found.reward.seq <= (from_seq := reach(live)):
        raise Conflict(
            "compacted",
            f"the reward of decision {decision_id!r} was learned at seq {found.reward.seq}, and not all who decide can "
            f"be folded again from before seq {from_seq}: what lies before cannot be learned again",
        )
    live.correct(found, value, live.now())
    return found, True


def _why_nothing(live: Live, found: Record) -> str:
    """Say why nothing was learned of a decision."""
    if (number := shown_number(found.activation)) is not None:
        return f": another action was shown in its place, as decision '~{number}'; correct what was learned of that"
    if is_over(found):
        return ": it was deferred and never shown, so there is nothing to correct"
    if live.windows is None:
        return " yet; what was learned can be corrected"
    if live.windows.is_closed(found, live.now()):
        return ": no reward came in its window, and there is no default; there is nothing to correct"
    return " yet: its window is open, and closes with what came; what was learned can be corrected"


def correction_of(event: Event) -> CorrectionRecord:
    """Return a correction as the record of its decision tells it."""
    return CorrectionRecord(event.reward, event.seq, iso(event.time))
