"""How fast windows close, and the memory of the service meanwhile, with a million of them open.

Run: python benchmarks/closing.py [--decisions 1000000] [--deferred 0.0] [--json]. The log is written by hand, with
decisions that were due an hour ago, of which a share was deferred and activated; the service starts on it, and closes
them all with the default. Exits with 1 where it closed fewer than CLOSED_MIN in a second of CPU time, or took more than
LIMIT_MB.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
from machine import machine
from open_decisions import LIMIT_MB, rss_mb
from service import free_port, serve, served_by

from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.storage.windows import DEFERRED, DONE
from onearm.engine.vocabulary import ACTIVATION, DECIDE

CLOSED_MIN = 20_000  # a second of CPU time
ARMS = 10
SPEC = {
    "experiment_id": "e",
    "arms": [{"id": str(arm)} for arm in range(ARMS)],
    "policy": {"name": "thompson_beta"},
    "reward": {"wait_time": "1h", "default": 0},
}
PAGE = 10_000  # events of a transaction
WARM = 0.2  # of the windows, which close before it is measured: until then kernels are loaded


def log(key: int, decisions: int, deferred: float) -> Iterator[Event]:
    """Yield the events of decisions that were made, and activated, more than two hours ago."""
    draw, at = random.Random(1), int((time.time() - 3 * 3600) * 1e6)
    seq = 0
    waiting: list[int] = []
    for number in range(decisions):
        seq += 1
        at += 10
        yield Event(key, seq, DECIDE, number, action=draw.randrange(ARMS), propensity=1 / ARMS, time=at)
        if draw.random() < deferred:
            seq += 1
            yield Event(key, seq, ACTIVATION, number, detail=DEFERRED, time=at)
            waiting.append(number)
        if len(waiting) > 1000 or (waiting and number == decisions - 1):
            for shown in waiting if number == decisions - 1 else [waiting.pop(draw.randrange(len(waiting)))]:
                seq += 1
                yield Event(key, seq, ACTIVATION, shown, detail=DONE, time=at)


def write(database: str, decisions: int, deferred: float) -> None:
    """Append the log to an experiment that has none."""
    with closing(Store.open(database)) as store:
        events: list[Event] = []
        for event in log(store.experiments()[-1].key, decisions, deferred):
            events.append(event)
            if len(events) == PAGE:
                store.append(events)
                events = []
        store.append(events)


def measure(decisions: int, deferred: float) -> dict[str, Any]:
    """Have the service close the windows of so many decisions; return how fast it did."""
    with tempfile.TemporaryDirectory() as name:
        database, port = f"sqlite:///{name}/run.db", free_port()
        command = [*served_by(port, database), "--close-after-start", "0"]
        with serve(command, port) as server, httpx.Client(base_url=server.url, timeout=120) as client:
            client.post("/v1/experiments", json=SPEC).raise_for_status()
        write(database, decisions, deferred)
        with serve(command, port) as server, httpx.Client(base_url=server.url, timeout=120) as client:
            seen: list[tuple[int, float, float]] = []  # windows that are open, seconds of CPU time, seconds
            while not seen or seen[-1][0]:
                answer = client.get("/v1/experiments/e/report")
                if answer.status_code == 503:
                    time.sleep(0.1)
                    continue
                seen.append((answer.json()["open"], server.cpu_seconds(), time.perf_counter()))
                time.sleep(0.2)
            highest = rss_mb(server, "VmHWM")
            report = client.get("/v1/experiments/e/report").json()
    assert report["closed_by_default"] == decisions, report
    first = next(one for one in seen if one[0] <= (1.0 - WARM) * decisions)
    closed, cpu, wall = first[0] - seen[-1][0], seen[-1][1] - first[1], seen[-1][2] - first[2]
    return {
        "decisions": decisions,
        "deferred": deferred,
        "closed_per_cpu_second": closed / cpu,
        "closed_per_second": closed / wall,
        "rss_mb_highest": highest,
        "limit_mb": LIMIT_MB,
        "within_limits": closed / cpu >= CLOSED_MIN and highest <= LIMIT_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--deferred", type=float, default=0.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.decisions, arguments.deferred)
    if arguments.json:
        print(json.dumps({**found, "machine": machine()}))
    else:
        for name, value in found.items():
            print(f"{name:22} {value:,.1f}" if isinstance(value, float) else f"{name:22} {value}")
    return 0 if found["within_limits"] else 1


if __name__ == "__main__":
    sys.exit(main())
