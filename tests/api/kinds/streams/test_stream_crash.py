"""Kill the service while clients offer arms, pull and reward: every arm is read once, and no eviction is untold."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from support.processes import Client, Decided, Process, join
from support.served import log_of
from support.stream_log import StreamLog, assert_follows

from onearm.engine.actions import READ
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN

CLIENTS = 4
SEED = 7
PATIENCE = 60.0  # seconds
BODY: dict[str, Any] = {
    "experiment_id": "s",
    "problem": {"kind": "arm_stream", "slots": 2, "arms": 1000, "horizon": 10**6},
    "seed": 9,
}


class StreamClient(Client):
    """Asks what to pull, pulls it, retries until it is answered, and keeps what it was told."""

    def __init__(self, me: int, url: str, over: threading.Event) -> None:
        super().__init__(me, url, over)
        self.offered: list[str] = []
        self.refused: dict[str, str] = {}
        self.pulls: dict[str, int] = {}

    def decide(self) -> None:
        name = f"{self.me}-{len(self.decided)}"
        body = {"decision_id": name}
        answer, tries = self.post("s", "decisions", body)
        assert answer.status_code in ((201,) if tries == 1 else (200, 201)), answer.text
        self.decided[name] = Decided("s", body, answer.json())
        self.open.append(name)

    def reward(self) -> None:
        if self.open:
            name = self.open.pop(self.random.randrange(len(self.open)))
            self.pulls[name] = pulls = self.random.choice([self.decided[name].answer["pulls"], 1])
            value = pulls * self.random.choice([0.25, 0.5])
            answer, tries = self.post("s", f"decisions/{name}/reward", {"value": value, "pulls": pulls})
            if answer.status_code == 409:
                assert answer.json()["code"] in ("arm_evicted", "arm_moved"), answer.text
                self.refused[name] = answer.json()["code"]
            else:
                assert answer.json()["status"] in ("accepted",) if tries == 1 else ("accepted", "duplicate")
                self.rewarded[name] = value

    def repeat(self) -> None:
        self.offer()
        if self.decided:
            name = self.random.choice(list(self.decided))
            _, body, first = self.decided[name]
            answer, _ = self.post("s", "decisions", body)
            assert (answer.status_code, answer.json()) == (200, first)
            if name in self.rewarded:
                body = {"value": self.rewarded[name], "pulls": self.pulls[name]}
                answer, _ = self.post("s", f"decisions/{name}/reward", body)
                assert answer.json() == {"status": "duplicate"}

    def change(self) -> None:
        """Offer again what was offered before."""
        if self.offered:
            number = self.random.randrange(len(self.offered))
            answer, _ = self.post("s", "arms", {"id": self.offered[number]})
            assert answer.status_code == 200 and answer.json()["arm_id"] == self.offered[number]

    def offer(self) -> None:
        name = f"{self.me}.{len(self.offered)}"
        answer, tries = self.post("s", "arms", {"id": name})
        assert answer.status_code in ((201,) if tries == 1 else (200, 201)), answer.text
        self.offered.append(name)


def storm(database: str, blows: list[signal.Signals]) -> None:
    """Run clients against a service that is stopped by each blow."""
    moments = random.Random(SEED)
    service = Process(database)
    over = threading.Event()
    try:
        service.wait()
        httpx.post(f"{service.url}/v1/experiments", json=BODY, timeout=60).raise_for_status()
        for name in ("first", "second"):
            httpx.post(f"{service.url}/v1/experiments/s/arms", json={"id": name}).raise_for_status()
        clients = [StreamClient(me, service.url, over) for me in range(CLIENTS)]
        for client in clients:
            client.start()
        for how in blows:
            service.wait()
            time.sleep(moments.uniform(0.3, 0.9))
            assert "Traceback" not in service.stop(how)
            service.start()
        service.wait()
        wait_until_one_was_dropped(service.url)
        over.set()
        join(clients)
        assert "Traceback" not in service.stop(signal.SIGKILL)
        store = Store.open(database)
        try:
            row, events = log_of(store, "s")
        finally:
            store.close()
        check(events, clients)
        folded = StreamLog(row, events)
        assert folded.read > 3 and folded.dropped
        service.start()
        service.wait()
        assert_follows(httpx.get(f"{service.url}/v1/experiments/s").json(), folded)
        assert service.stop(signal.SIGTERM) == ""
    finally:
        over.set()
        service.end()


def wait_until_one_was_dropped(url: str) -> None:
    """Wait until more arms were read than there is room for: a busy machine takes longer for that."""
    deadline = time.monotonic() + PATIENCE
    while httpx.get(f"{url}/v1/experiments/s").json()["stream"]["arms_seen"] <= 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)


def check(events: list[Any], clients: list[StreamClient]) -> None:
    """Check that the log holds what the clients were told, once, and nothing else that they did not do."""
    changes = [json.loads(event.detail) for event in events if event.kind == CHANGE]
    offered = [change["arm"]["id"] for change in changes]
    assert sorted(offered) == sorted(["first", "second", *(name for client in clients for name in client.offered)])
    moves = [event for event in events if event.kind == DECIDE]
    pulled = {event.decision_id: event for event in moves if event.vector[0] != READ}
    told = {name: one.answer for client in clients for name, one in client.decided.items()}
    assert set(pulled) == set(told), "all clients went on until they were answered"
    for name, answer in told.items():
        said = json.loads(pulled[name].detail)
        assert (answer["arm_id"], answer["evicted"]) == (said["arm_id"], said["evicted"])
        assert (answer["number"], answer["model_version"]) == (pulled[name].number, pulled[name].seq - 1)
    evicted = [one["id"] for event in moves if event.vector[0] == READ for one in json.loads(event.detail)["evicted"]]
    heard = sorted(told.values(), key=lambda answer: answer["number"])
    assert [one["id"] for answer in heard for one in answer["evicted"]] == evicted, "each arm that left was named once"
    learned = {event.number: event for event in events if event.kind == LEARN}
    for client in clients:
        for name, value in client.rewarded.items():
            event = learned[pulled[name].number]
            assert (event.reward, json.loads(event.detail)) == (value, [client.pulls[name], -1])
        assert not any(pulled[name].number in learned for name in client.refused)
    accepted = sum(len(client.rewarded) for client in clients)
    assert len(learned) == accepted + len(moves) - len(pulled)


def test_kills_lose_no_arm_and_no_eviction(tmp_path: Path) -> None:
    storm(f"sqlite:///{tmp_path}/run.db", [signal.SIGKILL])  # and a second one at the end
