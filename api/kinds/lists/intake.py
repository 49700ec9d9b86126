"""What a slot of a list is, as policies see it: a part of the context of its decision.

The context of a slot is [context, features of the slot, one of L numbers that is 1], the last for its place, followed
by the features of each action where these come with the call. Of contexts that are objects it is the namespace "slot".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....engine.choices import LIST_MAX
from ....engine.errors import InvalidInput, as_seen
from ....engine.problem import check_context
from ....engine.vocabulary import Array, Problem
from ...experiment.context_intake import LENGTH_MAX, NUMBERS_MAX, ContextIntake
from ...experiment.ids import check_fields
from ...experiment.intake import Named

SLOT = "slot"  # the namespace of what a slot is
PLACE = "place"  # its feature that says which one it is, from 0


@dataclass(frozen=True)
class ListIntake(ContextIntake):
    """Contexts and actions as they are of arms, and what slots are; `read` reads what all slots of a list share."""

    slots: int = 1  # of a list, at most
    slot_length: int = 0  # numbers of the features of a slot; 0 where it has none, or they are an object

    def with_slots(self, slots: Any) -> ListIntake:
        """Check `problem.slots`, and return the intake with these."""
        check_fields("problem.slots", slots, {"max", "length"})
        most = _whole("problem.slots.max", slots.get("max"), LIST_MAX)
        length = 0
        if "length" in slots:
            if self.encoder is not None:
                raise InvalidInput(
                    "bad_slots", "problem.slots has a length, but the context has named features: leave the length out"
                )
            length = _whole("problem.slots.length", slots["length"], LENGTH_MAX)
        found = dataclasses.replace(self, slots=most, slot_length=length)
        if self.per_call and self.encoder is None:
            width = self.length + found.own + self.action_length
            if self.actions_max * width > NUMBERS_MAX:
                raise InvalidInput(
                    "bad_actions",
                    f"{self.actions_max} actions of {width} numbers are more than {NUMBERS_MAX} numbers, those of the "
                    "slot with them: lower problem.actions.max",
                )
        return found

    @property
    def own(self) -> int:
        """How many numbers say what a slot is, where contexts are numbers."""
        return self.slot_length + self.slots

    def to_json(self) -> dict[str, Any]:
        """Return the fields `context`, `slots` and, where actions come per call, `actions` of a problem."""
        length = {"length": self.slot_length} if self.slot_length else {}
        return {**super().to_json(), "slots": {"max": self.slots, **length}}

    def problem(self, n_arms: int, horizon: int | None) -> Problem:
        """Return the shape of the task, in which a decision is one for a slot."""
        shared = super().problem(n_arms, horizon)
        shape = shared.context_shape
        if self.encoder is None:
            shape = (*shape[:-1], shape[-1] + self.own)
        return dataclasses.replace(shared, context_shape=shape, list_slots=self.slots)

    @property
    def is_plain(self) -> bool:
        """False: the slot is seen."""
        return False

    def read_slots(self, context: Any, actions: Sequence[Named], features: Sequence[Any]) -> Sequence[Any]:
        """Return the contexts of the slots of a list, from the features of each; n of them where there are n."""
        if self.encoder is not None:
            objects = [self._object(context, place, one) for place, one in enumerate(features)]
            return [self.read(one, actions) for one in objects]
        shared, n, first, last = self.read(context, actions), len(features), self.length, self.length + self.own
        found = np.zeros((n, *shared.shape[:-1], shared.shape[-1] + self.own))
        found[..., :first], found[..., last:] = shared[..., :first], shared[..., first:]
        for place, one in enumerate(features):
            if self.slot_length or one is not None:
                found[place, ..., first : first + self.slot_length] = self._numbers(place, one)
            found[place, ..., first + self.slot_length + place] = 1.0
        return list(found)

    def slot_names(self, context: Any, actions: Sequence[Named], place: int, features: Any) -> list[list[str]]:
        """Return for each action the names of its features in a slot, in the order of `names`."""
        if self.encoder is not None:
            return self.names(self._object(context, place, features), actions)
        own = [f"{SLOT}[{j}]" for j in range(self.slot_length)] + [f"{PLACE} {j}" for j in range(self.slots)]
        first = self.length
        return [[*row[:first], *own, *row[first:]] for row in self.names(context, actions)]

    def _numbers(self, place: int, features: Any) -> Array:
        """Return the features of a slot, float64[slot_length]."""
        try:
            return check_context(Problem(1, (self.slot_length,)), features)
        except InvalidInput as error:
            raise InvalidInput("bad_slot", f"the features of slot {place}: {error}") from None

    def _object(self, context: Any, place: int, features: Any) -> Any:
        """Return the context of a slot as an object."""
        if context is not None and not isinstance(context, dict):
            return context  # `read` says what is wrong with it
        if features is not None and not isinstance(features, dict):
            raise InvalidInput(
                "bad_slot",
                f"the features of slot {place} are {as_seen(features)}: it must be an object, as contexts are",
            )
        if SLOT in (context or {}) or PLACE in (features or {}):
            raise InvalidInput(
                "bad_slot",
                f"the context has {SLOT!r}, or the features of slot {place} have {PLACE!r}: these say what the slot "
                "is; take another name",
            )
        return {**(context or {}), SLOT: {PLACE: str(place), **(features or {})}}


def _whole(what: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput("bad_slots", f"{what} is {as_seen(value)}: it must be a whole number from 1 to {most}")
    return value
