"""Lists over HTTP: the request, the answer, the record and the rewards of their slots."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from ....engine.errors import InvalidInput
from ....engine.problem import check_reward
from ....engine.storage.records import Event
from ....engine.vocabulary import Action, Decision, Feedback
from ...experiment.explanation_schemas import Explanation
from ...http.bodies import read
from ...http.schemas import Decide
from ..arms.http import EXPLANATION, offered
from ..kind import NO_DETAIL, Encoded, Reader, Request, Work, id_of, known
from .bodies import AskedSlot, BatchListReward, FilledSlot, ListDecision, ListReward, SlotDetail
from .problem import intake_of
from .slots import NAMED_MAX, Wish, default_slots, request_of

READER = Reader(msgspec.json.Decoder(ListReward), msgspec.json.Decoder(BatchListReward), "the reward")
DETAIL = msgspec.json.Decoder(SlotDetail)
Said = float | dict[str, float]  # one value for all slots, or some by the ids of theirs
_slots = msgspec.json.Decoder(list[AskedSlot])


def request(work: Work, body: Decide) -> Request:
    """Return what a body asks for: a part for each slot."""
    raw = bytes(body.slots)
    asked = read(_slots, raw, "the list of slots") if raw else default_slots(intake_of(work.spec).slots)
    wish = Wish(body.context, body.eligible_actions, body.excluded_actions, body.explain)
    return request_of(work, offered(work, bytes(body.actions)), asked, wish)


def encode(work: Work, request: Request, decision: Decision) -> Encoded:
    """Return the arm of a slot, and where it stands; with the last one what all got, which is what is answered."""
    parts, made = request.parts, request.made
    place, slots = len(made), len(parts)
    said = None if request.reasons is None else EXPLANATION.decode(request.reasons)
    detail = SlotDetail(
        request.decision_id or f"~{work.number + slots - 1 - place}", parts[place].id, place, slots, said=said
    )
    if place == slots - 1:
        labels = work.roster.labels if request.labels is None else request.labels
        whole = [(one.decision, one.reasons) for one in made] + [(decision, request.reasons)]
        detail.filled = [
            filled(
                slot.id,
                labels[one.action],
                known(one.propensity),
                Explanation() if reasons is None else EXPLANATION.decode(reasons),
            )
            for slot, (one, reasons) in zip(parts, whole, strict=True)
        ]
    return Encoded(int(decision.action), None, msgspec.json.encode(detail).decode())


def filled(slot_id: str, action_id: str, propensity: float | None, said: Explanation) -> FilledSlot:
    """Return what the last slot of a list says of one: what it got, and why, where that was asked for."""
    return FilledSlot(slot_id, action_id, propensity, said.ranking or UNSET, said.explanation or UNSET)


def detail_of(event: Event) -> SlotDetail:
    """Return what the log says of the decision for a slot."""
    return DETAIL.decode(event.detail or "")


def numbers(event: Event) -> range:
    """Return the numbers of the decisions of a list, by the event of one of them; of one that is erased its own."""
    assert event.number is not None
    if event.detail is None:
        return range(event.number, event.number + 1)
    detail = detail_of(event)
    first = event.number - detail.place
    return range(first, first + detail.slots)


def goes_with(event: Event, other: Event) -> bool:
    """Tell whether decisions are slots of one list: a list that broke off has fewer than it was to have."""
    if event.detail is None or other.detail is None or event.number is None or other.number is None:
        return event.number == other.number
    one, another = detail_of(event), detail_of(other)
    return (one.list_id, event.number - one.place) == (another.list_id, other.number - another.place)


def action(work: Work, event: Event) -> Action:
    """Return the arm of a slot."""
    return event.action


def answer(work: Work, event: Event) -> ListDecision:
    """Return what a client gets: what the last decision of a list says of all."""
    return ListDecision(id_of(event), detail_of(event).filled, work.policy_name(event), event.seq - 1)


def record(work: Work, event: Event) -> dict[str, Any]:
    """Return what is on record of a slot."""
    detail = detail_of(event)
    said = detail.said or Explanation()
    assert event.action is not None
    return {
        "action_id": work.labels(event)[event.action],
        "eligible_actions": work.eligible(event),
        "list_id": detail.list_id,
        "slot_id": detail.slot_id,
        "sticky": said.sticky or UNSET,
        "ranking": said.ranking or UNSET,
        "explanation": said.explanation or UNSET,
    }


def read_feedback(work: Work, body: ListReward | BatchListReward) -> Said:
    """Return the rewards of a body: one for all slots, or some by their ids."""
    if (body.value is None) == (body.slots is None):
        seen = "neither" if body.value is None else "both"
        raise InvalidInput(
            "one_of_two",
            f"the reward has {seen} of value, which goes to each slot, and slots, with a value each: send one of them",
        )
    if body.slots is None:
        return check_reward(body.value, work.limits)
    if not body.slots:
        raise InvalidInput("no_slots", "the reward names no slots: at least one is needed")
    found: dict[str, float] = {}
    for slot in body.slots:
        if slot.id in found:
            raise InvalidInput("duplicate_slot", f"the reward names slot {slot.id!r} twice: a slot has one reward")
        found[slot.id] = check_reward(slot.value, work.limits)
    return found


def shares(work: Work, event: Event, said: Said) -> list[tuple[int, Feedback]]:
    """Return the reward of each slot that is told, by the number of its decision."""
    of_list = numbers(event)
    if not isinstance(said, dict):
        return [(number, Feedback(said, NO_DETAIL)) for number in of_list]
    places = {slot.id: number for slot, number in zip(detail_of(event).filled, of_list, strict=True)}
    for slot_id in said:
        if slot_id not in places:
            raise InvalidInput(
                "unknown_slot",
                f"there is no slot {slot_id[:80]!r}: those of the list are {', '.join(list(places)[:NAMED_MAX])}",
            )
    return [(places[slot_id], Feedback(value, NO_DETAIL)) for slot_id, value in said.items()]


def feedback_on(work: Work, decided: Event, action: Action, body: Feedback) -> Feedback:
    """Return the reward of a slot as it is."""
    return body


def reward_record(work: Work, reward: Event) -> dict[str, Any]:
    """Return what is on record of the reward of a slot."""
    return {"value": reward.reward}


def reward_exists(decision_id: str, before: Event) -> str:
    """Say that there is a reward."""
    return (
        f"the slot {decision_id!r} has the reward {before.reward} already (seq {before.seq}): a slot takes one reward"
    )
