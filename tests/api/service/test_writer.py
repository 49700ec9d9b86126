"""Group commit: who was answered is in the next commit, with those who asked meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from onearm.api.service.writer import Writer
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE

CLIENTS = 4  # in each half


def test_those_who_were_answered_and_those_who_came_meanwhile_are_in_one_commit(tmp_path: Path) -> None:
    """They took turns for good: half of them while the others were answered, both threads at work at once."""
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    key = store.add_experiment("e", "{}", b"", "{}", 0).key
    sizes: list[int] = []
    began, go_on = threading.Event(), threading.Event()
    append = store.append

    def held(events: list[Event], *rest: Any) -> None:
        sizes.append(len(events))
        began.set()
        assert go_on.wait(60)
        append(events, *rest)

    store.append = held  # type: ignore[method-assign]

    async def serve() -> None:
        writer: Writer[str] = Writer(store, failed=lambda lives, error: None)
        made = iter(range(10**6))

        async def client() -> None:
            for _ in range(3):
                number = next(made)
                await writer.append("e", Event(key, number + 1, DECIDE, number, 0, 0.5))

        first = [asyncio.create_task(client()) for _ in range(CLIENTS)]
        while not began.is_set():
            await asyncio.sleep(0)
        others = [asyncio.create_task(client()) for _ in range(CLIENTS)]
        while writer.waiting < CLIENTS:
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*first, *others)
        await writer.drain()
        await asyncio.to_thread(writer.close)

    asyncio.run(serve())
    assert sizes == [CLIENTS, 2 * CLIENTS, 2 * CLIENTS, CLIENTS]
    assert store.last(key) == (6 * CLIENTS, 6 * CLIENTS)
    store.close()
