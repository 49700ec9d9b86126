"""How fast an engine with a log decides and learns: singly, in batches, and beside what the disk itself takes.

Run: python benchmarks/durable.py [--seconds 2] [--folder .] [--json]. Writes results/durable.json, of which tables.py
makes a table. A pair is `engine.decide()` and `engine.learn(...)`, with ten arms, in SQLite in `--folder`.
A rate of CPU is per second of this process, user and system; that of the clock has the waiting for the disk in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine import machine
from python_interface import MEANS_OF_ARMS, ROWS, TABLE
from speed import HERE

import onearm
from onearm.api.kinds.arms.engine import Engine

RESULT = HERE / "results" / "durable.json"
POLICIES = ("ucb1", "thompson_beta")
COMMITS: tuple[str | int, ...] = ("each", 10, 100, 1000, "0.1s")
BATCHES = (100, 1000)  # of which the rate was asked for
PAIRS = 20_000  # a second of CPU, in these
SINGLY = 0.5  # of the commits that the disk takes, at the least: singly a pair is two commits
PAGE = b"\0" * 4120  # what SQLite appends at a commit, at the least: a page and its header
ROUNDS = 3


def main() -> None:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of the clock, for each rate")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk that is to be measured")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "policies": {}}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name in POLICIES:
            rates = {str(commit): pairs(name, commit, Path(folder), arguments.seconds) for commit in COMMITS}
            found["policies"][name] = rates | {"memory": in_memory(name, arguments.seconds)}
        found |= singly(Path(folder), arguments.seconds)
    least = min(rates[str(commit)]["cpu"] for rates in found["policies"].values() for commit in BATCHES)
    found |= {"least": least, "asked": PAIRS, "asked_singly": SINGLY}
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found) if arguments.json else said(found))


def pairs(name: str, commit: str | int, folder: Path, seconds: float) -> dict[str, float]:
    """Return pairs a second of CPU and of the clock, of a policy that commits at this pace; medians of rounds."""
    with tempfile.TemporaryDirectory(dir=folder) as own, opened(name, Path(own), commit) as engine:
        found = [measured(engine, seconds / ROUNDS) for _ in range(ROUNDS)]
    return {of: statistics.median(one[of] for one in found) for of in found[0]}


def in_memory(name: str, seconds: float) -> dict[str, float]:
    """Return the same of an engine that writes nothing."""
    engine = onearm.open(name, arms=len(MEANS_OF_ARMS), seed=1)
    compiled(engine)
    return measured(engine, seconds)


@contextmanager
def opened(name: str, folder: Path, commit: str | int) -> Iterator[Engine]:
    """Open an engine with a new log, whose kernels are compiled."""
    here = {"database": f"sqlite:///{folder}/run.db", "experiment": "durable"}
    with onearm.open(name, arms=len(MEANS_OF_ARMS), seed=1, commit=commit, **here) as engine:
        compiled(engine)
        yield engine


def compiled(engine: Engine) -> None:
    """Wait until an engine is compiled, and let it begin."""
    for entry in (engine._select, engine._update):
        entry.wait()
    play(engine, 20)


def measured(engine: Engine, seconds: float) -> dict[str, float]:
    """Return pairs a second, of CPU and of the clock."""
    count, begun, spent = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        play(engine, 20)
        count += 20
    engine.flush()
    return {"cpu": count / (time.process_time() - spent), "clock": count / (time.perf_counter() - begun)}


def play(engine: Engine, count: int) -> None:
    """Decide and learn so many times."""
    for step in range(count):
        choice = engine.decide()
        engine.learn(choice, 1.0 if TABLE[step % ROWS] < MEANS_OF_ARMS[choice.action] else 0.0)


def singly(folder: Path, seconds: float) -> dict[str, float]:
    """Return how many commits a second the disk takes, how many an engine makes that commits each call, and the ratio.

    Both take turns, as the speed of a disk changes while others use it.
    """
    disk, ours = [], []
    with opened(POLICIES[0], folder, "each") as engine:
        for _ in range(ROUNDS):
            disk.append(syncs(folder, seconds / 2))
            ours.append(2 * measured(engine, seconds / 2)["clock"])
    ratio = statistics.median(our / its for our, its in zip(ours, disk, strict=True))
    return {"syncs": statistics.median(disk), "commits": statistics.median(ours), "of_the_disk": ratio}


def syncs(folder: Path, seconds: float) -> float:
    """Return how often a second a page is appended to a file and reaches the disk (fdatasync)."""
    with (folder / "pages").open("wb", buffering=0) as file:
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            file.write(PAGE)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - begun)


def said(found: dict[str, Any]) -> str:
    """Return the results as lines."""
    lines = [
        f"{name:15} commit={commit:7} {rate['cpu']:10,.0f} pairs a second of CPU, {rate['clock']:10,.0f} of the clock"
        for name, rates in found["policies"].items()
        for commit, rate in rates.items()
    ]
    lines.append(f"in batches at least {found['least']:,.0f} pairs a second of CPU (asked: {found['asked']:,})")
    lines.append(f"singly {found['commits']:,.0f} commits a second, where the disk takes {found['syncs']:,.0f}")
    return "\n".join([*lines, f"which is {found['of_the_disk']:.2f} of it (asked: {found['asked_singly']})"])


if __name__ == "__main__":
    main()
