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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from ....engine.errors import InvalidInput, as_seen
from ....engine.features import unit_of
from ....engine.problem import check_reward
from ....engine.vocabulary import Decision, Feedback
from ...experiment.ids import check_id
from ...experiment.spec import Spec
from ..arms.calls import check_listed
from ..arms.decided import ArmDecision
from ..arms.http import Offered, of_call
from ..engine import PolicyEngine
from ..kind import NO_DETAIL, Made
from ..pending import REMEMBERED
from .bodies import AskedSlot
from .kind import LISTS
from .problem import intake_of
from .slots import Wish, default_slots, part, request_of


@dataclass(frozen=True)
class ListDecision:
    """A list as a person wants it: what each slot got, by the id of the slot, from the first on."""

    slots: dict[str, ArmDecision]

    @property
    def action_ids(self) -> list[str]:
        """The ids of what is in the list, from the first slot on."""
        return [slot.action_id for slot in self.slots.values()]


class ListEngine(PolicyEngine[ArmDecision]):
    """One policy at work on lists in this process; not to be shared between threads. `onearm.open` makes it."""

    def __init__(self, spec: Spec, remember: int = REMEMBERED) -> None:
        super().__init__(spec, LISTS, ArmDecision, remember)

    def decide(
        self,
        slots: Sequence[str | dict[str, Any]] | None = None,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
        time: int = 0,
    ) -> ListDecision:
        """Fill a list: each slot gets another action, and nothing is learned meanwhile.

        `slots` are their ids, or objects with an "id", and "features", "eligible_actions" or "excluded_actions"; as
        many as a list may have, called by their places from "0" on, where they are left out. `context`, `eligible`,
        `actions`, `unit_id` and `time` hold for all of them, and are as those of arms.
        Raises `InvalidInput` where a slot would be left without an action; nothing is decided then.
        """
        asked = default_slots(intake_of(self.spec).slots) if slots is None else _asked(slots)
        request = request_of(self, self._offered(actions), asked, Wish(context, eligible))
        unit = unit_of(None if unit_id is None else check_id("unit_id", unit_id))
        labels = self.roster.labels if request.labels is None else request.labels
        made: list[ArmDecision] = []
        while (one := part(self, request)) is not None:
            instance, (action, propensity) = self._decide(one._replace(unit=unit, time=time))
            seen = {"_context": instance.context, "_available": instance.available, "_unit": unit, "_time": time}
            choice = int(action), float(propensity)
            made.append(ArmDecision(instance.t, labels[action], *choice, **seen, _engine=self._pending.engine))
            self._pending.hold(made[-1])
            request = request._replace(made=(*request.made, Made(Decision(action, propensity), None)))
        return ListDecision({slot.id: choice for slot, choice in zip(asked, made, strict=True)})

    def learn(self, decision: ListDecision, rewards: float | Mapping[str, float]) -> None:
        """Learn what came of a list: rewards of some slots by their ids, or one number, which goes to each of them.

        Up is better. Each slot takes one reward. Nothing is learned where one of them is no number, outside of the
        declared range, or of a slot that is not there or has its reward already.
        """
        if not isinstance(decision, ListDecision):
            raise InvalidInput("bad_decision", f"the decision is {as_seen(decision)}: give what decide() returned")
        told = rewards if isinstance(rewards, Mapping) else dict.fromkeys(decision.slots, rewards)
        found = []
        for slot_id, reward in told.items():
            if slot_id not in decision.slots:
                raise InvalidInput(
                    "unknown_slot",
                    f"there is no slot {as_seen(slot_id)}: those of the list are {', '.join(decision.slots)}",
                )
            value = reward.item() if isinstance(reward, np.generic) else reward
            made = self._pending.find(decision.slots[slot_id], self.number)
            found.append((made, Feedback(check_reward(value, self.limits), NO_DETAIL)))
        for made, feedback in found:
            self._learn(made, feedback)

    def _offered(self, actions: Sequence[dict[str, Any]] | None) -> Offered:
        """Return what can be chosen: the arms, or the actions of a call."""
        intake, roster = self.spec.intake, self.roster
        check_listed(intake, actions)
        if actions is None:
            return Offered(roster.arms, None, roster.numbers, roster.active)
        return of_call(actions, intake.actions_max)


def _asked(slots: Any) -> list[AskedSlot]:
    """Return slots as people name them."""
    if isinstance(slots, (str, bytes)) or not isinstance(slots, Sequence):
        raise InvalidInput("bad_slot", f"slots is {as_seen(slots)}: it must be a list of ids, or of objects with one")
    try:
        named = [{"id": slot} if isinstance(slot, str) else slot for slot in slots]
        return msgspec.convert(msgspec.to_builtins(named, enc_hook=_listed), list[AskedSlot])
    except msgspec.ValidationError as error:
        raise InvalidInput("bad_slot", f"slots is not a list of ids, or of objects with one: {error}") from None


def _listed(value: Any) -> Any:
    """Return an array or a number of NumPy as lists and numbers of Python."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise InvalidInput("bad_slot", f"a slot holds {as_seen(value)}: send numbers, text, lists or objects")
