"""Decisions and rewards as events of the log."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ...engine.contexts import pack_context
from ...engine.storage.records import Event
from ...engine.storage.windows import ACTIVATIONS, LATE, early_detail, shown_detail, taken_detail, with_beside
from ...engine.vocabulary import ACTIVATION, CORRECTED, EARLY, EXTERNAL, LEARN, OUTCOME, Feedback, Problem
from ..kinds.kind import NO_DETAIL, Encoded, Request


class Sent(NamedTuple):
    """How a client names a decision, whom it is for, and what it sent."""

    decision_id: str | None = None
    text: str | None = None
    body_hash: bytes | None = None
    unit_id: str | None = None
    deferred: bool = False  # whether it waits to be shown


class Place(NamedTuple):
    """Where in a log an event stands, and when it was made."""

    experiment: int
    seq: int
    time: int  # microseconds since 1970 UTC


def decision_event(
    what: int,
    place: Place,
    number: int,
    propensity: float | None,
    request: Request,
    mask: bytes | None,
    encoded: Encoded,
    sent: Sent,
    problem: Problem,
) -> Event:
    """Return the event of a decision, DECIDE or EXTERNAL; `mask` is its mask in bits, None where all are available."""
    return Event(
        experiment=place.experiment,
        seq=place.seq,
        kind=what,
        number=number,
        action=encoded.action,
        propensity=propensity,
        context=pack_context(request.context, problem) or None,
        available=mask,
        detail=encoded.detail,
        sent=sent.text,
        decision_id=sent.decision_id,
        body_hash=sent.body_hash,
        time=place.time,
        actions=None if request.labels is None else msgspec.json.encode(request.labels).decode(),
        vector=encoded.vector,
        unit_id=sent.unit_id,
    )


def reward_event(decided: Event, place: Place, feedback: Feedback, detail: str | None, reward_id: str | None) -> Event:
    """Return the event of what is learned of a decision; it repeats action and propensity."""
    assert decided.number is not None, "this is a decision"
    return learned_event(decided.number, decided.action, decided.propensity, place, feedback.reward, detail, reward_id)


def learned_event(
    number: int,
    action: int | None,
    propensity: float | None,
    place: Place,
    reward: float,
    detail: str | None,
    reward_id: str | None,
) -> Event:
    """Return the event of what is learned of the decision of a number, which had this action and propensity."""
    return Event(
        experiment=place.experiment,
        seq=place.seq,
        kind=LEARN,
        number=number,
        action=action,
        propensity=propensity,
        reward=reward,
        detail=detail,
        reward_id=reward_id,
        time=place.time,
    )


def corrected_event(decided: Event, place: Place, reward: float | None) -> Event:
    """Return the event by which what was learned of a decision is another reward; None where it is none."""
    return Event(place.experiment, place.seq, CORRECTED, number=decided.number, reward=reward, time=place.time)


def outcome_event(decided: Event, place: Place, feedback: Feedback, reward_id: str, late: bool) -> Event:
    """Return the event of a reward that is on record and not learned by itself."""
    return Event(
        experiment=place.experiment,
        seq=place.seq,
        kind=OUTCOME,
        number=decided.number,
        reward=feedback.reward,
        detail=with_beside(LATE if late else None, feedback.detail.tolist()),
        reward_id=reward_id,
        time=place.time,
    )


def early_event(decision_id: str, place: Place, reward: float, reward_id: str) -> Event:
    """Return the event of a reward whose decision was not made yet."""
    return Event(
        experiment=place.experiment,
        seq=place.seq,
        kind=EARLY,
        number=-place.seq,
        reward=reward,
        detail=early_detail(decision_id),
        reward_id=reward_id,
        time=place.time,
    )


def outcome_of_early(decided: Event, place: Place, early: Event) -> Event:
    """Return the event of a reward that came before its decision, and is one of it from now on."""
    assert early.reward is not None and early.reward_id is not None
    outcome = outcome_event(decided, place, Feedback(early.reward, NO_DETAIL), early.reward_id, late=False)
    return outcome._replace(detail=taken_detail(early.seq))


def activation_event(decided: Event, place: Place, became: str) -> Event:
    """Return the event that says what became of a decision that waits to be shown: "deferred", "done" or "lapsed"."""
    return Event(
        experiment=place.experiment,
        seq=place.seq,
        kind=ACTIVATION,
        number=decided.number,
        detail=ACTIVATIONS[became],
        time=place.time,
    )


def replacing_events(
    decided: Event, replaced: Place, place: Place, number: int, action: int, propensity: float | None
) -> tuple[Event, Event]:
    """Return the events that say that another action was shown in the place of a decision's.

    The first says so of the decision, the second is a decision of somebody else about the same.
    """
    said = activation_event(decided, replaced, "done")._replace(detail=shown_detail(number))
    external = decided._replace(seq=place.seq, kind=EXTERNAL, number=number, action=action, propensity=propensity)
    return said, external._replace(detail=None, sent=None, decision_id=None, body_hash=None, time=place.time)
