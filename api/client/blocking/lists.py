"""An experiment that fills lists: the methods of the engine that `onearm.open` returns for slots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ....engine.errors import InvalidInput, Unavailable, as_seen
from ...experiment.ids import check_id, ids_of
from ...kinds.lists.bodies import ListDecision, slots_named
from ..bodies import given
from ..decided import ListChoice, Shown, Slot
from .choosing import Choosing
from .deciding import asking, nothing
from .experiment import name_of
from .telling import tell_shown

Filling = Mapping[str, str] | Sequence[str]
Fallback = Filling | Callable[[Any, Sequence[str] | None], Filling]


class Lists(Choosing):
    """Lists, and the rewards of their slots."""

    def decide(
        self,
        slots: Sequence[str | dict[str, Any]] | None = None,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
        decision_id: str | None = None,
        excluded: Iterable[str] | None = None,
        deferred: bool = False,
        explain: bool = False,
        fallback: Fallback | None = None,
    ) -> ListChoice[None]:
        """Fill a list: each slot gets another action, and nothing is learned meanwhile; as the engine's `decide`.

        `decision_id` is an id of yours for the list, and else a new one. `deferred` says that the list is not shown
        yet, and `explain` asks for reasons, which `answer` has then. `fallback` is what is shown where the service
        stays away: the ids of the actions from the first slot on, or by the ids of the slots, or a function of context
        and eligible ids that returns either.
        """
        among = ids_of("eligible", eligible)
        asked = None if slots is None else slots_named(slots)
        name, body = asking(
            decision_id,
            slots=asked,
            context=context,
            eligible_actions=among,
            excluded_actions=ids_of("excluded", excluded),
            actions=actions,
            unit_id=unit_id,
            defer_activation=deferred,
            explain=explain,
        )
        if fallback is None:
            return self._choice(self._decided(ListDecision, body))
        if not callable(fallback):
            _filled(fallback, asked)  # raises now what is wrong with it
        try:
            return self._choice(self._decided(ListDecision, body, self._away_s))
        except Unavailable:
            filled = _filled(fallback(context, among) if callable(fallback) else fallback, asked)
            shown = {slot_id: Slot(action_id, math.nan) for slot_id, action_id in filled.items()}
            return ListChoice(name, shown, None, self.learn, nothing, Shown(body, None, None, filled))

    def learn(
        self,
        decision: ListChoice[Any] | str,
        rewards: float | Mapping[str, float],
        *,
        reward_id: str | None = None,
    ) -> None:
        """Tell what came of a list, or of that of an id: rewards of some slots by their ids, or one number, which goes
        to each of them; up is better. As the engine's `learn`.

        Where lists have windows a `reward_id` tells several rewards of one slot apart.
        """
        told = _rewards(rewards) | given(reward_id=reward_id)
        name, shown = name_of(decision), None if isinstance(decision, str) else decision._shown
        if shown is None:
            self._rewarded(name, told)
        elif self._queue is not None:
            self._put(name, told, shown)
        else:
            tell_shown(self._connection, self._path, name, shown, told)

    def _choice(self, made: ListDecision) -> ListChoice[None]:
        slots = {
            slot.id: Slot(slot.action_id, math.nan if slot.propensity is None else slot.propensity)
            for slot in made.slots
        }
        return ListChoice(made.decision_id, slots, made, self.learn, nothing)


def _filled(fallback: Any, asked: Sequence[Any] | None) -> dict[str, str]:
    """Return which action each slot has in a fallback, by the ids of the slots."""
    if isinstance(fallback, (list, tuple)):
        names = [str(place) for place in range(len(fallback))] if asked is None else [slot.get("id") for slot in asked]
        found = dict(zip(names, fallback, strict=True)) if len(names) == len(fallback) else {}
    else:
        found = dict(fallback) if isinstance(fallback, Mapping) else {}
    if not found or not all(isinstance(action, str) for action in found.values()):
        raise InvalidInput(
            "bad_fallback",
            f"the fallback is {as_seen(fallback)}: it must be the ids of actions, one for each slot that is asked for, "
            "or an object with them by the ids of the slots",
        )
    if len(set(found.values())) < len(found):
        raise InvalidInput("bad_fallback", f"the fallback is {as_seen(fallback)}: each action stands once in a list")
    return {check_id("a slot", slot): check_id("an action of a fallback", action) for slot, action in found.items()}


def _rewards(rewards: Any) -> dict[str, Any]:
    """Return the rewards of slots, or of a whole list, as fields of a body."""
    several = isinstance(rewards, Mapping)
    for one in rewards.values() if several else [rewards]:
        if isinstance(one, float) and not math.isfinite(one):  # which JSON cannot say
            raise InvalidInput("bad_reward", f"the reward is {as_seen(one)}: it must be a finite number")
    if not several:
        return {"value": rewards}
    return {"slots": [{"id": slot, "value": value} for slot, value in rewards.items()]}
