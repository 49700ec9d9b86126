"""How much of the processors processes have taken, as Linux counts it: in hundredths of a second, or by a clock."""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path

from cluster_running import Database


def cpu_of(parent: int) -> float:
    """Return the seconds of the processor that a process and its children have taken, without what compiles."""
    with suppress(FileNotFoundError, ProcessLookupError):
        children = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        return sum(map(_cpu_of, (parent, *(child for child in children if not _compiles(child)))))
    return 0.0


def clock_of(process: int) -> int:
    """Return the clock of the processor time of a process, of all its threads, also of those that ended."""
    clock = ctypes.c_int()
    if failed := ctypes.CDLL(None).clock_getcpuclockid(process, ctypes.byref(clock)):
        raise OSError(failed, os.strerror(failed))
    return clock.value


def microseconds_by(clock: int) -> float:
    """Return what such a clock shows; it goes by nanoseconds."""
    return time.clock_gettime_ns(clock) / 1e3


def cpu_of_database(server: Database) -> float:
    """Return the same of PostgreSQL, with its sessions that have ended."""
    parent = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    return cpu_of(parent) + _cpu_of(parent, ended=True)


def _compiles(process: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return b"onearm.engine.compiled" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _cpu_of(process: int, ended: bool = False) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        place = 13 if ended else 11
        return (int(fields[place]) + int(fields[place + 1])) / os.sysconf("SC_CLK_TCK")
    return 0.0
