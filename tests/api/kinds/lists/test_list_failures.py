"""Lists when things fail or come together: a full disk, readers of the state, the same list twice, a log made short."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from support.served import Served
from support.shelves import FOUR, create_lists, fill

from onearm.api.cli.verify import has_fault, verified
from onearm.api.kinds.kind import Request
from onearm.api.service.live import Live
from onearm.engine.storage.tables import EVENT, SNAPSHOT, SNAPSHOT_PART
from onearm.engine.vocabulary import DECIDE, LEARN

DECISIONS = "/v1/experiments/e/decisions"
BODY = {"context": [1.0, 0.5], "slots": FOUR}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        create_lists(served)
        yield served


def on_the_loop(served: Served, ask: Callable[[httpx.AsyncClient], Any]) -> Any:
    """Do something with a client on the service's own event loop."""

    async def asked() -> Any:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await ask(client)

    assert served.client.portal is not None
    return served.client.portal.call(asked)


def post_all(served: Served, path: str, bodies: list[Any]) -> list[httpx.Response]:
    """Post all at once."""

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post(path, json=body) for body in bodies))

    found: list[httpx.Response] = on_the_loop(served, ask)
    return found


def fill_the_disk(served: Served) -> None:
    """Leave room for little more."""
    writer = served.store._writer
    assert writer is not None
    pages = writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    writer.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
    writer.rollback()


def test_a_list_and_its_rewards_are_on_record_whole_or_not_at_all(served: Served) -> None:
    fill_the_disk(served)
    lists: dict[str, int] = {}
    rewards: dict[str, int] = {}
    for t in range(200):
        lists[f"p{t}"] = served.decide(BODY | {"decision_id": f"p{t}"}).status_code
        if lists[f"p{t}"] == 201:
            rewards[f"p{t}"] = served.reward(f"p{t}", 1.0).status_code
        if 503 in lists.values():
            break
    assert set(lists.values()) == {201, 503}
    served.restart()
    events = served.events()
    details = {event.number: json.loads(event.detail or "") for event in events if event.kind == DECIDE}
    made = Counter(detail["list_id"] for detail in details.values())
    assert made == {name: 4 for name, status in lists.items() if status == 201}
    learned = Counter(details[event.number]["list_id"] for event in events if event.kind == LEARN)
    assert learned == {name: 4 for name, status in rewards.items() if status == 200}
    served.assert_consistent()


def test_what_is_sent_twice_at_once_is_one_list_and_one_reward(served: Served) -> None:
    answers = post_all(served, DECISIONS, [BODY | {"decision_id": "page"}] * 3)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert len({answer.text for answer in answers}) == 1
    told = post_all(served, f"{DECISIONS}/page/reward", [{"value": 1.0}] * 3)
    assert sorted(answer.json()["status"] for answer in told) == ["accepted", "duplicate", "duplicate"]
    assert len(served.events()) == 8


def test_rewards_of_different_slots_at_once_are_all_learned(served: Served) -> None:
    fill(served, decision_id="page")
    bodies = [{"slots": [{"id": f"s{place}", "value": place / 4}]} for place in range(4)]
    assert [answer.status_code for answer in post_all(served, f"{DECISIONS}/page/reward", bodies)] == [200] * 4
    assert sorted(event.number or 0 for event in served.events() if event.kind == LEARN) == [0, 1, 2, 3]
    served.assert_consistent()


def test_rewards_wait_while_another_thread_reads_the_state(served: Served) -> None:
    fill(served, decision_id="page")
    live = served.service.live("e")

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        live.reading.begin()
        told = asyncio.create_task(client.post(f"{DECISIONS}/page/reward", json={"value": 1.0}))
        for _ in range(20):
            await asyncio.sleep(0)
        assert live.rewards == 0 and not told.done()
        live.reading.end()
        return await told

    assert on_the_loop(served, ask).status_code == 200
    served.assert_consistent()


