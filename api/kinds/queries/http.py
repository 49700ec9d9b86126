"""Queries over HTTP: the request for one, the reply, the record and the answer."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from ....engine.contexts import empty_context
from ....engine.errors import Conflict, InvalidInput
from ....engine.problem import refuse_cost
from ....engine.storage.records import Event
from ....engine.vocabulary import Decision, Feedback
from ...experiment.intake import mask_of
from ...http.schemas import BatchReward, Decide, Reward
from ..kind import Encoded, Reader, Request, Work, id_of
from .bodies import QueryDecision
from .problem import budget_of, task_of

READER = Reader(msgspec.json.Decoder(Reward), msgspec.json.Decoder(BatchReward), "the reward")
_numbers = msgspec.json.Decoder(tuple[float])


def gate(work: Work) -> None:
    """Refuse to ask once it is committed, or once the budget is spent. What the kind keeps in work is the commit."""
    if work.own is not None:
        raise Conflict(
            "committed",
            f"the experiment {work.spec.id!r} is committed to {work.own.answer.hypothesis_id!r}: it asks no "
            "more; create another",
        )
    if work.number >= (budget := budget_of(work.spec.problem)):
        raise Conflict(
            "budget_spent",
            f"{work.number} queries are asked of {budget} (problem.horizon): send the answers that are "
            "missing, and read .../recommendation",
        )


def request(work: Work, body: Decide) -> Request:
    """Return which queries can be asked."""
    roster = work.roster
    available = roster.active
    if body.eligible_actions is not None or body.excluded_actions is not None:
        available = mask_of(roster.numbers, roster.active, body.eligible_actions, body.excluded_actions)
    return Request(empty_context(work.problem), available)


def encode(work: Work, request: Request, decision: Decision) -> Encoded:
    """Return the query's number."""
    return Encoded(int(decision.action))  # with the JIT off it is one of NumPy's scalars


def answer(work: Work, event: Event) -> QueryDecision:
    """Return what a client gets."""
    assert event.number is not None and event.action is not None, "this asks a query"
    return QueryDecision(
        decision_id=id_of(event),
        number=event.number,
        query_id=work.roster.labels[event.action],
        propensity=event.propensity,
        policy=work.spec.policy.name,
        model_version=event.seq - 1,
    )


def record(work: Work, event: Event) -> dict[str, Any]:
    """Return what is on record of a query that was asked."""
    return {"query_id": answer(work, event).query_id, "eligible_actions": work.eligible(event)}


def read_feedback(work: Work, body: Reward) -> Feedback:
    """Return the answer of a body."""
    if body.pulls is not None:
        raise InvalidInput(
            "unexpected_pulls", f"the answer has pulls, but {work.spec.id!r} asks each query once: leave them out"
        )
    refuse_cost(work.problem, body.cost)
    return Feedback(0.0, np.array([task_of(work.problem).check_answer(body.value)]))


def answer_of(event: Event) -> float:
    """Return the answer that a LEARN event holds; NaN where it holds none."""
    return _numbers.decode(event.detail)[0] if event.detail else math.nan


def reward_record(work: Work, reward: Event) -> dict[str, Any]:
    """Return what is on record of an answer."""
    return {"value": answer_of(reward)}


def reward_exists(decision_id: str, before: Event) -> str:
    """Say that there is an answer."""
    return f"the query {decision_id!r} has the answer {answer_of(before):g} already (seq {before.seq}): it takes one"
