"""Nodes as processes: one is killed, one sleeps for longer than its lease, the database starts again."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from support.processes import Process
from support.served import ARMS, RANDOM, folded, log_of

from onearm.engine.storage.shards import SHARDS
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE

if TYPE_CHECKING:
    from support.postgres_server import Running

LEASE = 2.0
PATIENCE = 60.0
NAMES = [f"e{number}" for number in range(6)]


class Street:
    """Nodes as processes, and a client that asks any of them until it is answered."""

    def __init__(self, database: str, *names: str) -> None:
        self.database = database
        self.nodes = {name: self._started(name) for name in names}
        self.told: dict[tuple[str, str], Any] = {}

    def _started(self, name: str) -> Process:
        port = free_port()
        options = ["--node", name, "--advertise", f"http://127.0.0.1:{port}", "--lease", str(LEASE)]
        return Process(self.database, *options, port=port)

    def again(self, name: str) -> None:
        """Start a node again, once it ended."""
        self.nodes[name] = self._started(name)
        self.nodes[name].wait()

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            for node in list(self.nodes.values()):
                with suppress(httpx.TransportError):
                    answer = httpx.request(method, f"{node.url}{path}", json=body, timeout=5)
                    if answer.status_code != 503:
                        return answer
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def begin(self) -> None:
        for node in self.nodes.values():
            node.wait()
        for name in NAMES:
            body = {"experiment_id": name, "arms": ARMS, "policy": RANDOM, "seed": 3}
            assert self.ask("POST", "/v1/experiments", body).status_code in (200, 201)
        self.settle()

    def settle(self) -> None:
        """Wait until every node has its share."""
        deadline = time.monotonic() + PATIENCE
        while True:
            counts = [one["shards"] for one in self.ask("GET", "/v1/cluster").json()["nodes"]]
            if len(counts) == len(self.nodes) and sum(counts) == SHARDS and max(counts) - min(counts) <= 1:
                return
            assert time.monotonic() < deadline, counts
            time.sleep(0.05)

    def database_says(self, sql: str) -> list[Any]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(sql).fetchall()

    def decide_everywhere(self, decision: str) -> None:
        """Ask each experiment for a decision, and tell what came of it."""
        for name in NAMES:
            answer = self.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": decision})
            assert answer.status_code in (200, 201), answer.text
            self.told[name, decision] = answer.json()
            reward = self.ask("POST", f"/v1/experiments/{name}/decisions/{decision}/reward", {"value": 1.0})
            assert reward.status_code == 200, reward.text

    def assert_sound(self) -> None:
        """All that was told is on record once, whoever is asked, and each digest is a fold of its log."""
        for (name, decision), answer in self.told.items():
            assert self.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": decision}).json() == answer
        digests = {name: self.ask("GET", f"/v1/experiments/{name}").json()["digest"] for name in NAMES}
        said = [node.stop(signal.SIGTERM) for node in self.nodes.values()]
        assert not any("Traceback" in one for one in said), said
        store = Store.open(self.database)
        try:
            for name in NAMES:
                row, events = log_of(store, name)
                decided = [event.decision_id for event in events if event.kind == DECIDE]
                assert len(set(decided)) == len(decided)
                assert {decision for one, decision in self.told if one == name} <= set(decided)
                assert digests[name] == folded(row, events)
        finally:
            store.close()

    def end(self) -> None:
        for node in self.nodes.values():
            node.process.send_signal(signal.SIGCONT)
            node.end()


@pytest.fixture
def plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")


@pytest.fixture
def street(own_postgres: Running, plain_python: None) -> Iterator[Street]:
    from support.postgres_server import new_database

    street = Street(new_database(own_postgres.url, "street"), "a", "b")
    try:
        street.begin()
        yield street
    finally:
        street.end()


def test_a_node_that_is_killed_is_replaced_within_its_lease(street: Street) -> None:
    """By the clock of the database: not before its lease ends, and then as soon as the other one says that it is there,
    which it must do before its own lease ends.
    """
    street.decide_everywhere("before")
    had = street.database_says("SELECT number FROM shard WHERE owner = 'b'")
    killed = street.nodes.pop("b")
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    [(ends,)] = street.database_says("SELECT until FROM node WHERE name = 'b'")
    street.decide_everywhere("after")
    taken = dict(street.database_says("SELECT number, since FROM shard WHERE owner = 'a'"))
    assert len(had) == SHARDS // 2 and len(taken) == SHARDS
    for (number,) in had:
        assert 0 <= taken[number] - ends <= LEASE * 1e6
    killed.end()
    street.again("b")
    street.settle()
    street.decide_everywhere("again")
    street.assert_sound()


def test_a_node_that_sleeps_past_its_lease_wakes_up_and_spoils_nothing(street: Street) -> None:
    """Clients ask it while it falls asleep: whatever it was at then is refused, or done by the new owner."""
    street.decide_everywhere("before")
    sleeper = street.nodes.pop("b")
    clients = [Asking(sleeper.url, number) for number in range(4)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    sleeper.process.send_signal(signal.SIGSTOP)
    street.decide_everywhere("meanwhile")
    for client in clients:
        client.over.set()
    sleeper.process.send_signal(signal.SIGCONT)
    for client in clients:
        client.join(PATIENCE)
        street.told |= client.told
    assert len(street.told) > 2 * len(NAMES)
    street.nodes["b"] = sleeper
    street.settle()
    street.decide_everywhere("after")
    street.assert_sound()


def test_a_database_that_starts_again_is_waited_for(street: Street, own_postgres: Running) -> None:
    street.decide_everywhere("before")
    own_postgres.restart()
    street.decide_everywhere("after")
    street.assert_sound()


class Asking(threading.Thread):
    """Asks one node for decisions, and keeps those that it was told of."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.url, self.number = url, number
        self.over = threading.Event()
        self.told: dict[tuple[str, str], Any] = {}

    def run(self) -> None:
        asked = 0
        with httpx.Client(base_url=self.url, timeout=PATIENCE) as client:
            while not self.over.is_set():
                name, decision = NAMES[asked % len(NAMES)], f"{self.number}-{asked}"
                asked += 1
                answer = client.post(f"/v1/experiments/{name}/decisions", json={"decision_id": decision})
                if answer.status_code == 201:
                    self.told[name, decision] = answer.json()
                else:
                    assert answer.status_code == 503, answer.text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port
