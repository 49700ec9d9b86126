"""One live experiment whose arms come once: they are offered, read by the policy one after another, and pulled.

A decision that a client asks for is a pull. What the policy reads before it the service answers itself, from the line
of the arms that were offered; these decisions, their feedback and the pull are one transaction of the log.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from ....engine import loop
from ....engine.actions import PULL, READ, allowed, pack_action, unpack_actions
from ....engine.contexts import empty_context
from ....engine.errors import Conflict, InvalidInput, OnearmError
from ....engine.storage.store import Event
from ....engine.vocabulary import DECIDE, Array, Decision, Feedback, Instance, Key, Problem
from ...experiment.compiling import compile_kernels, compile_recommendation
from ...experiment.spec import check_arm
from ...service.history import ArmOffered, Committed, History, StreamClosed
from ...service.live import Live, Recovered, Story
from .arm_queue import (
    ARM_BYTES_MAX,
    LINE_MAX,
    Arm,
    Evicted,
    Line,
    Moved,
    Places,
    Recommended,
    empty_places,
    within,
)

NAMED_MAX = 20  # arms in an error

_moved = msgspec.json.Decoder(Moved)
_detail = msgspec.json.Decoder(tuple[int, int])


class Kept(NamedTuple):
    """What snapshots of a stream hold."""

    state: Any  # the policy's
    places: Places


class LiveStream(Live):
    """A stream of arms at work."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.line = Line(self.problem, self._no_places())
        self._context = empty_context(self.problem)
        self._committed: Committed | None = None

    # -- recovery ------------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """Fold the log from the newest good snapshot on, and compile the kernels. Runs in a worker thread."""
        params = self.spec.policy.params
        history = History(self.spec, self._store.changes(self.row.key))
        counts = self._store.counts(self.row.key)
        (state, places), after = self._newest_state(history, counts.seq)
        line = Line(self.problem, places, history.offers, history.closed)
        for page in history.pages(self._store, self.row.key, after, counts.seq, learned_only=True):
            assert not isinstance(page, Problem), "the problem of a stream stays as it is"
            loop.fold(params, state, self._run, page)
            line.fold(page)
        if history.committed is not None:
            line.commit(history.committed.place)  # who left before was named with it
        else:
            line.untold = self._untold(counts.decisions)
        self._select, self._update = compile_kernels(self.spec)
        self._recommend = compile_recommendation(self.spec)
        return Recovered(state, counts.seq, counts.decisions, counts.rewards, history, line)

    def open(self, recovered: Recovered) -> None:
        """Take up work with what was recovered."""
        super().open(recovered)
        assert recovered.line is not None
        self.line = recovered.line
        self._committed = recovered.history.committed

    def _untold(self, n_decisions: int) -> list[Evicted]:
        """Return who left in the reads that the log ends with: no pull came after these to name them."""
        evicted: list[Evicted] = []
        for number in range(n_decisions - 1, -1, -1):
            found = self._store.find(self.row.key, [number])
            if not found or self.action(found[0])[0] == PULL:
                break
            evicted[:0] = moved(found[0]).evicted
        return evicted

    def _no_places(self) -> Places:
        assert self.spec.problem.slots is not None
        return empty_places(self.spec.problem.slots)

    def _fresh(self, problem: Problem) -> Kept:
        return Kept(super()._fresh(problem), self._no_places())

    @property
    def _kept(self) -> Kept:
        return Kept(self._state, self.line.places)

    # -- moves ---------------------------------------------------------------------------------------------------------

    async def pull(self, decision_id: str | None, sent: str | None, body_hash: bytes | None, now: int) -> Story:
        """Let the policy move until it pulls; return that once it is committed.

        The caller waited until the state was `still`; nothing is awaited before all moves are queued.
        """
        try:
            story = self._pull(decision_id, sent, body_hash, now)
        finally:
            await self._changed()
        return story

    def _pull(self, decision_id: str | None, sent: str | None, body_hash: bytes | None, now: int) -> Story:
        self._check_open()
        left = self._check_trials()
        moves: list[Story] = []
        try:
            while (chosen := self._choose())[1].action[0] == READ:
                moves.append(self._read_next(*chosen, now))
            available, decision = chosen
            told = Moved(
                self.line.label(decision.action[1]),
                self.line.untold,
                UNSET if left is None or decision.action[2] <= left else left,
            )
            event = self._event(available, decision, told, now, sent=sent, decision_id=decision_id, body_hash=body_hash)
            moves.append(Story(event))
            self.line.untold = []
        finally:  # what was read has changed the state already: where nothing can be pulled, that is on record
            self._queue_moves(moves)
        self._snapshot_if_due()
        return moves[-1]

    def _queue_moves(self, moves: list[Story]) -> None:
        """Queue moves, and what reading brought, to be written together."""
        events = [event for move in moves for event in (move.event, move.reward) if event is not None]
        if events:
            self._changing = committed = self._queue(*events)
            for move in moves:
                move.decided = committed
                move.rewarded = None if move.reward is None else committed
                self._remember(move)

    def _choose(self) -> tuple[Array, Decision]:
        """Return what can be done, and what the policy does."""
        available = self.line.mask()
        if not available.any():
            raise Conflict("nothing_to_pull", f"the experiment {self.spec.id!r} {self._why_nothing()}")
        action, propensity = self._select(
            self._params,
            self._state,
            Instance(self.number, self._context, available),
            Key(self._run, self.number),
        )
        if not allowed(action, available):
            raise OnearmError(
                "impossible_move",
                f"policy {self.spec.policy.name!r} made the move {action.tolist()} at decision {self.number}, which "
                "cannot be made there; mend its file",
            )
        return available, Decision(action.copy(), propensity)  # a copy: it is the policy's working space

    def _why_nothing(self) -> str:
        why = "holds no arm, and none waits: "
        why += "its stream is over" if self.line.closed else "offer one with POST .../arms"
        if gone := [repr(arm.id) for arm in self.line.untold[:NAMED_MAX]]:
            why += f"; gone since the last decision: {', '.join(gone)}"
        return why

    def _read_next(self, available: Array, decision: Decision, now: int) -> Story:
        """Read the next arm, or the end, and learn that."""
        number, (arm, described) = self.number, self.line.next
        evicted = self.line.read(number, int(decision.action[1]), arm)
        self.line.untold += evicted
        label = None if described is None else described["id"]
        event = self._event(
            available,
            decision,
            Moved(label, evicted),
            now,
            sent=None if described is None else json.dumps(described),
            decision_id=None if label is None else read_id(label),
        )
        self._apply(event, decision.action, Feedback(0.0, np.array([0.0, arm])))
        story = Story(event)
        story.reward = self._learned(event, 0.0, detail_of(0, arm), "", now)
        return story

    def _event(self, available: Array, decision: Decision, moved: Moved, now: int, **sent: Any) -> Event:
        """Return the event of a move, the next of the log."""
        number = self.number
        self.number += 1
        self.seq += 1
        return Event(
            experiment=self.row.key,
            seq=self.seq,
            kind=DECIDE,
            number=number,
            propensity=None if math.isnan(decision.propensity) else float(decision.propensity),
            available=None if available.all() else np.packbits(available).tobytes(),
            detail=msgspec.json.encode(moved).decode(),
            time=now,
            vector=pack_action(decision.action),
            **sent,
        )

    def check_feedback(self, story: Story, total: float, pulls: int) -> None:
        """Refuse the sum of the rewards of so many pulls where it cannot be that of a decision."""
        if (asked := self.asked(story.event)) == 0:
            raise InvalidInput(
                "not_a_pull",
                f"decision {story.event.number} read an arm: the service answered it; reward the pulls that you were "
                "asked for",
            )
        if not 0 <= pulls <= asked:
            raise InvalidInput(
                "bad_pulls", f"there are {pulls} pulls: decision {story.event.number} asked for {asked}; at least 0"
            )
        if not within(total, pulls, reward_range := self.spec.reward_range):
            rule = "of no pulls it is 0"
            if pulls and reward_range is not None:
                low, high = reward_range
                rule = f"each lies in [{low:g}, {high:g}] (problem.reward_range), so it is within [{pulls * low:g}, "
                rule += f"{pulls * high:g}]"
            raise InvalidInput("bad_reward", f"the sum of {pulls} rewards is {total:g}: {rule}")

    def learn_pulls(self, story: Story, total: float, pulls: int, reward_id: str, now: int) -> None:
        """Learn what pulls of an arm brought; the caller checked it and waited until the state was `still`."""
        self._check_open()
        decided = story.event
        assert story.reward is None and decided.number is not None
        action = self.action(decided)
        place = int(action[1])
        self._check_place(decided, place)
        self._apply(decided, action, Feedback(total, np.array([pulls, -1.0])))
        self.line.learn(place, pulls, total)
        story.reward = self._learned(decided, total, detail_of(pulls), reward_id, now)
        story.rewarded = self._queue(story.reward)
        self._snapshot_if_due()

    def _check_place(self, decided: Event, place: int) -> None:
        """Refuse feedback on an arm that is not any more where it was pulled."""
        assert decided.number is not None
        places = self.line.places
        if places.arm[place] >= 0 and places.since[place] < decided.number:
            return
        label = moved(decided).arm_id
        if any(held.arm_id == label for held in self.line.held):
            raise Conflict(
                "arm_moved",
                f"the arm {label!r} was stored in another place after decision {decided.number}: its pulls cannot be "
                "counted any more; go on with a new decision",
            )
        if self._committed is not None:
            raise Conflict(
                "committed",
                f"the experiment {self.spec.id!r} is committed to {self._committed.answer.arm_id!r}, and the arm "
                f"{label!r} left: its pulls count for nothing; unload it",
            )
        raise Conflict(
            "arm_evicted",
            f"the arm {label!r} was dropped or replaced after decision {decided.number}: its pulls count for nothing; "
            "unload it",
        )

    def _check_trials(self) -> int | None:
        """Return how many pulls are left, None where there is no horizon; refuse to make any where it is reached."""
        horizon = self.spec.problem.horizon
        if horizon is None:
            return None
        if self.line.made >= horizon:
            raise Conflict(
                "horizon_reached",
                f"{self.line.made} pulls are made of {horizon} (problem.horizon): commit with POST ...:commit",
            )
        return horizon - self.line.made

    # -- changes -------------------------------------------------------------------------------------------------------

    async def offer(self, arm: Arm, now: int) -> tuple[int, bool]:
        """Let an arm wait to be read; return its number and whether it is new. The same again changes nothing."""
        self.check_usable()
        label = check_arm(arm)
        if (size := len(json.dumps(arm))) > ARM_BYTES_MAX:
            raise InvalidInput(
                "arm_too_large",
                f"the arm {label!r} takes {size} bytes as JSON: at most {ARM_BYTES_MAX}; say less of it",
            )
        story = None if self.line.waiting(label) else await self.find(read_id(label))
        if (known := self._offered(label, story)) is not None:
            number, described = known
            if described != arm:
                raise Conflict("arm_exists", f"an arm {label!r} was offered with another description: take another id")
            await self._changed()
            return number, False
        self._check_open()
        self._check_takes_offers()
        number = self.line.offer(arm)
        self._change(ArmOffered(arm), now)
        await self._changed()
        return number, True

    def _offered(self, label: str, read: Story | None) -> tuple[int, Arm] | None:
        """Return the number and the description of an arm that waits, or was `read`."""
        if read is None:
            return self.line.waiting(label)
        assert read.reward is not None and read.event.sent is not None
        return feedback_of(read.reward)[1], json.loads(read.event.sent)

    def _check_takes_offers(self) -> None:
        if self.line.committed is not None:
            raise Conflict(
                "committed", f"the experiment {self.spec.id!r} is committed to an arm: it reads no more; create another"
            )
        if self.line.closed:
            raise Conflict(
                "stream_closed", f"the stream of the experiment {self.spec.id!r} is closed: create another experiment"
            )
        if self.line.n_waiting >= LINE_MAX:
            raise Conflict("line_full", f"{LINE_MAX} arms wait: offer more once some of them were read")

    async def close(self, now: int) -> None:
        """Say that no more arms will be offered; once that is said this changes nothing."""
        self.check_usable()
        if not self.line.closed:
            self._check_open()
            self._change(StreamClosed(), now)
            self.line.closed = True
        await self._changed()

    async def commit(self, now: int) -> Recommended:
        """Keep and pull one arm only from now on, the one that the policy recommends; asked again, the first answer."""
        await self.still()
        self.check_usable()
        if self._committed is None:
            self._check_open()
            place = self._recommended_place()
            evicted = [*self.line.untold, *self.line.commit(place)]
            self.line.untold = []
            answer = self.line.recommended(place, self.spec.reward_range)
            self._committed = Committed(place, msgspec.structs.replace(answer, evicted=evicted))
            self._change(self._committed, now)
        answer = self._committed.answer
        await self._changed()
        return answer

    def recommendation(self) -> Recommended:
        """Return what `commit` would commit to now, or has."""
        self.check_usable()
        return self.line.recommended(self._recommended_place(), self.spec.reward_range)

    def _recommended_place(self) -> int:
        if self.line.committed is not None:
            return self.line.committed
        place = int(self._recommend(self._params, self._state, Key(self._run, self.number)))
        if not self.line.holds(place):  # no arm has had all the pulls that the policy judges by
            place = self.line.best
        if place < 0:
            raise Conflict(
                "nothing_to_recommend", f"the experiment {self.spec.id!r} holds no arm yet: offer arms, and decide"
            )
        return place

    def _check_fixed_arms(self) -> None:
        raise InvalidInput(
            "arms_come_once", f"the arms of the experiment {self.spec.id!r} come once: its policy drops them"
        )

    # -- what was decided before ---------------------------------------------------------------------------------------

    def action(self, event: Event) -> Array:
        """Return the move of a DECIDE event, int64[3]."""
        move: Array = unpack_actions([event.vector], [None], self.problem)[0]
        return move

    def asked(self, event: Event) -> int:
        """Return how many pulls a DECIDE event asks for, 0 where it reads."""
        fewer = moved(event).pulls
        return int(self.action(event)[2]) if fewer is UNSET else fewer

    def mask(self, event: Event) -> Array:
        """Return what could be done at a DECIDE event, bool[slots + 2]."""
        k = self.problem.n_choices
        if event.available is None:
            return np.ones(k, np.bool_)
        return np.unpackbits(np.frombuffer(event.available, np.uint8), count=k).view(np.bool_)


def moved(event: Event) -> Moved:
    """Return what the DECIDE event of a move says in words."""
    return _moved.decode(event.detail or "")


def detail_of(pulls: int, arm: int = -1) -> str:
    """Return the feedback on a move as the detail of its LEARN event: pulls done, arm read."""
    return f"[{pulls}, {arm}]"


def feedback_of(event: Event) -> tuple[int, int]:
    """Return the pulls done and the arm read of a LEARN event."""
    return _detail.decode(event.detail or "")


def read_id(label: str) -> str:
    """Return the id of the decision that read an arm, by which the log finds it: clients' ids begin with no tilde."""
    return f"~arm {label}"
