"""Streams of arms over HTTP: the answer and the record of a pull or a read, and the reward of pulls."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ....engine.actions import READ
from ....engine.errors import Conflict, InvalidInput
from ....engine.problem import check_reward, refuse_cost
from ....engine.storage.records import Event
from ....engine.vocabulary import Array, Feedback
from ...http.schemas import BatchReward, Decide, Reward
from ..kind import Reader, Request, Work, id_of
from ..sample import Sample
from .arm_queue import ArmQueue, empty_places, within
from .bodies import Stream, StreamDecision
from .moves import action, feedback_of, moved, pulls_of
from .problem import slots_of

READER = Reader(msgspec.json.Decoder(Reward), msgspec.json.Decoder(BatchReward), "the reward")
_NOTHING = Request(np.zeros(0), np.zeros(0, np.bool_))


def request(work: Work, body: Decide) -> Request:
    """Return nothing: what can be done changes with each move (`moves.py`)."""
    return _NOTHING


def sample(work: Work, value: float) -> Sample:
    """Return bodies that it takes: an arm is offered before the first decision."""
    before = () if work.own.read_so_far or work.own.n_waiting else (("arms", {"id": "first"}),)
    return Sample({}, {"value": value, "pulls": 1}, before)


def answer(work: Work, event: Event) -> StreamDecision:
    """Return what a client gets: a pull."""
    said = moved(event)
    assert event.number is not None and said.arm_id is not None, "this is a pull"
    return StreamDecision(
        decision_id=id_of(event),
        number=event.number,
        move="pull",
        arm_id=said.arm_id,
        pulls=pulls_of(work, event),
        evicted=said.evicted,
        propensity=event.propensity,
        policy=work.spec.policy.name,
        model_version=event.seq - 1,
    )


def record(work: Work, event: Event) -> dict[str, Any]:
    """Return what is on record of a pull, or a read; an arm that was read is what was `sent` when it was offered."""
    was_read, said = action(work, event)[0] == READ, moved(event)
    return {
        "decision_id": f"~{event.number}" if was_read else id_of(event),
        "action_id": said.arm_id,
        "move": "read" if was_read else "pull",
        "pulls": pulls_of(work, event),
        "evicted": said.evicted,
    }


def read_feedback(work: Work, body: Reward) -> tuple[float, int]:
    """Return the sum of the rewards of a body, and how many pulls were done."""
    total = check_reward(body.value)
    refuse_cost(work.problem, body.cost)
    if body.pulls is None:
        raise InvalidInput(
            "missing_pulls",
            "the reward has no pulls: send the sum of the rewards as value, and how many pulls were done",
        )
    return total, body.pulls


def feedback_on(work: Work, decided: Event, move: Array, body: tuple[float, int]) -> Feedback:
    """Refuse the sum of the rewards of so many pulls where it cannot be that of a decision."""
    total, pulls = body
    if (planned := pulls_of(work, decided)) == 0:
        raise InvalidInput(
            "not_a_pull",
            f"decision {decided.number} read an arm: the service answered it; reward the pulls that you were asked for",
        )
    if not 0 <= pulls <= planned:
        raise InvalidInput(
            "bad_pulls", f"there are {pulls} pulls: decision {decided.number} asked for {planned}; at least 0"
        )
    if not within(total, pulls, reward_range := work.problem.reward_range):
        rule = "of no pulls it is 0"
        if pulls and reward_range is not None:
            low, high = reward_range
            rule = f"each lies in [{low:g}, {high:g}] (problem.reward_range), so it is within [{pulls * low:g}, "
            rule += f"{pulls * high:g}]"
        raise InvalidInput("bad_reward", f"the sum of {pulls} rewards is {total:g}: {rule}")
    return Feedback(total, np.array([pulls, -1.0]))


def learned(work: Work, decided: Event, move: Array, feedback: Feedback) -> None:
    """Enter what pulls of an arm brought; refuse it where the arm is not any more where it was pulled."""
    place = int(move[1])
    _check_place(work, decided, place)
    work.own.learn(place, int(feedback.detail[0]), feedback.reward)


def _check_place(work: Work, decided: Event, place: int) -> None:
    queue = work.own
    if queue.places.arm[place] >= 0 and queue.places.since[place] < decided.number:
        return
    label = moved(decided).arm_id
    if any(held.arm_id == label for held in queue.held):
        raise Conflict(
            "arm_moved",
            f"the arm {label!r} was stored in another place after decision {decided.number}: its pulls cannot be "
            "counted any more; go on with a new decision",
        )
    if queue.answer is not None:
        raise Conflict(
            "committed",
            f"the experiment {work.spec.id!r} is committed to {queue.answer.arm_id!r}, and the arm "
            f"{label!r} left: its pulls count for nothing; unload it",
        )
    raise Conflict(
        "arm_evicted",
        f"the arm {label!r} was dropped or replaced after decision {decided.number}: its pulls count for nothing; "
        "unload it",
    )


def reward_record(work: Work, reward: Event) -> dict[str, Any]:
    """Return what is on record of the reward of pulls."""
    return {"value": reward.reward, "pulls": feedback_of(reward)[0]}


def reward_exists(decision_id: str, before: Event) -> str:
    """Say that there is a reward."""
    return (
        f"the decision {decision_id!r} has the reward {before.reward} of {feedback_of(before)[0]} pulls already "
        f"(seq {before.seq}): a decision takes one reward"
    )


def describe(work: Work) -> dict[str, Any]:
    """Return how far the stream is."""
    problem = work.spec.problem
    queue = work.own or ArmQueue(problem, empty_places(slots_of(problem)))  # the log is not folded yet
    progress = Stream(
        slots=slots_of(problem),
        held=queue.held,
        peak_held=int(queue.places.peak[0]),
        waiting=queue.n_waiting,
        arms_seen=queue.read_so_far,
        pulls_made=queue.made,
        pulls_left=None if problem.horizon is None else max(problem.horizon - queue.made, 0),
        closed=queue.closed,
        over=queue.over,
        committed=None if queue.committed is None else queue.label(queue.committed),
    )
    return {"stream": progress}
