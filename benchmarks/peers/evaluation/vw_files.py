"""Let Vowpal Wabbit pass over a file: python vw_files.py, in an environment that holds its pins.

A job is {"way", "flags", "events"}, the answer {"seconds"} of CPU: its driver called from Python ("workspace"), or run
as a process of its own ("command"), which counts from that one's start.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import vowpalwabbit


def workspace(flags: str) -> float:
    start = time.process_time()
    vowpalwabbit.Workspace(flags).finish()  # reads the whole file, as `vw` does
    return time.process_time() - start


def command(flags: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "vowpalwabbit", *flags.split()], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer: dict[str, Any] = {"seconds": {"workspace": workspace, "command": command}[job["way"]](job["flags"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
