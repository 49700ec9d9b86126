"""Arms that are offered, the end of the offers, and the commit to an arm; and the queue of arms that these add up to.

{"change": "arm_offered", "arm": {"id": "d"}}    it waits behind those that were offered before
{"change": "stream_closed"}                      no more arms are offered
{"change": "committed", "place": 0, "answer": {...}}    from now on the arm in this place alone is held
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import msgspec

from ....engine.actions import PULL, unpack_actions
from ....engine.errors import Conflict, InvalidInput
from ....engine.storage.records import Event
from ....engine.vocabulary import Columns, Problem
from ...experiment.definition import Definition, check_arm
from ...service.history import History
from ...service.records import Record
from ..kind import ChangeHandler, Work
from .arm_queue import ARM_BYTES_MAX, QUEUE_MAX, Arm, ArmQueue, Places, empty_places
from .bodies import Offered
from .moves import feedback_of, moved, read_id
from .problem import slots_of
from .queue_schemas import Recommended


class ArmOffered(msgspec.Struct, frozen=True, tag_field="change", tag="arm_offered"):
    """An arm of a stream waits to be read."""

    arm: dict[str, Any]


class StreamClosed(msgspec.Struct, frozen=True, tag_field="change", tag="stream_closed"):
    """The stream has no more arms than those that were offered."""


class Committed(msgspec.Struct, frozen=True, tag_field="change", tag="committed"):
    """Nothing is read any more, and one arm held and pulled."""

    place: int
    answer: Recommended


class Kept(NamedTuple):
    """What snapshots of a stream hold."""

    state: Any  # the policy's
    places: Places


# -- the queue as a fold of the log ------------------------------------------------------------------------------------
# -------------------------------------------------------------------------------------


def fresh(problem: Problem) -> Places:
    """Return the places before the first arm."""
    return empty_places(slots_of(problem))


def begin(spec: Definition, places: Places, history: History) -> ArmQueue:
    """Return the queue that holds what was in these places, and all arms that were offered."""
    offers = [change.arm for change in history.changes if isinstance(change, ArmOffered)]
    return ArmQueue(spec.problem, places, offers, any(isinstance(change, StreamClosed) for change in history.changes))


def fold(queue: ArmQueue, page: Columns) -> None:
    """Enter a page of the log."""
    queue.fold(page)


def end(queue: ArmQueue, history: History, decided_at: Callable[[int], Event | None], number: int) -> None:
    """Enter what was committed to, or who left in the reads that the log ends with: no pull named them since."""
    committed = [change for change in history.changes if isinstance(change, Committed)]
    if committed:  # who left before was named with it
        queue.commit(committed[-1].place)
        queue.answer = committed[-1].answer
        return
    for before in range(number - 1, -1, -1):
        event = decided_at(before)
        if event is None or unpack_actions([event.vector], [None], queue.problem)[0][0] == PULL:
            break
        queue.unreported[:0] = moved(event).evicted


# -- what clients change -----------------------------------------------------------------------------------------------


def offered_as(work: Work, arm: Arm) -> str | None:
    """Return the id of the decision that read an arm, where it does not wait: it may have been offered before."""
    label = check_arm(arm)
    if (size := len(json.dumps(arm))) > ARM_BYTES_MAX:
        raise InvalidInput(
            "arm_too_large",
            f"the arm {label!r} takes {size} bytes as JSON: at most {ARM_BYTES_MAX}; say less of it",
        )
    return None if work.own.waiting(label) else read_id(label)


def offer(work: Work, arm: Arm, record: Record | None) -> tuple[ArmOffered | None, Offered]:
    """Let an arm wait to be read, and return its number. The same again changes nothing."""
    label, queue = str(arm["id"]), work.own
    if (there := _offered(queue, label, record)) is not None:
        number, described = there
        if described != arm:
            raise Conflict("arm_exists", f"an arm {label!r} was offered with another description: take another id")
        return None, Offered(label, number)
    work.check_open()
    _check_takes_offers(work.spec, queue)
    return ArmOffered(arm), Offered(label, queue.offer(arm))


def _offered(queue: ArmQueue, label: str, read: Record | None) -> tuple[int, Arm] | None:
    """Return the number and the description of an arm that waits, or was `read`."""
    if read is None:
        return queue.waiting(label)
    assert read.reward is not None and read.event.sent is not None
    return feedback_of(read.reward)[1], json.loads(read.event.sent)


def _check_takes_offers(spec: Definition, queue: ArmQueue) -> None:
    if queue.committed is not None:
        raise Conflict(
            "committed", f"the experiment {spec.id!r} is committed to an arm: it reads no more; create another"
        )
    if queue.closed:
        raise Conflict(
            "stream_closed", f"the stream of the experiment {spec.id!r} is closed: create another experiment"
        )
    if queue.n_waiting >= QUEUE_MAX:
        raise Conflict("line_full", f"{QUEUE_MAX} arms wait: offer more once some of them were read")


def close(work: Work, said: None, record: Record | None) -> tuple[StreamClosed | None, None]:
    """Say that no more arms will be offered; once that is said this changes nothing."""
    if work.own.closed:
        return None, None
    work.check_open()
    work.own.closed = True
    return StreamClosed(), None


def commit(work: Work, said: None, record: Record | None) -> tuple[Committed | None, Recommended]:
    """Keep and pull one arm only from now on, the one that the policy recommends; asked again, the first answer."""
    queue = work.own
    if queue.answer is not None:
        return None, queue.answer
    work.check_open()
    place = _recommended_place(work)
    evicted = [*queue.unreported, *queue.commit(place)]
    queue.unreported = []
    answer = msgspec.structs.replace(queue.recommended(place, work.problem.reward_range), evicted=evicted)
    queue.answer = answer
    return Committed(place, answer), answer


def recommend(work: Work) -> Recommended:
    """Return what `commit` would commit to now, or has."""
    answer: Recommended = work.own.recommended(_recommended_place(work), work.problem.reward_range)
    return answer


def _recommended_place(work: Work) -> int:
    queue: ArmQueue = work.own
    if queue.committed is not None:
        return queue.committed
    place = work.recommended()
    if not queue.holds(place):  # no arm has had all the pulls that the policy judges by
        place = queue.best
    if place < 0:
        raise Conflict(
            "nothing_to_recommend", f"the experiment {work.spec.id!r} holds no arm yet: offer arms, and decide"
        )
    return place


def retire(work: Work, label: str, record: Record | None) -> NoReturn:
    """Refuse it."""
    raise InvalidInput(
        "arms_come_once", f"the arms of the experiment {work.spec.id!r} come once: its policy drops them"
    )


CHANGES = {
    "join": ChangeHandler(offer, seeks=offered_as),
    "retire": ChangeHandler(retire),
    "close": ChangeHandler(close),
    "commit": ChangeHandler(commit, waits=True),
}
