"""The bodies that Personalizer's clients send and read, and those of our own routes that they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ....engine.errors import InvalidInput
from ..bodies import read
from ..schemas import Id

Features = list[dict[str, msgspec.Raw]]


class RankAction(msgspec.Struct, forbid_unknown_fields=True):
    """An action, with its features as a list of objects, which are read with the decision."""

    id: Id
    features: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class Rank(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is asked for one action; the first that is not excluded is what the client would do by itself."""

    actions: msgspec.Raw  # [RankAction]
    context_features: Features | None = None
    excluded_actions: list[str] | None = None
    event_id: Id | None = None
    defer_activation: bool | None = None


class RankSlot(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A slot; what the client would show there by itself is no part of what is learned."""

    id: Id
    baseline_action: str
    features: Features | None = None
    excluded_actions: list[str] | None = None


class RankSlots(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is asked for an action in each slot."""

    actions: msgspec.Raw
    slots: list[RankSlot]
    context_features: Features | None = None
    event_id: Id | None = None
    defer_activation: bool | None = None


class EventReward(msgspec.Struct, forbid_unknown_fields=True):
    """What came of an event."""

    value: float


class WireSlotReward(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What came of a slot."""

    slot_id: Id
    value: float


class WireSlotRewards(msgspec.Struct, forbid_unknown_fields=True):
    """What came of some slots of an event."""

    reward: list[WireSlotReward]


class RankedAction(msgspec.Struct):
    """An action and its probability, null where the policy does not know it."""

    id: str
    probability: float | None


class RankResponse(msgspec.Struct, rename="camel"):
    """Which action to show, and how likely each was."""

    ranking: list[RankedAction]
    event_id: str
    reward_action_id: str


class SlotResponse(msgspec.Struct, rename="camel"):
    """Which action to show in a slot."""

    id: str
    reward_action_id: str


class SlotsResponse(msgspec.Struct, rename="camel"):
    """Which action to show in each slot."""

    event_id: str
    slots: list[SlotResponse]


class OurDecision(msgspec.Struct):
    """The body of a decision; it does not depend on who decides, so that a retry is one."""

    actions: msgspec.Raw
    context: dict[str, Features] | UnsetType = UNSET
    excluded_actions: list[str] | UnsetType = UNSET
    baseline_action: str | UnsetType = UNSET
    slots: list[dict[str, Any]] | UnsetType = UNSET
    decision_id: str | UnsetType = UNSET
    defer_activation: bool | UnsetType = UNSET
    rank: bool | UnsetType = UNSET


_rank = msgspec.json.Decoder(Rank)
_rank_slots = msgspec.json.Decoder(RankSlots)
_actions = msgspec.json.Decoder(list[RankAction])


def read_rank(raw: bytes) -> tuple[Rank, list[str], OurDecision]:
    """Return a rank, the ids of its actions, and the decision that it asks for."""
    asked = read(_rank, raw, "the rank")
    ids = _ids(asked.actions)
    excluded = asked.excluded_actions or ()
    ours = _shared(asked)
    ours.excluded_actions = asked.excluded_actions or UNSET
    ours.baseline_action = next((one for one in ids if one not in excluded), UNSET)
    ours.rank = True
    return asked, ids, ours


def read_rank_slots(raw: bytes) -> OurDecision:
    """Return the list that a rank of several slots asks for; each slot must have an own action of the client's."""
    asked = read(_rank_slots, raw, "the rank")
    _check_baselines(asked.slots, _ids(asked.actions))
    ours = _shared(asked)
    ours.slots = [_slot(slot) for slot in asked.slots]
    return ours


def _ids(actions: msgspec.Raw) -> list[str]:
    return [action.id for action in read(_actions, bytes(actions), "the list of actions")]


def _shared(asked: Rank | RankSlots) -> OurDecision:
    return OurDecision(
        asked.actions,
        {"context": asked.context_features} if asked.context_features else UNSET,
        decision_id=UNSET if asked.event_id is None else asked.event_id,
        defer_activation=True if asked.defer_activation else UNSET,
    )


def _slot(slot: RankSlot) -> dict[str, Any]:
    features = {"features": {"features": slot.features}} if slot.features else {}
    excluded = {"excluded_actions": slot.excluded_actions} if slot.excluded_actions else {}
    return {"id": slot.id, **features, **excluded}


def _check_baselines(slots: Sequence[RankSlot], ids: Sequence[str]) -> None:
    """Refuse slots of which two have one baseline action, or one has none of the actions that it may get."""
    seen = set()
    for slot in slots:
        if slot.baseline_action not in ids:
            seen_as = "is none of the actions"
        elif slot.baseline_action in (slot.excluded_actions or ()):
            seen_as = "is excluded there"
        elif slot.baseline_action in seen:
            seen_as = "is that of another slot, too"
        else:
            seen.add(slot.baseline_action)
            continue
        raise InvalidInput(
            "bad_baseline",
            f"the baselineAction {slot.baseline_action[:80]!r} of slot {slot.id!r} {seen_as}: each slot has one of its "
            "own, of the actions that it may get",
        )
