"""Run the suite both ways at once, logic with the JIT off and the tests marked `jit` with it on, and add the two up.

Each way collects its tests once and has them run by processes that share them (support/copies.py). Half of what they
do is to wait - for compilers, for services that start, for disks, for clocks - and together they leave no core idle.
With the JIT off they wait more, and are four; when those with the JIT on have come to their end, two more join them.
Arguments go to both pytest runs: `make test ARGS="-k ucb1 -x"`; each `-m` selects from what is left. At the end stand
the ten slowest tests, why tests were skipped, and as the last line the sum, in pytest's words.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit code where nothing was selected
SLOWEST = 10  # so many are named at the end


class Way(NamedTuple):
    """One of the two runs."""

    name: str
    marker: str  # a marker expression
    disable_jit: str  # NUMBA_DISABLE_JIT
    processes: int
    further: int  # processes that join them when the way before has ended


WAYS = (Way("JIT on", "jit", "0", processes=2, further=0), Way("JIT off", "not jit", "1", processes=4, further=2))


def main(arguments: list[str]) -> int:
    """Return 0 where every selected test passed in both runs."""
    start = time.perf_counter()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", dest="markers", action="append", default=[])
    given, arguments = parser.parse_known_args(arguments)
    total: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    skipped: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder, f"{way.name}.xml") for way in WAYS]
        codes = run(given.markers, reports, arguments)
        for way, report in zip(WAYS, reports, strict=True):
            total += count(report)
            skipped += reasons(report)
            seconds |= {f"{test} ({way.name})": taken for test, taken in durations(report).items()}
    print(f"---- the {SLOWEST} slowest ----")
    for test in sorted(seconds, key=seconds.__getitem__, reverse=True)[:SLOWEST]:
        print(f"{seconds[test]:7.2f}s {test}")
    for reason, number in skipped.most_common():
        print(f"{number} skipped: {reason}")
    words = ", ".join(f"{number} {outcome}" for outcome, number in total.items() if number) or "no tests ran"
    print(f"==== {words} in {time.perf_counter() - start:.2f}s ====", flush=True)
    if all(code == NO_TESTS for code in codes):
        return NO_TESTS
    return max(0 if code == NO_TESTS and arguments else code for code in codes)


def run(markers: list[str], reports: list[Path], arguments: list[str]) -> list[int]:
    """Run pytest both ways, print what it says one way after the other, and return the exit codes."""
    outputs = [report.with_suffix(".txt") for report in reports]
    running = []
    room = reports[0].with_name("room")  # a file that is there when a way has ended
    try:
        for way, report, output in zip(WAYS, reports, outputs, strict=True):
            running.append(started(way, markers, report, output, [f"--room={room}", *arguments]))
        for way, process, output in zip(WAYS, running, outputs, strict=True):
            print(f"---- {way.name} ----", flush=True)
            print_until_it_ends(process, output)
            room.touch()
    finally:
        codes = [process.wait() for process in running]
    return codes


def started(way: Way, markers: list[str], report: Path, output: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start pytest on processes that share one cache of compiled kernels."""
    marker = " and ".join(f"({one})" for one in (way.marker, *markers))
    command = [sys.executable, "-m", "pytest", "-m", marker, f"--junitxml={report}"]
    command += [f"--processes={way.processes}", f"--further={way.further}"]
    with output.open("wb") as said:
        return subprocess.Popen(
            [*command, *arguments], cwd=ROOT, env=environment(way), stdout=said, stderr=subprocess.STDOUT
        )


def environment(way: Way) -> dict[str, str]:
    """Return the variables of a run. Compiled kernels are kept, and so is Python's bytecode.

    Where Python is told to write no bytecode, each of some hundred processes would compile all that it imports: 16 s
    for one that collects the tests, 1.5 s for a service. It then goes to a folder of its own, which nobody has to see.
    """
    variables = os.environ | {"NUMBA_DISABLE_JIT": way.disable_jit}
    variables.setdefault("ONEARM_CACHE_DIR", str(ROOT / "out" / "cache"))
    if variables.pop("PYTHONDONTWRITEBYTECODE", None):
        variables["PYTHONPYCACHEPREFIX"] = str(ROOT / "out" / "bytecode")
    return variables


def print_until_it_ends(process: subprocess.Popen[bytes], output: Path) -> None:
    """Print what a process has said and says."""
    with output.open(encoding="utf-8", errors="replace") as said:
        while process.poll() is None:
            print(said.read(), end="", flush=True)
            time.sleep(0.2)
        print(said.read(), end="", flush=True)


def count(report: Path) -> Counter[str]:
    """Return how many tests had which outcome; a run that broke off before its report counts as an error."""
    if not report.exists():
        return Counter(errors=1)
    found = [suite.attrib for suite in ElementTree.parse(report).iter("testsuite")]
    tests, failed, errors, skipped = (
        sum(int(suite[field]) for suite in found) for field in ("tests", "failures", "errors", "skipped")
    )
    return Counter(failed=failed, passed=tests - failed - errors - skipped, skipped=skipped, errors=errors)


def reasons(report: Path) -> Counter[str]:
    """Return how many tests were skipped for which reason."""
    if not report.exists():
        return Counter()
    return Counter(one.attrib["message"] for one in ElementTree.parse(report).iter("skipped"))


def durations(report: Path) -> dict[str, float]:
    """Return how many seconds each test took, its fixtures included."""
    if not report.exists():
        return {}
    return {
        f"{test.attrib['classname']}::{test.attrib['name']}": float(test.attrib["time"])
        for test in ElementTree.parse(report).iter("testcase")
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
