"""Resident memory of the service with a million decisions that wait for their rewards.

Run: python benchmarks/open_decisions.py [--decisions 1000000] [--context 8] [--json]. Decisions are asked over HTTP in
batches, each with a client's id and a context; then old and new ones are rewarded, and the service is started again on
the database. Exits with 1 where the service took more than LIMIT_MB at any of these moments.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from machine import machine
from service import Server, free_port, serve, served_by

LIMIT_MB = 500  # 330 after compiling thompson_beta (240 with a warm cache), 64 in the cache of decisions, batches
BATCH = 2000
SPEC = {"experiment_id": "e", "arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "ucb1"}}


def rss_mb(server: Server, field: str = "VmRSS") -> float:
    """Return what the process holds in memory (VmHWM: held at its highest), in MB of 10^6 bytes."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"there is no {field}")


def measure(decisions: int, context: int) -> dict[str, Any]:
    """Ask for the decisions, reward a few, start again; return the memory at each point."""
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        command = served_by(port, f"sqlite:///{name}/run.db")
        problem = {"context": {"kind": "dense", "length": context}} if context else {}
        numbers = random.Random(1)

        def reward(client: httpx.Client, ids: list[int]) -> float:
            start = time.perf_counter()
            items = [{"decision_id": f"d{i}", "value": 1.0} for i in ids]
            answer = client.post("/v1/experiments/e/rewards:batch", json={"rewards": items})
            assert all(one["status"] == "accepted" for one in answer.json()["rewards"]), answer.text[:300]
            return (time.perf_counter() - start) * 1e3

        with serve(command, port) as server, httpx.Client(base_url=server.url, timeout=120) as client:
            client.post("/v1/experiments", json={**SPEC, "problem": problem}).raise_for_status()
            before = rss_mb(server)
            start = time.perf_counter()
            for first in range(0, decisions, BATCH):
                items = [
                    {
                        "decision_id": f"d{i}",
                        **({"context": [numbers.random() for _ in range(context)]} if context else {}),
                    }
                    for i in range(first, min(first + BATCH, decisions))
                ]
                client.post("/v1/experiments/e/decisions:batch", json={"decisions": items}).raise_for_status()
            seconds = time.perf_counter() - start
            after = rss_mb(server)
            pending = client.get("/v1/experiments/e").json()["pending"]
            old_ms = reward(client, sorted(numbers.sample(range(decisions // 2), 500)))
            found = client.get("/v1/experiments/e").json()
            highest = rss_mb(server, "VmHWM")
        start = time.perf_counter()
        with serve(command, port) as server, httpx.Client(base_url=server.url, timeout=120) as client:
            start_seconds = time.perf_counter() - start
            assert client.get("/v1/experiments/e").json() == found, "a restart changes nothing"
            reward(client, [decisions - 1])
            restarted = rss_mb(server, "VmHWM")
    return {
        "open_decisions": pending,
        "context": context,
        "rss_mb_before": before,
        "rss_mb_after": after,
        "rss_mb_highest": highest,
        "rss_mb_restarted": restarted,
        "limit_mb": LIMIT_MB,
        "within_limit": max(highest, restarted) <= LIMIT_MB,
        "decisions_per_second": decisions / seconds,
        "reward_500_old_ms": old_ms,
        "restart_seconds": start_seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--context", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.decisions, arguments.context)
    if arguments.json:
        print(json.dumps({**found, "machine": machine()}))
    else:
        for name, value in found.items():
            print(f"{name:22} {value:,.1f}" if isinstance(value, float) else f"{name:22} {value}")
    return 0 if found["within_limit"] else 1


if __name__ == "__main__":
    sys.exit(main())
