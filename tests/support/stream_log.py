"""The log of a stream of arms folded by another hand than the service's: a plain queue, and a list of places."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import numpy as np
from support.served import Served, assert_sound, log_of

from onearm.api.experiment.spec import Spec
from onearm.engine import loop, snapshot
from onearm.engine.storage.records import Event, Experiment
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Array, Decision, Feedback, Instance, Key

READ = 1


class StreamLog:
    """What the log of a stream adds up to; every decision is made again on the way."""

    def __init__(self, row: Experiment, events: list[Event]) -> None:
        self.spec = Spec.from_stored(json.loads(row.spec))
        self.slots = self.spec.problem.slots or 0
        self.state = self.spec.policy.init(self.spec.policy.params, self.spec.problem)
        self.waiting: deque[tuple[int, str]] = deque()
        self.places: list[tuple[int, str] | None] = [None] * (self.slots + 1)
        self.books: dict[str, tuple[int, float]] = {}
        self.offered = self.read = self.made = 0
        self.closed = self.over = False
        self.committed: int | None = None
        self.gone: list[str] = []  # since the last pull
        self.dropped: set[str] = set()
        self.pulled: list[str] = []
        self.asked: dict[int, int] = {}  # pulls, of decisions without a reward
        self._open: dict[int, tuple[Instance, Decision]] = {}
        assert_sound(events)
        for event in events:
            {CHANGE: self.change, DECIDE: self.decide, LEARN: self.learn}[event.kind](event)
        self.digest = snapshot.digest(self.state)

    def change(self, event: Event) -> None:
        change = json.loads(event.detail or "")
        if change["change"] == "arm_offered":
            assert not self.closed and self.committed is None
            self.waiting.append((self.offered, change["arm"]["id"]))
            self.offered += 1
        self.closed |= change["change"] == "stream_closed"
        if change["change"] == "committed":
            self.commit(change["place"], change["answer"])

    def commit(self, place: int, answer: dict[str, Any]) -> None:
        """Keep one arm alone; all that left since the last pull are named."""
        self.committed = place
        assert self.label(place) == answer["arm_id"] and answer["committed"]
        let_go = [held[1] for other, held in enumerate(self.places) if held is not None and other != place]
        assert [one["id"] for one in answer["evicted"]] == [*self.gone, *let_go]
        assert [one["reason"] for one in answer["evicted"][len(self.gone) :]] == ["over"] * len(let_go)
        self.dropped.update(let_go)
        self.gone = []
        self.places = [held if other == place else None for other, held in enumerate(self.places)]

    def label(self, place: int) -> str:
        held = self.places[place]
        assert held is not None
        return held[1]

    def mask(self) -> Array:
        if self.committed is not None:
            return np.arange(self.slots + 2) == self.committed
        readable = not self.over and (self.closed or len(self.waiting) > 0)
        return np.array([held is not None for held in self.places] + [readable])

    def decide(self, event: Event) -> None:
        assert event.number is not None and event.vector is not None and event.action is None
        mask = np.ones(self.slots + 2, np.bool_)
        if event.available is not None:
            mask = np.unpackbits(np.frombuffer(event.available, np.uint8), count=self.slots + 2).view(np.bool_)
        assert mask.tolist() == self.mask().tolist(), f"decision {event.number}: what can be done"
        instance, key = Instance(event.number, np.zeros(0), mask), Key(self.spec.run, event.number)
        action, propensity = loop.decide(self.spec.policy.params, self.state, instance, key)
        move = np.frombuffer(event.vector, "<i8").astype(np.int64)
        assert action.tolist() == move.tolist() and propensity == event.propensity
        self._open[event.number] = (instance, Decision(move, propensity))
        said = json.loads(event.detail or "")
        if move[0] == READ:
            assert [one["id"] for one in said["evicted"]] == self.make_room(int(move[1]))
            self.gone += [one["id"] for one in said["evicted"]]
            assert said["arm_id"] == (self.label(self.slots) if self.places[self.slots] else None)
        else:
            assert [one["id"] for one in said["evicted"]] == self.gone, "those who left are named with the next pull"
            self.gone = []
            assert said["arm_id"] == self.label(int(move[1])) and said["arm_id"] not in self.dropped
            assert 1 <= said.get("pulls", move[2]) <= move[2]
            self.asked[event.number] = said.get("pulls", int(move[2]))
            self.pulled.append(said["arm_id"])

    def make_room(self, slot: int) -> list[str]:
        """Store or drop the arm that arrived, let the next one arrive, and return who left."""
        arrived, lost = self.places[self.slots], None
        if arrived is not None:
            lost = self.places[slot]
            self.places[slot] = arrived
        self.places[self.slots] = self.waiting.popleft() if self.waiting else None
        self.over = self.places[self.slots] is None
        self.read += not self.over
        left = [] if lost is None else [lost[1]]
        self.dropped.update(left)
        return left

    def learn(self, event: Event) -> None:
        assert event.number is not None and event.reward is not None
        instance, decision = self._open.pop(event.number)
        pulls, arm = json.loads(event.detail or "")
        if decision.action[0] == READ:
            held = self.places[self.slots]
            assert (pulls, arm, event.reward) == (0, -1 if held is None else held[0], 0.0)
        else:
            assert arm == -1 and 0 <= pulls <= self.asked.pop(event.number)
            assert self.committed in (None, decision.action[1])
            label = self.label(int(decision.action[1]))
            before = self.books.get(label, (0, 0.0))
            self.books[label] = (before[0] + pulls, before[1] + event.reward)
            self.made += pulls
        call = (self.spec.policy.params, self.state, instance, decision)
        feedback = Feedback(event.reward, np.array([pulls, arm], np.float64))
        loop.learn(*call, feedback, Key(self.spec.run, event.number))


def assert_consistent(served: Served, experiment_id: str = "s") -> StreamLog:
    """Check that the service is where its log is, and return what that adds up to."""
    found = served.get(f"/v1/experiments/{experiment_id}").json()
    folded = StreamLog(*log_of(served.store, experiment_id))
    assert_follows(found, folded)
    return folded


def assert_follows(found: dict[str, Any], folded: StreamLog) -> None:
    """Check an experiment as the service shows it against its log."""
    assert found["digest"] == folded.digest
    stream, committed = found["stream"], folded.committed
    held = [(place, held[1]) for place, held in enumerate(folded.places) if held is not None]
    assert [(one["place"], one["arm_id"]) for one in stream["held"]] == held
    for one in stream["held"]:
        pulls, total = folded.books.get(one["arm_id"], (0, 0.0))
        assert (one["pulls"], one["mean"]) == (pulls, total / pulls if pulls else None)
    assert stream["waiting"] == len(folded.waiting)
    assert (stream["arms_seen"], stream["pulls_made"]) == (folded.read, folded.made)
    assert (stream["closed"], stream["over"]) == (folded.closed, folded.over)
    assert stream["committed"] == (None if committed is None else folded.label(committed))
    assert len(held) <= stream["peak_held"] <= folded.slots + 1
