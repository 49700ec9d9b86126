"""A state is read as it is, in another thread, by whoever has the turn of its experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .live import Live
from .pools import Pool

Made = TypeVar("Made")


async def read_state(live: Live, states: Pool, looking: Callable[[], Callable[[Any], Made]]) -> Made:
    """Return what is found in the state of an experiment; rewards wait meanwhile.

    What `looking` returns looks, in a thread of `states`, which reports do not take: decisions may wait for the turn.
    `looking` is called in the turn, and sees who decides with the state.
    """
    live.check_usable()
    return await live.turns.take(_read, live, states, looking)


async def _read(live: Live, states: Pool, looking: Callable[[], Callable[[Any], Made]]) -> Made:
    live.check_usable()
    async with live.keeping.awake():
        live.check_usable()
        live.reading.begin()
        try:
            return await states.run(looking(), live.state)
        finally:
            live.reading.end()
