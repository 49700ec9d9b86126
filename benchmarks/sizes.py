"""How large a database grows, and how much memory the service takes: what a machine for it needs.

Run: python benchmarks/sizes.py. Writes results/sizes.json. Each kind of request is decided and rewarded some thousand
times by a service as a process; what a decision with its reward takes in the file is the difference of two lengths.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from machine import machine

RESULT = Path(__file__).resolve().parent / "results" / "sizes.json"
ROUNDS = (2_000, 6_000)  # decisions, each with a reward, after which the file is measured
BATCH = 200
ARMS = [{"id": f"arm-{i}"} for i in range(10)]
LENGTH = 32
DENSE = {"context": {"kind": "dense", "length": LENGTH}}
LISTED = {"actions": {"kind": "listed", "length": LENGTH, "max": 10}}
KINDS: dict[str, dict[str, Any]] = {
    "10 arms, no context": {"arms": ARMS},
    f"10 arms, a context of {LENGTH} numbers": {"arms": ARMS, "problem": DENSE},
    f"10 actions of the call, {LENGTH} numbers each": {"problem": LISTED},
}


class Serving:
    """The service as a process over a database in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "run.db"
        command = [sys.executable, "-m", "onearm", "serve", "--port", "0", "--database", f"sqlite:///{self.file}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.url = next(word for word in first.split() if word.startswith("http://"))

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    def memory(self) -> int:
        """Return the bytes that are resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return 1024 * int(found[1])


def body_of(random: np.random.Generator, fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a client would send for one decision."""
    problem = fields.get("problem", {})
    if "context" in problem:
        return {"context": [round(number, 4) for number in random.normal(size=LENGTH)]}
    if "actions" in problem:
        rows = random.normal(size=(10, LENGTH)).round(4).tolist()
        return {"actions": [{"id": f"a{i}", "features": row} for i, row in enumerate(rows)]}
    return {}


def play(client: httpx.Client, fields: dict[str, Any], first: int, last: int) -> None:
    """Decide and reward under the numbers of visitors, first <= number < last."""
    random = np.random.default_rng(first)
    for start in range(first, last, BATCH):
        names = [f"visit-{number:08d}" for number in range(start, start + BATCH)]
        bodies = [body_of(random, fields) | {"decision_id": name} for name in names]
        client.post("/v1/experiments/e/decisions:batch", json={"decisions": bodies}).raise_for_status()
        rewards = [{"decision_id": name, "value": float(random.random() < 0.1)} for name in names]
        client.post("/v1/experiments/e/rewards:batch", json={"rewards": rewards}).raise_for_status()


def measure(fields: dict[str, Any]) -> dict[str, Any]:
    """Return bytes in the file of a decision with its reward, and of the state."""
    with tempfile.TemporaryDirectory() as name:
        sizes, done, state = [], 0, 0
        for upto in ROUNDS:
            with Serving(Path(name)) as serving, httpx.Client(base_url=serving.url, timeout=600) as client:
                while client.get("/health/ready").status_code != 200:
                    pass
                if not done:
                    client.post("/v1/experiments", json={"experiment_id": "e", **fields}).raise_for_status()
                play(client, fields, done, upto)
                state = client.get("/v1/experiments/e/diagnostics").json()["state_bytes"]
            done = upto
            sizes.append(serving.file.stat().st_size)  # once it is closed the log beside it is part of it
        return {"pair_bytes": (sizes[1] - sizes[0]) / (ROUNDS[1] - ROUNDS[0]), "state_bytes": state}


def started() -> int:
    """Return the memory of a service that has decided once."""
    with tempfile.TemporaryDirectory() as name, Serving(Path(name)) as serving:
        httpx.post(f"{serving.url}/v1/experiments/hello/decisions", json={}, timeout=600).raise_for_status()
        return serving.memory()


def main() -> None:
    """Measure, and write the result."""
    rows = [{"what": what, **measure(fields)} for what, fields in KINDS.items()]
    result = {"machine": machine(), "rows": rows, "started_bytes": started()}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