def test_lists_that_left_memory_are_rewarded_and_answered_again(tmp_path: Path) -> None:
    with Served(tmp_path, cache_bytes=0) as served:
        create_lists(served)
        pages = [fill(served, decision_id=f"p{t}") for t in range(5)]
        for t, page in enumerate(pages):
            assert served.decide(BODY | {"decision_id": f"p{t}"}).json() == page
            assert served.reward(f"p{t}", {"slots": [{"id": "s1", "value": 1.0}]}).json() == {"status": "accepted"}
            assert len(served.record(f"p{t}").json()["slots"]) == 4
        served.assert_consistent()


def test_a_log_that_was_made_short_knows_its_lists(served: Served) -> None:
    page = fill(served, decision_id="page")
    fill(served)
    served.reward("page", {"slots": [{"id": "s3", "value": 1.0}]})
    assert served.post("/v1/experiments/e:compact", {"archive": False}).status_code in (200, 202)
    served.restart()
    assert served.decide(BODY | {"decision_id": "page"}).json() == page
    assert served.reward("page", {"slots": [{"id": "s0", "value": 0.5}]}).json() == {"status": "accepted"}
    assert served.reward("~7", 0.25).json() == {"status": "accepted"}
    assert [slot["slot_id"] for slot in served.record("page").json()["slots"]] == ["s0", "s1", "s2", "s3"]
    assert not any(map(has_fault, verified(served.url)))


@pytest.fixture
def fails_at_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second choice of a policy be an error of somebody's own code."""
    chosen, calls = Live.chosen, []

    async def failing(live: Live, request: Request) -> Any:
        calls.append(request)
        if len(calls) == 2:
            raise RuntimeError("a policy of somebody's own")
        return await chosen(live, request)

    monkeypatch.setattr(Live, "chosen", failing)


@pytest.mark.usefixtures("fails_at_the_second")
def test_of_a_list_in_whose_middle_the_policy_fails_nothing_is_on_record(served: Served) -> None:
    before = served.everything()
    assert served.decide(BODY | {"decision_id": "page"}).status_code == 500
    assert served.everything() == before
    assert served.get("/v1/experiments/e").json()["decisions"] == 0
    made = served.decide(BODY | {"decision_id": "page"})
    assert made.status_code == 201, "its id is free"
    assert [event.number for event in served.events()] == [0, 1, 2, 3]
    assert served.reward("page", 1.0).status_code == 200
    served.assert_consistent()


@pytest.mark.usefixtures("fails_at_the_second")
def test_a_policy_that_took_note_of_such_slots_forgets_them(served: Served) -> None:
    create_lists(served, {"name": "linucb", "params": {"wait": 60}}, experiment_id="waits")
    assert served.decide(BODY | {"decision_id": "page"}, "waits").status_code == 500
    for _ in range(200):
        answer = served.decide(BODY | {"decision_id": "page"}, "waits")
        if answer.status_code != 503:
            break
        time.sleep(0.01)
    assert answer.status_code == 201, answer.text
    assert [event.number for event in served.events("waits")] == [0, 1, 2, 3]
    served.assert_consistent("waits")


def test_who_erases_what_is_left_of_a_list_erases_no_other(served: Served) -> None:
    """Versions before left slots on record where a policy failed, and the next list has the numbers of the others."""
    fill(served, decision_id="broken")
    served.stop()
    with sa.create_engine(served.url).begin() as connection:
        for rows in (EVENT, SNAPSHOT, SNAPSHOT_PART):
            connection.execute(sa.delete(rows).where(rows.c.seq > 1))
    served.start()
    assert served.decide(BODY | {"decision_id": "whole"}).status_code == 201
    before = served.get(f"{DECISIONS}/whole").json()
    answer = served.post("/v1/experiments/e:erase", {"decision_ids": ["~0"]})
    assert (answer.status_code, answer.json()["decisions"]) == (200, 1)
    assert served.get(f"{DECISIONS}/whole").json() == before
    assert served.reward("whole", 1.0).status_code == 200
    assert not any(map(has_fault, verified(served.url)))
