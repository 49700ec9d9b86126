"""What can wait: what must be gone comes before what only saves room, a bounded piece at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from support.served import Served

from onearm.api.service import chores as chores_module
from onearm.api.service.chores import EVENTS_MIN, Chore, Rank

SECRET = "Ann of 12 High Street"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def test_an_erasure_comes_first_then_deletions_and_then_what_saves_room(served: Served) -> None:
    done: list[str] = []

    def of(name: str, until: str) -> Chore:
        def step(events: int) -> bool:
            done.append(name)
            return until not in done and len(done) < 100

        return step

    async def add() -> None:
        chores = served.service.chores
        chores.add([(Rank.SLIMMING, of("slim", "delete another")), (Rank.SLIMMING, of("slim another", "slim"))])
        while not done:
            await asyncio.sleep(0)
        chores.add([(Rank.DELETION, of("delete", "erase")), (Rank.DELETION, of("delete another", "delete"))])
        await chores.erase(of("erase", "slim"))
        await chores.done()

    assert served.client.portal is not None
    served.client.portal.call(add)
    assert [name for name, _ in groupby(done)] == ["slim", "erase", "delete", "delete another", "slim", "slim another"]


def test_a_slow_step_makes_the_next_ones_short_but_not_without_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores_module, "STEP_SECONDS", -1.0)  # as on a disk where each commit takes longer
    asked: list[int] = []

    def slow(events: int) -> bool:
        asked.append(events)
        return len(asked) < 12

    async def add() -> None:
        served.service.chores.add([(Rank.SLIMMING, slow)])
        await served.service.chores.done()

    assert served.client.portal is not None
    served.client.portal.call(add)
    assert (len(asked), min(asked), asked[-1]) == (12, EVENTS_MIN, EVENTS_MIN)


def test_what_is_deleted_is_gone_from_the_files_while_something_is_made_slim(served: Served, tmp_path: Path) -> None:
    served.create("gone")
    for n in range(5):
        served.decide({"decision_id": f"{SECRET} {n}"}, "gone")
    found: list[int] = []
    wal = tmp_path / "run.db-wal"
    assert wal.read_bytes().count(SECRET.encode()) > 0

    def slim(events: int) -> bool:
        if served.store.unpurged() or "gone" not in served.store.buried():
            return True
        found.append(wal.read_bytes().count(SECRET.encode()))
        return False

    async def add() -> None:
        served.service.chores.add([(Rank.SLIMMING, slim)])

    assert served.client.portal is not None
    served.client.portal.call(add)
    assert served.client.delete("/v1/experiments/gone?confirm=gone").status_code == 200
    served.client.portal.call(served.service.chores.done)
    assert found == [0]
