"""The process that compiles for others: `python -m onearm.engine.compiled.worker`.

It reads orders on its standard input, a JSON object a line, compiles each into the folder of compiled code, and writes
a line for it: how long that took, and the most memory that it had. It opens no socket and no database, and is given no
state. A folder has one at work at a time; the next one waits, and finds the file there. Where its input ends, it ends
after what it is at.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import importlib
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from . import store
from .process import most_memory

LOCK = "worker.lock"  # in the folder


def main() -> None:
    """Compile what is ordered until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the process that ordered decides
    gc.set_threshold(20_000, 10, 10)  # numba's objects live for a while: to walk them took a tenth of the time
    answers = _answers()
    _tell(answers, {"ready": os.getpid()})
    for line in sys.stdin:
        _tell(answers, _answer(json.loads(line)))
    gc.freeze()  # or the interpreter walks all that numba made once more as it ends


def encoded(loop: str, modules: list[str], signature: Any) -> str:
    """Return an order as a line."""
    types = base64.b64encode(pickle.dumps(signature)).decode()
    return json.dumps({"loop": loop, "modules": modules, "signature": types}) + "\n"


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    """Compile one entry; return what there is to say of it."""
    start = time.perf_counter()
    try:
        with alone(store.cache_folder()):
            for module in order["modules"]:  # they file their kernels
                importlib.import_module(module)
            module, _, name = order["loop"].partition(":")
            loop = getattr(importlib.import_module(module), name)
            loop.code(pickle.loads(base64.b64decode(order["signature"])))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"seconds": time.perf_counter() - start, "memory": most_memory()}


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process compiles for a folder, and be the one that does."""
    from filelock import FileLock

    with FileLock(folder / LOCK, poll_interval=0.01, fallback_to_soft=False, preserve_lock_file=True):
        yield


def _answers() -> IO[str]:
    """Return the standard output, and let nobody else write there."""
    kept = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return kept


def _tell(answers: IO[str], answer: dict[str, Any]) -> None:
    """Write an answer; where nobody reads it any more, there is nothing left to do."""
    try:
        print(json.dumps(answer), file=answers, flush=True)
    except BrokenPipeError:
        os._exit(0)  # an ordinary end would write the rest, and fail again


if __name__ == "__main__":
    main()
