"""Processes that need not import what they run: each is a copy of one that has, so that a service starts at once.

To import what `onearm serve` needs takes 2 s of CPU time, and tests start it a hundred times. What such a process does
is the same, and so is how it ends: it has a memory, files and signals of its own, and can be killed at any time.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any

from support.original import Original

IMPORTED = ["onearm.api.cli.serve", "onearm.api.http.app"]  # before any copy is made
PROGRAM = "import pickle, sys\nsys.exit(pickle.loads({program!r})(sys.argv[1:]))"


class Forked:
    """A program in a process of its own, with as much of `subprocess.Popen` as services are asked for."""

    def __init__(self, program: Callable[[list[str]], int], arguments: Sequence[str], stderr: IO[str]) -> None:
        """Start `program`, a function at the top of a module or a part of one, whose result is the exit code."""
        code = PROGRAM.format(program=pickle.dumps(program))
        mine, theirs = os.pipe()
        self.stdout = os.fdopen(mine)
        with os.fdopen(theirs, "w") as stdout:
            self._copy = begin().copy(code, arguments, stdout, stderr, path=sys.path)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._copy.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs; less the signal's number where one ended it."""
        return self._copy.ended(0.0)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self.returncode

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal, where it still runs."""
        if self.returncode is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        """Kill it, where it still runs."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code."""
        code = self._copy.ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a copy", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> None:
        """Wait for its end, and let go of what it wrote."""
        self.wait(timeout)
        self.stdout.close()


@functools.cache
def begin() -> Original:
    """Begin what is copied, and return it."""
    return Original("services", f"import {', '.join(IMPORTED)}")


@functools.cache
def copying() -> Any:
    """Return what makes copies for `multiprocessing`; one for each process of the tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *IMPORTED])
    return context


def ran(program: Callable[[list[str]], int], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a copy to its end, and return what it left behind."""
    with tempfile.TemporaryFile("w+") as stderr:
        process = Forked(program, arguments, stderr)
        told = process.stdout.read()
        process.communicate()
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, process.returncode, told, stderr.read())
