"""The slots of a list that is asked for, and the decision for each, on what was decided above."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....engine.errors import InvalidInput
from ....engine.vocabulary import Array
from ...experiment.intake import mask_of
from ..arms.http import Offered
from ..kind import Request, Work
from .bodies import AskedSlot
from .filling import left, matching, short, tight
from .problem import intake_of

NAMED_MAX = 20  # ids in an error


class Slot(NamedTuple):
    """A slot that is asked for."""

    id: str
    context: Any  # as the policy sees it
    mask: Array  # bool[k], which actions it may get; those that are taken above among them
    below: Sequence[Array]  # the masks of those that follow and are tight: `filling.py`
    names: Callable[[], list[list[str]]] | None  # of the features of each action, where an explanation is asked for


class Wish(NamedTuple):
    """What a list is asked for, but for its slots."""

    context: Any = None
    eligible: Iterable[str] | None = None  # of all slots
    excluded: Iterable[str] | None = None
    explain: bool = False


def default_slots(most: int) -> list[AskedSlot]:
    """Return as many slots as a list may have, called by their places."""
    return [AskedSlot(str(place)) for place in range(most)]


def request_of(work: Work, offered: Offered, asked: Sequence[AskedSlot], wish: Wish) -> Request:
    """Return what a list is asked for, with a part for each slot; refuse one that cannot be filled."""
    intake = intake_of(work.spec)
    _check_ids(asked, intake.slots)
    masks = _masks(offered, asked, wish)
    among = tight(masks)
    if among and matching([masks[place] for place in among], np.zeros(len(masks[0]), np.bool_)) is None:
        raise _too_few(work, offered, asked, masks)
    actions, context = offered.actions, wish.context
    contexts = intake.read_slots(context, actions, [slot.features for slot in asked])

    def names(place: int, slot: AskedSlot) -> Callable[[], list[list[str]]]:
        return lambda: intake.slot_names(context, actions, place, slot.features)

    parts = [
        Slot(slot.id, contexts[place], masks[place], below, names(place, slot) if wish.explain else None)
        for place, slot in enumerate(asked)
        for below in [[masks[other] for other in among if other > place]]
    ]
    return Request(None, masks[0], offered.labels, parts=parts)


def _too_few(work: Work, offered: Offered, asked: Sequence[AskedSlot], masks: Sequence[Array]) -> InvalidInput:
    """Return what a list is refused with that cannot be filled: the slots that have too few actions, and these."""
    places, actions = short(masks)
    labels = work.roster.labels if offered.labels is None else offered.labels
    slots = ", ".join(asked[place].id for place in places[:NAMED_MAX])
    named = ", ".join(labels[action] for action in actions[:NAMED_MAX])
    several = "action" if len(actions) == 1 else "actions"
    return InvalidInput(
        "too_few_actions",
        f"the {len(places)} slots {slots} may get {len(actions)} {several} ({named}): each slot of a list needs one of "
        "its own; ask for fewer slots, or let these get more actions",
    )


def part(work: Work, request: Request) -> Request | None:
    """Return what the next slot of a list is asked for; None where all have something."""
    place = len(request.made)
    if place == len(request.parts):
        return None
    slot: Slot = request.parts[place]
    available = slot.mask
    if place or slot.below:
        taken = np.zeros(len(available), np.bool_)
        for made in request.made:
            taken[made.decision.action] = True
        available = available & ~taken
        if slot.below:
            available = left(available, slot.below, taken)
    names = None if slot.names is None else slot.names()
    return request._replace(context=slot.context, available=available, names=names)


def _masks(offered: Offered, asked: Sequence[AskedSlot], wish: Wish) -> list[Array]:
    """Return bool[k] for each slot; the same object where it has no rule of its own."""
    shared = offered.active
    if wish.eligible is not None or wish.excluded is not None:
        shared = mask_of(offered.numbers, shared, wish.eligible, wish.excluded)
    return [
        shared
        if slot.eligible_actions is None and slot.excluded_actions is None
        else mask_of(offered.numbers, shared, slot.eligible_actions, slot.excluded_actions)
        for slot in asked
    ]


def _check_ids(asked: Sequence[AskedSlot], most: int) -> None:
    """Refuse no slots, more than there may be, and two of one id."""
    if not asked:
        raise InvalidInput("no_slots", "the list has no slots: at least one is needed")
    if len(asked) > most:
        raise InvalidInput(
            "too_many_slots", f"the list has {len(asked)} slots: problem.slots.max is {most}; send fewer"
        )
    seen = set()
    for slot in asked:
        if slot.id in seen:
            raise InvalidInput("duplicate_slot", f"two slots have the id {slot.id!r}: ids of a list's slots are unique")
        seen.add(slot.id)
