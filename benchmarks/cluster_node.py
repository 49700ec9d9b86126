"""A node of the service whose date somebody sets: `onearm` with the arguments that follow.

The file that ONEARM_CLOCK_FILE names says by how many seconds its clock is wrong, from one moment to the next.
ONEARM_SEEDED names an error of `cluster_seeded.py` that it makes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from cluster_seeded import SEEDED

from onearm.api.cli.main import run

POLL_SECONDS = 0.05
_seconds, _nanoseconds = time.time, time.time_ns
_wrong = [0.0]  # by how many seconds


def main() -> int:
    """Run the command."""
    file = Path(os.environ["ONEARM_CLOCK_FILE"])
    threading.Thread(target=_look, args=(file,), daemon=True).start()
    if seeded := os.environ.get("ONEARM_SEEDED"):
        SEEDED[seeded]()
    time.time = lambda: _seconds() + _wrong[0]
    time.time_ns = lambda: _nanoseconds() + int(_wrong[0] * 1e9)
    return run(sys.argv[1:])


def _look(file: Path) -> None:
    while True:
        with suppress(OSError, ValueError):
            _wrong[0] = float(file.read_text())
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
