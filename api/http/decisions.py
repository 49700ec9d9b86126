"""The hot routes: decide and reward, one by one or in batches, and the story of a decision."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import numpy as np

from onearm.api.http.endpoint import Answer, Call, problem
from onearm.api.http.schemas import (
    LATER,
    BatchReward,
    Decide,
    Decided,
    Decisions,
    DecisionStory,
    Reward,
    Rewarded,
    Rewards,
    StoryReward,
)
from onearm.api.live import Live, Story, missing
from onearm.api.service import Service
from onearm.api.spec import check_id, is_id
from onearm.engine.errors import Conflict, InvalidInput, OnearmError
from onearm.engine.problem import check_context, check_reward
from onearm.engine.vocabulary import Array

BATCH_MAX = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REPLAYED = ((b"idempotency-replayed", b"true"),)
Body = TypeVar("Body")

_decide = msgspec.json.Decoder(Decide)
_reward = msgspec.json.Decoder(Reward)
_batch_reward = msgspec.json.Decoder(BatchReward)
_decisions = msgspec.json.Decoder(Decisions)
_rewards = msgspec.json.Decoder(Rewards)


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


async def _decide_one(service: Service, live: Live, raw: bytes, header_id: str | None) -> Answer:
    body = read(_decide, raw or b"{}", "the decision")
    decision_id = _one_id(body.decision_id, header_id)
    if decision_id is not None:
        known = await live.find(check_id("decision_id", decision_id))
        if known is not None:
            if known.event.body_hash != _hash(raw):
                raise Conflict(
                    "decision_exists",
                    f"the decision {decision_id!r} was asked with another body: a decision is made once; "
                    "take another id",
                )
            await _settled(known)
            return Answer(200, _decided(live, known), REPLAYED)
    context = check_context(live.problem, body.context)
    available = _mask(live, body.eligible_actions, body.excluded_actions)
    sent = raw.decode() if len(raw) > 2 else None
    body_hash = None if decision_id is None else _hash(raw)
    made = live.decide(context, available, decision_id, sent, body_hash, service.clock())
    assert made.decided is not None
    await made.decided
    return Answer(201, _decided(live, made))


async def _reward_one(service: Service, live: Live, decision_id: str, value: float, reward_id: str | None) -> Answer:
    value = check_reward(value)
    if reward_id is not None:
        check_id("reward_id", reward_id)
    found = await _find(live, decision_id)
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


def _mask(live: Live, eligible: list[str] | None, excluded: list[str] | None) -> Array | None:
    """Return the availability mask of a request; None where it leaves all arms."""
    if eligible is None and excluded is None:
        return None
    numbers = live.spec.arm_numbers
    mask = np.full(live.problem.n_arms, eligible is None)
    for labels, value in ((eligible, True), (excluded, False)):
        for label in labels or ():
            if label not in numbers:
                raise InvalidInput(
                    "unknown_action",
                    f"there is no action {label!r}: the actions are {', '.join(live.spec.labels[:20])}",
                )
            mask[numbers[label]] = value
    if not mask.any():
        raise InvalidInput("no_arm_available", "no action is left to choose from: at least one must be eligible")
    return None if mask.all() else mask


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _decided(live: Live, found: Story) -> Decided:
    event = found.event
    return Decided(
        decision_id=event.decision_id or f"~{event.number}",
        action_id=live.spec.labels[event.action],  # type: ignore[index]
        propensity=event.propensity,
        policy=live.spec.policy.name,
        model_version=event.seq - 1,
    )


def _story(live: Live, found: Story) -> DecisionStory:
    event = found.event
    decided = _decided(live, found)
    eligible = None
    if event.available is not None:
        eligible = [label for label, free in zip(live.spec.labels, live.mask(event), strict=True) if free]
    return DecisionStory(
        decision_id=decided.decision_id,
        number=event.number,  # type: ignore[arg-type]
        seq=event.seq,
        action_id=decided.action_id,
        propensity=decided.propensity,
        policy=decided.policy,
        model_version=decided.model_version,
        context=None if event.context is None else live.context(event).tolist(),
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
    )


def iso(microseconds: int) -> str:
    """Return a time as ISO 8601 in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()
