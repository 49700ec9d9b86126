"""A policy that counts what is awaited: its decisions change the state, and so are recovered, and wait for readers."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.served import Served

POLICIES: list[dict[str, Any]] = [
    {"name": "ucb1", "params": {"wait": 4}},
    {"name": "kl_ucb", "params": {"wait": 4}},
    {"name": "floor", "params": {"minimum": 0.1, "policy": {"name": "ucb1", "params": {"wait": 4}}}},
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["name"])
def test_decisions_are_recovered_with_what_they_count(tmp_path: Path, policy: dict[str, Any]) -> None:
    with Served(tmp_path) as served:
        served.create(policy=policy)
        for i in range(9):
            served.decide({"decision_id": f"d{i}"})
            if i % 3 == 0:
                served.reward(f"d{i}", 0.5)
        served.assert_consistent()
        before = served.digest()
        served.stop()
        with sqlite3.connect(tmp_path / "run.db") as database:  # a fold of all that is in the log
            assert database.execute("DELETE FROM snapshot").rowcount > 0
        served.start()
        assert served.digest() == before
        served.decide({"decision_id": "next"})
        served.assert_consistent()


def test_decisions_wait_while_the_state_is_read(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create(policy=POLICIES[0])
        live = served.service.live("e")

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(served.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                live.reading.begin()
                made = asyncio.create_task(client.post("/v1/experiments/e/decisions", json={}))
                for _ in range(20):
                    await asyncio.sleep(0)
                assert live.number == 0 and not made.done()
                live.reading.end()
                return await made

        assert served.client.portal is not None
        assert served.client.portal.call(asked).status_code == 201
        served.assert_consistent()
