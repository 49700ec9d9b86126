"""Decisions that wait for their rewards are kept in the log, not in memory. benchmarks/open_decisions.py opens 10^6."""

from __future__ import annotations

import os
from pathlib import Path

from support.served import Served

BATCH = 1000
CACHE_BYTES = 1_000_000


def rss_mb() -> float:
    """Return this process's resident memory, in MB of 10^6 bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def decide_many(served: Served, first: int, n: int) -> None:
    for start in range(first, first + n, BATCH):
        items = [{"decision_id": f"d{i}"} for i in range(start, start + BATCH)]
        answers = served.post("/v1/experiments/e/decisions:batch", {"decisions": items}).json()["decisions"]
        assert [answer["decision_id"] for answer in answers] == [item["decision_id"] for item in items]


def test_open_decisions_do_not_grow_the_service(tmp_path: Path) -> None:
    """16,000 of them took 20 MB where nothing left the cache, and fewer in proportion."""
    with Served(tmp_path, cache_bytes=CACHE_BYTES) as served:
        served.create()
        decide_many(served, 0, 3000)
        before = rss_mb()
        decide_many(served, 3000, 5000)
        assert rss_mb() - before < 4
        live = served.service.live("e")
        assert len(live.records._records) <= len(live.records._numbers) <= CACHE_BYTES / 600 + BATCH
        old = [{"decision_id": f"d{i}", "value": 1.0} for i in range(0, 8000, 50)]
        answer = served.post("/v1/experiments/e/rewards:batch", {"rewards": old}).json()
        assert answer == {"rewards": [{"status": "accepted"}] * len(old)}
        assert served.get("/v1/experiments/e").json()["pending"] == 7840


def test_the_cache_counts_what_it_holds(tmp_path: Path) -> None:
    with Served(tmp_path, cache_bytes=20_000) as served:
        served.create()
        live = served.service.live("e")
        for i in range(60):
            served.decide({"decision_id": f"d{i}"} if i % 2 else {})
            assert served.service.budget.taken == sum(record.size for record in live.records._records.values())
        assert served.service.budget.taken <= 20_000 + 700 and 20 < len(live.records._records) < 40
        assert sorted(live.records._numbers.values()) == [number for number in live.records._records if number % 2]
        for i in range(1, 60, 4):  # from the log and from memory
            served.reward(f"d{i}", 1.0)
        assert (
            served.service.budget.taken == sum(record.size for record in live.records._records.values()) <= 20_000 + 700
        )
        served.assert_consistent()
