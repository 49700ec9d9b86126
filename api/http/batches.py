"""Batches in pieces: between two of them the event loop is for others.

Ten thousand decisions at once kept everybody waiting for seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ...engine.errors import OnearmError
from .endpoint import refusal

PIECE = 20  # items: about a millisecond

Item = TypeVar("Item")
Begun = TypeVar("Begun")


async def in_pieces(
    items: Sequence[Item], begin: Callable[[Item], Awaitable[Begun]], end: Callable[[Begun], Awaitable[Any]]
) -> list[Any]:
    """Begin all items in their order, then end them; return what each came to, or its problem.

    To begin is to decide or learn, and to queue the event; what ends it waits for the commit.
    """
    begun: list[Begun | OnearmError] = []
    for start in range(0, len(items), PIECE):
        begun += await asyncio.gather(*(_or_error(begin(item)) for item in items[start : start + PIECE]))
        await asyncio.sleep(0)
    answers = []
    for place, one in enumerate(begun):
        ended = one if isinstance(one, OnearmError) else await _or_error(end(one))
        answers.append(refusal(ended).content if isinstance(ended, OnearmError) else ended)
        if place % PIECE == PIECE - 1:
            await asyncio.sleep(0)
    return answers


async def _or_error(made: Awaitable[Begun]) -> Begun | OnearmError:
    try:
        return await made
    except OnearmError as error:
        return error
