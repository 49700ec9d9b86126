"""Logs of decisions that all have their reward, written without a service."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from support.stored import decide, learn

from onearm.engine.storage.store import Store

NAMES = ("e", "two.words")


def more(url: str, count: int, names: Sequence[str] = NAMES) -> None:
    """Make decisions, each with its reward, in experiments."""
    with closing(Store.open(url)) as store:
        for row in store.experiments():
            if row.id not in names:
                continue
            seq, number = store.last(row.key)
            events = [
                event
                for i in range(count)
                for event in (
                    decide(row.key, seq + 2 * i + 1, number + i, time=10**15 + i),
                    learn(row.key, seq + 2 * i + 2, number + i),
                )
            ]
            store.append(events)
