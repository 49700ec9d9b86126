"""Evaluations of logs that run beside the service: some at once, each for a while at most; the last ones are kept.

Each reads a whole log, in a thread of a pool of their own. An experiment has one at a time, so that none waits behind
many of another one; who asks for more than there is room for is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from enum import Enum, auto
from typing import NamedTuple

from ...engine.errors import Conflict, NotFound, OnearmError, Unavailable
from ...engine.storage.numerals import natural_in
from ...engine.storage.records import Experiment
from ...engine.storage.rows import Wanted
from ...engine.storage.store import Store
from ..experiment.sizes import in_mb
from ..experiment.tenants import parts_of
from ..offline.candidate_kinds import Candidate
from ..offline.evaluation import Evaluation, evaluate, passes
from ..offline.options import Options
from ..offline.reading import Own, readings
from .experiment_log import log_of
from .pools import EVALUATIONS_MAX, Pool
from .room import Room

log = logging.getLogger("onearm")

SECONDS_MAX = 600.0  # for which one may be at work
TENANT_MAX = 4  # of one tenant that are at work or wait
KEPT_EACH = 5  # of an experiment that has ended
KEPT_MAX = 50  # of all: some 15 MB of reports
KEPT_SECONDS = 86_400.0


class Step(Enum):
    """What is done of an evaluation now."""

    WAITING = auto()
    READING = auto()
    JUDGING = auto()
    DRAWING = auto()


class FormQuestion(NamedTuple):
    """What is asked of a log."""

    candidates: tuple[Candidate, ...]
    options: Options
    segment: str | None
    state_bytes: int  # of all candidates
    given: Mapping[str, str]  # as the form that asks had it


Printer = Callable[[Evaluation], bytes]  # what makes a report


class Stopped(Exception):
    """An evaluation that nobody waits for any more."""


class Run:
    """An evaluation that waits, is at work, or has ended. A thread counts what it has done; all else is the loop's."""

    def __init__(self, number: int, row: Experiment, question: FormQuestion, began: float) -> None:
        self.number, self.row, self.question, self.began = number, row, question, began
        self.step = Step.WAITING
        self.done, self.total = 0, 0  # events, or rows, of the step
        self.report: bytes | None = None
        self.error: OnearmError | None = None
        self.ended: float | None = None  # when
        self.stopped = threading.Event()
        self._until = 0.0

    @property
    def share(self) -> float | None:
        """Return how much of its step is done; None where nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None

    def begin(self, step: Step, total: int) -> None:
        """Go on with the next step, of so many events or rows."""
        if self.step is Step.WAITING:
            self._until = time.monotonic() + SECONDS_MAX
        self.step, self.done, self.total = step, 0, total
        self.advance(0)

    def advance(self, count: int) -> None:
        """Note that so many are done; raises where it is to stop."""
        self.done += count
        if self.stopped.is_set():
            raise Stopped
        if time.monotonic() > self._until:
            raise Unavailable(
                "too_long",
                f"it took more than {SECONDS_MAX / 60:.0f} minutes: ask for fewer policies and methods, or let "
                "onearm evaluate do it on the database",
            )


class Evaluations:
    """The evaluations of all experiments. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, pool: Pool, room: Room, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._pool, self._room, self._clock = store, pool, room, clock
        self._runs: dict[int, Run] = {}  # by number, the oldest first
        self._tasks: dict[int, asyncio.Task[None]] = {}  # of those that have not ended
        self._last = 0
        self._printing = threading.Lock()  # what draws has settings that all threads share

    @property
    def now(self) -> float:
        """Return the time, as runs tell when they began."""
        return self._clock()

    def start(self, row: Experiment, question: FormQuestion, printer: Printer) -> Run:
        """Begin one; raises `Unavailable` where too many are under way, `Conflict` where states find no room."""
        self._check_turn(row)
        size = question.state_bytes * passes(question.options)  # each pass has states of its own
        if self._room.taken + size > self._room.limits.all:
            raise Conflict(
                "no_room",
                f"the states of these policies would take {in_mb(size)} while they are judged, and there is no "
                "room for that now: ask for fewer policies or methods, or once other evaluations are done",
            )
        self._last += 1
        self._room.take(_room_of(self._last), size)
        run = self._runs[self._last] = Run(self._last, row, question, self._clock())
        task = self._tasks[run.number] = asyncio.get_running_loop().create_task(self._one(run, printer))
        task.add_done_callback(lambda done: self._end(run))
        return run

    def find(self, row: Experiment, number: str) -> Run:
        """Return one of an experiment by its number."""
        self._forget_old()
        asked = natural_in(number)
        run = None if asked is None else self._runs.get(asked)
        if run is None or run.row.key != row.key:
            raise NotFound(
                "unknown_evaluation",
                f"there is no evaluation {number[:20]!r} of this experiment: the last {KEPT_EACH} are kept for a day, "
                "as long as the service runs; ask again",
            )
        return run

    def of(self, row: Experiment) -> list[Run]:
        """Return those of an experiment that are kept, the newest first."""
        self._forget_old()
        return [run for run in reversed(self._runs.values()) if run.row.key == row.key]

    def cancel(self, run: Run) -> None:
        """Stop one: at once where it waits, else within a page of its log."""
        run.stopped.set()
        if run.step is Step.WAITING and (task := self._tasks.get(run.number)) is not None:
            task.cancel()

    def forget(self, key: int) -> None:
        """Forget those of an experiment that was deleted, or of which somebody was erased: a report may name them."""
        for run in [run for run in self._runs.values() if run.row.key == key]:
            self.cancel(run)
            del self._runs[run.number]

    async def stop(self) -> None:
        """End all."""
        tasks = list(self._tasks.values())
        for run in list(self._runs.values()):
            self.cancel(run)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_turn(self, row: Experiment) -> None:
        under_way = [run.row for number, run in self._runs.items() if number in self._tasks]
        if any(one.key == row.key for one in under_way):
            says = "an evaluation of this experiment is under way, and it has one at a time: wait for it, or cancel it"
            raise Unavailable("busy", says)
        tenant, _ = parts_of(row.id)
        if sum(parts_of(one.id)[0] == tenant for one in under_way) >= TENANT_MAX or len(self._tasks) >= EVALUATIONS_MAX:
            most = f"{TENANT_MAX} evaluations of one tenant and {EVALUATIONS_MAX} of all may be under way"
            raise Unavailable("busy", f"{most}, and so many are: try again when one is done")

    async def _one(self, run: Run, printer: Printer) -> None:
        try:
            run.report = await self._pool.run(self._work, run, printer)
        except Stopped:
            pass
        except OnearmError as error:
            run.error = error
        except Exception as error:  # whatever a policy raises; a page says it, and the next one can be asked for
            log.error("an evaluation of %r failed", run.row.id, exc_info=error)
            run.error = OnearmError("internal_error", "the evaluation failed; the log of the service says how")

    def _work(self, run: Run, printer: Printer) -> bytes:
        """Evaluate, in a thread."""
        candidates, options, segment, _, _ = run.question
        found_log = log_of(self._store, run.row)
        run.begin(Step.READING, found_log.size - found_log.begins)
        with ExitStack() as stack:
            place = Own(parts_of(run.row.id)[1], found_log)
            rows = readings(place, candidates, options, stack, Wanted(segment=segment), progress=run.advance)
            run.begin(Step.JUDGING, len(rows.main) * len(candidates) * passes(options))
            found = evaluate(candidates, rows, options, run.advance)
            run.begin(Step.DRAWING, 0)
            with self._printing:
                return printer(found)

    def _end(self, run: Run) -> None:
        self._tasks.pop(run.number, None)
        self._room.take(_room_of(run.number), 0)
        run.ended = self._clock()
        self._forget_old()

    def _forget_old(self) -> None:
        """Keep the newest that have ended: some of each experiment, some of all, and none for more than a day."""
        ended = [run for run in reversed(self._runs.values()) if run.ended is not None]
        seen: dict[int, int] = {}
        for place, run in enumerate(ended):
            seen[run.row.key] = seen.get(run.row.key, 0) + 1
            old = self._clock() - (run.ended or 0.0) > KEPT_SECONDS
            if old or seen[run.row.key] > KEPT_EACH or place >= KEPT_MAX:
                del self._runs[run.number]


def _room_of(number: int) -> str:
    """Return the name under which the memory of an evaluation is counted; no experiment has it."""
    return f"~evaluation {number}"
