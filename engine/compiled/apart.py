"""A worker as its parent sees it: a process that is told what to compile, a line at a time, and answers by a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import store, worker
from .tiers import Order

END_S = 5.0  # how long a worker without work may take to end


class Ended(Exception):
    """The worker ended before it answered."""

    def __init__(self, ready: bool) -> None:
        super().__init__(f"a process that compiles ended {'at work' if ready else 'at its start'}")
        self.ready = ready  # it had begun to work, or was killed


class Failed(Exception):
    """An entry did not compile."""


class Worker:
    """A process that compiles into the folder of this one, and ends with it."""

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", worker.__name__],
                bufsize=0,  # a lock of a buffer may not be held when the interpreter ends
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        except OSError as error:
            raise Ended(ready=False) from error
        self.memory: int | None = None
        self._answer()

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    def compile(self, order: Order) -> None:
        """Have an entry compiled. Raises `Failed` where it does not compile, `Ended` where the process ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(worker.encoded(*order).encode())
        except OSError as error:
            raise self._ended(ready=True) from error
        answer = self._answer(ready=True)
        if "error" in answer:
            raise Failed(answer["error"])
        self.memory = answer["memory"]

    def end(self) -> None:
        """End a process that has nothing to do, and wait for that."""
        self.leave()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.forget()

    def leave(self) -> None:
        """Let the process end by itself, after what it is at."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def forget(self) -> None:
        """Have no more to do with the process: it is another one's child, or is over."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        if self._process.returncode is None:
            self._process.returncode = 0  # so that nobody waits for it

    def _answer(self, ready: bool = False) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._ended(ready)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self, ready: bool) -> Ended:
        """Take leave of a process that ended. Where it was killed, it could have worked."""
        self._process.kill()
        killed = self._process.wait() < 0
        self.forget()
        return Ended(ready or killed)


def _environment() -> dict[str, str]:
    """Return the environment of a process that finds the same package and folder, and compiles."""
    places = [place or str(Path.cwd()) for place in sys.path]
    return os.environ | {
        "NUMBA_DISABLE_JIT": "0",
        "ONEARM_CACHE_DIR": str(store.cache_folder()),
        "PYTHONPATH": os.pathsep.join(places),
    }
