"""The hot routes: decide and reward, one by one or in batches, and the story of a decision."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import numpy as np

from onearm.api.explanation import Explanation
from onearm.api.http.endpoint import Answer, Call, problem
from onearm.api.http.schemas import (
    LATER,
    BatchReward,
    Decide,
    Decided,
    Decisions,
    DecisionStory,
    Example,
    Examples,
    Learned,
    Reward,
    Rewarded,
    Rewards,
    RowAction,
    StoryReward,
)
from onearm.api.ids import check_id, is_id
from onearm.api.intake import check_labels, check_propensity, mask_of
from onearm.api.live import Asked, Live, Story, missing
from onearm.api.service import Service
from onearm.engine.errors import Conflict, InvalidInput, OnearmError
from onearm.engine.problem import check_reward
from onearm.engine.vocabulary import GIVEN, Decision

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
    live = service.live(call.path["experiment_id"])
    body = read(_reward, call.body, "the reward")
    return await _reward_one(service, live, call.path["decision_id"], body.value, body.reward_id)


async def reward_batch(service: Service, call: Call) -> Answer:
    """Take many rewards, in order."""
    live = service.live(call.path["experiment_id"])
    bodies = _checked_batch(read(_rewards, call.body, "the batch").rewards)

    async def one(raw: msgspec.Raw) -> Answer:
        body = read(_batch_reward, bytes(raw), "the reward")
        return await _reward_one(service, live, body.decision_id, body.value, body.reward_id)

    answers = await asyncio.gather(*(_or_problem(one(raw)) for raw in bodies))
    return Answer(200, {"rewards": [answer.content for answer in answers]})


async def story(service: Service, call: Call) -> Answer:
    """Tell everything on record about one decision."""
    live = service.live(call.path["experiment_id"])
    found = await _find(live, call.path["decision_id"])
    await _settled(found)
    return Answer(200, _story(live, found))


async def learn_examples(service: Service, call: Call) -> Answer:
    """Learn from decisions that someone else made, in order."""
    live = service.live(call.path["experiment_id"])
    bodies = _checked_batch(read(_examples, call.body, "the batch").examples)
    answers = await asyncio.gather(*(_or_problem(_learn_example(service, live, bytes(raw))) for raw in bodies))
    return Answer(200, {"examples": [answer.content for answer in answers]})


async def _decide_one(service: Service, live: Live, raw: bytes, header_id: str | None) -> Answer:
    body = read(_decide, raw or b"{}", "the decision")
    if body.explain:
        await live.prepare_explanations()  # first: nothing may be awaited between finding nothing and deciding
    decision_id = _one_id(body.decision_id, header_id)
    if (known := await _known(live, decision_id, raw)) is not None:
        return Answer(200, _decided(live, known), REPLAYED)
    made = live.decide(_asked(live, body, decision_id, raw), service.clock())
    assert made.decided is not None
    await made.decided
    return Answer(201, _decided(live, made))


async def _learn_example(service: Service, live: Live, raw: bytes) -> Answer:
    body = read(_example, raw, "the example")
    value, propensity = check_reward(body.value), check_propensity(body.propensity)
    found = await _found_still(live, lambda: _known(live, body.decision_id, raw))
    status: Any = "duplicate"
    if found is None:
        asked = _asked(live, body, body.decision_id, raw)
        action = _position(live, asked, body.action_id)
        found = live.give(asked, Decision(action, propensity), service.clock())
    if found.reward is None:
        live.learn(found, value, "", service.clock())
        status = "accepted"
    await _settled(found)
    return Answer(200, Learned(found.event.decision_id or f"~{found.event.number}", status))


async def _known(live: Live, decision_id: str | None, raw: bytes) -> Story | None:
    """Return the decision of an id that was asked for before with the same body, once it is committed."""
    if decision_id is None:
        return None
    known = await live.find(check_id("decision_id", decision_id))
    if known is None:
        return None
    if known.event.body_hash != _hash(raw):
        raise Conflict(
            "decision_exists",
            f"the decision {decision_id!r} was asked with another body: a decision is made once; take another id",
        )
    await _settled(known)
    return known


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
        sent=raw.decode() if len(raw) > 2 else None,
        body_hash=None if decision_id is None else _hash(raw),
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


async def _reward_one(service: Service, live: Live, decision_id: str, value: float, reward_id: str | None) -> Answer:
    value = check_reward(value)
    if reward_id is not None:
        check_id("reward_id", reward_id)
    found = await _found_still(live, lambda: _find(live, decision_id))
    if found.reward is None:
        live.learn(found, value, reward_id or "", service.clock())
        assert found.rewarded is not None
        await found.rewarded
        return Answer(200, Rewarded("accepted"))
    before = found.reward
    await _settled(found)
    if before.reward == value and before.reward_id == (reward_id or ""):
        return Answer(200, Rewarded("duplicate"))
    raise Conflict(
        "reward_exists",
        f"the decision {decision_id!r} has the reward {before.reward} already (seq {before.seq}): "
        "a decision takes one reward",
    )


async def _found_still(live: Live, find: Callable[[], Awaitable[Found]]) -> Found:
    """Return what `find` finds while the state may change: nothing may be awaited between that and learning."""
    while True:
        await live.still()
        found = await find()
        if not live.held:
            return found


async def _or_problem(answer: Any) -> Answer:
    try:
        return await answer
    except OnearmError as error:
        return problem(error)


async def _settled(found: Story) -> None:
    """Wait for what is not committed yet; raises what the commit raised."""
    if found.decided is not None:
        await asyncio.shield(found.decided)
    if found.rewarded is not None:
        await asyncio.shield(found.rewarded)


def read(decoder: msgspec.json.Decoder[Body], raw: bytes, what: str) -> Body:
    """Decode a body; errors say which field, and where it is not JSON at all."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _refusal(raw, what, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("malformed_json", f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("too_deep", f"{what} has brackets nested too deep: keep it flat") from None


