"""The service under load: CPU a request against a bare FastAPI endpoint, latency at saturation and at one connection.

Run: python benchmarks/service.py [--seconds 5] [--rounds 3] [--postgres URL] [--json]. Needs wrk. Every answer of the
service leaves after its commit (SQLite, WAL, synchronous=FULL) and needs a key; the bare endpoint reads the same bodies
with pydantic, asks for no key, and stores nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from machine import machine

HERE = Path(__file__).parent
RESULT = HERE / "results" / "service.json"
CONNECTIONS = 64
ARMS = 10
CONTEXT = 32  # numbers of a context
STATES = 20
LENGTH = 32  # numbers of each action
ITEMS = 100  # of a batch
REWARDED = "context"  # the case whose decisions get rewards

DECIDE = """
wrk.method = "POST"
wrk.path = "/v1/experiments/%s/%s"
wrk.body = '%s'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
"""
REWARD = """
wrk.method = "POST"
wrk.body = '{"value": 1.0}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
local n = %d
request = function()
  n = n + 1
  return wrk.format(nil, "/v1/experiments/context/decisions/~" .. n .. "/reward")
end
"""
REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('REPORT {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Server(NamedTuple):
    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serve(command: list[str], port: int) -> Iterator[Server]:
    """Run a server until the block ends; it is ready when this yields."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    server = Server(process, port)
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{server.url}/health/ready").status_code == 200:
                    break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"{command} did not become ready")
        yield server
    finally:
        process.terminate()
        process.wait(20)


def served_by(port: int, database: str, *options: str) -> list[str]:
    """Return the command that serves a database, such as sqlite:///run.db, at a port of this machine."""
    return [sys.executable, "-m", "onearm", "serve", "--port", str(port), "--database", database, *options]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wrk(server: Server, script: str, connections: int, seconds: float) -> dict[str, float]:
    """Load a server; return requests, latency and CPU microseconds a request."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + REPORT)
        file.flush()
        before = server.cpu_seconds()
        url = f"{server.url}/v1/experiments/context/decisions"
        out = subprocess.run(
            [
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{max(1, round(seconds))}s",
                "--timeout",
                "10s",
                "-s",
                file.name,
                url,
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        cpu = server.cpu_seconds() - before
    found: dict[str, float] = json.loads(out.split("REPORT ", 1)[1].splitlines()[0])
    if found["errors"]:
        raise RuntimeError(f"wrk saw errors: {found}")
    return {**found, "cpu_us": cpu / found["requests"] * 1e6, "per_second": found["requests"] / found["seconds"]}


def fdatasync_ms(folder: Path) -> float:
    """Return the median time of an fdatasync after a write of 4 KB, in milliseconds."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


class Case(NamedTuple):
    """A sort of decision, and the experiment that makes it."""

    name: str  # and the id of the experiment
    policy: str
    problem: dict[str, Any]
    item: dict[str, Any]  # a decision's body
    arms: bool = True
    is_bare: bool = True  # a bare endpoint reads the same


def cases() -> list[Case]:
    """Return decisions without a context, in a state, with a context, and on actions with features."""
    numbers = random.Random(1)
    rows = [[round(numbers.gauss(0, 1), 3) for _ in range(LENGTH)] for _ in range(ARMS)]
    actions = [{"id": f"arm{i}", "features": row} for i, row in enumerate(rows)]
    listed = {"actions": {"kind": "listed", "length": LENGTH, "max": ARMS}}
    return [
        Case("plain", "ucb1", {}, {}),
        Case("state", "ucb1", {"states": {"count": STATES}}, {"state": 4}, is_bare=False),
        Case(
            "context",
            "ucb1",
            {"context": {"kind": "dense", "length": CONTEXT}},
            {"context": [0.01 * i for i in range(CONTEXT)]},
        ),
        Case("actions", "linucb", listed, {"actions": actions}, arms=False),
    ]


def create(service: Server, key: str, case: Case) -> None:
    """Make the experiment of a case, and wait until it is compiled."""
    body = {"experiment_id": case.name, "policy": case.policy, "problem": case.problem}
    if case.arms:
        body["arms"] = [{"id": f"arm{i}"} for i in range(ARMS)]
    told = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=service.url, timeout=60, headers=told) as client:
        client.post("/v1/experiments", json=body).raise_for_status()
        client.post(f"/v1/experiments/{case.name}/decisions", json=case.item).raise_for_status()
        while not client.get(f"/v1/experiments/{case.name}/diagnostics").json()["compiling"]["compiled"]:
            time.sleep(0.1)
        client.get("/metrics").raise_for_status()  # from now on draws are watched


