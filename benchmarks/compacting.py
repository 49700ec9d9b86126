"""What a compaction frees in a database of SQLite, what its archive takes, and how long it goes on.

Run: python benchmarks/compacting.py. Writes results/compacting.json. Each kind of request is decided and rewarded some
thousand times by a service as a process, and the log is compacted as it is. Bytes are of a decision with its reward;
states, which are as large as they are however long a log is, are not counted.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from machine import machine
from sizes import KINDS, Serving, play

RESULT = Path(__file__).resolve().parent / "results" / "compacting.json"
DECISIONS = 6_000


def used(file: Path) -> int:
    """Return the bytes of the pages in use but for states: others are written to before the file grows."""
    with closing(sqlite3.connect(file)) as database:

        def number(sql: str) -> int:
            return int(database.execute(sql).fetchone()[0] or 0)

        pages = number("PRAGMA page_count") - number("PRAGMA freelist_count")
        states = sum(number(f"SELECT sum(length(state)) FROM {name}_part") for name in ("snapshot", "base"))
        return pages * number("PRAGMA page_size") - states


def measure(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a decision with its reward takes: before, afterwards, in a file that was written anew, archived."""
    with tempfile.TemporaryDirectory() as name:
        with Serving(Path(name)) as serving, httpx.Client(base_url=serving.url, timeout=600) as client:
            while client.get("/health/ready").status_code != 200:
                pass
            empty = used(serving.file)
            client.post("/v1/experiments", json={"experiment_id": "e", **fields}).raise_for_status()
            play(client, fields, 0, DECISIONS)
        before = used(serving.file)
        with Serving(Path(name)) as serving, httpx.Client(base_url=serving.url, timeout=600) as client:
            while client.get("/health/ready").status_code != 200:
                pass
            begun = time.perf_counter()
            answer = client.post("/v1/experiments/e:compact", json={}).raise_for_status()
            answered = time.perf_counter()
            while "onearm_chores 0" not in client.get("/metrics").text:
                time.sleep(0.05)
            done = time.perf_counter()
        after = used(serving.file)
        with closing(sqlite3.connect(serving.file)) as database:
            database.execute("VACUUM")
        anew = used(serving.file)
    return {
        "before": (before - empty) / DECISIONS,
        "after": (after - empty) / DECISIONS,
        "anew": (anew - empty) / DECISIONS,
        "archive": answer.json()["archive_bytes"] / DECISIONS,
        "answered_us": 1e6 * (answered - begun) / DECISIONS,
        "done_us": 1e6 * (done - begun) / DECISIONS,
    }


def main() -> None:
    """Measure, and write the result."""
    rows = [{"what": what, **measure(fields)} for what, fields in KINDS.items()]
    result = {"machine": machine(), "decisions": DECISIONS, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
