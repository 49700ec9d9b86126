"""Runs of training in processes of their own, a few at a time, and what they say.

A run that is interrupted saves where it stands, so whoever asks for the same again goes on from there.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...engine.errors import InvalidInput, Unavailable

Report = Callable[[dict[str, Any]], None]
# One thread each: runs share the processors, and whatever NumPy multiplies with adds up in the same order each time.
SETTINGS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
PATIENCE = 60.0  # seconds that a run has to save itself


def run_all(folder: Path, runs: Sequence[str], processes: int, report: Report) -> None:
    """Work on runs until all are done; `report` gets what each says: {"run", "iteration", "worst"}.

    Raises `InvalidInput` where one cannot be, and `Unavailable` where one stops with an error, after the others have
    saved themselves.
    """
    waiting, active = list(runs), dict[str, subprocess.Popen[str]]()
    said: queue.Queue[dict[str, Any]] = queue.Queue()
    try:
        while waiting or active:
            while waiting and len(active) < processes:
                run = waiting.pop(0)
                active[run] = _start(folder, run, said)
            news = said.get()
            if "refused" in news:
                raise InvalidInput(news["refused"], news["said"])
            if "ended" not in news:
                report(news)
                continue
            if code := active.pop(news["ended"]).wait():
                raise Unavailable(
                    "training_stopped",
                    f"the run {news['ended']} stopped with exit code {code}: what it said is above; the same command "
                    "goes on from what was saved",
                )
    finally:
        for process in active.values():
            process.send_signal(signal.SIGINT)
        for process in active.values():
            process.wait(PATIENCE)


def _start(folder: Path, run: str, said: queue.Queue[dict[str, Any]]) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "onearm.api.train.worker", str(folder), run]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | SETTINGS)
    threading.Thread(target=_listen, args=(process, run, said), daemon=True).start()
    return process


def _listen(process: subprocess.Popen[str], run: str, said: queue.Queue[dict[str, Any]]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            said.put(json.loads(line))
    said.put({"ended": run})
