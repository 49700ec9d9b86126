"""Nodes as they are started in production, and clients who ask for decisions and tell their rewards without a pause."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from cluster_running import Database, free_port
from cpu_time import cpu_of, cpu_of_database
from scale_model import SHARDS

READY_SECONDS = 120.0  # a busy machine is no bug, and a cold one compiles
LEASE = 10.0  # seconds
CLIENTS = 8  # always the same: requests that wait at one time share a transaction
PATIENCE = 10.0  # seconds of a clock on the wall, for each of CPU
ARMS = [{"id": f"arm{i}"} for i in range(10)]


class Sort(NamedTuple):
    """A sort of decisions: how its experiments are made, and what is sent for a decision and for its reward."""

    made: dict[str, Any]
    asked: dict[str, Any]
    told: dict[str, Any]


class Target(NamedTuple):
    """What a client asks for."""

    experiment: str
    sort: Sort
    ports: tuple[int, ...]  # of nodes, by turns


class Idle(NamedTuple):
    """Cores that a node takes that is asked nothing, and PostgreSQL for it."""

    node: float
    database: float


class Asked(NamedTuple):
    """How a load is measured."""

    seconds: float  # of CPU
    idle: Idle  # what is taken anyway


class Load(NamedTuple):
    """What was done in a while. CPU in microseconds of a decision with its reward, without what idle ones take.

    `cores` are those that all got together.
    """

    decisions: int
    seconds: float
    nodes_us: float
    database_us: float
    clients_us: float
    cores: float
    failed: int

    @property
    def rate(self) -> float:
        """Decisions a second."""
        return self.decisions / self.seconds


class Node:
    """A node as a process."""

    def __init__(self, name: str, server: Database, lease: float = LEASE) -> None:
        self.name, self.port = name, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        options = ["--port", str(self.port), "--node", name, "--advertise", self.url, "--lease", str(lease)]
        command = [sys.executable, "-m", "onearm", "serve", *options, "--database", server.url]
        self.log = server.folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    def memory(self) -> int:
        """Return the bytes that are resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def end(self) -> None:
        """End it, where it is still there."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(READY_SECONDS)


def settle(nodes: Sequence[Node], http: httpx.Client) -> list[str]:
    """Wait until all nodes answer and have their shares; return the name of the owner of each shard."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with suppress(httpx.TransportError, KeyError):
            found = [http.get(f"{node.url}/v1/cluster").json() for node in nodes]
            owners = [[one["owner"] for one in seen["shards"]] for seen in found]
            counts = [owners[0].count(node.name) for node in nodes]
            if all(some == owners[0] for some in owners) and sum(counts) == SHARDS and max(counts) - min(counts) <= 1:
                return owners[0]
        if time.monotonic() > deadline:
            said = "".join(node.log.read_text()[-1000:] for node in nodes)
            raise SystemExit(f"{len(nodes)} nodes have not their shares after {READY_SECONDS:g} s: {said}")
        time.sleep(0.1)


def made(node: Node, http: httpx.Client, name: str, sort: Sort) -> None:
    """Make an experiment, and wait until it is compiled where it is."""
    path = f"{node.url}/v1/experiments"
    _asked(http, path, {"experiment_id": name, **sort.made})
    first = _asked(http, f"{path}/{name}/decisions", {"decision_id": "first", **sort.asked})
    _asked(http, f"{path}/{name}/decisions/{first['decision_id']}/reward", sort.told)
    compiled(node, http, name)


