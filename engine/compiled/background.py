"""Compiling while the first tier answers: one thread that hands entries to a worker, and loads what it made.

What is asked for first is compiled first, `decide` before `learn` before all others. The worker is a process of its own
(worker.py), so that compiling takes neither this one's interpreter nor its memory. It is started when there is
something to do, and ends when there has been nothing for a while. One that is killed is replaced twice; after the third
in a row everything goes on interpreted, and `status()` tells. Where the folder of compiled code cannot be written, or
no worker can be started, the thread compiles in this process. Where ONEARM_BACKGROUND is `off`, nobody compiles what
nobody waits for.
"""

from __future__ import annotations

import atexit
import heapq
import itertools
import os
import threading
import time
from typing import NamedTuple

from . import store
from .apart import Ended, Worker
from .tiers import Entry

RANKS = {"decide": 0, "decide_bound": 0, "turn": 0, "learn": 1, "learn_bound": 1}  # of loops; what comes first
OTHERS = 2
FAILURES_MAX = 3  # workers that ended in a row before no more are started
SETTING = "ONEARM_BACKGROUND"
LINGER_S = 10.0  # how long a worker without work is kept


class Status(NamedTuple):
    """What is compiled in the background, for diagnostics."""

    waiting: list[str]
    compiling: str | None
    since_s: float | None  # how long that has taken so far
    pid: int | None  # of the worker
    memory_bytes: int | None  # the most that it had
    failures: int  # workers that ended in a row
    given_up: bool  # no more are started
    errors: list[str]  # entries that did not compile: they stay interpreted


class Background:
    """The queue, its thread, and the worker."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Entry]] = []
        self._numbers = itertools.count()
        self._errors: list[str] = []
        self._failures = 0
        self._apart = True  # a worker compiles; this process where that is of no use
        self._ending = False
        self._begin()

    def _begin(self) -> None:
        """Have no thread and no worker, and locks that nobody holds."""
        self._changed = threading.Condition()
        self._linking = threading.Lock()  # held while this process loads or compiles
        self._thread: threading.Thread | None = None
        self._worker: Worker | None = None
        self._current: tuple[int, int, Entry] | None = None
        self._since = 0.0

    def ask(self, entry: Entry) -> None:
        """Compile an entry when its turn comes, and let it go over to that."""
        if os.environ.get(SETTING) == "off":
            return
        rank = RANKS.get(entry.name.partition("(")[0], OTHERS)
        with self._changed:
            heapq.heappush(self._waiting, (rank, next(self._numbers), entry))
            self._start()

    def take(self, entry: Entry) -> None:
        """Leave an entry to the caller, who compiles it now; where it is being compiled already, wait for that."""
        with self._changed:
            self._changed.wait_for(lambda: self._current is None or self._current[2] is not entry)
            self._waiting = [one for one in self._waiting if one[2] is not entry]
            heapq.heapify(self._waiting)

    def wait(self, entry: Entry) -> None:
        """Wait until an entry is compiled, or will not be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_asked(entry))

    def status(self) -> Status:
        """Return what is waiting, what is compiled since when and by whom, and what went wrong."""
        with self._changed:
            current, worker = self._current, self._worker
            return Status(
                waiting=[one[2].name for one in sorted(self._waiting)],
                compiling=None if current is None else current[2].name,
                since_s=None if current is None else time.monotonic() - self._since,
                pid=None if worker is None else worker.pid,
                memory_bytes=None if worker is None else worker.memory,
                failures=self._failures,
                given_up=self._failures >= FAILURES_MAX,
                errors=list(self._errors),
            )

    def _is_asked(self, entry: Entry) -> bool:
        """Tell whether an entry waits for its turn, or has it."""
        asked = [*self._waiting, *([self._current] if self._current else [])]
        return any(one[2] is entry for one in asked)

    def _start(self) -> None:
        """Have a thread at work; the lock is held."""
        if self._thread is None and self._waiting and not self._ending:
            self._thread = threading.Thread(target=self._run, name="onearm-compiling", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        """Compile what waits; end when nothing has for a while."""
        while (entry := self._next()) is not None:
            again = False
            try:
                again = self._compile(entry)
            except Exception as error:  # of a kernel of ours: the first tier goes on
                self._errors.append(f"{entry.name}: {type(error).__name__}: {error}")
            with self._changed:
                if again and self._current is not None:
                    heapq.heappush(self._waiting, self._current)
                self._current = None
                self._changed.notify_all()

    def _next(self) -> Entry | None:
        """Return the entry whose turn it is; None where the thread is to end, and its worker with it."""
        with self._changed:
            if self._changed.wait_for(lambda: self._waiting or self._ending, LINGER_S) and not self._ending:
                self._current = heapq.heappop(self._waiting)
                self._since = time.monotonic()
                return self._current[2]
            self._thread = None
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()
        return None

    def _compile(self, entry: Entry) -> bool:
        """Compile an entry; return whether that must be tried again."""
        if self._apart and not entry.loop.holds(entry.signature) and store.can_be_written():
            if self._failures >= FAILURES_MAX:
                return False
            try:
                self._compile_apart(entry)
            except Ended as ended:
                self._worker = None
                if ended.ready:
                    self._failures += 1
                    return self._failures < FAILURES_MAX
                self._apart = False  # it cannot run here at all
        with self._linking:
            if not self._ending:
                entry.finish()
        return False

    def _compile_apart(self, entry: Entry) -> None:
        """Let the worker compile an entry into the folder; start one where there is none."""
        if self._worker is None:
            self._worker = Worker()
        self._worker.compile(entry.loop.order(entry.signature))
        self._failures = 0
        self._apart = entry.loop.holds(entry.signature)  # if not, the disk is full, or our sources were edited

    def _stop(self) -> None:
        """End with the interpreter: leave the worker alone, which then ends too, but nothing half done in here."""
        self._ending = True
        with self._linking:
            if self._worker is not None:
                self._worker.leave()

    def _forked(self) -> None:
        """Begin anew in a child: threads are not copied, and the worker is the parent's."""
        worker, current = self._worker, self._current
        self._begin()
        if worker is not None:
            worker.forget()
        if current is not None:
            heapq.heappush(self._waiting, current)
        with self._changed:
            self._start()


BACKGROUND = Background()
status = BACKGROUND.status

atexit.register(BACKGROUND._stop)
os.register_at_fork(
    before=lambda: BACKGROUND._linking.acquire(),
    after_in_parent=lambda: BACKGROUND._linking.release(),
    after_in_child=BACKGROUND._forked,
)
