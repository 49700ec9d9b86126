"""Nodes as processes, and a client that asks any of them until it is answered."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import Any

import httpx
import psycopg
from support.ports import free_port
from support.processes import Process
from support.served import ARMS, RANDOM, folded, log_of

from onearm.engine.storage.shards import SHARDS
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE

LEASE = 2.0
PATIENCE = 60.0  # a busy machine is no bug
NAMES = [f"e{number}" for number in range(6)]


class Street:
    """Nodes over one database of PostgreSQL, and what clients were told."""

    def __init__(self, database: str, *names: str) -> None:
        self.database = database
        self.nodes = {name: self.started(name) for name in names}
        self.told: dict[tuple[str, str], Any] = {}

    def started(self, name: str) -> Process:
        """Start a node, and return it while it begins."""
        port = free_port()
        return Process(self.database, *options_of(name, port), port=port)

    def again(self, name: str) -> None:
        """Start a node again, once it ended."""
        self.nodes[name] = self.started(name)
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


def options_of(name: str, port: int) -> list[str]:
    """Return the options of a node."""
    return ["--node", name, "--advertise", f"http://127.0.0.1:{port}", "--lease", str(LEASE)]
