"""Workers of Dask: processes of this machine, or those of a scheduler that runs somewhere.

Dask keeps who does what: the work of a worker that is lost is given to another one. Source: Rocklin 2015, "Dask:
parallel computation with blocked algorithms and task scheduling"; distributed.dask.org.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.comm import CommClosedError

from ...engine.errors import Unavailable, counted
from .job import build, check_build, jobs_of, work
from .scheduler import Done, Found, Scheduler, Spec

PATIENCE = 10.0  # seconds in which a scheduler answers
PATIENCE_FOR_WORKERS = 30.0
POLL_SECONDS = 0.01
LEFT = "distributed.worker"  # what says that a worker ended, which is told here where it matters
MEMORY = "MALLOC_TRIM_THRESHOLD_"  # Dask sets it: every array of some size is then given back, and comes as new pages
BEFORE = "distributed.nanny.pre-spawn-environ"  # variables of a process that it starts
QUIET = ("distributed", "distributed.nanny", "distributed.scheduler", "distributed.core", LEFT)


class Workers:
    """The workers that a client of Dask reaches."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def workers(self) -> int:
        """How many threads the workers have, of those that are there now."""
        return max(1, sum(self._client.nthreads().values()))

    def map(
        self, function: Callable[[Spec], Found], specs: Sequence[Spec], done: Done = lambda place: None
    ) -> list[Found]:
        """Return what is found of each spec, in their order. The work of a lost worker is done again by others."""
        futures: list[Future] = self._client.map(work, jobs_of(function, specs), pure=False)
        places = {future.key: place for place, future in enumerate(futures)}
        found: list[Any] = [None] * len(futures)
        try:
            for future in self._completed(futures):
                place = places[future.key]
                found[place] = _result(future, place)
                future.release()
                done(place)
        finally:
            self._client.cancel(futures)
        return found

    def _completed(self, futures: Sequence[Future]) -> Iterator[Future]:
        """Yield each that ended. Raises `Unavailable` where all workers are gone and none comes back: Dask waits on."""
        waiting, heard = as_completed(futures, loop=self._client.loop), time.monotonic()
        while not waiting.is_empty():
            if ended := waiting.next_batch(block=False):
                heard = time.monotonic()
                yield from ended
            elif time.monotonic() - heard < PATIENCE_FOR_WORKERS:
                time.sleep(POLL_SECONDS)
            else:
                self._look_for_workers(waiting.count())
                heard = time.monotonic()

    def _look_for_workers(self, left: int) -> None:
        """Wait until there is a worker, where there is none; so many parts of the work are left."""
        try:
            if not self._client.nthreads():
                self._client.wait_for_workers(1, timeout=PATIENCE_FOR_WORKERS)
        except TimeoutError:
            raise Unavailable(
                "no_workers",
                f"all workers are gone, with {counted(left, 'part')} of the work left, and none came back within "
                f"{PATIENCE_FOR_WORKERS:g} s: look into their logs, start some, and then this command again",
            ) from None
        except (OSError, CommClosedError) as error:
            raise _lost(error) from None


@contextmanager
def here(workers: int) -> Iterator[Scheduler]:
    """Start so many processes on this machine, of a thread each, and end them afterwards."""
    variables = {name: value for name, value in dask.config.get(BEFORE).items() if name != MEMORY}
    with dask.config.set({BEFORE: variables}), _quiet(), _cluster(workers) as cluster, Client(cluster) as client:
        yield Workers(client)


def _cluster(workers: int) -> LocalCluster:
    """Start processes; raises `Unavailable` where one of them ends meanwhile."""
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # as threads have none
            silence_logs=logging.CRITICAL,
        )
    except (RuntimeError, OSError) as error:  # as Dask tells it
        raise Unavailable(
            "no_workers",
            f"a worker process ended while it started ({_last_line(error.__cause__ or error)}): look at the memory and "
            "the processes of this machine, and take fewer by local:N",
        ) from None


@contextmanager
def at(address: str) -> Iterator[Scheduler]:
    """Reach the workers of a scheduler. Raises `Unavailable` where none answers, or none can do this work."""
    with _quiet():
        try:
            client = Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise Unavailable(
                "no_scheduler",
                f"no Dask scheduler answers at {address} within {PATIENCE:g} s ({_last_line(error)}): start one with "
                "`dask scheduler`, and look at its address",
            ) from None
        with client:
            _check(client, address)
            yield Workers(client)


def _check(client: Client, address: str) -> None:
    """Refuse a scheduler without workers, and workers of another build."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE_FOR_WORKERS)
    except TimeoutError:
        raise Unavailable(
            "no_workers",
            f"the scheduler at {address} has no workers: start some with `dask worker {address}` where onearm is "
            "installed",
        ) from None
    ours = build()
    for worker, theirs in client.run(build, on_error="return").items():
        if isinstance(theirs, Exception):
            raise Unavailable(
                "other_worker",
                f"worker {worker} has no onearm, or one of another version ({_last_line(theirs)}): install "
                f"onearm {ours.onearm} with Python {ours.python} there",
            )
        check_build(f"worker {worker}", theirs, ours)


def _result(future: Future, place: int) -> Any:
    """Return what was found; say what became of it otherwise."""
    try:
        return future.result()
    except KilledWorker as error:
        raise Unavailable(
            "killed_workers",
            f"part {place} of the work ended {error.allowed_failures + 1} workers, one after another: look into their "
            "logs; most often the memory has run out, and fewer workers on a machine have more each",
        ) from None
    except (CancelledError, CommClosedError) as error:
        raise _lost(error) from None


def _lost(error: BaseException) -> Unavailable:
    return Unavailable(
        "lost_scheduler", f"the Dask scheduler is gone ({_last_line(error)}): start it again, and then this command"
    )


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from a person what Dask says of workers that come and go, and of connections that end."""
    loggers = [logging.getLogger(name) for name in QUIET]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
