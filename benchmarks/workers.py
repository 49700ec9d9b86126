"""Decisions a second of `onearm serve --workers 2` beside one process, asked by few clients in batches.

Run: python benchmarks/workers.py [--sqlite] [--seconds 3] [--rounds 3] [--workers 2] [--json]. Needs PostgreSQL, or
with --sqlite a disk. One process and several take turns; clients are threads of this process, each with a connection
that stays open, and send the same bytes again and again. Seconds of the processor are those of the workers, of
PostgreSQL and of the clients, each.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import httpx
from cluster_running import database, free_port
from cpu_time import cpu_of, cpu_of_database
from machine import machine

from onearm.engine.storage.shards import SHARDS

ARMS = [{"id": "a"}, {"id": "b"}, {"id": "c"}]
EXPERIMENTS = 16
BATCH = 500
CLIENTS = 4
WARM_SECONDS = 2.0
READY_SECONDS = 60.0


class Place(NamedTuple):
    """A database."""

    url: str
    cpu: Callable[[], float]  # the seconds of the processor that it has taken beside the workers


@contextmanager
def a_server() -> Iterator[Place]:
    """Start PostgreSQL."""
    with database() as server:
        yield Place(server.url, lambda: cpu_of_database(server))


@contextmanager
def a_file() -> Iterator[Place]:
    """Name a file of SQLite, which the workers themselves write."""
    with tempfile.TemporaryDirectory() as folder:
        yield Place(f"sqlite:///{folder}/run.db", lambda: 0.0)


def main() -> int:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sqlite", action="store_true", help="serve a file of SQLite")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    runs: dict[int, list[dict[str, float]]] = {1: [], options.workers: []}
    with a_file() if options.sqlite else a_server() as place:
        for _ in range(options.rounds):
            for workers, some in runs.items():
                some.append(_measured(place, workers, options.seconds))
    found: dict[str, Any] = {
        str(workers): {key: round(statistics.median(one[key] for one in some), 2) for key in some[0]}
        for workers, some in runs.items()
    }
    several = found[str(options.workers)]
    found["times_decisions_a_second"] = round(several["decisions_a_second"] / found["1"]["decisions_a_second"], 2)
    found["times_cpu_of_a_decision"] = round(several["workers_cpu_us"] / found["1"]["workers_cpu_us"], 2)
    found["machine"] = machine()
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 0


def _measured(place: Place, workers: int, seconds: float) -> dict[str, float]:
    """Return what so many workers do while the clients ask."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "onearm", "serve", "--port", str(port), "--database", place.url]
    with subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.DEVNULL) as process:
        try:
            _begin(url, workers)
            clients = [Client(port, number) for number in range(CLIENTS)]
            for client in clients:
                client.start()
            time.sleep(WARM_SECONDS)
            before, begun = sum(one.done for one in clients), time.perf_counter()
            cpu = cpu_of(process.pid), place.cpu(), time.process_time()
            time.sleep(seconds)
            done, took = sum(one.done for one in clients) - before, time.perf_counter() - begun
            spent = [
                now - then
                for now, then in zip((cpu_of(process.pid), place.cpu(), time.process_time()), cpu, strict=True)
            ]
            for client in clients:
                client.over.set()
            for client in clients:
                client.join(READY_SECONDS)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(READY_SECONDS)
    names = ("workers_cpu_us", "database_cpu_us", "clients_cpu_us")
    return {
        "decisions_a_second": done / took,
        "cores": sum(spent) / took,
        "failed": float(sum(client.failed for client in clients)),
        **{name: 1e6 * one / done for name, one in zip(names, spent, strict=True)},
    }


def _begin(url: str, workers: int) -> None:
    """Wait until all answer and have their shares, and make the experiments."""
    deadline = time.monotonic() + READY_SECONDS
    with httpx.Client(base_url=url, timeout=READY_SECONDS, trust_env=False) as http:
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                nodes = http.get("/v1/cluster").json()["nodes"]
                if workers == 1 or (len(nodes) == workers and all(one["shards"] == SHARDS // workers for one in nodes)):
                    break
            time.sleep(0.1)
        for number in range(EXPERIMENTS):
            body = {"experiment_id": f"e{number}", "arms": ARMS, "policy": {"name": "ucb1"}}
            while http.post("/v1/experiments", json=body).status_code not in (200, 201):
                time.sleep(0.1)


class Client(threading.Thread):
    """Asks for batches, of one experiment after another."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.done = self.failed = 0
        self._next = number
        self._socket = socket.create_connection(("127.0.0.1", port))

    def run(self) -> None:
        body = json.dumps({"decisions": [{}] * BATCH}).encode()
        with self._socket.makefile("rb") as answers:
            while not self.over.is_set():
                self._next += 1
                path = f"/v1/experiments/e{self._next % EXPERIMENTS}/decisions:batch"
                head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
                self._socket.sendall(head.encode() + body)
                status = int(answers.readline().split()[1])
                length = 0
                while (line := answers.readline()) != b"\r\n":
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                answers.read(length)
                if status == 200:
                    self.done += BATCH
                else:
                    self.failed += 1
        self._socket.close()


if __name__ == "__main__":
    sys.exit(main())
