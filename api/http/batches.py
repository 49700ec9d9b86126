"""Batches in pieces: between two of them the event loop is for others.

Ten thousand decisions at once kept everybody waiting for seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

from ...engine.errors import OnearmError
from ..service.lanes import Lane
from .endpoint import refusal

PIECE = 20  # items: about a millisecond
AHEAD = 200  # items of a batch that wait for a commit

Item = TypeVar("Item")
Begun = TypeVar("Begun")


async def in_pieces(
    lane: Lane,
    items: Sequence[Item],
    begin: Callable[[Item], Coroutine[Any, Any, Begun]],
    end: Callable[[Begun], Awaitable[Any]],
) -> list[Any]:
    """Begin all items in their order, and end each; return what each came to, or its problem.

    To begin is to decide or learn, and to queue the event; what ends it waits for the commit. The pieces of all batches
    go through one lane, so that others wait for one of them in a round of the event loop. No more than AHEAD items wait
    for a commit: this thread and the writer's take turns at Python's lock, and the one that gives it up for moments
    only gets it back before the other has woken up.
    """
    begun: list[Begun | OnearmError] = []
    answers: list[Any] = []
    for start in range(0, len(items), PIECE):
        async with lane.turn():
            started = [_started(begin(item)) for item in items[start : start + PIECE]]
        done = await _all_of(started)
        begun += done
        if len(begun) - len(answers) > AHEAD:
            answers += await _answers(begun[len(answers) : len(answers) + PIECE], end)
    while len(answers) < len(begun):
        answers += await _answers(begun[len(answers) : len(answers) + PIECE], end)
        await asyncio.sleep(0)
    return answers


async def _answers(begun: list[Begun | OnearmError], end: Callable[[Begun], Awaitable[Any]]) -> list[Any]:
    """End some items; return what each came to."""
    ended = [one if isinstance(one, OnearmError) else await _ended(end(one)) for one in begun]
    return [refusal(one).content if isinstance(one, OnearmError) else one for one in ended]


class _Waiting(Generic[Begun]):
    """Work that came to where it has to wait."""

    def __init__(self, work: Coroutine[Any, Any, Begun], for_what: Any) -> None:
        self._work, self._for_what = work, for_what

    def __await__(self) -> Generator[Any, Any, Begun]:
        try:
            yield self._for_what
        except BaseException:
            self._work.close()
            raise
        return (yield from self._work.__await__())


def _started(work: Coroutine[Any, Any, Begun]) -> Begun | OnearmError | _Waiting[Begun]:
    """Go on with some work until it has to wait, and return what it came to; most never waits, and needs no task."""
    try:
        return _Waiting(work, work.send(None))
    except StopIteration as done:
        made: Begun = done.value
        return made
    except OnearmError as error:
        return error


async def _all_of(started: list[Begun | OnearmError | _Waiting[Begun]]) -> list[Begun | OnearmError]:
    """Return what all came to, once those that wait are done."""
    waiting = iter(await asyncio.gather(*(_ended(one) for one in started if isinstance(one, _Waiting))))
    return [next(waiting) if isinstance(one, _Waiting) else one for one in started]


async def _ended(made: Awaitable[Begun]) -> Begun | OnearmError:
    try:
        return await made
    except OnearmError as error:
        return error