def compiled(node: Node, http: httpx.Client, name: str) -> int:
    """Wait until an experiment is compiled; return the bytes of its state."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        answer = http.get(f"{node.url}/v1/experiments/{name}/diagnostics")
        if answer.status_code == 200 and (found := answer.json())["compiling"]["compiled"]:
            return int(found["state_bytes"])
        time.sleep(0.1)
    raise SystemExit(f"{name} is not compiled after {READY_SECONDS:g} s")


def _asked(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    while (answer := http.post(path, json=body)).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


class Client(threading.Thread):
    """Asks for a batch of decisions, tells their rewards, and goes on with the next experiment."""

    def __init__(self, number: int, targets: Sequence[Target], batch: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.done = self.failed = 0
        self._targets, self._batch = targets, batch
        self._random = random.Random(number)
        self._sockets: dict[int, socket.socket] = {}

    def run(self) -> None:
        """Go on until it is over."""
        while not self.over.is_set():
            if self._is_done(self._random.choice(self._targets)):
                self.done += self._batch
            else:
                self.failed += self._batch
        for one in self._sockets.values():
            one.close()

    def _is_done(self, target: Target) -> bool:
        path = f"/v1/experiments/{target.experiment}"
        asked, told = target.sort.asked, target.sort.told
        if self._batch == 1:
            made = self._sent(target, f"{path}/decisions", asked)
            return (
                made is not None
                and self._sent(target, f"{path}/decisions/{made['decision_id']}/reward", told) is not None
            )
        made = self._sent(target, f"{path}/decisions:batch", {"decisions": [asked] * self._batch})
        if made is None:
            return False
        rewards = [{"decision_id": one["decision_id"], **told} for one in made["decisions"]]
        return self._sent(target, f"{path}/rewards:batch", {"rewards": rewards}) is not None

    def _sent(self, target: Target, path: str, body: dict[str, Any]) -> Any:
        """Return what is answered, None where it is a refusal."""
        port = self._random.choice(target.ports)
        if port not in self._sockets:
            self._sockets[port] = socket.create_connection(("127.0.0.1", port))
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n\r\n"
        self._sockets[port].sendall(head.encode() + data)
        status, answer = _answer(self._sockets[port])
        return json.loads(answer) if status < 300 else None


def _answer(one: socket.socket) -> tuple[int, bytes]:
    """Read an answer, and return its status and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(one)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    parts = [body]
    left = length - len(body)
    while left > 0:
        parts.append(_more(one))
        left -= len(parts[-1])
    return int(head.split(b" ", 2)[1]), b"".join(parts)


def _more(one: socket.socket) -> bytes:
    if not (data := one.recv(1 << 16)):
        raise ConnectionError("a node closed the connection")
    return data


def load(
    server: Database, nodes: Sequence[Node], targets: Sequence[Target], batch: int, seconds: float, idle: Idle
) -> Load:
    """Let clients ask until all together took so many seconds of CPU, and return what was done."""
    clients = [Client(number, targets, batch) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_until(lambda: all(client.done + client.failed for client in clients), READY_SECONDS)
    before, begun, cpu = sum(one.done for one in clients), time.perf_counter(), _spent(server, nodes)
    wait_until(lambda: sum(_spent(server, nodes)) - sum(cpu) >= seconds, PATIENCE * seconds)
    done, took = sum(one.done for one in clients) - before, time.perf_counter() - begun
    spent = [now - then for now, then in zip(_spent(server, nodes), cpu, strict=True)]
    for client in clients:
        client.over.set()
    for client in clients:
        client.join(READY_SECONDS)
    if not done:
        raise SystemExit(f"nothing was decided in {took:.1f} s, in batches of {batch}: ask for more --seconds")
    rested = len(nodes) * took * idle.node, len(nodes) * took * idle.database, 0.0
    each = [1e6 * max(0.0, one - rest) / done for one, rest in zip(spent, rested, strict=True)]
    return Load(done, took, each[0], each[1], each[2], sum(spent) / took, sum(client.failed for client in clients))


def wait_until(what: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so, but no longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)


def rest(server: Database, nodes: Sequence[Node], seconds: float) -> Idle:
    """Return what nodes take that are asked nothing."""
    begun, cpu = time.perf_counter(), _spent(server, nodes)
    time.sleep(seconds)
    now, took = _spent(server, nodes), (time.perf_counter() - begun) * len(nodes)
    return Idle((now[0] - cpu[0]) / took, (now[1] - cpu[1]) / took)


def _spent(server: Database, nodes: Sequence[Node]) -> tuple[float, float, float]:
    return sum(cpu_of(node.process.pid) for node in nodes), cpu_of_database(server), time.process_time()
