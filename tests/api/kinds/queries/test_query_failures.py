"""Queries when something is asked again, a write fails, a thread reads or the service restarts."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
import sqlalchemy as sa
from support.query_service import BUDGET, DECISIONS, TASK, ask, assert_counted, live, of_cat, walk
from support.served import Served, assert_refused

import onearm
from onearm.engine.storage.tables import SNAPSHOT


def test_a_restart_goes_on_to_the_same_bits(served: Served) -> None:
    """What was asked and is not answered yet counts too, from a snapshot and from the log."""
    before = walk(served, 5)
    digest = served.digest("q")
    served.restart()
    assert served.digest("q") == digest
    with served.store._transaction() as connection:
        assert connection.execute(sa.delete(SNAPSHOT)).rowcount >= 1
    served.restart()  # without a snapshot the log is folded
    assert served.digest("q") == digest
    assert_counted(served)
    engine = onearm.open("uniform_budget", task=TASK, horizon=BUDGET, seed=5)
    for t, query_id in enumerate(before + walk(served, 3, start=5)):
        query = engine.ask()
        assert query.query_id == query_id
        if t % 3 < 2:
            engine.tell(query, of_cat({"query_id": query_id}))
    assert served.digest("q") == engine.digest()


def test_the_same_decision_again_is_the_first_answer(served: Served) -> None:
    first = served.decide({"decision_id": "x"}, "q")
    served.reward("x", 1, "q")
    for header in ({}, {"idempotency-key": "x"}):
        again = served.decide({"decision_id": "x"}, "q", headers=header)
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["idempotency-replayed"] == "true"
    assert_refused(served.decide({"decision_id": "x", "eligible_actions": ["flies?"]}, "q"), 409, "decision_exists")
    for _ in range(BUDGET - 1):
        ask(served)
    assert served.decide({"decision_id": "x"}, "q").status_code == 200, "a retry is answered when the budget is spent"


@pytest.mark.parametrize("restarted", [False, True])
def test_the_same_answer_again_is_a_duplicate_and_another_is_refused(served: Served, restarted: bool) -> None:
    ask(served, decision_id="x")
    assert served.reward("x", {"value": 1, "reward_id": "r"}, "q").json() == {"status": "accepted"}
    before = served.everything()
    if restarted:
        served.restart()
    assert served.reward("x", {"value": 1.0, "reward_id": "r"}, "q").json() == {"status": "duplicate"}
    for other in ({"value": -1, "reward_id": "r"}, {"value": 1}, {"value": 1, "reward_id": "s"}):
        refused = assert_refused(served.reward("x", other, "q"), 409, "reward_exists")
        assert "'x' has the answer 1 already (seq 2)" in refused["detail"]
    assert served.everything() == before


def test_a_decision_waits_while_another_thread_reads_the_state(served: Served) -> None:
    """Policies take note of what they ask: a digest of a state that changes meanwhile would be of no state."""
    found = live(served)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            found.reading.begin()
            made = asyncio.create_task(client.post(DECISIONS, json={}))
            for _ in range(20):
                await asyncio.sleep(0)
            assert found.number == 0 and not made.done()
            found.reading.end()
            return await made

    assert served.client.portal is not None
    assert served.client.portal.call(asked).status_code == 201
    assert_counted(served)


def test_after_a_commit_that_fails_the_state_is_what_the_log_holds(served: Served) -> None:
    walk(served, 4)
    before, digest = served.everything(), served.digest("q")
    writer = served.store._writer
    assert writer is not None
    pages = writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    writer.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    writer.rollback()
    big = b" " * 30_000 + b"{}"  # kept as it was sent, so it needs pages
    assert_refused(served.decide(big, "q", headers={"idempotency-key": "big"}), 503, "commit_failed")
    deadline = time.monotonic() + 10
    while live(served).unusable is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (served.everything(), served.digest("q")) == (before, digest)
    assert_counted(served)
    writer = served.store._writer
    assert writer is not None
    writer.exec_driver_sql("PRAGMA max_page_count = 1000000000")
    writer.rollback()
    assert served.decide(big, "q", headers={"idempotency-key": "big"}).json()["number"] == 4
