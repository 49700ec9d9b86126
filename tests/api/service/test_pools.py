"""Work that takes long waits in a queue of its own sort: others go on, and beyond the queue it is refused at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.served import Served, assert_problem
from support.slow_steps import Held

from onearm.api.http import logs
from onearm.api.http.dashboard import decision
from onearm.api.service import importing, pools
from onearm.api.service.pools import Pool
from onearm.engine.errors import Unavailable

LONG, OTHER = "/v1/experiments/long", "/v1/experiments/other"
BOX = {"kind": "box", "low": [-1.0], "high": [1.0]}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service that keeps no decision in memory, with an experiment whose report reads its log."""
    with Served(tmp_path, cache_bytes=0) as served:
        problem = {"kind": "vector", "domain": BOX, "horizon": 50}
        assert served.post("/v1/experiments", {"experiment_id": "long", "problem": problem}).status_code == 201
        served.create("other")
        yield served


def test_rewards_do_not_wait_for_reports(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 reports at once kept the rewards of all old decisions waiting: one thread after another read a log."""
    made = [served.decide({}, "other").json()["decision_id"] for _ in range(3)]
    held = Held(served.store.columns)
    monkeypatch.setattr(served.store, "columns", held)

    async def ask(client: httpx.AsyncClient) -> tuple[list[httpx.Response], list[httpx.Response]]:
        reports = [asyncio.create_task(client.get(f"{LONG}/report?segments=2")) for _ in range(pools.READS_WAITING)]
        await asyncio.to_thread(held.begun.wait, 60.0)
        rewards = [
            await asyncio.wait_for(client.post(f"{OTHER}/decisions/{name}/reward", json={"value": 1.0}), 30.0)
            for name in made
        ]
        assert not any(report.done() for report in reports)
        held.let_go.set()
        return [await report for report in reports], rewards

    reports, rewards = at_once(served, ask)
    assert [reward.json() for reward in rewards] == [{"status": "accepted"}] * 3
    assert [report.status_code for report in reports] == [200] * pools.READS_WAITING
    served.assert_consistent("other")


def test_reports_do_not_wait_for_decisions_that_are_made_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """To make one again folds the log before it, in the one thread for reports."""
    name = served.decide({}, "other").json()["decision_id"]
    held = Held(decision.remake)
    monkeypatch.setattr(decision, "remake", held)
    one = f"/experiments/other/decisions/{name}/again"

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        many = [asyncio.create_task(client.post(one)) for _ in range(pools.REMAKES_WAITING + 1)]
        await asyncio.to_thread(held.begun.wait, 60.0)
        try:
            report = asyncio.create_task(client.get(f"{LONG}/report?segments=2"))
            assert (await asyncio.wait([report], timeout=30.0))[0], "it waits behind them"
            beyond = await client.post(one)
            assert beyond.status_code == 503 and "decisions made again" in beyond.text
            assert not any(again.done() for again in many)
        finally:
            held.let_go.set()
        return [await report, *[await again for again in many]]

    assert [answer.status_code for answer in at_once(served, ask)] == [200] * (pools.REMAKES_WAITING + 2)


def test_reports_beyond_the_queue_are_refused_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(served.store.columns)
    monkeypatch.setattr(served.store, "columns", held)
    many = pools.READS_WAITING + 6

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        reports = [asyncio.create_task(client.get(f"{LONG}/report?segments=2")) for _ in range(many)]
        await asyncio.to_thread(held.begun.wait, 60.0)
        refused: list[asyncio.Task[httpx.Response]] = []
        async with asyncio.timeout(60.0):
            while len(refused) < 5:
                await asyncio.sleep(0.001)
                refused = [report for report in reports if report.done()]
        assert all(report.result().status_code == 503 for report in refused)
        held.let_go.set()
        return [await report for report in reports]

    answers = at_once(served, ask)
    assert Counter(answer.status_code for answer in answers) == {200: pools.READS_WAITING + 1, 503: 5}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert_problem(refused.json(), 503, "busy")
    assert "reports" in refused.json()["detail"]


def test_who_leaves_the_queue_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> list[Any]:
        pool = Pool("things", 1, 1)
        held = Held(lambda: 7)
        first = asyncio.create_task(pool.run(held))
        await asyncio.to_thread(held.begun.wait, 60.0)
        second = asyncio.create_task(pool.run(lambda: 8))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="2 things"):
            await pool.run(lambda: 9)
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.create_task(pool.run(lambda: 10))
        await asyncio.sleep(0)
        held.let_go.set()
        found = [await first, await third]
        pool.close()
        return found

    assert asyncio.run(work()) == [7, 10]


def test_reports_go_one_at_a_time_and_decisions_go_on(served: Served) -> None:
    async def ask(client: httpx.AsyncClient) -> list[int]:
        paths = (f"{OTHER}/report", f"{OTHER}/diagnostics", f"{LONG}/report")
        async with served.service.lanes.reports.turn():
            waiting = [asyncio.create_task(client.get(path)) for path in paths]
            for _ in range(3):
                assert (await client.post(f"{OTHER}/decisions", json={})).status_code == 201
            assert not any(task.done() for task in waiting)
        return [(await task).status_code for task in waiting]

    assert at_once(served, ask) == [200, 200, 200]


def test_creations_do_not_wait_for_imports(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import was checked and folded in the one thread for creations, in the turn of all large requests."""
    exported = served.get(f"{OTHER}/log").content
    held = Held(importing.read_export)
    monkeypatch.setattr(logs, "read_export", held)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        many = pools.IMPORTS_WAITING + 1
        asked = [client.post(f"/v1/experiments:import?experiment_id=i{i}", content=exported) for i in range(many)]
        imports = [asyncio.create_task(one) for one in asked]
        await asyncio.to_thread(held.begun.wait, 60.0)
        body = {"experiment_id": "new", "arms": [{"id": f"arm{i}", "text": "x" * 2000} for i in range(100)]}
        created = await asyncio.wait_for(client.post("/v1/experiments", json=body), 30.0)
        beyond = await client.post("/v1/experiments:import?experiment_id=more", content=exported)
        assert_problem(beyond.json(), 503, "busy")
        assert not any(one.done() for one in imports)
        held.let_go.set()
        return [created, *[await one for one in imports]]

    assert [one.status_code for one in at_once(served, ask)] == [201] * (pools.IMPORTS_WAITING + 2)
