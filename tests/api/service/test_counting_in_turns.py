"""Counting logs for curves takes the turn of an experiment where it must, and lets nobody wait for that of another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.meeting import at_once
from support.slow_steps import begun_in
from support.windowed import Windowed, half_closed

from onearm.api.service import curves

WINDOW = {"wait_time": "10s", "default": 0, "range": [0, 1]}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        yield served


def test_who_is_in_the_middle_of_a_turn_keeps_no_other_experiment_from_being_counted(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one whose decisions all count: of that nothing is asked in a turn."""
    service = served.service
    served.create("first", reward=WINDOW | {"learn": "at_once"})
    served.create("second", reward=WINDOW)
    served.create("last")
    for name in ("first", "second", "last"):
        served.decide({}, name)
    first, second, last = (service.live(name) for name in ("first", "second", "last"))

    async def counted(_: httpx.AsyncClient) -> None:
        free = asyncio.Event()
        held = [asyncio.create_task(live.turns.alone(free.wait)) for live in (first, second)]
        await service.curves.stop()
        monkeypatch.setattr(curves, "EVERY", 0.01)
        service.curves.start(service._curved)
        try:
            async with asyncio.timeout(20):
                while any(served.store.counted_to(live.row.key) < live.seq for live in (second, last)):
                    await asyncio.sleep(0.01)
        finally:
            free.set()
            await asyncio.gather(*held)

    at_once(served, counted)


def test_a_curve_tells_of_a_moment_at_which_nobody_closes_windows(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are closed in memory, and neither on their way to the log nor in a span."""
    served.create(reward=WINDOW)
    served.decide_all([{}] * 4)
    served.pass_time(20, close=False)
    live = served.service.live("e")

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        asking = await begun_in(live.turns, client.get("/v1/experiments/e/curve"), monkeypatch)
        held.let_go.set()
        return await asking

    with half_closed(served, monkeypatch) as held:
        told = at_once(served, ask).json()
    assert (told["seq"], told["of"], told["open"]) == (8, 8, 0)
    assert [(span["decisions"], span["rewards"]) for span in told["spans"]] == [(4, 4)]
