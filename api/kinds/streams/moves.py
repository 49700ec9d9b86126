"""The moves of a stream of arms: what the policy does until it pulls, and what the log holds of it.

A decision that a client asks for is a pull. What the policy reads before it the service answers itself, from the queue
of the arms that were offered; these decisions, their feedback and the pull are one transaction of the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import numpy as np
from msgspec import UNSET

from ....engine.actions import READ, move_allowed, pack_action, unpack_actions
from ....engine.contexts import empty_context
from ....engine.errors import Conflict, OnearmError
from ....engine.storage.records import Event
from ....engine.vocabulary import Array, Decision, Feedback
from ..kind import Encoded, Move, Request, Work
from .arm_queue import ArmQueue
from .queue_schemas import Moved

NAMED_MAX = 20  # arms in an error

_moved = msgspec.json.Decoder(Moved)
_detail = msgspec.json.Decoder(tuple[int, int])


def moves(work: Work, unit: np.uint64, now: int) -> Iterator[Move]:
    """Yield what the policy does until it pulls: reads, each with what it brought, and the pull."""
    left = _trials_left(work)
    while True:
        request = _request(work)._replace(unit=unit, time=now)
        action, propensity = work.choose(request)
        decision = Decision(action.copy(), propensity)  # a copy: it is the policy's working space
        check(work, decision, request.available)
        if decision.action[0] != READ:
            yield _pull(work.own, request, decision, left)
            return
        yield _read(work.own, work.number, request, decision)


def _request(work: Work) -> Request:
    """Return what can be done."""
    available = work.own.mask()
    if not available.any():
        raise Conflict("nothing_to_pull", f"the experiment {work.spec.id!r} {_why_nothing(work.own)}")
    return Request(empty_context(work.problem), available)


def _why_nothing(queue: ArmQueue) -> str:
    why = "holds no arm, and none waits: "
    why += "its stream is over" if queue.closed else "offer one with POST .../arms"
    if gone := [repr(arm.id) for arm in queue.unreported[:NAMED_MAX]]:
        why += f"; gone since the last decision: {', '.join(gone)}"
    return why


def check(work: Work, decision: Decision, available: Array) -> None:
    """Refuse a move that cannot be made."""
    if not move_allowed(decision.action, available):
        raise OnearmError(
            "impossible_move",
            f"policy {work.spec.policy.name!r} made the move {decision.action.tolist()} at decision {work.number}, "
            "which cannot be made there; mend its file",
        )


def _read(queue: ArmQueue, number: int, request: Request, decision: Decision) -> Move:
    """Read the next arm, or the end."""
    arm, described = queue.next
    evicted = queue.read(number, int(decision.action[1]), arm)
    queue.unreported += evicted
    label = None if described is None else described["id"]
    return Move(
        request,
        decision,
        _encoded(decision, Moved(label, evicted)),
        Feedback(0.0, np.array([0.0, arm])),
        sent=None if described is None else json.dumps(described),
        decision_id=None if label is None else read_id(label),
    )


def _pull(queue: ArmQueue, request: Request, decision: Decision, left: int | None) -> Move:
    """Pull an arm, and name those who left before."""
    fewer = UNSET if left is None or decision.action[2] <= left else left
    move = Move(request, decision, _encoded(decision, Moved(queue.label(decision.action[1]), queue.unreported, fewer)))
    queue.unreported = []
    return move


def _encoded(decision: Decision, said: Moved) -> Encoded:
    return Encoded(None, pack_action(decision.action), msgspec.json.encode(said).decode())


def _trials_left(work: Work) -> int | None:
    """Return how many pulls are left, None where there is no horizon; refuse to make any where it is reached."""
    horizon, made = work.spec.problem.horizon, work.own.made
    if horizon is None:
        return None
    if made >= horizon:
        raise Conflict(
            "horizon_reached", f"{made} pulls are made of {horizon} (problem.horizon): commit with POST ...:commit"
        )
    left: int = horizon - made
    return left


def action(work: Work, event: Event) -> Array:
    """Return the move of a DECIDE event, int64[3]."""
    move: Array = unpack_actions([event.vector], [None], work.problem)[0]
    return move


def pulls_of(work: Work, event: Event) -> int:
    """Return how many pulls a DECIDE event asks for, 0 where it reads."""
    fewer = moved(event).pulls
    return int(action(work, event)[2]) if fewer is UNSET else fewer


def moved(event: Event) -> Moved:
    """Return what the DECIDE event of a move says in words."""
    return _moved.decode(event.detail or "")


def detail_json(feedback: Feedback) -> str:
    """Return the feedback on a move as the detail of its LEARN event: pulls done, arm read."""
    pulls, arm = feedback.detail.tolist()
    return f"[{int(pulls)}, {int(arm)}]"


def feedback_of(event: Event) -> tuple[int, int]:
    """Return the pulls done and the arm read of a LEARN event."""
    return _detail.decode(event.detail or "")


def read_id(label: str) -> str:
    """Return the id of the decision that read an arm, by which the log finds it: clients' ids begin with no tilde."""
    return f"~arm {label}"
