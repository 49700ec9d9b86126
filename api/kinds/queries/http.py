"""The hot routes where queries are asked within a budget: ask one, take its answer, tell its story."""

from __future__ import annotations

import msgspec

from ....engine.contexts import empty_context
from ....engine.errors import Conflict, InvalidInput
from ...experiment.ids import check_id
from ...experiment.intake import mask_of
from ...http.endpoint import Answer
from ...http.requests import find, found_still, hash_of, iso, known_as, one_id, sent_of, settled
from ...http.schemas import BatchReward, Decide, DecisionStory, Queried, Reward, Rewarded, StoryReward
from ...service.live import Asked, Story
from ...service.service import Service
from .live import LiveQuery, answer_of

REPLAYED = ((b"idempotency-replayed", b"true"),)
OF_OTHERS = ("context", "actions", "explain", "hint")
_UNSAID = (None, False, msgspec.Raw())


async def decide_one(service: Service, live: LiveQuery, body: Decide, raw: bytes, header_id: str | None) -> Answer:
    """Ask a query; the same id and body again give the same one."""
    for name in OF_OTHERS:
        if getattr(body, name) not in _UNSAID:
            raise InvalidInput(
                "unexpected_field", f"the decision has {name}, but {live.spec.id!r} asks queries: leave it out"
            )
    decision_id = one_id(body.decision_id, header_id)
    if (known := await found_still(live, lambda: known_as(live, decision_id, raw))) is not None:
        return Answer(200, _queried(live, known), REPLAYED)
    roster = live.roster
    available = roster.active
    if body.eligible_actions is not None or body.excluded_actions is not None:
        available = mask_of(roster.numbers, roster.active, body.eligible_actions, body.excluded_actions)
    asked = Asked(
        context=empty_context(live.problem),
        available=available,
        labels=None,
        decision_id=decision_id,
        sent=sent_of(raw),
        body_hash=None if decision_id is None else hash_of(raw),
    )
    made = live.decide(asked, service.clock())
    assert made.decided is not None
    await made.decided
    return Answer(201, _queried(live, made))


async def reward_one(service: Service, live: LiveQuery, decision_id: str, body: Reward | BatchReward) -> Answer:
    """Take the answer to a query; the same again changes nothing."""
    if body.reward_id is not None:
        check_id("reward_id", body.reward_id)
    if body.pulls is not None:
        raise InvalidInput(
            "unexpected_pulls", f"the answer has pulls, but {live.spec.id!r} asks each query once: leave them out"
        )
    assert live.problem.task is not None
    answer = live.problem.task.check_answer(body.value)
    found = await found_still(live, lambda: find(live, decision_id))
    if found.reward is None:
        live.learn_answer(found, answer, body.reward_id or "", service.clock())
        assert found.rewarded is not None
        await found.rewarded
        return Answer(200, Rewarded("accepted"))
    before = found.reward
    await settled(found)
    if (answer_of(before), before.reward_id) == (answer, body.reward_id or ""):
        return Answer(200, Rewarded("duplicate"))
    raise Conflict(
        "reward_exists",
        f"the query {decision_id!r} has the answer {answer_of(before):g} already (seq {before.seq}): it takes one",
    )


def _queried(live: LiveQuery, found: Story) -> Queried:
    event = found.event
    assert event.number is not None and event.action is not None, "this asks a query"
    return Queried(
        decision_id=event.decision_id or f"~{event.number}",
        number=event.number,
        query_id=live.roster.labels[event.action],
        propensity=event.propensity,
        policy=live.spec.policy.name,
        model_version=event.seq - 1,
    )


def story_of(live: LiveQuery, found: Story) -> DecisionStory:
    """Tell everything on record about one query that was asked."""
    event, reward, made = found.event, found.reward, _queried(live, found)
    eligible = None
    if event.available is not None:
        eligible = [label for label, free in zip(live.roster.labels, live.mask(event), strict=True) if free]
    return DecisionStory(
        decision_id=made.decision_id,
        number=made.number,
        seq=event.seq,
        action_id=None,
        propensity=made.propensity,
        policy=made.policy,
        model_version=made.model_version,
        given=False,
        context=None,
        actions=None,
        eligible_actions=eligible,
        sent=None if event.sent is None else msgspec.Raw(event.sent.encode()),
        time=iso(event.time),
        reward=None
        if reward is None
        else StoryReward(answer_of(reward), reward.reward_id or None, reward.seq, iso(reward.time)),
        query_id=made.query_id,
    )
