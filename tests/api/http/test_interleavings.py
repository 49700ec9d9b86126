"""Any interleaving of decisions, rewards, retries, conflicts, failed commits, restarts, against a model in memory."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.served import Served, assert_problem, assert_refused, log_of

from onearm.engine.errors import Unavailable
from onearm.engine.storage.tables import SNAPSHOT
from onearm.engine.vocabulary import DECIDE, LEARN

IDS = st.sampled_from(["d0", "d1", "d2", "d3", "ü", "d5"])
SUBSETS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
BODIES = st.fixed_dictionaries({}, optional={"eligible_actions": SUBSETS})
VALUES = st.sampled_from([0.0, 0.25, 1.0, -3.5])
REWARD_IDS = st.sampled_from([None, "r", "s"])
PLACES = st.integers(0, 200)


class Interleaving(RuleBasedStateMachine):
    """The model: what was answered, by decision id (the service's or the client's)."""

    @initialize(cache_bytes=st.sampled_from([0, 2500, 1_000_000]), constrained=st.booleans())
    def start(self, cache_bytes: int, constrained: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.served = Served(Path(self.folder.name), cache_bytes=cache_bytes)
        said = {"constraints": {"floors": {"a": 0.2}, "caps": {"c": 0.3}}} if constrained else {}
        assert self.served.create(**said).status_code == 201
        self.decided: dict[str, dict[str, Any]] = {}  # id: the first answer
        self.bodies: dict[str, bytes] = {}  # client's id: the body that it was asked with
        self.rewards: dict[str, tuple[float, str | None]] = {}
        self.order: list[str] = []  # ids, by number
        self.seq = 0

    @rule(body=BODIES)
    def decide(self, body: dict[str, Any]) -> None:
        answer = self.served.decide(body)
        assert answer.status_code == 201
        self.remember(answer.json(), body, None)

    @rule(name=IDS, body=BODIES)
    def decide_with_id(self, name: str, body: dict[str, Any]) -> None:
        body = {"decision_id": name, **body}
        raw = json.dumps(body).encode()
        answer = self.served.decide(raw)
        if name not in self.decided:
            assert answer.status_code == 201
            self.remember(answer.json(), body, raw)
        elif self.bodies[name] == raw:
            assert (answer.status_code, answer.json()) == (200, self.decided[name])
        else:
            assert_refused(answer, 409, "decision_exists")

    @precondition(lambda self: self.bodies)
    @rule(place=PLACES)
    def retry(self, place: int) -> None:
        name = sorted(self.bodies)[place % len(self.bodies)]
        answer = self.served.decide(self.bodies[name])
        assert (answer.status_code, answer.json()) == (200, self.decided[name])

    @precondition(lambda self: self.order)
    @rule(place=PLACES, value=VALUES, reward_id=REWARD_IDS, by_number=st.booleans())
    def reward(self, place: int, value: float, reward_id: str | None, by_number: bool) -> None:
        number = place % len(self.order)
        name = self.order[number]
        body = {"value": value} if reward_id is None else {"value": value, "reward_id": reward_id}
        answer = self.served.reward(f"~{number}" if by_number else name, body)
        if name not in self.rewards:
            assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
            self.learned(name, value, reward_id)
        elif self.rewards[name] == (value, reward_id):
            assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
        else:
            assert_refused(answer, 409, "reward_exists")

    @rule(bodies=st.lists(st.tuples(st.none() | IDS, BODIES), max_size=6))
    def decide_batch(self, bodies: list[tuple[str | None, dict[str, Any]]]) -> None:
        raws = [json.dumps(body if name is None else {"decision_id": name, **body}).encode() for name, body in bodies]
        content = b'{"decisions": [' + b", ".join(raws) + b"]}"
        answers = self.served.post("/v1/experiments/e/decisions:batch", content).json()["decisions"]
        assert len(answers) == len(bodies)
        fresh = []
        for (name, body), raw, answer in zip(bodies, raws, answers, strict=True):
            if name is not None and (known := self.bodies.get(name)) is not None:
                if known == raw:
                    here = {made["decision_id"]: made for made, _, _ in fresh}  # a batch may repeat its own
                    assert answer == (self.decided | here)[name]
                else:
                    assert_problem(answer, 409, "decision_exists")
            else:
                fresh.append((answer, body, raw))
                if name is not None:
                    self.bodies[name] = raw
        # Numbers are given in the order in which the log was asked for the ids: those without an id come first.
        numbers = self.numbers()
        for answer, body, raw in sorted(fresh, key=lambda one: numbers[one[0]["decision_id"]]):
            self.remember(answer, body, raw if answer["decision_id"] in self.bodies else None)

    @precondition(lambda self: self.order)
    @rule(items=st.lists(st.tuples(PLACES, VALUES), max_size=6))
    def reward_batch(self, items: list[tuple[int, float]]) -> None:
        named = [(self.order[place % len(self.order)], value) for place, value in items]
        body = {"rewards": [{"decision_id": name, "value": value} for name, value in named]}
        answers = self.served.post("/v1/experiments/e/rewards:batch", body).json()["rewards"]
        accepted = [
            (name, value)
            for (name, value), answer in zip(named, answers, strict=True)
            if answer["status"] == "accepted"
        ]
        assert len({name for name, _ in accepted}) == len(accepted)
        for name, value in accepted:
            assert name not in self.rewards
            self.learned(name, value, None)
        for (name, value), answer in zip(named, answers, strict=True):
            if answer["status"] == "duplicate":
                assert self.rewards[name] == (value, None)
            elif answer["status"] != "accepted":
                assert_problem(answer, 409, "reward_exists")
                assert self.rewards[name] != (value, None)

    @rule(number=st.integers(0, 3))
    def reward_the_unknown(self, number: int) -> None:
        assert_refused(self.served.reward(f"~{len(self.order) + number}", 1.0), 404, "unknown_decision")
        assert_refused(self.served.reward("nobody", 1.0), 404, "unknown_decision")

    @rule(body=BODIES, committed=st.booleans())
    def a_commit_fails(self, body: dict[str, Any], committed: bool) -> None:
        """Its client gets 503; whether the event is in the log, the log says."""
        store, append = self.served.store, self.served.store.append

        def failing(*batch: Any) -> None:
            if committed:
                append(*batch)
            raise Unavailable("commit_failed", "the connection was lost: try again")

        store.append = failing  # type: ignore[method-assign]
        assert_refused(self.served.decide(body), 503, "commit_failed")
        store.append = append  # type: ignore[method-assign]
        live = self.served.service.live("e")
        deadline = time.monotonic() + 10
        while live.unusable is not None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if committed:
            self.remember(self.told(f"~{len(self.order)}"), body, None)

    @rule(keep_snapshots=st.booleans())
    def restart(self, keep_snapshots: bool) -> None:
        digest = self.served.digest()
        self.served.stop()
        if not keep_snapshots:
            engine = sa.create_engine(self.served.url)
            with engine.begin() as connection:
                connection.execute(sa.delete(SNAPSHOT))
            engine.dispose()
        self.served.start()
        assert self.served.digest() == digest

    @invariant()
    def the_counters_are_right(self) -> None:
        if hasattr(self, "served"):
            live = self.served.service.live("e")
            assert (live.seq, live.number, live.rewards) == (self.seq, len(self.order), len(self.rewards))

    def teardown(self) -> None:
        if not hasattr(self, "served"):
            return
        try:
            self.served.assert_consistent()
            _, events = log_of(self.served.store, "e")
            decided = [event for event in events if event.kind == DECIDE]
            for name, event in zip(self.order, decided, strict=True):
                assert name == (event.decision_id or f"~{event.number}")
                answer = self.decided[name]
                assert answer["action_id"] == "abc"[event.action]  # type: ignore[index]
                assert (answer["propensity"], answer["model_version"]) == (event.propensity, event.seq - 1)
            learned = {self.order[event.number]: event for event in events if event.kind == LEARN}  # type: ignore[index]
            assert {name: (event.reward, event.reward_id or None) for name, event in learned.items()} == self.rewards
        finally:
            self.served.stop()
            self.folder.cleanup()

    def remember(self, answer: dict[str, Any], body: dict[str, Any], raw: bytes | None) -> None:
        name = answer["decision_id"]
        assert name not in self.decided
        if raw is None:
            assert name == f"~{len(self.order)}"
        else:
            self.bodies[name] = raw
        assert answer["action_id"] in body.get("eligible_actions", "abc")
        self.decided[name] = answer
        self.order.append(name)
        self.seq += 1

    def learned(self, name: str, value: float, reward_id: str | None) -> None:
        self.rewards[name] = (value, reward_id)
        self.seq += 1

    def told(self, name: str) -> dict[str, Any]:
        record = self.served.record(name).json()
        return {key: record[key] for key in ("decision_id", "action_id", "propensity", "policy", "model_version")}

    def numbers(self) -> dict[str, int]:
        _, events = log_of(self.served.store, "e")
        return {e.decision_id or f"~{e.number}": e.number for e in events if e.kind == DECIDE}  # type: ignore[misc]


TestInterleaving = Interleaving.TestCase
TestInterleaving.settings = settings(
    max_examples=settings.default.max_examples // 4,
    stateful_step_count=40,
    phases=[Phase.generate],  # shrinking a failure takes minutes; add Phase.shrink to look into one
)
