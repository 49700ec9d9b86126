"""The hot routes where decisions are vectors: decide a point, take what it revealed, tell its story."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from ....engine.errors import Conflict, InvalidInput
from ...experiment.ids import check_id
from ...experiment.intake import reads_hint
from ...http.endpoint import Answer
from ...http.requests import find, found_still, hash_of, iso, known_as, one_id, read, sent_of, settled
from ...http.schemas import (
    BatchVectorReward,
    Decide,
    DecisionStory,
    Pointed,
    Rewarded,
    StoryReward,
    VectorReward,
)
from ...service.live import Asked, Story
from ...service.service import Service
from .feedback import Told, detail_of, feedback_on, forecast, told_of
from .live import LiveVector

REPLAYED = ((b"idempotency-replayed", b"true"),)
OF_ARMS = ("actions", "eligible_actions", "excluded_actions", "explain")
_UNSAID = (None, False, msgspec.Raw())
_reward = msgspec.json.Decoder(VectorReward)
_batch_reward = msgspec.json.Decoder(BatchVectorReward)


def read_reward(raw: bytes) -> VectorReward:
    """Read what is told of one decision."""
    return read(_reward, raw, "the feedback")


def read_batch_reward(raw: bytes) -> BatchVectorReward:
    """Read what is told of one decision in a batch."""
    return read(_batch_reward, raw, "the feedback")


async def decide_one(service: Service, live: LiveVector, body: Decide, raw: bytes, header_id: str | None) -> Answer:
    """Decide a point; the same id and body again give the same one."""
    for name in OF_ARMS:
        if getattr(body, name) not in _UNSAID:
            raise InvalidInput(
                "unexpected_field", f"the decision has {name}, but {live.spec.id!r} decides a vector: leave it out"
            )
    decision_id = one_id(body.decision_id, header_id)
    if (known := await known_as(live, decision_id, raw)) is not None:
        return Answer(200, _pointed(live, known), REPLAYED)
    asked = Asked(
        context=_context(live, body),
        available=np.ones(1, np.bool_),
        labels=None,
        decision_id=decision_id,
        sent=sent_of(raw),
        body_hash=None if decision_id is None else hash_of(raw),
    )
    made = live.decide(asked, service.clock())
    assert made.decided is not None
    await made.decided
    return Answer(201, _pointed(live, made))


def _context(live: LiveVector, body: Decide) -> Any:
    """Return what the policy sees: the context, or where it reads a forecast of the loss that of the reward."""
    if not reads_hint(live.spec.policy):
        if body.hint is not None:
            raise InvalidInput(
                "unexpected_hint",
                f'the decision has a hint, but the policy of {live.spec.id!r} reads none: give it hint="context"',
            )
        return live.spec.intake.read(body.context, ())
    if body.context is not None:
        raise InvalidInput(
            "bad_context", f"the policy of {live.spec.id!r} reads a forecast: send it as hint, and no context"
        )
    return forecast(live.problem, body.hint)


async def reward_one(service: Service, live: LiveVector, decision_id: str, body: VectorReward) -> Answer:
    """Take what a decision revealed; the same again changes nothing."""
    if body.reward_id is not None:
        check_id("reward_id", body.reward_id)
    told = _told(live, body)
    found = await found_still(live, lambda: find(live, decision_id))
    point = live.point(found.event)
    feedback = feedback_on(live.problem, point, told)
    if found.reward is None:
        live.learn_feedback(found, point, feedback, body.reward_id or "", service.clock())
        assert found.rewarded is not None
        await found.rewarded
        return Answer(200, Rewarded("accepted"))
    before = found.reward
    await settled(found)
    if (before.reward, before.detail, before.reward_id) == (feedback.reward, detail_of(feedback), body.reward_id or ""):
        return Answer(200, Rewarded("duplicate"))
    raise Conflict(
        "reward_exists",
        f"the decision {decision_id!r} has other feedback already (seq {before.seq}): a decision takes one",
    )


def _told(live: LiveVector, body: VectorReward) -> Told:
    """Return what a body tells; a value is named by where it stands, and two points have `values`."""
    two, detail = live.problem.feedback == "two_rewards", body.detail
    for where, value, values in (("", body.value, body.values), ("detail.", detail.value, detail.values)):
        if (value if two else values) is not None:
            wrong, right = ("value", "values") if two else ("values", "value")
            decided = "two points are decided" if two else "one point is decided"
            raise InvalidInput("bad_reward", f"the feedback has {where}{wrong}, but {decided}: send {where}{right}")
    return Told(
        reward=body.values if two else body.value,
        loss=detail.values if two else detail.value,
        gradient=detail.gradient,
        losses=detail.losses,
        example=None if detail.example is None else (detail.example.a, detail.example.b),
    )


def _pointed(live: LiveVector, found: Story) -> Pointed:
    event = found.event
    point = live.point(event)
    two = live.problem.feedback == "two_rewards"
    return Pointed(
        decision_id=event.decision_id or f"~{event.number}",
        propensity=event.propensity,
        policy=live.spec.policy.name,
        model_version=event.seq - 1,
        point=UNSET if two else point.tolist(),
        points=point.reshape(2, -1).tolist() if two else UNSET,
    )


def story_of(live: LiveVector, found: Story) -> DecisionStory:
    """Tell everything on record about one decision."""
    event, reward, made = found.event, found.reward, _pointed(live, found)
    assert event.number is not None, "this is a decision"
    return DecisionStory(
        decision_id=made.decision_id,
        number=event.number,
        seq=event.seq,
        action_id=None,
        propensity=made.propensity,
        policy=made.policy,
        model_version=made.model_version,
        given=False,
        context=None if event.context is None else live.context(event).tolist(),
        actions=None,
        eligible_actions=None,
        sent=None if event.sent is None else msgspec.Raw(event.sent.encode()),
        time=iso(event.time),
        reward=None
        if reward is None or reward.reward is None
        else StoryReward(
            value=reward.reward,
            reward_id=reward.reward_id or None,
            seq=reward.seq,
            time=iso(reward.time),
            detail=told_of(live.problem, reward.detail),
        ),
        point=made.point,
        points=made.points,
    )