def decided(service: Server, key: str, case: Case) -> int:
    """Return how many decisions of a case are on record."""
    answer = httpx.get(f"{service.url}/v1/experiments/{case.name}", headers={"Authorization": f"Bearer {key}"})
    return int(answer.raise_for_status().json()["decisions"])


def key_of(database: str) -> str:
    """Make a key of the operator in a database and return it."""
    command = [sys.executable, "-m", "onearm", "keys", "create", "--role", "admin", "--name", "benchmark", "--json"]
    made = subprocess.run([*command, "--database", database], check=True, capture_output=True, text=True)
    key: str = json.loads(made.stdout)["key"]
    return key


def script(case: Case, key: str, items: int = 1) -> str:
    """Return what wrk sends: decisions one by one, or batches."""
    if items == 1:
        return DECIDE % (case.name, "decisions", json.dumps(case.item), key)
    return DECIDE % (case.name, "decisions:batch", json.dumps({"decisions": [case.item] * items}), key)


def measure(seconds: float, rounds: int, postgres: str | None) -> dict[str, Any]:
    """Load the service and the bare endpoints in turn, and return medians."""
    plain, _, _, actions = known = cases()
    found: dict[str, list[dict[str, float]]] = {}

    def load(label: str, server: Server, sent: str, connections: int = CONNECTIONS, share: float = 1.0) -> float:
        found.setdefault(label, []).append(wrk(server, sent, connections, share * seconds))
        return found[label][-1]["requests"]

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        database = f"sqlite:///{folder}/run.db"
        key, port, bare_port = key_of(database), free_port(), free_port()
        service = stack.enter_context(serve(served_by(port, database), port))
        bare = stack.enter_context(serve([sys.executable, str(HERE / "bare.py"), str(bare_port)], bare_port))
        for case in known:
            create(service, key, case)
        for turn in range(rounds):  # what came last is first then: the machine may be slower by that time
            for case in known if turn % 2 == 0 else known[::-1]:
                before = decided(service, key, case)
                if case.is_bare:
                    load(f"bare_{case.name}", bare, script(case, key))
                load(case.name, service, script(case, key))
                if case.name == REWARDED:  # in memory, as the decisions of the last minutes are
                    load("bare_reward", bare, REWARD % (key, 0), share=0.5)
                    load("reward", service, REWARD % (key, before), share=0.25)
            load("batch", service, script(actions, key, ITEMS), connections=4)  # what is in flight at the end counts
        syncs = [fdatasync_ms(folder)]
        for _ in range(rounds):
            load("bare_one", bare, script(plain, key), connections=1, share=0.5)
            load("one", service, script(plain, key), connections=1, share=0.5)
        syncs.append(fdatasync_ms(folder))
        if postgres is not None:
            port = free_port()
            own_key = key_of(postgres)
            other = stack.enter_context(serve(served_by(port, postgres), port))
            create(other, own_key, plain)
            for _ in range(rounds):
                load("sqlite_plain", service, script(plain, key))
                load("postgres_plain", other, script(plain, own_key))
    kept = ("cpu_us", "per_second", "p50_ms", "p99_ms")
    medians = {
        label: {field: statistics.median(run[field] for run in runs) for field in kept} for label, runs in found.items()
    }
    cpu = {label: one["cpu_us"] for label, one in medians.items()}
    ratios = {label: cpu[label] / cpu[f"bare_{label}"] for label in ("plain", "context", "actions", "reward")}
    if postgres is not None:
        ratios["postgres"] = medians["postgres_plain"]["per_second"] / medians["sqlite_plain"]["per_second"]
    return {
        "connections": CONNECTIONS,
        "rounds": rounds,
        **medians,
        "ratios": ratios,
        "state_cost": cpu["state"] / cpu["plain"],
        "batch_gain": ITEMS * cpu["actions"] / cpu["batch"],
        "fdatasync_ms": statistics.mean(syncs),
        "p50_beyond_fdatasync_ms": medians["one"]["p50_ms"] - statistics.mean(syncs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", metavar="URL", help="an empty database, to be measured beside SQLite")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("!!! benchmarks/service.py needs wrk (apt-get install wrk): the service is MISSING from this run")
    found = measure(options.seconds, options.rounds, options.postgres) | {"machine": machine()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
