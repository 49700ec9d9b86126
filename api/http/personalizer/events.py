"""Ranks, rewards and activations, of one action or of several slots: those of our own routes under other names."""

from __future__ import annotations

from typing import Any

import msgspec

from ....engine.errors import Conflict
from ...kinds.arms.bodies import ArmDecision
from ...kinds.lists.bodies import ListDecision
from ...service.service import Service
from .. import decisions, windowed
from ..bodies import read
from ..call import Call
from ..endpoint import Answer, encode
from ..trace import name_of
from .bodies import (
    EventReward,
    RankedAction,
    RankResponse,
    SlotResponse,
    SlotsResponse,
    WireSlotRewards,
    read_rank,
    read_rank_slots,
)
from .made import at_work

CALLED = b"x-ms-client-request-id"  # what Azure's clients call a request, and each retry of it
DONE = Answer(204, b"")

_reward = msgspec.json.Decoder(EventReward)
_slot_rewards = msgspec.json.Decoder(WireSlotRewards)


async def rank(service: Service, call: Call) -> Answer:
    """Choose one of the actions; the same event again gets the first answer."""
    asked, ids, ours = read_rank(call.body)
    await at_work(service, call)
    answer = await decisions.decide(service, call._replace(body=encode(ours)))
    made: ArmDecision = answer.content
    excluded = asked.excluded_actions or ()
    ranking = _ranking(made, [one for one in ids if one not in excluded])
    ranking += [RankedAction(one, 0.0) for one in ids if one in excluded]
    return Answer(201, RankResponse(ranking, made.decision_id, made.action_id), answer.headers)


def _ranking(made: ArmDecision, ids: list[str]) -> list[RankedAction]:
    """Return the actions that could be chosen: the chosen one, then the others as likely as they were.

    Of an apprentice what the client would do by itself is done, and that is the first action.
    """
    chosen = made.action_id
    if made.given is True:
        return [RankedAction(chosen, 1.0)] + [RankedAction(one, 0.0) for one in ids if one != chosen]
    assert made.ranking, "a rank asks for it"
    ranked = [RankedAction(one.action_id, one.probability) for one in made.ranking]
    return [one for one in ranked if one.id == chosen] + [one for one in ranked if one.id != chosen]


async def rank_slots(service: Service, call: Call) -> Answer:
    """Choose an action for each slot."""
    ours = read_rank_slots(call.body)
    await at_work(service, call)
    answer = await decisions.decide(service, call._replace(body=encode(ours)))
    made: ListDecision = answer.content
    slots = [SlotResponse(slot.id, slot.action_id) for slot in made.slots]
    return Answer(201, SlotsResponse(made.decision_id, slots), answer.headers)


async def reward(service: Service, call: Call) -> Answer:
    """Take a reward of an event."""
    body = read(_reward, call.body, "the reward")
    return await _rewarded(service, call, {"value": body.value})


async def reward_slots(service: Service, call: Call) -> Answer:
    """Take rewards of slots of an event."""
    body = read(_slot_rewards, call.body, "the reward")
    return await _rewarded(service, call, {"slots": [{"id": one.slot_id, "value": one.value} for one in body.reward]})


async def _rewarded(service: Service, call: Call, body: dict[str, Any]) -> Answer:
    """Take a reward; where several come to one each call is one more, by the name that its request goes by."""
    if service.live(call.path["experiment_id"]).windows is not None:
        body["reward_id"] = call.header(CALLED) or name_of(call.scope)
    await decisions.reward(service, call._replace(body=encode(body)))
    return DONE


async def activate(service: Service, call: Call) -> Answer:
    """Say that an event is shown now; of one that was not deferred this says nothing new."""
    try:
        await windowed.activate(service, call._replace(body=b""))
    except Conflict as error:
        if error.code != "not_deferred":
            raise
    return DONE
