"""A state is read as it is, in another thread: whoever reads comes behind those who read others, and then has a turn.

In the other order an experiment whose state is asked for would keep its decisions waiting until all reports of others
are made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .live import Live
from .pools import Pool

Made = TypeVar("Made")


async def read_state(live: Live, reads: Pool, looking: Callable[[], Callable[[Any], Made]]) -> Made:
    """Return what is found in the state of an experiment; rewards wait meanwhile.

    What `looking` returns looks, in a thread of `reads`; it is called in the turn, and sees who decides with the state.
    """
    live.check_usable()
    async with live.keeping.awake(), reads.turn():
        return await live.turns.take(_read, live, reads, looking)


async def _read(live: Live, reads: Pool, looking: Callable[[], Callable[[Any], Made]]) -> Made:
    live.check_usable()
    async with live.keeping.awake():  # here too: whoever asked may have left, and a turn is taken to its end
        live.check_usable()
        live.reading.begin()
        try:
            return await reads.call(looking(), live.state)
        finally:
            live.reading.end()
