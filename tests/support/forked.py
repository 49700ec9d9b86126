"""Processes that need not import what they run: each is a copy of one that has, so that a service starts at once.

To import what `onearm serve` needs takes 2 s of CPU time, and tests start it a hundred times. What such a process does
is the same, and so is how it ends: it has a memory, files and signals of its own, and can be killed at any time.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

IMPORTED = ["__main__", "onearm.api.cli.serve", "onearm.api.http.app"]  # before any copy is made


class Forked:
    """A program in a process of its own, with as much of `subprocess.Popen` as services are asked for."""

    def __init__(self, program: Callable[[list[str]], int], arguments: Sequence[str], stderr: IO[str]) -> None:
        """Start `program`, a function at the top of a module, whose result is the exit code."""
        context = copying()
        mine, theirs = context.Pipe(duplex=False)
        told = Connection(os.dup(stderr.fileno()), readable=False)
        self._process = context.Process(
            target=_run, args=(program, list(arguments), theirs, told, Path.cwd(), dict(os.environ))
        )
        self._process.start()
        theirs.close()
        told.close()
        self.stdout = os.fdopen(os.dup(mine.fileno()))
        mine.close()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return int(self._process.pid)

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs; less the signal's number where one ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self.returncode

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal, where it still runs."""
        if self.returncode is None and self._process.pid is not None:
            os.kill(self._process.pid, how)

    def kill(self) -> None:
        """Kill it, where it still runs."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code."""
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> None:
        """Wait for its end, and let go of what it wrote."""
        self.wait(timeout)
        self.stdout.close()


@functools.cache
def copying() -> Any:
    """Return what makes copies of a process that has imported all; one for each process of the tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def ran(program: Callable[[list[str]], int], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a copy to its end, and return what it left behind."""
    with tempfile.TemporaryFile("w+") as stderr:
        process = Forked(program, arguments, stderr)
        told = process.stdout.read()
        process.communicate()
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, process.returncode, told, stderr.read())


def _run(
    program: Callable[[list[str]], int],
    arguments: list[str],
    stdout: Connection,
    stderr: Connection,
    folder: Path,
    environment: dict[str, str],
) -> None:
    """In the copy: run the program as a process that was started for it."""
    for stream, fd in ((stdout, 1), (stderr, 2)):
        os.dup2(stream.fileno(), fd)
        stream.close()
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(program(arguments))
