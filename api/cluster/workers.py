"""Several processes behind one port, each a node of its own, and the one that starts them, again too, and ends them.

They begin one after another, so what is wrong for all of them is said once, and by one. They are forked, so policies
that were loaded and options that were checked are theirs without being told.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...engine.errors import InvalidInput

RESTART_SECONDS = 1.0  # from one start of a worker to the next, at the least
LOOPBACK = "127.0.0.1"
log = logging.getLogger("onearm")


class Worker(NamedTuple):
    """What one of the processes is."""

    name: str  # of the node
    private: socket.socket  # where the other nodes reach it; it does not listen yet
    is_last: bool  # of those that were to be started: it speaks for all
    ready: Callable[[], None]  # is to be called once it answers

    @property
    def address(self) -> str:
        """Where the other nodes reach it."""
        return f"http://{LOOPBACK}:{self.private.getsockname()[1]}"


def worker_among(names: Sequence[str], shared: socket.socket) -> Worker:
    """Start a process for each name, and return in each of them what it is.

    In the process that calls this it does not return, but exits when all have ended, as one process does: with 0 after
    SIGTERM, by `KeyboardInterrupt` after SIGINT; with the code of a worker that could not begin at all. One that ends
    later is started again. The workers share a socket that listens, which this process closes once it is told to end.
    Raises `InvalidInput` ("no_fork") where the system cannot do that.
    """
    if not hasattr(os, "fork"):
        raise InvalidInput("no_fork", "--workers needs a system that can fork, as Linux: leave it out, or start nodes")
    return _Parent(names, shared).worker()


class _Parent:
    """The process that starts the others; it hears signals one at a time, and has no threads."""

    def __init__(self, names: Sequence[str], shared: socket.socket) -> None:
        self._names = names
        self._due = deque(names)  # those to be started
        self._shared = shared
        self._running: dict[int, str] = {}  # names by process
        self._starting: int | None = None  # the process that is no node yet
        self._begun: dict[str, float] = {}  # when each was started last, by the monotonic clock
        self._ready: set[str] = set()  # those that answered once
        self._ends = False
        self._interrupted = False  # it ends as Ctrl-C asked for it
        self._code = 0
        self._pulse = os.pipe()  # nothing is written: what reads it notices the end of this process
        self._heard = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1}

    def worker(self) -> Worker:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._heard)
        while True:
            if self._due and self._starting is None:
                name = self._due.popleft()
                is_last = name not in self._begun and len(self._begun) == len(self._names) - 1
                if self._forked(name):
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
                    return self._become(name, is_last)
            if not self._running:
                if self._interrupted:
                    raise KeyboardInterrupt
                sys.exit(self._code)
            self._hear(signal.sigwait(self._heard))

    def _forked(self, name: str) -> bool:
        """Start a worker; return whether this is it."""
        time.sleep(max(0.0, self._begun.get(name, 0.0) + RESTART_SECONDS - time.monotonic()))
        self._begun[name] = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process:
            self._running[process] = name
            self._starting = process
        return not process

    def _become(self, name: str, is_last: bool) -> Worker:
        """Be a worker: out of reach of the terminal's Ctrl-C, which comes as SIGTERM, and no longer than the parent."""
        os.setpgid(0, 0)
        read, write = self._pulse
        os.close(write)
        threading.Thread(target=_end_with, args=(read,), daemon=True).start()
        private = _bound(self._shared.getsockname()[1] + 1 + self._names.index(name))
        parent = os.getppid()
        return Worker(name, private, is_last, lambda: os.kill(parent, signal.SIGUSR1))

    def _hear(self, number: int) -> None:
        if number == signal.SIGUSR1:
            if self._starting is not None:
                self._ready.add(self._running[self._starting])
                self._starting = None
        elif number == signal.SIGCHLD:
            for process in list(self._running):
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended:
                    self._bury(process, os.waitstatus_to_exitcode(status))
        else:
            self._interrupted = self._interrupted or number == signal.SIGINT
            self._end()

    def _bury(self, process: int, code: int) -> None:
        """Go on without a worker, or with another one in its place."""
        name = self._running.pop(process)
        if process == self._starting:
            self._starting = None
        if self._ends:
            self._code = self._code or (0 if code in (0, -signal.SIGTERM) else 1)
        elif name in self._ready:
            how = f"by signal {-code}" if code < 0 else f"with {code}"
            log.warning("worker %s (process %d) ended %s: it is started again", name, process, how)
            self._due.append(name)
        else:
            self._code = code if code > 0 else 1
            self._end()

    def _end(self) -> None:
        """Let all workers end, and nobody connect any more."""
        self._ends = True
        self._due.clear()
        self._shared.close()
        for process in self._running:
            os.kill(process, signal.SIGTERM)


def _bound(port: int) -> socket.socket:
    """Return a socket at a port of this machine, or at another one where that is in use or none."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((LOOPBACK, port))
    except (OSError, OverflowError):
        made.bind((LOOPBACK, 0))
    return made


def _end_with(pulse: int) -> None:
    """End this process as SIGTERM does, when the one that writes to a pipe has ended."""
    os.read(pulse, 1)
    os.kill(os.getpid(), signal.SIGTERM)
