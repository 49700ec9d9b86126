"""Lists from Python: fill the slots of a list, and learn what came of each; `onearm.open` with `slots` makes one.

>>> import onearm
>>> engine = onearm.open("ucb1", arms=["a", "b", "c"], slots=2)
>>> shelf = engine.decide()
>>> shelf.action_ids
['a', 'b']
>>> engine.learn(shelf, {"0": 0.0, "1": 1.0})
>>> engine.decide([{"id": "top", "excluded_actions": ["c"]}]).action_ids
['b']
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ....engine.errors import InvalidInput, as_seen
from ....engine.features import unit_of
from ....engine.problem import check_reward
from ....engine.storage.records import Event
from ....engine.vocabulary import Decision, Feedback
from ...experiment.ids import ids_of
from ...experiment.spec import Spec
from ..arms.calls import check_listed, checked_unit, sent_of
from ..arms.choosing import ChoosingEngine
from ..arms.decided import ArmDecision, arm_decision
from ..arms.http import Offered, of_call
from ..kind import NO_DETAIL, Asked, Made, Request, part_of_a_list
from ..pending import REMEMBERED
from . import http as of_lists
from .bodies import AskedSlot, slots_named
from .kind import LISTS
from .problem import intake_of
from .slots import Wish, default_slots, part, request_of

if TYPE_CHECKING:
    from ...durable.journal import Journal


@dataclass(frozen=True)
class ListDecision:
    """A list as a person wants it: what each slot got, by the id of the slot, from the first on."""

    slots: dict[str, ArmDecision]

    @property
    def decision_id(self) -> str:
        """By what a log knows it: that of its last slot."""
        return next(reversed(self.slots.values())).decision_id

    @property
    def propensity(self) -> float:
        """The probability of the list, the product over its slots; NaN where that of one is not known."""
        return math.prod(slot.propensity for slot in self.slots.values())

    @property
    def action_ids(self) -> list[str]:
        """The ids of what is in the list, from the first slot on."""
        return [slot.action_id for slot in self.slots.values()]


class ListEngine(ChoosingEngine):
    """One policy at work on lists in this process; in memory it is for one thread. `onearm.open` makes it."""

    def __init__(self, spec: Spec, remember: int = REMEMBERED, journal: Journal | None = None) -> None:
        super().__init__(spec, LISTS, ArmDecision, remember, journal)

    def decide(
        self,
        slots: Sequence[str | dict[str, Any]] | None = None,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
        time: int | None = None,
    ) -> ListDecision:
        """Fill a list: each slot gets another action, and nothing is learned meanwhile.

        `slots` are their ids, or objects with an "id", and "features", "eligible_actions" or "excluded_actions"; as
        many as a list may have, called by their places from "0" on, where they are left out. `context`, `eligible`,
        `actions`, `unit_id` and `time` hold for all of them, and are as those of arms.
        Raises `InvalidInput` where a slot would be left without an action; nothing is decided then. Where there is a
        log, a list is one transaction.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        asked = default_slots(intake_of(self.spec).slots) if slots is None else _asked(slots)
        request = request_of(self, self._offered(actions), asked, Wish(context, ids_of("eligible", eligible)))
        unit, at = unit_of(checked_unit(unit_id)), self._when(time)
        labels = self.roster.labels if request.labels is None else request.labels
        made: list[ArmDecision] = []
        events: list[Event] = []
        while (one := part(self, request)) is not None:
            one = one._replace(unit=unit, time=at)
            is_last = len(made) == len(request.parts) - 1
            sent = sent_of(context, actions, slots) if is_last and self._journal is not None else None
            decision = self._decided(one, Asked(one, unit_id, sent), events)
            action, propensity = int(decision.action), float(decision.propensity)
            carried = {"_context": one.context, "_available": one.available, "_unit": unit, "_time": at}
            number = self.number - 1
            made.append(
                ArmDecision(number, labels[action], action, propensity, **carried, _engine=self._pending.engine)
            )
            request = request._replace(made=(*request.made, Made(Decision(action, propensity), None)))
        if self._journal is not None:
            self._journal.write(events)
        for choice in made:
            self._pending.hold(choice)
        return ListDecision({slot.id: choice for slot, choice in zip(asked, made, strict=True)})

    def _decided(self, request: Request, asked: Asked, events: list[Event]) -> Decision:
        """Decide for a slot; where there is a log, the event of it comes behind those of the slots above."""
        journal = self._journal
        if journal is not None:
            asked = asked._replace(request=journal.begin(self, request))
        decision = self.choose(request)
        self._check(self, decision, request.available)
        if journal is None:
            self.number += 1
        else:
            events.append(journal.numbered(self, asked, decision))
        return decision

    def learn(self, decision: ListDecision | str, rewards: float | Mapping[str, float]) -> None:
        """Learn what came of a list: rewards of some slots by their ids, or one number, which goes to each of them.

        Up is better. Each slot takes one reward, and one at least. Where there is a log, the id of a list stands
        for it, however long ago it was filled. Nothing is learned where one of the rewards is no number, outside of the
        declared range, or of a slot that is not there or has its reward already.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        slots = self._slots_of(decision)
        told = rewards if isinstance(rewards, Mapping) else dict.fromkeys(slots, rewards)
        if not told:
            raise InvalidInput("no_slots", "the rewards name no slots: at least one is needed")
        found = []
        for slot_id, reward in told.items():
            if slot_id not in slots:
                raise InvalidInput(
                    "unknown_slot",
                    f"there is no slot {as_seen(slot_id)}: those of the list are {', '.join(slots)}",
                )
            value = reward.item() if isinstance(reward, np.generic) else reward
            made = self._pending.find(slots[slot_id], self.number)
            found.append((made, Feedback(check_reward(value, self.limits), NO_DETAIL)))
        self._learn(*found)

    def _slots_of(self, decision: ListDecision | str) -> Mapping[str, ArmDecision | int]:
        """Return the decisions for the slots of a list, or their numbers, by the ids of the slots."""
        if isinstance(decision, ListDecision):
            return decision.slots
        if self._journal is None or not isinstance(decision, str):
            also = "" if self._journal is None else ", or its decision_id"
            seen = f"the decision is {as_seen(decision)}"
            raise InvalidInput("bad_decision", f"{seen}: give what decide() returned{also}")
        event = self._journal.decision(decision)
        numbers = of_lists.numbers(event)
        if event.detail is None or event.number != numbers[-1]:
            raise part_of_a_list(event, numbers)
        return {slot.id: number for slot, number in zip(of_lists.detail_of(event).filled, numbers, strict=True)}

    def _remade(self, event: Event) -> ArmDecision:
        return arm_decision(event, self.labels(event), self._carried(event))

    def _offered(self, actions: Sequence[dict[str, Any]] | None) -> Offered:
        """Return what can be chosen: the arms, or the actions of a call."""
        intake, roster = self.spec.intake, self.roster
        check_listed(intake, actions)
        if actions is None:
            return Offered(roster.arms, None, roster.numbers, roster.active)
        return of_call(actions, intake.actions_max)


def _asked(slots: Any) -> list[AskedSlot]:
    """Return slots as people name them."""
    named = slots_named(slots)
    try:
        return msgspec.convert(msgspec.to_builtins(named, enc_hook=_listed), list[AskedSlot])
    except msgspec.ValidationError as error:
        raise InvalidInput("bad_slot", f"slots is not a list of ids, or of objects with one: {error}") from None


def _listed(value: Any) -> Any:
    """Return an array or a number of NumPy as lists and numbers of Python."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise InvalidInput("bad_slot", f"a slot holds {as_seen(value)}: send numbers, text, lists or objects")
