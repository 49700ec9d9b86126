"""Rewards of decisions with windows: each is on record when it comes, and is learned when its window closes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from ...engine.actions import pack_detail
from ...engine.errors import Conflict, InvalidInput
from ...engine.problem import check_reward
from ...engine.storage.records import Event
from ...engine.storage.windows import beside_in, is_late, shown_number, why_closed
from ...engine.vocabulary import EXTERNAL, Feedback
from ..kinds.kind import Several
from ..service import arriving
from ..service.at_once import learn_at_once
from ..service.floor import reach
from ..service.live import Live
from ..service.records import Record
from ..service.refusals import being_erased, missing
from ..service.service import Service
from ..service.windows import came as rewards_of
from ..service.windows import is_activated
from .activations import News, Said, checked, news_of, put_on_record, shown_before, shown_of
from .bodies import read
from .call import Call
from .endpoint import Answer
from .requests import find, held, iso, name_of, numbers_of, settled
from .schemas import Rewarded
from .window_schemas import Activate, Activated, OutcomeRecord

Status = Literal["accepted", "duplicate", "late"]


_activate = msgspec.json.Decoder(Activate)


class Came(NamedTuple):
    """A reward that came, and what became of it."""

    record: Record
    status: Status

    async def answer(self, live: Live) -> Rewarded:
        """Return the answer to it, once it is committed."""
        await settled(self.record)
        return Rewarded(self.status)


class Verdict(NamedTuple):
    """What becomes of a reward of a decision."""

    status: Status
    now: int  # when it came
    instead: float | None = None  # what was learned of the decision is corrected to that


class CameEarly(NamedTuple):
    """A reward that came before its decision, and is held for it."""

    committed: asyncio.Future[None] | None  # None where it was on record before

    async def answer(self, live: Live) -> Rewarded:
        """Return the answer to it, once it is committed."""
        if self.committed is None:
            await live.committed()
            return Rewarded("duplicate")
        await asyncio.shield(self.committed)
        return Rewarded("early")


async def came(live: Live, decision_id: str, feedback: Feedback, reward_id: str, said: Said) -> Came | CameEarly:
    """Take a reward, queued for the log; the caller has the turn. One before its decision is held for it.

    Where it says which action was shown, the decision is activated with that first. Raises `Conflict` ("late") where
    the window of its decision is closed and late rewards are refused, or it says for the first time what was shown;
    ("other_action") where another action is known to have been; ("not_made") of a decision that was not made, where it
    says what was shown, or something is told beside rewards; ("reward_exists") where there is another reward of this
    id; `InvalidInput` ("bad_reward") where what came of the decision would lie outside of the range; `NotFound` where
    the decision is none that a client could make;
    `Unavailable` ("too_many_early") where too many are held.
    """
    name, windows = name_of(decision_id), live.windows
    assert windows is not None
    found = None if name is None else await live.find(name)
    if found is None and isinstance(name, str):
        _check_made(decision_id, said)
        return _early(live, name, feedback, reward_id)
    news = None if found is None or said.action_id is None else await news_of(live, decision_id, found, said)
    if found is not None and (shown := shown_number(found.activation)) is not None:
        found = await live.find(shown)
    if found is None:
        raise missing(live.spec.id, decision_id)
    if found.event.kind == EXTERNAL and found.reward is not None and why_closed(found.reward) is None:
        raise Conflict("reward_exists", live.kind.reward_exists(decision_id, found.reward))
    now = live.now()
    if news is not None:
        _check_shown(live, decision_id, found, now)
    verdict = judged(live, decision_id, found, feedback, reward_id, now)
    if news is not None:
        found = put_on_record(live, found, news, now)
    if events := recorded(live, found, feedback, reward_id, verdict):
        found.rewarded = live.queue(*events)
    if verdict.status != "late":
        await learn_at_once(live, found)  # of a duplicate where that failed before
    return Came(found, verdict.status)


def judged(live: Live, decision_id: str, found: Record, feedback: Feedback, reward_id: str, now: int) -> Verdict:
    """Return what becomes of a reward of a decision that comes now; nothing is on record yet. Raises as `came`."""
    windows, reward = live.windows, feedback.reward
    assert windows is not None
    if _is_again(decision_id, found.outcomes, feedback, reward_id):
        return Verdict("duplicate", now)
    live.check_open()
    if not windows.is_closed(found, now):
        _together(live, decision_id, [*windows.rewards(found), reward])
        return Verdict("accepted", now)
    _check_late(live, decision_id, found, now)
    instead = None
    if windows.window.late == "learn":
        together = _together(live, decision_id, [*rewards_of(found, late=True), reward])
        instead = together if _is_default(live, found) and found.value != together else None
    return Verdict("late", now, instead)


def recorded(live: Live, found: Record, feedback: Feedback, reward_id: str, verdict: Verdict) -> list[Event]:
    """Put a reward that was judged on record; return the next events of the log, which the caller queues."""
    if verdict.status == "duplicate":
        return []
    late = verdict.status == "late"
    return arriving.put_on_record(live, found, feedback, reward_id, verdict.now, late=late, instead=verdict.instead)


def _check_shown(live: Live, decision_id: str, found: Record, now: int) -> None:
    """Refuse what a reward says was shown after the window of its decision."""
    windows = live.windows
    assert windows is not None
    live.check_open()
    if windows.is_closed(found, now):
        raise Conflict(
            "late",
            f"what was shown of decision {decision_id!r} was told at {iso(now)}, and its window closed at "
            f"{iso(windows.due(found))}: that cannot be changed any more",
        )


def _check_late(live: Live, decision_id: str, found: Record, now: int) -> None:
    """Refuse a reward that comes after the window of its decision, where late ones are refused."""
    windows = live.windows
    assert windows is not None
    if windows.window.late != "refuse":
        return
    or_learn = "" if live.problem.detail_length else ', or "learn", which takes them instead of the default'
    raise Conflict(
        "late",
        f"the reward of decision {decision_id!r} came at {iso(now)}, and its window closed at "
        f"{iso(windows.due(found))}, {windows.window.wait_time} after it was {_begun(found)}: send rewards before, or "
        f'create the experiment with "late": "record", which keeps them{or_learn}',
    )


def _check_made(decision_id: str, said: Said) -> None:
    """Refuse what is said to have been shown by a decision that was not made yet."""
    if said.action_id is not None:
        raise Conflict(
            "not_made",
            f"the reward says that {said.action_id[:80]!r} was shown, and decision {decision_id!r} was not made yet: "
            "send it once that is made, or without action_id and propensity",
        )


def _together(live: Live, decision_id: str, rewards: list[float]) -> float | None:
    """Return what rewards of a decision come to, where that can be learned."""
    assert live.windows is not None
    window = live.windows.window
    try:
        return check_reward(window.together(rewards), live.limits)
    except InvalidInput as error:
        raise InvalidInput(
            error.code, f"the {window.aggregation} of the rewards of decision {decision_id!r}: {error}"
        ) from None


def _is_default(live: Live, found: Record) -> bool:
    """Tell whether a decision was learned with the default, and that can be folded again."""
    learned = found.reward
    return learned is not None and why_closed(learned) == "default" and learned.seq > reach(live)


async def activate(service: Service, call: Call) -> Answer:
    """Say that a decision that was deferred is shown now, or another action in its place; the wait begins here."""
    live = service.live(call.path["experiment_id"])
    body = read(_activate, call.body or b"{}", "the activation")
    said = checked("the activation", body.action_id, body.propensity)
    if live.kind.several is not None:
        shown, is_new = await live.turns.take(_all_activated, live, live.kind.several, call.path["decision_id"], said)
    else:
        one, is_new = await live.turns.take(_activated, live, call.path["decision_id"], said)
        shown = [one]
    for found in shown:
        await settled(found)
    return Answer(200, Activated("activated" if is_new else "duplicate"))


async def _all_activated(live: Live, several: Several, decision_id: str, said: Said) -> tuple[list[Record], bool]:
    """Return the decisions of a list with their activations, and whether that is new. The caller has the turn."""
    if said.action_id is not None:
        raise InvalidInput(
            "not_built", "the activation of a list has an action_id: what is shown is the whole list; leave it out"
        )
    numbers = numbers_of(several, (await find(live, decision_id)).event)
    async with held(live, numbers):
        made = [await _activated(live, f"~{number}", said) for number in numbers]
    return [found for found, _ in made], any(is_new for _, is_new in made)


async def _activated(live: Live, decision_id: str, said: Said) -> tuple[Record, bool]:
    """Return a decision with its activation, queued for the log, and whether that is new. The caller has the turn."""
    found, windows = await find(live, decision_id), live.windows
    if windows is None or found.activation is None:
        raise Conflict(
            "not_deferred",
            f'the decision {decision_id!r} was shown when it was made: only one with "defer_activation": true is '
            "activated",
        )
    shown = None if said.action_id is None else shown_of(live, found, said.action_id, said.propensity)
    if is_activated(found) or shown_number(found.activation) is not None:
        if await shown_before(live, found) != shown:
            raise Conflict(
                "activated", f"the decision {decision_id!r} was activated with another action or propensity before"
            )
        return found, False
    now = live.now()
    if windows.is_closed(found, now):
        raise Conflict(
            "late",
            f"the activation of decision {decision_id!r} came at {iso(now)}, and it could be activated until "
            f"{iso(windows.due(found))}, {windows.window.wait_time} after it was made: nothing is learned of it",
        )
    await learn_at_once(live, put_on_record(live, found, News(shown), now))
    return found, True


def _begun(found: Record) -> str:
    return "activated" if is_activated(found) else "made"


def outcomes_of(live: Live, found: Record) -> list[OutcomeRecord]:
    """Return what is on record of the rewards of a decision that came, in their order."""
    return [
        OutcomeRecord(
            reward_id=event.reward_id or None,
            seq=event.seq,
            time=iso(event.time),
            late=is_late(event),
            **live.kind.reward_record(live, event),
        )
        for event in found.outcomes
    ]


def _early(live: Live, decision_id: str, feedback: Feedback, reward_id: str) -> CameEarly:
    """Hold a reward for a decision that was not made yet."""
    windows, now, reward = live.windows, live.now(), feedback.reward
    assert windows is not None
    if live.problem.detail_length:
        raise Conflict(
            "not_made",
            f"decision {decision_id!r} was not made yet: where costs or next states come with rewards, these are not "
            "held for decisions to come; send it once the decision is made",
        )
    if windows.early.is_hidden(decision_id):
        raise being_erased()
    held = windows.early.of(decision_id, now)
    if _is_again(decision_id, held, feedback, reward_id):
        return CameEarly(None)
    live.check_open()
    windows.early.check_room()
    _together(live, decision_id, [*(event.reward or 0.0 for event in held), reward])
    return CameEarly(arriving.take_early(live, decision_id, reward, reward_id, now))


def _is_again(decision_id: str, outcomes: Sequence[Event], feedback: Feedback, reward_id: str) -> bool:
    """Tell whether a reward came before; refuse another one of the same id, or with something else beside it."""
    before = next((event for event in outcomes if event.reward_id == reward_id), None)
    if before is None:
        return False
    beside = beside_in(before.detail)
    is_told = pack_detail(feedback.detail.tolist()) == pack_detail(beside or [])
    if is_told and before.reward == feedback.reward:
        return True
    named = f"the id {before.reward_id!r}" if before.reward_id else "no id"
    told = "" if beside is None else f", with {beside}"
    raise Conflict(
        "reward_exists",
        f"the decision {decision_id!r} has a reward with {named}, which is {before.reward} (seq {before.seq}{told}): a "
        "second reward needs a reward_id of its own",
    )
