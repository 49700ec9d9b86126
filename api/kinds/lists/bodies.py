"""The bodies of decisions that fill lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ....engine.choices import LIST_MAX
from ....engine.errors import InvalidInput, as_seen
from ...experiment.explanation_schemas import Explanation, Ranked, Reasons
from ...http.schemas import Id


class AskedSlot(msgspec.Struct, forbid_unknown_fields=True):
    """A slot of a list: its id, its features, and which actions it may get, of those that the list has."""

    id: Id
    features: list[float] | dict[str, Any] | None = None
    eligible_actions: list[str] | None = None
    excluded_actions: list[str] | None = None


def slots_named(slots: Any) -> list[Any]:
    """Return slots as people name them, by ids or as objects, as objects; refuse what is no list of any."""
    if isinstance(slots, (str, bytes)) or not isinstance(slots, Sequence):
        raise InvalidInput("bad_slot", f"slots is {as_seen(slots)}: it must be a list of ids, or of objects with one")
    return [{"id": slot} if isinstance(slot, str) else slot for slot in slots]


class FilledSlot(msgspec.Struct):
    """What a slot got, and with which probability given the slots above it; why, where asked for."""

    id: str
    action_id: str
    propensity: float | None
    ranking: list[Ranked] | UnsetType = UNSET
    explanation: list[Reasons] | UnsetType = UNSET


class ListDecision(msgspec.Struct):
    """A list: what each of its slots got, from the first on."""

    decision_id: str
    slots: list[FilledSlot]
    policy: str  # the one that decided
    model_version: int


class SlotReward(msgspec.Struct, forbid_unknown_fields=True):
    """What came of a slot; up is better."""

    id: str
    value: float


class ListReward(msgspec.Struct, forbid_unknown_fields=True):
    """What came of a list: of some of its slots, or one value, which goes to each of them."""

    value: float | None = None
    slots: list[SlotReward] | None = None
    reward_id: str | None = None


class BatchListReward(msgspec.Struct, forbid_unknown_fields=True):
    """The same in a batch, where it names its list."""

    decision_id: str
    value: float | None = None
    slots: list[SlotReward] | None = None
    reward_id: str | None = None


class SlotDetail(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What the log says of a decision for a slot, as its detail."""

    list_id: str
    slot_id: str
    place: int  # in the list, from 0
    slots: int  # of the list
    filled: list[FilledSlot] = []  # all of them; of the last one, by which the list is found
    said: Explanation | None = None  # where it was asked for

    def __post_init__(self) -> None:
        """Refuse what is no slot of a list; msgspec says where."""
        if not 0 <= self.place < self.slots <= LIST_MAX:
            raise ValueError(f"the slot is at place {self.place} of {self.slots}: lists have 1 to {LIST_MAX} slots")
        if self.filled and (self.place < self.slots - 1 or len(self.filled) != self.slots):
            raise ValueError(f"it says what {len(self.filled)} slots got: the last one says that of all {self.slots}")
