"""Kill the service while clients ask queries and send answers: what was asked counts, and nothing counts twice."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.processes import Client, Decided, Process, join
from support.served import assert_sound, log_of

from onearm.api.cli.main import run
from onearm.api.experiment.spec import Spec
from onearm.engine import snapshot
from onearm.engine.storage.records import Event, Experiment
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN

CLIENTS = 4
SEED = 11
BODY: dict[str, Any] = {
    "experiment_id": "q",
    "problem": {"kind": "queries", "task": "thresholds", "queries": list("abcdef"), "horizon": 10**6},
    "policy": {"name": "uniform_budget"},
    "seed": 9,
}


class Asking(Client):
    """Asks queries, some of which are closed to it, and sends answers; retries until it is answered."""

    def decide(self) -> None:
        name = f"{self.me}-{len(self.decided)}"
        body: dict[str, Any] = {"decision_id": name}
        if self.random.random() < 0.3:
            body["excluded_actions"] = ["a", self.random.choice("bcd")]
        answer, tries = self.post("q", "decisions", body)
        assert answer.status_code in ((201,) if tries == 1 else (200, 201)), answer.text
        self.decided[name] = Decided("q", body, answer.json())
        self.open.append(name)

    def reward(self) -> None:
        if self.open:
            name = self.open.pop(self.random.randrange(len(self.open)))
            self.rewarded[name] = value = self.random.choice([-1.0, 1.0])
            answer, tries = self.post("q", f"decisions/{name}/reward", {"value": value})
            allowed = ("accepted",) if tries == 1 else ("accepted", "duplicate")
            assert answer.status_code == 200 and answer.json()["status"] in allowed, answer.text

    def change(self) -> None:
        """Say nothing: no query joins."""


def counted(row: Experiment, events: list[Event]) -> str:
    """Return the digest of a state that has counted what is in a log, by another hand."""
    spec = Spec.from_stored(json.loads(row.spec))
    state = spec.policy.init(spec.policy.params, spec.problem)
    for event in events:
        if event.kind == DECIDE:
            state.evidence.asked[event.action] += 1
        elif event.kind == LEARN:
            state.evidence.count[event.action] += 1
            state.evidence.total[event.action] += json.loads(event.detail or "")[0]
    return snapshot.digest(state)


def check(events: list[Event], clients: list[Asking]) -> None:
    """Check that the log holds what the clients were told, once, and nothing else."""
    assert_sound(events)
    decided = {event.decision_id: event for event in events if event.kind == DECIDE}
    learned = {event.number: event for event in events if event.kind == LEARN}
    told = {name: one for client in clients for name, one in client.decided.items()}
    assert set(decided) == set(told), "all clients went on until they were answered"
    for name, one in told.items():
        event = decided[name]
        assert event.action is not None
        assert one.answer["query_id"] == "abcdef"[event.action] not in one.body.get("excluded_actions", [])
        assert (one.answer["number"], one.answer["propensity"]) == (event.number, event.propensity)
    answers = {name: value for client in clients for name, value in client.rewarded.items()}
    assert len(learned) == len(answers)
    assert {name: json.loads(learned[decided[name].number].detail or "") for name in answers} == {
        name: [value] for name, value in answers.items()
    }


def test_a_kill_loses_no_query_and_counts_none_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database, moments = f"sqlite:///{tmp_path}/run.db", random.Random(SEED)
    service, over = Process(database), threading.Event()
    clients: list[Asking] = []
    try:
        service.wait()
        httpx.post(f"{service.url}/v1/experiments", json=BODY, timeout=60).raise_for_status()
        clients = [Asking(me, service.url, over) for me in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(moments.uniform(0.3, 0.8))
        assert "Traceback" not in service.stop(signal.SIGKILL)
        service.start()
        service.wait()
        time.sleep(0.3)
        over.set()
        join(clients)
        found = httpx.get(f"{service.url}/v1/experiments/q").json()
        recommended = httpx.get(f"{service.url}/v1/experiments/q/recommendation").json()
        assert service.stop(signal.SIGTERM) == ""
    finally:
        over.set()
        service.end()
    store = Store.open(database)
    try:
        row, events = log_of(store, "q")
    finally:
        store.close()
    check(events, clients)
    assert sum(client.retries for client in clients) > 0
    assert (found["digest"], found["seq"]) == (counted(row, events), len(events))
    assert 0 < recommended["pending"] == found["pending"]
    assert run(["verify", "--database", database, "--json"]) == 0
    told = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["q"]
    assert (told["first_difference"], told["digest"]) == (None, found["digest"])
