"""Vectors over HTTP: what a point is asked for, its answer, its record, and its feedback."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from ....engine.actions import pack_action
from ....engine.errors import Damaged, InvalidInput
from ....engine.storage.records import Event
from ....engine.vocabulary import Array, Decision, Feedback
from ...experiment.intake import reads_hint
from ...http.schemas import Decide
from ..kind import Encoded, Reader, Request, Work, id_of
from ..sample import Sample
from .bodies import BatchVectorReward, VectorDecision, VectorReward
from .feedback import FeedbackBody, forecast, reported_detail
from .feedback import feedback_on as revealed

READER = Reader(msgspec.json.Decoder(VectorReward), msgspec.json.Decoder(BatchVectorReward), "the feedback")
AVAILABLE = np.ones(1, np.bool_)  # a vector can always be decided


def request(work: Work, body: Decide) -> Request:
    """Return what the policy sees: the context, or where it reads a forecast of the loss that of the reward."""
    if not reads_hint(work.spec.policy):
        if body.hint is not None:
            raise InvalidInput(
                "unexpected_hint",
                f'the decision has a hint, but the policy of {work.spec.id!r} reads none: give it hint="context"',
            )
        return Request(work.spec.intake.read(body.context, ()), AVAILABLE)
    if body.context is not None:
        raise InvalidInput(
            "bad_context", f"the policy of {work.spec.id!r} reads a forecast: send it as hint, and no context"
        )
    return Request(forecast(work.problem, body.hint), AVAILABLE)


def sample(work: Work, value: float) -> Sample:
    """Return bodies that it takes: a context of zeros, and what its feedback reveals of the loss."""
    zeros = [0.0] * work.problem.dimension
    revealed: dict[str, dict[str, Any]] = {
        "reward": {"value": value},
        "two_rewards": {"values": [value, value]},
        "losses": {"detail": {"losses": zeros}},
        "gradient": {"value": value, "detail": {"gradient": zeros}},
        "example": {"value": value, "detail": {"example": {"a": zeros, "b": 0.0}}},
    }
    decision = {} if reads_hint(work.spec.policy) else work.spec.intake.sample()
    return Sample(decision, revealed[work.problem.feedback])


def check(work: Work, decision: Decision, available: Array) -> None:
    """Refuse a point that does not lie in the domain; what the kind keeps in work are the limits of that."""
    work.own.check_decided(work.spec.policy.name, decision.action, work.number)


def encode(work: Work, request: Request, decision: Decision) -> Encoded:
    """Return the bytes of the point."""
    return Encoded(vector=pack_action(decision.action))


def action(work: Work, event: Event) -> Array:
    """Return what a DECIDE event decided, float64[d]; two points one behind the other."""
    vector = event.vector or b""
    if len(vector) != 8 * work.problem.dimension:
        raise Damaged(
            "bad_action",
            f"the log holds a point of {len(vector)} bytes at decision {event.number}: restore it from a backup",
        )
    return np.frombuffer(vector, "<f8").astype(np.float64)


def answer(work: Work, event: Event) -> VectorDecision:
    """Return what a client gets."""
    point = action(work, event)
    two = work.problem.feedback == "two_rewards"
    return VectorDecision(
        decision_id=id_of(event),
        propensity=event.propensity,
        policy=work.spec.policy.name,
        model_version=event.seq - 1,
        point=UNSET if two else point.tolist(),
        points=point.reshape(2, -1).tolist() if two else UNSET,
    )


def record(work: Work, event: Event) -> dict[str, Any]:
    """Return what is on record of a decision."""
    made = answer(work, event)
    return {"point": made.point, "points": made.points}


def read_feedback(work: Work, body: VectorReward) -> FeedbackBody:
    """Return what a body tells; a value is named by where it stands, and two points have `values`."""
    two, detail = work.problem.feedback == "two_rewards", body.detail
    for where, value, values in (("", body.value, body.values), ("detail.", detail.value, detail.values)):
        if (value if two else values) is not None:
            wrong, right = ("value", "values") if two else ("values", "value")
            decided = "two points are decided" if two else "one point is decided"
            raise InvalidInput("bad_reward", f"the feedback has {where}{wrong}, but {decided}: send {where}{right}")
    return FeedbackBody(
        reward=body.values if two else body.value,
        loss=detail.values if two else detail.value,
        gradient=detail.gradient,
        losses=detail.losses,
        example=None if detail.example is None else (detail.example.a, detail.example.b),
    )


def feedback_on(work: Work, decided: Event, point: Array, body: FeedbackBody) -> Feedback:
    """Return what is learned of a point."""
    return revealed(work.problem, point, body)


def reward_record(work: Work, reward: Event) -> dict[str, Any]:
    """Return what is on record of a feedback, as the client sent it: of the loss."""
    return {"value": reward.reward, "detail": reported_detail(work.problem, reward.detail)}


def reward_exists(decision_id: str, before: Event) -> str:
    """Say that there is feedback."""
    return f"the decision {decision_id!r} has other feedback already (seq {before.seq}): a decision takes one"
