"""Kill a service while a client corrects and rolls back: what was acknowledged is on record, and states follow it."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.corrected import changes_of, folded
from support.processes import Process
from support.served import log_of

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CORRECTED

E = "/v1/experiments/e"


class Correcter(threading.Thread):
    """Decides, rewards, corrects, retracts and rolls back, as long as it is answered; keeps what it was told."""

    def __init__(self, service: Process, seed: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.known: dict[str, float | None] = {}
        self._service, self._numbers, self._over = service, random.Random(seed), over
        self._me = seed

    def run(self) -> None:
        i = 0
        while not self._over.is_set():
            name = f"d{self._me}-{i}"
            self._sent("POST", f"{E}/decisions", {"decision_id": name})
            self._sent("POST", f"{E}/decisions/{name}/reward", {"value": 1.0})
            self.known[name] = 1.0
            i += 1
            other = self._numbers.choice([*self.known])
            path, value = f"{E}/decisions/{other}/reward", self._numbers.choice([0.0, 0.5, None])
            self._sent("DELETE" if value is None else "PUT", path, None if value is None else {"value": value})
            self.known[other] = value
            if self._numbers.random() < 0.05:
                seq = httpx.get(f"{self._service.url}{E}").json().get("seq", 1) if not self._over.is_set() else 1
                self._sent("POST", f"{E}/policies:rollback", {"to": self._numbers.randrange(seq)})

    def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> None:
        """Send until it is answered; the same again changes nothing, but for a rollback, which may be done twice."""
        while not self._over.is_set():
            try:
                answer = httpx.request(method, f"{self._service.url}{path}", json=body, timeout=30)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if answer.status_code < 500:
                assert answer.status_code in (200, 201), answer.text
                return
            time.sleep(0.02)


def storm(database: str, kills: int) -> None:
    moments, over = random.Random(7), threading.Event()
    service = Process(database)
    try:
        service.wait()
        arms = [{"id": "a"}, {"id": "b"}, {"id": "c"}]
        body = {"experiment_id": "e", "arms": arms, "policy": {"name": "epsilon_greedy"}, "seed": 9}
        httpx.post(f"{service.url}/v1/experiments", json=body, timeout=60).raise_for_status()
        clients = [Correcter(service, seed, over) for seed in range(2)]
        for client in clients:
            client.start()
        for _ in range(kills):
            time.sleep(moments.uniform(0.5, 1.5))
            service.stop(signal.SIGKILL)
            service.start()
            service.wait()
        deadline = time.monotonic() + 120
        while sum(len(client.known) for client in clients) <= 20:  # a busy machine takes a while
            assert time.monotonic() < deadline
            time.sleep(0.1)
        over.set()
        for client in clients:
            client.join(60)
            assert not client.is_alive()
        last = next(iter(clients[0].known))
        for value in (0.75, 0.25):  # what no client said: one of them is new
            httpx.put(f"{service.url}{E}/decisions/{last}/reward", json={"value": value}).raise_for_status()
        clients[0].known[last] = 0.25
        service.stop(signal.SIGKILL)  # before the state follows, most likely
        service.start()
        service.wait()
        deadline = time.monotonic() + 120
        while "corrections_left" in (found := httpx.get(f"{service.url}{E}").json()):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        digest = httpx.get(f"{service.url}{E}").json()["digest"]
        service.stop(signal.SIGKILL)
        store = Store.open(database)
        try:
            row, events = log_of(store, "e")
            corrected = {one.number: one.reward for one in store.corrections(row.key)}
        finally:
            store.close()
        assert digest == folded(row, events)
        numbers = {event.decision_id: event.number for event in events if event.decision_id is not None}
        told = {name: value for client in clients for name, value in client.known.items()}
        assert len(told) > 20
        wrong = {name for name, value in told.items() if corrected.get(numbers.get(name), 1.0) != value}
        assert len(wrong) <= len(clients), "at most what a client had sent, and was not told of, at the end"
        settings = [change["settings"][0] for _, change in changes_of(events) if change["change"] == "state_set"]
        assert settings[-1]["corrected_to"] >= max(event.seq for event in events if event.kind == CORRECTED)
        assert not any(map(has_fault, verified(database)))
    finally:
        over.set()
        service.end()


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_no_correction(tmp_path: Path, kills: int) -> None:
    storm(f"sqlite:///{tmp_path}/run.db", kills)


@pytest.mark.parametrize("kills", [pytest.param(10, marks=pytest.mark.slow)])
def test_nor_do_they_on_postgresql(postgres_url: str, kills: int) -> None:
    storm(postgres_url, kills)
