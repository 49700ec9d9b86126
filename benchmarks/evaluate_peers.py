"""Other libraries beside evaluate_speed.py: each in an environment of its own, asked one job at a time, on one thread.

A peer is a script in peers/evaluation/ that reads a job a line, as JSON, and answers each with a line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from speed import peer_python

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "peers" / "evaluation"
PINS = {
    "polars": SCRIPTS / "polars.txt",
    "obp": SCRIPTS / "obp_pandas.txt",
    "vowpalwabbit": HERE / "peers" / "contextual" / "vowpalwabbit.txt",
    "river": HERE / "peers" / "river.txt",
    "mabwiser": HERE / "peers" / "mabwiser.txt",
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
ONE_THREAD = dict.fromkeys(THREADS, "1")


class Answer(NamedTuple):
    """What one run found, and the CPU seconds of all its threads."""

    value: float | None  # None: it does not tell
    seconds: float


Way = Callable[[], Answer]  # one of several to do the same work


class PeerFailed(Exception):
    """A peer did not answer."""


class Peer:
    """A script that answers jobs, in a library's environment."""

    def __init__(self, python: Path, script: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_THREAD,
        )

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a job. Raises `PeerFailed` where there is none, or it tells of an error."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed("it ended early") from None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line.startswith("{") else {"error": line.strip() or "it ended"}
        if "error" in answer:
            raise PeerFailed(" ".join(answer["error"].split()))
        return answer

    def way(self, **job: Any) -> Way:
        """Return a job as a way to do the work."""

        def run() -> Answer:
            answer = self.ask(job)
            return Answer(answer.get("value"), answer["seconds"])

        return run

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def peer(library: str, script: str) -> Iterator[Peer | None]:
    """Start a script of peers/evaluation in a library's environment; None, and a loud word, where that cannot be."""
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the results
        python = peer_python(PINS[library])
    if python is None:
        yield None
        return
    found = Peer(python, SCRIPTS / script)
    try:
        yield found
    finally:
        found.close()


def timed(work: Callable[[], float | None]) -> Way:
    """Return our own work as a way."""

    def run() -> Answer:
        start = time.process_time()
        value = work()
        return Answer(value, time.process_time() - start)

    return run


def turns(ways: dict[str, Way], count: int, rounds: int, step: Callable[[], None]) -> dict[str, dict[str, Any] | None]:
    """Let the ways do the same work on `count` events in turn; return rate and value of each, None where it failed.

    The first round is not counted: it compiles, and reads the file into the system's memory. `step` is called once a
    round, with the first one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    values: dict[str, float | None] = {}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            if turn > 0 and name not in values:
                continue
            try:
                answer = way()
            except PeerFailed as why:
                print(f"!!! {name} failed and is MISSING from this run: {why}", file=sys.stderr)
                values.pop(name, None)
                continue
            values[name] = answer.value
            if turn > 0:
                seconds[name].append(answer.seconds)
        step()
    return {
        name: {
            "per_second": count / statistics.median(seconds[name]),
            "seconds": seconds[name],
            "value": values[name],
        }
        if name in values
        else None
        for name in ways
    }
