"""loop.py: the printed numbers, and a run of a few decisions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "papers" / "loop.py"
pytestmark = [pytest.mark.jit, pytest.mark.slow]


def run(*options: str) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), "--json", *options]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def test_all_printed_numbers_are_met() -> None:
    rows = run("--golden")["golden"]
    assert len(rows) == 44
    assert [row["what"] for row in rows if not row["agrees"]] == []


def test_a_run_tells_regret_plans_and_worlds(tmp_path: Path) -> None:
    found = run(
        *("--worlds", "swim 6,backoff", "--policies", "loop, no caps,uniform", "--horizon", "2000", "--seeds", "3"),
        *("--plots", str(tmp_path)),
    )
    assert [(row["environment"], row["policy"]) for row in found["regret"]] == [
        (world, policy) for world in ("swim 6", "backoff") for policy in ("loop, no caps", "uniform")
    ]
    by_loop, by_nothing = found["regret"][:2]
    assert by_loop["regret_mean"] < by_nothing["regret_mean"]
    assert by_loop["plans"] > 0
    assert by_nothing["plans"] is None
    assert [world["states"] for world in found["worlds"]] == [6, 8]
    assert found["mixture"] == []


def test_unknown_names_are_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run("--worlds", "lake")
    assert "there is no 'lake'" in refused.value.stderr
