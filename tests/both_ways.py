"""Run the suite both ways, logic with the JIT off and the tests marked `jit` with it on, and add the two up.

Arguments go to both pytest runs: `make test ARGS="-k ucb1 -x"`; each `-m` selects from what is left. At the end stand
the ten slowest tests, and as the last line the sum, in pytest's words.
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
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
# name: (marker expression, NUMBA_DISABLE_JIT, how the two processes share the tests)
WAYS = {
    "JIT off": ("not jit", "1", ["--dist", "worksteal"]),
    "JIT on": ("jit", "0", ["--dist", "loadscope", "--no-loadscope-reorder"]),  # scopes: compiled_together.py
}
NO_TESTS = 5  # pytest's exit code where nothing was selected
SLOWEST = 10  # so many are named at the end


def main(arguments: list[str]) -> int:
    """Return 0 where every selected test passed in both runs."""
    start = time.perf_counter()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", dest="markers", action="append", default=[])
    given, arguments = parser.parse_known_args(arguments)
    total: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    codes = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (way, disable_jit, sharing) in WAYS.items():
            print(f"---- {name} ----", flush=True)
            report = Path(folder, f"{name}.xml")
            marker = " and ".join(f"({one})" for one in (way, *given.markers))
            codes.append(run(marker, disable_jit, sharing, report, arguments))
            total += count(report)
            seconds |= {f"{test} ({name})": taken for test, taken in durations(report).items()}
    print(f"---- the {SLOWEST} slowest ----")
    for test in sorted(seconds, key=seconds.__getitem__, reverse=True)[:SLOWEST]:
        print(f"{seconds[test]:7.2f}s {test}")
    words = ", ".join(f"{number} {outcome}" for outcome, number in total.items() if number) or "no tests ran"
    print(f"==== {words} in {time.perf_counter() - start:.2f}s ====", flush=True)
    if all(code == NO_TESTS for code in codes):
        return NO_TESTS
    return max(0 if code == NO_TESTS and arguments else code for code in codes)


def run(marker: str, disable_jit: str, sharing: list[str], report: Path, arguments: list[str]) -> int:
    """Run pytest on two processes that share one cache of compiled kernels; return its exit code."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": disable_jit}
    environment.setdefault("ONEARM_CACHE_DIR", str(ROOT / "out" / "cache"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        *sharing,
        "-m",
        marker,
        f"--junitxml={report}",
        *arguments,
    ]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def count(report: Path) -> Counter[str]:
    """Return how many tests had which outcome; a run that broke off before its report counts as an error."""
    if not report.exists():
        return Counter(errors=1)
    found = [suite.attrib for suite in ElementTree.parse(report).iter("testsuite")]
    tests, failed, errors, skipped = (
        sum(int(suite[field]) for suite in found) for field in ("tests", "failures", "errors", "skipped")
    )
    return Counter(failed=failed, passed=tests - failed - errors - skipped, skipped=skipped, errors=errors)


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
