"""Rewards of decisions with windows: each is on record when it comes, and is learned when its window closes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from ...engine.errors import Conflict, InvalidInput
from ...engine.problem import check_reward
from ...engine.storage.tables import Event
from ...engine.storage.windows import CLOSED_BY_DEFAULT, CLOSINGS, LATE, shown_number
from ...engine.vocabulary import EXTERNAL
from ..experiment.intake import check_propensity
from ..service import arriving
from ..service.arriving import Shown
from ..service.live import Live
from ..service.records import Record
from ..service.refusals import missing
from ..service.service import Service
from ..service.windows import came as rewards_of
from ..service.windows import is_activated, waits
from .bodies import read
from .endpoint import Answer, Call
from .requests import find, iso, name_of, settled
from .schemas import Rewarded
from .window_schemas import Activate, Activated, ActivationRecord, OutcomeRecord

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


async def came(live: Live, decision_id: str, reward: float, reward_id: str) -> Came | CameEarly:
    """Take a reward, queued for the log; the caller has the turn. One before its decision is held for it.

    Raises `Conflict` ("late") where the window of its decision is closed and late rewards are refused, and
    ("reward_exists") where there is another reward of this id; `InvalidInput` ("bad_reward") where what came of the
    decision would lie outside of the range; `NotFound` where the decision is none that a client could make;
    `Unavailable` ("too_many_early") where too many are held.
    """
    name, windows = name_of(decision_id), live.windows
    assert windows is not None
    found = None if name is None else await live.find(name)
    if found is not None and (shown := shown_number(found.activation)) is not None:
        found = await live.find(shown)
    elif found is None and isinstance(name, str):
        return _early(live, name, reward, reward_id)
    if found is None:
        raise missing(live.spec.id, decision_id)
    if found.event.kind == EXTERNAL and found.reward is not None and found.reward.detail not in CLOSINGS.values():
        raise Conflict("reward_exists", live.kind.reward_exists(decision_id, found.reward))
    if _is_again(decision_id, found.outcomes, reward, reward_id):
        return Came(found, "duplicate")
    live.check_open()
    now, window = live.now(), windows.window
    if windows.is_closed(found, now):
        if window.late == "refuse":
            raise Conflict(
                "late",
                f"the reward of decision {decision_id!r} came at {iso(now)}, and its window closed at "
                f"{iso(windows.due(found))}, {window.wait_time} after it was {_begun(found)}: send rewards before, or "
                'create the experiment with "late": "record", which keeps them, or "learn", which takes them instead '
                "of the default",
            )
        instead = None
        if window.late == "learn":
            together = _together(live, decision_id, [*rewards_of(found, late=True), reward])
            instead = together if _is_default(live, found) and found.value != together else None
        arriving.take(live, found, reward, reward_id, now, late=True, instead=instead)
        return Came(found, "late")
    _together(live, decision_id, [*windows.rewards(found), reward])
    arriving.take(live, found, reward, reward_id, now, late=False)
    return Came(found, "accepted")


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
    return learned is not None and learned.detail == CLOSED_BY_DEFAULT and learned.seq > live.floor


async def activate(service: Service, call: Call) -> Answer:
    """Say that a decision that was deferred is shown now, or another action in its place; the wait begins here."""
    live = service.live(call.path["experiment_id"])
    body = read(_activate, call.body or b"{}", "the activation")
    if body.propensity is not None:
        check_propensity(body.propensity)
        if body.action_id is None:
            raise InvalidInput(
                "unexpected_field", "the activation has a propensity, but no action_id: send both or none"
            )
    found, is_new = await live.turns.take(_activated, live, call.path["decision_id"], body)
    await settled(found)
    return Answer(200, Activated("activated" if is_new else "duplicate"))


async def _activated(live: Live, decision_id: str, body: Activate) -> tuple[Record, bool]:
    """Return a decision with its activation, queued for the log, and whether that is new. The caller has the turn."""
    found, windows = await find(live, decision_id), live.windows
    if windows is None or found.activation is None:
        raise Conflict(
            "not_deferred",
            f'the decision {decision_id!r} was shown when it was made: only one with "defer_activation": true is '
            "activated",
        )
    shown = None if body.action_id is None else _shown(live, found, body.action_id, body.propensity)
    if is_activated(found) or shown_number(found.activation) is not None:
        if await _shown_before(live, found) != shown:
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
    if shown is None:
        arriving.activate(live, found, now)
    else:
        arriving.replace(live, found, shown, now)
    return found, True


def _shown(live: Live, found: Record, action_id: str, propensity: float | None) -> Shown | None:
    """Return what was shown in the place of a decision; None where that is what was decided."""
    labels, decided = live.labels(found.event), found.event
    if action_id not in labels:
        raise InvalidInput(
            "unknown_action", f"there is no action {action_id[:80]!r}: the actions are {', '.join(labels[:20])}"
        )
    action = labels.index(action_id)
    if action == decided.action and propensity in (None, decided.propensity):
        return None
    if not live.mask(decided)[action]:
        raise InvalidInput(
            "unavailable_action",
            f"the action {action_id!r} was not eligible for this decision: nothing is learned of it",
        )
    if propensity is None and live.divides:
        raise InvalidInput(
            "missing_propensity",
            f"the policy {live.spec.policy.name!r} divides by propensities: send the one with which {action_id!r} was "
            "chosen, in (0, 1], or do not activate the decision",
        )
    return Shown(action, propensity)


async def _shown_before(live: Live, found: Record) -> Shown | None:
    """Return what was shown in the place of a decision that was activated; None where nothing was."""
    number = shown_number(found.activation)
    instead = None if number is None else await live.find(number)
    if instead is None:
        return None
    assert instead.event.action is not None
    return Shown(instead.event.action, instead.event.propensity)


def activation_of(found: Record) -> ActivationRecord | None:
    """Return what is on record of the activation of a decision; None where it was not deferred."""
    event = found.activation
    if event is None:
        return None
    if (number := shown_number(event)) is not None:
        return ActivationRecord("replaced", event.seq, iso(event.time), f"~{number}")
    status: Literal["deferred", "activated", "never_shown"] = "deferred" if waits(found) else "never_shown"
    return ActivationRecord("activated" if is_activated(found) else status, event.seq, iso(event.time))


def _begun(found: Record) -> str:
    return "activated" if is_activated(found) else "made"


def outcomes_of(found: Record) -> list[OutcomeRecord]:
    """Return what is on record of the rewards of a decision that came, in their order."""
    return [
        OutcomeRecord(event.reward or 0.0, event.reward_id or None, event.seq, iso(event.time), event.detail == LATE)
        for event in found.outcomes
    ]


def _early(live: Live, decision_id: str, reward: float, reward_id: str) -> CameEarly:
    """Hold a reward for a decision that was not made yet."""
    windows, now = live.windows, live.now()
    assert windows is not None
    held = windows.early.of(decision_id, now)
    if _is_again(decision_id, held, reward, reward_id):
        return CameEarly(None)
    live.check_open()
    windows.early.check_room()
    _together(live, decision_id, [*(event.reward or 0.0 for event in held), reward])
    return CameEarly(arriving.take_early(live, decision_id, reward, reward_id, now))


def _is_again(decision_id: str, outcomes: Sequence[Event], reward: float, reward_id: str) -> bool:
    """Tell whether a reward came before; refuse another one of the same id."""
    before = next((event for event in outcomes if event.reward_id == reward_id), None)
    if before is None or before.reward == reward:
        return before is not None
    named = f"the id {before.reward_id!r}" if before.reward_id else "no id"
    raise Conflict(
        "reward_exists",
        f"the decision {decision_id!r} has a reward with {named}, which is {before.reward} (seq {before.seq}): a "
        "second reward needs a reward_id of its own",
    )
