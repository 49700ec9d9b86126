"""What a decision costs `onearm serve --workers 2` and one process, asked by few clients in batches.

Run: python benchmarks/workers.py [--seconds 3] [--rounds 3] [--workers 2] [--out FILE] [--json]. Needs PostgreSQL.
They serve a file of SQLite and a server of PostgreSQL. One process and several take turns; clients are threads of this
process, each with a connection that stays open, and send the same bytes again and again. Seconds of the processor are
those of the workers, of PostgreSQL and of the clients, each. Of commits it tells how many there are a second, how many
decisions one holds, and for what part of the time a process is at one: on SQLite that counts the wait for its turn, so
where these parts come to 1 in sum, the turns are what workers wait for.
Exits with 1 where a request failed, or a decision cost workers half as much again as it costs one process. The result
is in results/workers.json.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
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
CPU_TIMES = 1.5  # what a decision of several workers may cost at most, in that of one process
RESULT = Path(__file__).parent / "results" / "workers.json"


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


DATABASES = {"sqlite": a_file, "postgresql": a_server}


def main() -> int:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    found: dict[str, Any] = {name: getattr(options, name) for name in ("seconds", "rounds", "workers")}
    found |= {"experiments": EXPERIMENTS, "batch": BATCH, "clients": CLIENTS, "machine": machine()}
    for name, a_database in DATABASES.items():
        with a_database() as place:
            found[name] = _compared(place, options.workers, options.rounds, options.seconds)
    found["missed"] = missed(found)
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 1 if found["missed"] else 0


def missed(found: dict[str, Any]) -> list[str]:
    """Return in words what failed or cost too much."""
    says = []
    for name in DATABASES:
        one, several = found[name]["one"], found[name]["several"]
        if failed := one["failed"] + several["failed"]:
            says.append(f"{failed:.0f} requests failed ({name})")
        times = several["workers_cpu_us"] / one["workers_cpu_us"]
        if times > CPU_TIMES:
            limit = f"{CPU_TIMES:g} are the limit"
            says.append(f"a decision of workers costs {times:.2f} times that of one process ({name}), where {limit}")
    return says


def _compared(place: Place, workers: int, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return what one process and several workers do: medians of the rounds, and all requests that failed."""
    runs: dict[str, list[dict[str, float]]] = {"one": [], "several": []}
    for _ in range(rounds):
        for name, some in runs.items():
            some.append(_measured(place, workers if name == "several" else 1, seconds))
    return {
        name: {key: round(statistics.median(one[key] for one in some), 2) for key in some[0]}
        | {"failed": sum(one["failed"] for one in some)}
        for name, some in runs.items()
    }


def _measured(place: Place, workers: int, seconds: float) -> dict[str, float]:
    """Return what so many workers do while the clients ask."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "onearm", "serve", "--port", str(port), "--database", place.url]
    with subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.DEVNULL) as process:
        try:
            urls = _begin(url, workers)
            clients = [Client(port, number) for number in range(CLIENTS)]
            for client in clients:
                client.start()
            time.sleep(WARM_SECONDS)
            before, begun = sum(one.done for one in clients), time.perf_counter()
            cpu, commits = (cpu_of(process.pid), place.cpu(), time.process_time()), Commits.of(urls)
            time.sleep(seconds)
            done, took = sum(one.done for one in clients) - before, time.perf_counter() - begun
            spent = [
                now - then
                for now, then in zip((cpu_of(process.pid), place.cpu(), time.process_time()), cpu, strict=True)
            ]
            commits = Commits(*(now - then for now, then in zip(Commits.of(urls), commits, strict=True)))
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
        "commits_a_second": commits.count / took,
        "decisions_of_a_commit": done / max(1.0, commits.count),
        "part_of_the_time_in_commits": commits.seconds / took / workers,
        "failed": float(sum(client.failed for client in clients)),
        **{name: 1e6 * one / done for name, one in zip(names, spent, strict=True)},
    }


class Commits(NamedTuple):
    """What processes have committed so far."""

    count: float
    seconds: float

    @classmethod
    def of(cls, urls: Sequence[str]) -> Commits:
        """Ask processes, each at its own address."""
        texts = [httpx.get(f"{url}/metrics", timeout=READY_SECONDS, trust_env=False).text for url in urls]
        found = (
            sum(float(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith(f"{name} "))
            for name in ("onearm_commit_seconds_count", "onearm_commit_seconds_sum")
        )
        return cls(*found)


def _begin(url: str, workers: int) -> list[str]:
    """Wait until all answer and have their shares, make the experiments, and return where each process answers."""
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
    return [url] if workers == 1 else [one["address"] for one in nodes]


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
