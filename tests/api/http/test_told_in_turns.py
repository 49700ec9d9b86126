"""What is told of a decision is of a moment at which nobody is in the middle of learning, and on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.shelves import create_lists
from support.slow_steps import Held, begun_in, slow
from support.windowed import Windowed, half_closed

from onearm.api.http import decisions
from onearm.api.http.dashboard import decision, experiment
from onearm.api.http.schemas import DecisionRecord
from onearm.api.service.live import Live
from onearm.api.service.records import Record

TWO = {"context": [1.0, 0.5], "slots": [{"id": "x", "features": [1.0]}, {"id": "y", "features": [0.0]}]}
AT_ONCE = {"reward": {"wait_time": "60s", "default": 0.0, "learn": "at_once"}}
D = "/v1/experiments/e/decisions"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        yield served


@pytest.mark.parametrize("fields", [{}, AT_ONCE], ids=["learned", "with windows"])
def test_a_list_is_told_when_all_of_its_slots_are_learned(
    served: Windowed, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    """The second slot is being learned: what is known of the first is not on its way to the log."""
    create_lists(served, **fields)
    assert served.decide(TWO | {"decision_id": "both"}).status_code == 201
    _, update = slow(served, monkeypatch)
    held = Held(update.call, free=1)
    monkeypatch.setattr(update, "call", held)
    live = served.service.live("e")

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        learning = asyncio.create_task(client.post(f"{D}/both/reward", json={"value": 1.0}))
        assert await asyncio.to_thread(held.begun.wait, 60)
        told = await begun_in(live.turns, client.get(f"{D}/both"), monkeypatch)
        held.let_go.set()
        return [await learning, await told]

    learned, told = at_once(served, ask)
    assert learned.json() == {"status": "accepted"}
    assert [slot["reward"] and slot["reward"]["value"] for slot in told.json()["slots"]] == [1.0, 1.0]
    assert told.json() == served.record("both").json()


TOLD: list[Callable[[httpx.AsyncClient, Live], Coroutine[Any, Any, Any]]] = [
    lambda client, _: client.get(f"{D}/~0"),
    lambda client, _: client.get("/experiments/e/decisions/~0"),
    lambda _, live: experiment._recent(live),
]


@pytest.mark.parametrize("tell", TOLD, ids=["record", "page", "newest"])
def test_a_window_is_told_to_be_closed_when_that_is_on_its_way_to_the_log(
    served: Windowed,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[httpx.AsyncClient, Live], Coroutine[Any, Any, Any]],
) -> None:
    """Two windows are closed in memory, and the third is being learned: nothing of that is written."""
    served.create(reward={"wait_time": "10s", "default": 0, "range": [0, 1]})
    served.decide_all([{}] * 4)
    served.pass_time(20, close=False)
    live = served.service.live("e")
    seen, record_of = list[tuple[int, int]](), decisions.record_of

    def noted(live: Live, found: Record) -> DecisionRecord:
        seen.append((0 if found.reward is None else found.reward.seq, live.queued))
        return record_of(live, found)

    for module in (decisions, decision, experiment):
        monkeypatch.setattr(module, "record_of", noted)

    async def ask(client: httpx.AsyncClient) -> None:
        told = await begun_in(live.turns, tell(client, live), monkeypatch)
        held.let_go.set()
        await told

    with half_closed(served, monkeypatch) as held:
        at_once(served, ask)
    assert seen
    assert all(0 < learned <= queued for learned, queued in seen)
