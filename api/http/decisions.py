"""The hot routes: decide and reward, one by one or in batches, and the story of a decision."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from ...engine.actions import READ
from ...engine.errors import Conflict, InvalidInput, OnearmError
from ...engine.problem import check_reward
from ...engine.storage.store import Event
from ...engine.vocabulary import GIVEN, Decision
from ..experiment.explanation import Explanation
from ..experiment.ids import check_id
from ..experiment.intake import check_labels, check_propensity, mask_of
from ..kinds.queries import http as queries
from ..kinds.queries.live import LiveQuery
from ..kinds.streams.live import LiveStream, detail_of, feedback_of, moved
from ..kinds.vectors import http as vectors
from ..kinds.vectors.live import LiveVector
from ..service.live import Asked, Live, Story
from ..service.service import Service
from .endpoint import Answer, Call, problem
from .requests import find, found_still, hash_of, iso, known_as, one_id, read, sent_of, settled
from .schemas import (
    BatchReward,
    Decide,
    Decided,
    Decisions,
    DecisionStory,
    Example,
    Examples,
    Learned,
    Pulled,
    Reward,
    Rewarded,
    Rewards,
    RowAction,
    StoryReward,
)

BATCH_MAX = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REPLAYED = ((b"idempotency-replayed", b"true"),)
Body = TypeVar("Body")
Found = TypeVar("Found")

_decide = msgspec.json.Decoder(Decide)
_reward = msgspec.json.Decoder(Reward)
_batch_reward = msgspec.json.Decoder(BatchReward)
_decisions = msgspec.json.Decoder(Decisions)
_rewards = msgspec.json.Decoder(Rewards)
_example = msgspec.json.Decoder(Example)
_examples = msgspec.json.Decoder(Examples)
_row_actions = msgspec.json.Decoder(list[RowAction])
_named_actions = msgspec.json.Decoder(list[dict[str, Any]])
_explanation = msgspec.json.Decoder(Explanation)
_BARE = (None, False, msgspec.Raw())


async def decide(service: Service, call: Call) -> Answer:
    """Decide on one instance."""
    live = service.live(call.path["experiment_id"])
    return await _decide_one(service, live, call.body, call.header(b"idempotency-key"))


async def decide_batch(service: Service, call: Call) -> Answer:
    """Decide on many instances, in order."""
    live = service.live(call.path["experiment_id"])
    bodies = _checked_batch(read(_decisions, call.body, "the batch").decisions)
    answers = await asyncio.gather(*(_or_problem(_decide_one(service, live, bytes(raw), None)) for raw in bodies))
    return Answer(200, {"decisions": [answer.content for answer in answers]})


async def reward(service: Service, call: Call) -> Answer:
    """Take the reward of one decision."""
    live, decision_id = service.live(call.path["experiment_id"]), call.path["decision_id"]
    if isinstance(live, LiveVector):
        return await vectors.reward_one(service, live, decision_id, vectors.read_reward(call.body))
    body = read(_reward, call.body, "the reward")
    if isinstance(live, LiveQuery):
        return await queries.reward_one(service, live, decision_id, body)
    return await _reward_one(service, live, decision_id, body)


async def reward_batch(service: Service, call: Call) -> Answer:
    """Take many rewards, in order."""
    live = service.live(call.path["experiment_id"])
    bodies = _checked_batch(read(_rewards, call.body, "the batch").rewards)

    async def one(raw: msgspec.Raw) -> Answer:
        if isinstance(live, LiveVector):
            told = vectors.read_batch_reward(bytes(raw))
            return await vectors.reward_one(service, live, told.decision_id, told)
        body = read(_batch_reward, bytes(raw), "the reward")
        if isinstance(live, LiveQuery):
            return await queries.reward_one(service, live, body.decision_id, body)
        return await _reward_one(service, live, body.decision_id, body)

    answers = await asyncio.gather(*(_or_problem(one(raw)) for raw in bodies))
    return Answer(200, {"rewards": [answer.content for answer in answers]})


async def story(service: Service, call: Call) -> Answer:
    """Tell everything on record about one decision."""
    live = service.live(call.path["experiment_id"])
    found = await find(live, call.path["decision_id"])
    await settled(found)
    if isinstance(live, LiveVector):
        return Answer(200, vectors.story_of(live, found))
    return Answer(200, queries.story_of(live, found) if isinstance(live, LiveQuery) else _story(live, found))


async def learn_examples(service: Service, call: Call) -> Answer:
    """Learn from decisions that someone else made, in order."""
    live = service.live(call.path["experiment_id"])
    bodies = _checked_batch(read(_examples, call.body, "the batch").examples)
    answers = await asyncio.gather(*(_or_problem(_learn_example(service, live, bytes(raw))) for raw in bodies))
    return Answer(200, {"examples": [answer.content for answer in answers]})


async def _decide_one(service: Service, live: Live, raw: bytes, header_id: str | None) -> Answer:
    body = read(_decide, raw or b"{}", "the decision")
    if isinstance(live, LiveStream):
        return await _pull_one(service, live, body, raw, header_id)
    if isinstance(live, LiveVector):
        return await vectors.decide_one(service, live, body, raw, header_id)
    if isinstance(live, LiveQuery):
        return await queries.decide_one(service, live, body, raw, header_id)
    if body.hint is not None:
        raise InvalidInput("unexpected_field", f"the decision has a hint, but {live.spec.id!r} has arms: leave it out")
    if body.explain:
        await live.prepare_explanations()  # first: nothing may be awaited between finding nothing and deciding
    decision_id = one_id(body.decision_id, header_id)
    if (known := await known_as(live, decision_id, raw)) is not None:
        return Answer(200, _decided(live, known), REPLAYED)
    made = live.decide(_asked(live, body, decision_id, raw), service.clock())
    assert made.decided is not None
    await made.decided
    return Answer(201, _decided(live, made))


async def _pull_one(service: Service, live: LiveStream, body: Decide, raw: bytes, header_id: str | None) -> Answer:
    for name in ("context", "actions", "eligible_actions", "excluded_actions", "explain", "hint"):
        if getattr(body, name) not in _BARE:
            raise InvalidInput(
                "unexpected_field",
                f"the decision has {name}, but the arms of {live.spec.id!r} come once: the policy chooses among those "
                "that it holds; leave it out",
            )
    decision_id = one_id(body.decision_id, header_id)
    if (known := await found_still(live, lambda: known_as(live, decision_id, raw))) is not None:
        return Answer(200, _pulled(live, known), REPLAYED)
    made = await live.pull(decision_id, sent_of(raw), None if decision_id is None else hash_of(raw), service.clock())
    return Answer(201, _pulled(live, made))


async def _learn_example(service: Service, live: Live, raw: bytes) -> Answer:
    body = read(_example, raw, "the example")
    if isinstance(live, LiveStream):
        raise InvalidInput(
            "no_examples",
            f"the arms of {live.spec.id!r} come once: decisions that someone else made say nothing about them; offer "
            "arms",
        )
    if isinstance(live, LiveVector):
        raise InvalidInput(
            "no_examples",
            f"{live.spec.id!r} decides vectors: points of someone else are not learned from; decide, and reward",
        )
    if isinstance(live, LiveQuery):
        raise InvalidInput(
            "no_examples",
            f"{live.spec.id!r} asks queries within a budget: those of someone else are not learned from; decide, and "
            "send the answer",
        )
    value, propensity = check_reward(body.value), check_propensity(body.propensity)
    found = await found_still(live, lambda: known_as(live, body.decision_id, raw))
    status: Any = "duplicate"
    if found is None:
        asked = _asked(live, body, body.decision_id, raw)
        action = _position(live, asked, body.action_id)
        found = live.give(asked, Decision(action, propensity), service.clock())
    if found.reward is None:
        live.learn(found, value, "", service.clock())
        status = "accepted"
    await settled(found)
    return Answer(200, Learned(found.event.decision_id or f"~{found.event.number}", status))


def _asked(live: Live, body: Decide | Example, decision_id: str | None, raw: bytes) -> Asked:
    """Return what a body asks for, as the kernels read it."""
    intake, roster = live.spec.intake, live.roster
    listed = bytes(body.actions)
    if not intake.listed and listed:
        raise InvalidInput(
            "unexpected_actions", "the decision has actions, but the experiment has arms: use eligible_actions"
        )
    if intake.listed and not listed:
        raise InvalidInput("missing_actions", "the decision has no actions: list them, each with its id and features")
    actions: Sequence[dict[str, Any]] = roster.arms
    labels, numbers, active = None, roster.numbers, roster.active
    if intake.listed:
        actions = _actions(live, listed)
        labels = [action["id"] for action in actions]
        numbers, active = {label: a for a, label in enumerate(labels)}, np.ones(len(labels), np.bool_)
    available = active
    if body.eligible_actions is not None or body.excluded_actions is not None:
        available = mask_of(numbers, active, body.eligible_actions, body.excluded_actions)
    return Asked(
        context=intake.read(body.context, actions),
        available=available,
        labels=labels,
        decision_id=decision_id,
        sent=sent_of(raw),
        body_hash=None if decision_id is None else hash_of(raw),
        names=intake.names(body.context, actions) if isinstance(body, Decide) and body.explain else None,
    )


def _actions(live: Live, raw: bytes) -> list[dict[str, Any]]:
    """Return the actions that a call lists, each an object with its id."""
    actions: list[dict[str, Any]]
    if live.spec.intake.encoder is None:
        rows = read(_row_actions, raw, "the list of actions")
        actions = [{"id": row.id} if row.features is None else {"id": row.id, "features": row.features} for row in rows]
    else:
        actions = read(_named_actions, raw, "the list of actions")
    check_labels([action.get("id") for action in actions], live.spec.intake.actions_max)
    return actions


def _position(live: Live, asked: Asked, action_id: str) -> int:
    """Return the position of an action that was available."""
    labels = live.roster.labels if asked.labels is None else asked.labels
    if action_id not in labels:
        raise InvalidInput(
            "unknown_action", f"there is no action {action_id[:80]!r}: the actions are {', '.join(labels[:20])}"
        )
    action = labels.index(action_id)
    if not asked.available[action]:
        raise InvalidInput("unavailable_action", f"the action {action_id!r} is not eligible, or retired: leave it out")
    return action


async def _reward_one(service: Service, live: Live, decision_id: str, body: Reward | BatchReward) -> Answer:
    value, pulls, reward_id = check_reward(body.value), body.pulls, body.reward_id
    if reward_id is not None:
        check_id("reward_id", reward_id)
    _check_pulls(live, pulls)
    found = await found_still(live, lambda: find(live, decision_id))
    if isinstance(live, LiveStream) and pulls is not None:
        live.check_feedback(found, value, pulls)
    if found.reward is None:
        if isinstance(live, LiveStream) and pulls is not None:
            live.learn_pulls(found, value, pulls, reward_id or "", service.clock())
        else:
            live.learn(found, value, reward_id or "", service.clock())
        assert found.rewarded is not None
        await found.rewarded
        return Answer(200, Rewarded("accepted"))
    before = found.reward
    await settled(found)
    same_pulls = pulls is None or before.detail == detail_of(pulls)
    if before.reward == value and same_pulls and before.reward_id == (reward_id or ""):
        return Answer(200, Rewarded("duplicate"))
    of_pulls = "" if pulls is None else f" of {feedback_of(before)[0]} pulls"
    raise Conflict(
        "reward_exists",
        f"the decision {decision_id!r} has the reward {before.reward}{of_pulls} already (seq {before.seq}): "
        "a decision takes one reward",
    )


def _check_pulls(live: Live, pulls: int | None) -> None:
    if isinstance(live, LiveStream) and pulls is None:
        raise InvalidInput(
            "missing_pulls",
            "the reward has no pulls: send the sum of the rewards as value, and how many pulls were done",
        )
    if not isinstance(live, LiveStream) and pulls is not None:
        raise InvalidInput(
            "unexpected_pulls",
            f"the reward has pulls, but the decisions of {live.spec.id!r} are single ones: leave them out",
        )


async def _or_problem(answer: Any) -> Answer:
    try:
        return await answer
    except OnearmError as error:
        return problem(error)


def _checked_batch(items: list[msgspec.Raw]) -> list[msgspec.Raw]:
    if len(items) > BATCH_MAX:
        raise InvalidInput("batch_too_large", f"the batch has {len(items)} items: send at most {BATCH_MAX} at once")
    return items


def _pulled(live: LiveStream, found: Story) -> Pulled:
    event = found.event
    said = moved(event)
    assert event.number is not None and said.arm_id is not None, "this is a pull"
    return Pulled(
        decision_id=event.decision_id or f"~{event.number}",
        number=event.number,
        move="pull",
        arm_id=said.arm_id,
        pulls=live.asked(event),
        evicted=said.evicted,
        propensity=event.propensity,
        policy=live.spec.policy.name,
        model_version=event.seq - 1,
    )


def _decided(live: Live, found: Story) -> Decided:
    event = found.event
    decided = Decided(
        decision_id=event.decision_id or f"~{event.number}",
        action_id=live.labels(event)[event.action],  # type: ignore[index]
        propensity=event.propensity,
        policy=live.spec.policy.name,
        model_version=event.seq - 1,
    )
    if event.detail is not None:
        reasons = _explanation.decode(event.detail)
        decided.ranking, decided.explanation = reasons.ranking, reasons.explanation
    return decided


def _story_of_move(live: LiveStream, found: Story) -> DecisionStory:
    """Tell a pull, or a read; an arm that was read is what was `sent` of it, when it was offered."""
    event, reward = found.event, found.reward
    was_read, said = live.action(event)[0] == READ, moved(event)
    assert event.number is not None, "this is a decision"
    return DecisionStory(
        decision_id=f"~{event.number}" if was_read or event.decision_id is None else event.decision_id,
        number=event.number,
        seq=event.seq,
        action_id=said.arm_id,
        propensity=event.propensity,
        policy=live.spec.policy.name,
        model_version=event.seq - 1,
        given=False,
        context=None,
        actions=None,
        eligible_actions=None,
        sent=None if event.sent is None else msgspec.Raw(event.sent.encode()),
        time=iso(event.time),
        reward=None if reward is None else _told(reward, feedback_of(reward)[0]),
        move="read" if was_read else "pull",
        pulls=live.asked(event),
        evicted=said.evicted,
    )


def _told(reward: Event, pulls: int | UnsetType = UNSET) -> StoryReward:
    assert reward.reward is not None, "this is a reward"
    return StoryReward(
        value=reward.reward,
        reward_id=reward.reward_id or None,
        seq=reward.seq,
        time=iso(reward.time),
        pulls=pulls,
    )


def _story(live: Live, found: Story) -> DecisionStory:
    if isinstance(live, LiveStream):
        return _story_of_move(live, found)
    event = found.event
    decided = _decided(live, found)
    labels = live.labels(event)
    eligible = None
    if event.available is not None:
        eligible = [label for label, free in zip(labels, live.mask(event), strict=False) if free]
    named = live.problem.context_kind == "named"
    return DecisionStory(
        decision_id=decided.decision_id,
        number=event.number,  # type: ignore[arg-type]
        seq=event.seq,
        action_id=decided.action_id,
        propensity=decided.propensity,
        policy=decided.policy,
        model_version=decided.model_version,
        given=event.kind == GIVEN,
        context=None if event.context is None or named else live.context(event).tolist(),
        actions=None if event.actions is None else list(labels),
        eligible_actions=eligible,
        sent=None if event.sent is None else msgspec.Raw(event.sent.encode()),
        time=iso(event.time),
        reward=None if found.reward is None else _told(found.reward),
        ranking=decided.ranking,
        explanation=decided.explanation,
    )
