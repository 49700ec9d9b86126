"""The service under load: CPU a request against a bare FastAPI endpoint, latency at saturation and at one connection.

Run: python benchmarks/service.py [--seconds 5] [--rounds 3] [--json]. Needs wrk. Every answer of the service leaves
after its commit (SQLite, WAL, synchronous=FULL); the bare endpoint stores nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
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
CONTEXT = 32

DECIDE = """
wrk.method = "POST"
wrk.body = '{"context": [%s]}'
wrk.headers["Content-Type"] = "application/json"
"""
REWARD = """
wrk.method = "POST"
wrk.body = '{"value": 1.0}'
wrk.headers["Content-Type"] = "application/json"
local n = %d
request = function()
  n = n + 1
  return wrk.format(nil, "/v1/experiments/e/decisions/~" .. n .. "/reward")
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
        url = f"{server.url}/v1/experiments/e/decisions"
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


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """Load both servers in turn and return medians."""
    decide = DECIDE % ",".join(f"{0.01 * i:.2f}" for i in range(CONTEXT))
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port, bare_port = free_port(), free_port()
        onearm = served_by(port, f"sqlite:///{folder}/run.db")
        with (
            serve(onearm, port) as service,
            serve([sys.executable, str(HERE / "bare.py"), str(bare_port)], bare_port) as bare,
        ):
            body = {
                "experiment_id": "e",
                "arms": [{"id": f"arm{i}"} for i in range(10)],
                "policy": {"name": "ucb1"},
                "problem": {"context": {"kind": "dense", "length": CONTEXT}},
            }
            httpx.post(f"{service.url}/v1/experiments", json=body, timeout=60).raise_for_status()
            rewarded = -1
            for _ in range(rounds):
                for label, server, script in (
                    ("bare_decide", bare, decide),
                    ("decide", service, decide),
                    ("bare_reward", bare, REWARD % 0),
                    ("reward", service, REWARD % rewarded),
                ):
                    result = wrk(server, script, CONNECTIONS, seconds if label != "reward" else seconds / 2)
                    found.setdefault(label, []).append(result)
                    if label == "reward":
                        rewarded += int(result["requests"]) + CONNECTIONS + 1
            syncs = [fdatasync_ms(folder)]
            found["decide_1"] = [wrk(service, decide, 1, seconds)]
            syncs.append(fdatasync_ms(folder))
    medians = {
        label: {
            key: statistics.median(run[key] for run in runs) for key in ("cpu_us", "per_second", "p50_ms", "p99_ms")
        }
        for label, runs in found.items()
    }
    return {
        "connections": CONNECTIONS,
        "rounds": rounds,
        **medians,
        "decide_cpu_ratio": medians["decide"]["cpu_us"] / medians["bare_decide"]["cpu_us"],
        "reward_cpu_ratio": medians["reward"]["cpu_us"] / medians["bare_reward"]["cpu_us"],
        "fdatasync_ms": statistics.mean(syncs),
        "p50_fdatasync_ratio": medians["decide_1"]["p50_ms"] / statistics.mean(syncs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("!!! benchmarks/service.py needs wrk (apt-get install wrk): the service is MISSING from this run")
    found = measure(options.seconds, options.rounds) | {"machine": machine()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
