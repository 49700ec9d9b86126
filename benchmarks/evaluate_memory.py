"""Peak memory of `onearm evaluate` over an export of JSON lines that is larger than what it keeps in memory.

Once with one target and its normal interval, and once with three, of which one is the baseline, and two intervals.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaluate_files import simulation
from evaluate_peers import ONE_THREAD

from onearm.engine.storage.formats import jsonl

GIGABYTE = 10**9
SIZES = (0.5, 2.0)  # GB
BIG = (0.5, 2.0, 10.0)
EVENT = 200  # bytes, at least
SEVERAL = ("--target", "uniform", "--target", "logged", "--target", "action:33", "--baseline", "logged")
INTERVALS = ("--interval", "normal", "--interval", "confidence-sequence")
ASKED = {"one target": ("--target", "uniform"), "three targets": SEVERAL + INTERVALS}  # with all diagnostics


def write(path: Path, size: int, advance: Callable[[int], None]) -> int:
    """Write a simulated export of at least so many bytes; return its decisions. `advance` is told of written bytes."""
    run = simulation(1 + size // 100)
    written = 0
    with jsonl.Writer(path, run.problem, {"policy": run.policy.spec, "seed": "0"}) as out:
        while written < size:
            out.write(run.advance_logged(max(1, min(run.logged_at_once, (size - written) // EVENT))))
            advance(path.stat().st_size - written)
            written = path.stat().st_size
    return run.t


def peak(path: Path, asked: str) -> dict[str, float | None]:
    """Evaluate a file by the command, as it is `asked`; return its peak memory in bytes, and its seconds.

    The peak counts files that are mapped, which the system takes back when it needs the room; where it tells, how much
    of it was the process's own is "peak_own_bytes", looked at 20 times a second.
    """
    command = [sys.executable, "-m", "onearm", "evaluate", str(path), "--format", "jsonl", *ASKED[asked]]
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.DEVNULL, env=os.environ | ONE_THREAD)
    own, ended = 0, 0
    while not ended:
        own = max(own, own_bytes(process.pid))
        time.sleep(0.05)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"onearm evaluate {path} failed with the exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "peak_bytes": usage.ru_maxrss * unit,
        "peak_own_bytes": own or None,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "seconds": time.perf_counter() - began,
    }


def own_bytes(pid: int) -> int:
    """Return how many bytes of memory a process has now that no file backs; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def measure(sizes: list[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
    """Return what evaluating a file of each size takes."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "log.jsonl")
            events = write(path, size, advance)
            size = path.stat().st_size
            found += [{"asked": asked, "bytes": size, "events": events, **peak(path, asked)} for asked in ASKED]
    return found
