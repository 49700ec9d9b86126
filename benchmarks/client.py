"""What the client of the service costs, beside raw httpx: requests a second of its own CPU time.

Run: python benchmarks/client.py [--seconds 4] [--json]. The service runs as a process. One caller decides and rewards
with raw httpx, and with `onearm.client`; then many callers do, with `batch_ms=5`: threads, and tasks. Each way is
measured in turn, ROUNDS times, and the median is told. Exits with 1 where the client reaches less than ALONE_MIN of raw
httpx, or in batches less than BATCHES_MIN times that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from machine import machine
from service import free_port, serve, served_by

from onearm.client import AsyncClient, Client

ALONE_MIN = 0.8
BATCHES_MIN = 5.0
ROUNDS = 3
THREADS, TASKS = 64, 256  # callers at the same time
SPEC = {"experiment_id": "e", "arms": [{"id": str(arm)} for arm in range(5)], "policy": "epsilon_greedy"}
PATH = "/v1/experiments/e/decisions"


def raw(url: str, seconds: float) -> int:
    """Decide and reward with httpx, as one writes it by hand; return how many requests there were."""
    made, until = 0, time.perf_counter() + seconds
    with httpx.Client(base_url=url) as client:
        while time.perf_counter() < until:
            name = uuid.uuid4().hex
            answer = client.post(PATH, json={"decision_id": name})
            answer.raise_for_status()
            assert answer.json()["action_id"]
            client.post(f"{PATH}/{name}/reward", json={"value": 1.0}).raise_for_status()
            made += 2
    return made


def alone(url: str, seconds: float) -> int:
    """The same with the client."""
    made, until = 0, time.perf_counter() + seconds
    with Client(url) as client:
        banner = client.experiment("e")
        while time.perf_counter() < until:
            banner.decide().reward(1.0)
            made += 2
    return made


def threads(url: str, seconds: float) -> int:
    """The same by many threads, whose calls are gathered."""
    counts, until = [0] * THREADS, time.perf_counter() + seconds
    with Client(url, batch_ms=5) as client:
        banner = client.experiment("e")

        def play(me: int) -> None:
            while time.perf_counter() < until:
                banner.decide().reward(1.0)
                counts[me] += 2

        callers = [threading.Thread(target=play, args=(me,)) for me in range(THREADS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    return sum(counts)


def tasks(url: str, seconds: float) -> int:
    """The same by many tasks."""

    async def run() -> int:
        counts, until = [0] * TASKS, time.perf_counter() + seconds
        async with AsyncClient(url, batch_ms=5) as client:
            banner = client.experiment("e")

            async def play(me: int) -> None:
                while time.perf_counter() < until:
                    await (await banner.decide()).reward(1.0)
                    counts[me] += 2

            await asyncio.gather(*(play(me) for me in range(TASKS)))
        return sum(counts)

    return asyncio.run(run())


WAYS: dict[str, Callable[[str, float], int]] = {"raw": raw, "alone": alone, "threads": threads, "tasks": tasks}


def measure(seconds: float) -> dict[str, Any]:
    """Return the requests a second of CPU time of each way, and how they compare."""
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        with serve(served_by(port, f"sqlite:///{name}/run.db"), port) as server:
            httpx.post(f"{server.url}/v1/experiments", json=SPEC).raise_for_status()
            alone(server.url, 1.0)  # its kernels are loaded
            for _ in range(ROUNDS):
                for way, play in WAYS.items():
                    began = time.process_time()
                    made = play(server.url, seconds)
                    found[way].append(made / (time.process_time() - began))
    rates = {f"{way}_per_cpu_second": statistics.median(several) for way, several in found.items()}
    by_hand = rates["raw_per_cpu_second"]
    ratios = {f"{way}_by_raw": rates[f"{way}_per_cpu_second"] / by_hand for way in ("alone", "threads", "tasks")}
    reached = (
        ratios["alone_by_raw"] >= ALONE_MIN and min(ratios["threads_by_raw"], ratios["tasks_by_raw"]) >= BATCHES_MIN
    )
    return {**rates, **ratios, "seconds": seconds, "rounds": ROUNDS, "within_limits": reached}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each way, in each round")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.seconds)
    if arguments.json:
        print(json.dumps({**found, "machine": machine()}))
    else:
        for name, value in found.items():
            print(f"{name:26} {value:,.2f}" if isinstance(value, float) else f"{name:26} {value}")
    return 0 if found["within_limits"] else 1


if __name__ == "__main__":
    sys.exit(main())