def _refusal(raw: bytes, what: str, message: str) -> InvalidInput:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):  # a number out of range, say: the message names it
        body = None
    if isinstance(body, dict) and (early := sorted(LATER.get(what.split()[-1], set()) & set(body))):
        return InvalidInput("not_built", f"{what} has the field {early[0]!r}, which is not built yet: leave it out")
    return InvalidInput("bad_body", f"{what} does not fit: {message[0].lower()}{message[1:]}")


def _checked_batch(items: list[msgspec.Raw]) -> list[msgspec.Raw]:
    if len(items) > BATCH_MAX:
        raise InvalidInput("batch_too_large", f"the batch has {len(items)} items: send at most {BATCH_MAX} at once")
    return items


def _one_id(in_body: str | None, in_header: str | None) -> str | None:
    if in_body is not None and in_header is not None and in_body != in_header:
        raise InvalidInput("two_ids", "decision_id and the header Idempotency-Key differ: send one of them")
    return in_body if in_body is not None else in_header


async def _find(live: Live, decision_id: str) -> Story:
    """Return a decision by the client's id or by the service's (~ and its number)."""
    digits = decision_id[1:]
    name: int | str | None = decision_id if is_id(decision_id) else None
    if decision_id.startswith("~") and digits.isascii() and digits.isdigit() and len(digits) < 19:
        name = int(digits)
    found = None if name is None else await live.find(name)
    if found is None:
        raise missing(live.spec.id, decision_id)
    return found


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


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


def _story(live: Live, found: Story) -> DecisionStory:
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
        reward=None
        if found.reward is None
        else StoryReward(
            value=found.reward.reward,  # type: ignore[arg-type]
            reward_id=found.reward.reward_id or None,
            seq=found.reward.seq,
            time=iso(found.reward.time),
        ),
        ranking=decided.ranking,
        explanation=decided.explanation,
    )


def iso(microseconds: int) -> str:
    """Return a time as ISO 8601 in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()
