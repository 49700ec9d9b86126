"""The service left alone: whether it grows, slows down or errs while many experiments are at work for a long time.

Run: python benchmarks/soak.py [--minutes 20] [--experiments 1000] [--json]. Clients decide and reward on 64
connections, on all experiments in turn, at half of the rate that the service reaches when it is asked as fast as it
answers (`bystander.py`, a process of its own). Then it is told to end, and started again with twice as many
experiments. The cache of decisions is small, so that it is full within the first minute: what grows afterwards is a
leak. How much of each window its event loop was ready and got no processor is told beside the latencies, and how long
the disk took at the most for 4 KB: a p99 that the machine made is seen there. Exits with 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from machine import machine
from neighbours import ARMS, HERE, POLICY
from open_decisions import rss_mb
from rich.console import Console
from rich.progress import track
from service import Server, free_port, serve, served_by

RESULT = HERE / "results" / "soak.json"
CONSOLE = Console(stderr=True)
CACHE_BYTES = 8_000_000  # 13,000 decisions
TOP_REQUESTS = 20_000  # as fast as they are answered
TOP_RATE = 1e6  # requests a second that nothing reaches
WINDOWS = 20
SHARE = 0.5  # of the top rate


class Limits(NamedTuple):
    """What must hold."""

    growth: float = 0.01  # of memory, after the first minute
    slower: float = 1.5  # p99 of the last quarter of the time by that of the first: medians of their windows
    restart_cpu_seconds: float = 5.0  # until all experiments answer


LIMITS = Limits()


class Disk:
    """Writes 4 KB four times a second beside the database, waits for the disk, and keeps how long that took."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "probe"
        self._slowest = 0.0
        threading.Thread(target=self._probe, daemon=True).start()

    def slowest_ms(self) -> float:
        """Return the longest time since the last call, in milliseconds."""
        slowest, self._slowest = self._slowest, 0.0
        return 1e3 * slowest

    def _probe(self) -> None:
        with self._file.open("wb", buffering=0) as file:
            while self._file.exists():  # the folder goes at the end
                file.seek(0)
                file.write(bytes(4096))
                begun = time.perf_counter()
                os.fdatasync(file.fileno())
                self._slowest = max(self._slowest, time.perf_counter() - begun)
                time.sleep(0.25)


def starved_seconds(server: Server) -> float:
    """Return how long the thread of its event loop was ready until now, and waited for a processor; 0 where untold."""
    told = Path(f"/proc/{server.process.pid}/schedstat")
    return int(told.read_text().split()[1]) / 1e9 if told.exists() else 0.0


def create(server: Server, first: int, count: int) -> None:
    """Create experiments soak-FIRST and on."""
    with httpx.Client(base_url=server.url, timeout=120) as client, ThreadPoolExecutor(8) as pool:

        def one(i: int) -> None:
            body = {"experiment_id": f"soak-{i}", "arms": ARMS, "policy": POLICY, "seed": i}
            client.post("/v1/experiments", json=body).raise_for_status()

        list(pool.map(one, range(first, first + count)))


def load(server: Server, experiments: int, rate: float, seconds: float) -> dict[str, Any]:
    """Return what clients meet who decide and reward at a rate."""
    command = [sys.executable, str(HERE / "bystander.py"), server.url, "--rate", str(rate), "--seconds", str(seconds)]
    for i in range(experiments):
        command += ["--experiment", f"soak-{i}"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def measure(minutes: float, experiments: int) -> dict[str, Any]:
    """Soak the service, end it, and start it again."""
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        command = served_by(port, f"sqlite:///{name}/run.db", "--cache-bytes", str(CACHE_BYTES))
        with serve(command, port) as server:
            create(server, 0, experiments)
            load(server, experiments, TOP_RATE, TOP_REQUESTS / TOP_RATE)  # the first answers warm what is lazy
            top = load(server, experiments, TOP_RATE, TOP_REQUESTS / TOP_RATE)["per_second"]
            begun, windows, disk = time.monotonic(), [], Disk(Path(name))
            for _ in track(range(WINDOWS), description="soaking", console=CONSOLE, disable=not CONSOLE.is_terminal):
                at, before = time.monotonic(), starved_seconds(server)
                window = load(server, experiments, SHARE * top, 60 * minutes / WINDOWS)
                now = time.monotonic()
                starved = (starved_seconds(server) - before) / (now - at)
                seen = {"rss_mb": rss_mb(server), "starved": starved, "disk_ms": disk.slowest_ms()}
                windows.append(window | {"minute": (now - begun) / 60} | seen)
            create(server, experiments, experiments)
            server.process.send_signal(signal.SIGTERM)
            ended = server.process.wait(30)
        with serve(command, port) as server:
            ready_cpu = server.cpu_seconds()
            answered = httpx.post(f"{server.url}/v1/experiments/soak-{2 * experiments - 1}/decisions", json={})
    return {
        "minutes": minutes,
        "experiments": experiments,
        "top_per_second": top,
        "asked_per_second": SHARE * top,
        "windows": windows,
        "exit_status": ended,
        "restart_experiments": 2 * experiments,
        "restart_cpu_seconds": ready_cpu,
        "restart_status": answered.status_code,
    }


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the windows add up to, and whether each limit holds."""
    windows = found["windows"]
    quarter = max(1, len(windows) // 4)
    ends = windows[:quarter], windows[-quarter:]
    first, last = (statistics.median(one["p99_ms"] for one in part) for part in ends)
    settled = next((one["rss_mb"] for one in windows if one["minute"] >= 1), windows[0]["rss_mb"])
    growth = windows[-1]["rss_mb"] / settled - 1
    refused = sum(sum(one["refused"].values()) for one in windows)
    return {
        "requests": sum(one["requests"] for one in windows),
        "refused": refused,
        "rss_mb_settled": settled,
        "rss_growth": growth,
        "p99_ms_first_quarter": first,
        "p99_ms_last_quarter": last,
        "p99_ms_worst": [max(one["p99_ms"] for one in part) for part in ends],  # of a window of the same quarters
        "limits": LIMITS._asdict(),
        "holds": {
            "no_errors": refused == 0 and found["restart_status"] == 201,
            "ends_with_0": found["exit_status"] == 0,
            "does_not_grow": growth < LIMITS.growth,
            "does_not_slow_down": last <= LIMITS.slower * first,
            "restarts": found["restart_cpu_seconds"] <= LIMITS.restart_cpu_seconds,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.minutes, given.experiments)
    found = {**judged(found), **found, "machine": machine()}
    if given.minutes >= 20:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    if given.json:
        print(json.dumps(found))
    else:
        for one in found["windows"]:
            print(
                f"minute {one['minute']:5.1f}   {one['per_second']:7.0f} requests/s   p50 {one['p50_ms']:7.2f} ms   "
                f"p99 {one['p99_ms']:7.2f} ms   {one['rss_mb']:6.1f} MB   starved {one['starved']:4.0%}   "
                f"disk {one['disk_ms']:7.1f} ms   "
                f"refused {one['refused']}"
            )
        for name, value in found.items():
            if not isinstance(value, (list, dict)):
                print(f"{name:22} {value:,.3f}" if isinstance(value, float) else f"{name:22} {value}")
        for name, holds in found["holds"].items():
            print(f"{name:22} {'yes' if holds else 'NO'}")
    return 0 if all(found["holds"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
