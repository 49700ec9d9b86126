"""What a log folds to whose rewards are corrected and whose states are set back, by another hand: from nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from support.served import Served, log_of, read_context, read_detail, read_mask

from onearm.api.cli.verify import has_fault, verified
from onearm.api.experiment.spec import Spec
from onearm.api.service.archives import Archives
from onearm.engine import loop, snapshot
from onearm.engine.storage.connections import parse_url
from onearm.engine.storage.records import Event, Experiment
from onearm.engine.vocabulary import CHANGE, CORRECTED, DECISIONS, LEARN, Decision, Feedback, Instance, Key

E = "/v1/experiments/e"


class Correcting(Served):
    """The service, where states follow corrections when a test says so."""

    def start(self, *, wait: bool = True) -> None:
        super().start(wait=wait)
        assert self.client.portal is not None
        self.client.portal.call(self.service.correcting.stop)

    def follow(self) -> None:
        assert self.client.portal is not None
        self.client.portal.call(self.service.correcting.correct_all, 1.0)

    def rewarded(self, values: list[float]) -> list[str]:
        """Decide and reward so many times; return the ids."""
        names = []
        for value in values:
            names.append(self.decide().json()["decision_id"])
            assert self.reward(names[-1], value).status_code == 200
        return names

    def correct(self, name: str, value: float | None) -> None:
        path = f"{E}/decisions/{name}/reward"
        if value is None:
            answer = self.client.delete(path)
        else:
            answer = self.client.put(path, content=f'{{"value": {value}}}'.encode())
        assert answer.status_code == 200, answer.text

    def assert_not_corrected(self, name: str) -> None:
        """Check that a correction is refused as the log is not folded from so far back, also after a restart."""
        for again in (False, True):
            if again:
                self.restart()
            refused = self.client.put(f"{E}/decisions/{name}/reward", json={"value": 0.0})
            assert (refused.status_code, refused.json()["code"]) == (409, "compacted")

    def rollback(self, to: Any) -> httpx.Response:
        return self.post(f"{E}/policies:rollback", {"to": to})

    def sets(self) -> list[dict[str, Any]]:
        return [change for _, change in changes_of(self.events()) if change["change"] == "state_set"]

    def assert_right(self) -> None:
        """Check the state against the log, and that it verifies."""
        row, events = log_of(self.store, "e")
        assert self.digest() == folded(row, events)
        self.assert_verified()

    def assert_verified(self) -> None:
        """Check that the log verifies, with what is in archives."""
        faults = [found for found in verified(self.url, Archives.beside(parse_url(self.url))) if has_fault(found)]
        assert not faults, faults


def changes_of(events: Sequence[Event]) -> list[tuple[int, dict[str, Any]]]:
    return [(event.seq, json.loads(event.detail or "{}")) for event in events if event.kind == CHANGE]


def learned_by(events: Sequence[Event], seq: int) -> list[int]:
    """Return the seqs of what the state after the event of a seq has learned, in order."""
    sets = [(at, change) for at, change in changes_of(events) if change["change"] == "state_set" and at <= seq]
    if not sets:
        return [event.seq for event in events if event.kind == LEARN and event.seq <= seq]
    at, change = sets[-1]
    after = [event.seq for event in events if event.kind == LEARN and at < event.seq <= seq]
    return learned_by(events, change["settings"][0]["to"]) + after


def rewards_by(events: Sequence[Event], seq: int) -> dict[int, float | None]:
    """Return the rewards of decisions as the state after the event of a seq knows them."""
    sets = [(at, change) for at, change in changes_of(events) if change["change"] == "state_set" and at <= seq]
    corrected_to = sets[-1][1]["settings"][0]["corrected_to"] if sets else 0
    known = {event.number: event.reward for event in events if event.kind == LEARN}
    known |= {event.number: event.reward for event in events if event.kind == CORRECTED and event.seq <= corrected_to}
    return known  # type: ignore[return-value]


def folded(row: Experiment, events: Sequence[Event], seq: int | None = None) -> str:
    """Return the digest of the state after the event of a seq, or after the last."""
    last = events[-1].seq if seq is None and events else seq or 0
    spec = Spec.from_stored(json.loads(row.spec))
    params, k = spec.policy.params, len(spec.arms)
    state = spec.policy.init(params, spec.problem)
    learned, rewards = set(learned_by(events, last)), rewards_by(events, last)
    decided: dict[int | None, tuple[Instance, Decision]] = {}
    for event in events[:last]:
        if event.kind == CHANGE and json.loads(event.detail or "{}")["change"] == "arm_added":
            k += 1
            assert spec.policy.grow is not None
            state = spec.policy.grow(params, state, spec.intake.problem(k, spec.problem.horizon))
        elif event.kind in DECISIONS:
            assert event.number is not None and event.action is not None
            instance = Instance(event.number, read_context(event, spec, k), read_mask(event, k))
            propensity = math.nan if event.propensity is None else event.propensity
            decided[event.number] = instance, Decision(event.action, propensity)
        elif event.kind == LEARN and event.seq in learned:
            assert event.number is not None
            reward = rewards[event.number]
            if reward is not None:
                instance, decision = decided[event.number]
                if joined := k - len(instance.available):
                    instance = instance._replace(available=np.pad(instance.available, (0, joined)))
                call = (params, state, instance, decision, Feedback(reward, read_detail(event, spec)))
                loop.learn.python(*call, Key(spec.run, event.number))
    return snapshot.digest(state)
