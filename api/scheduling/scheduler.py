"""Where work is done that falls into parts: one function, many specs, and what is found of each, in their order.

"threads"      threads of this process, one for each processor
"local:4"      4 worker processes of this machine
"tcp://..."    the workers of a Dask scheduler, tls:// for one that is encrypted

A function is one of a module, and a spec and what is found of it can be pickled. What is found must not depend on where
it is found, nor on how the work was cut: then every scheduler gives the same bits.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from ...engine.errors import InvalidInput, Unavailable, installing
from ...engine.storage.numerals import natural_in

Spec = TypeVar("Spec")
Found = TypeVar("Found")
Done = Callable[[int], None]  # is told the place of a spec when that is found

ADDRESSES = ("tcp://", "tls://")
WORKERS_MAX = 1024
BLOCKS = 16  # of specs for each worker: the last one to end has at most so small a part alone
RULE = "say local:N for N processes here, or the address of a Dask scheduler, tcp://HOST:8786"


class Scheduler(Protocol):
    """What gives work to workers."""

    @property
    def workers(self) -> int:
        """How many specs are worked on at once, as far as is known beforehand."""
        ...

    def map(
        self, function: Callable[[Spec], Found], specs: Sequence[Spec], done: Done = lambda place: None
    ) -> list[Found]:
        """Return what the function finds of each spec, in the order of the specs; raises what it raises first."""
        ...


def in_blocks(specs: Sequence[Spec], workers: int) -> list[Sequence[Spec]]:
    """Return specs in blocks, in their order: to give a worker something costs it some milliseconds.

    >>> [len(block) for block in in_blocks(range(100), 2)][-3:]
    [4, 4, 4]
    >>> in_blocks("abc", 2)
    ['a', 'b', 'c']
    """
    size = max(1, -(-len(specs) // (BLOCKS * workers)))
    return [specs[start : start + size] for start in range(0, len(specs), size)]


class Threads:
    """Threads of this process.

    >>> Threads(2).map(abs, [-1, -2, 3])
    [1, 2, 3]
    """

    def __init__(self, workers: int | None = None) -> None:
        """Take so many threads at once; None for one each processor."""
        self.workers = workers or os.cpu_count() or 1

    def map(
        self, function: Callable[[Spec], Found], specs: Sequence[Spec], done: Done = lambda place: None
    ) -> list[Found]:
        """Return what is found of each spec, in their order."""
        with ThreadPoolExecutor(self.workers) as pool:
            places = {pool.submit(function, spec): place for place, spec in enumerate(specs)}
            try:
                for future in as_completed(places):
                    future.result()
                    done(places[future])
            finally:
                pool.shutdown(cancel_futures=True)
        return [future.result() for future in places]


@contextmanager
def opened(name: str | None) -> Iterator[Scheduler]:
    """Open the scheduler that a person named; None stands for threads.

    Raises `InvalidInput` for a name that is none, and `Unavailable` where Dask is not installed, where nothing answers,
    and where workers are of another version.
    """
    if name is None or name == "threads":
        yield Threads()
        return
    with _dask(name) as scheduler:
        yield scheduler


def _dask(name: str) -> AbstractContextManager[Scheduler]:
    """Return what opens the workers of Dask that a person named."""
    word, _, count = name.partition(":")
    if name.startswith(ADDRESSES):
        return _module().at(name)
    if word != "local":
        raise InvalidInput("bad_scheduler", f"{name!r} is no scheduler: {RULE}")
    workers = natural_in(count)
    if workers is None or not 1 <= workers <= WORKERS_MAX:
        raise InvalidInput("bad_scheduler", f"{name!r} has no number of workers from 1 to {WORKERS_MAX}: {RULE}")
    return _module().here(workers)


def _module() -> Any:
    """Import what needs Dask, or say how to get it."""
    try:
        return importlib.import_module("onearm.api.scheduling.on_dask")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("dask", "distributed"):
            raise
        raise Unavailable(
            "no_dask", f"workers in other processes need Dask, which is not installed: {installing('dask')}"
        ) from None
