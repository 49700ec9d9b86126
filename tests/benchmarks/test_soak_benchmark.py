"""The soak runs, and tells a service that grows, slows down or errs from one that does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def windows(**changed: list[Any]) -> list[dict[str, Any]]:
    """Return eight windows of half a minute in which all is well, but for what changed."""
    told: dict[str, list[Any]] = {
        "requests": [100] * 8,
        "refused": [{}] * 8,
        "p99_ms": [9.0] * 8,
        "rss_mb": [200.0] * 8,
    }
    fields = {**told, **changed}
    return [{"minute": (i + 1) / 2} | {name: values[i] for name, values in fields.items()} for i in range(8)]


@pytest.fixture
def judged(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    from soak import judged

    return lambda **changed: judged(
        {"windows": windows(**changed), "restart_status": 201, "exit_status": 0, "restart_cpu_seconds": 3.0}
    )


def test_what_is_well_holds(judged: Any) -> None:
    found = judged()
    assert all(found["holds"].values())
    assert (found["requests"], found["refused"], found["rss_growth"]) == (800, 0, 0.0)


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({"rss_mb": [150.0, 200.0, 200.5, 201, 201.5, 202, 202.5, 203]}, "does_not_grow"),
        ({"p99_ms": [9.0] * 6 + [14.0, 14.0]}, "does_not_slow_down"),
        ({"refused": [{}] * 5 + [{"503": 1}] + [{}] * 2}, "no_errors"),
    ],
)
def test_what_is_not_well_is_told(judged: Any, changed: dict[str, Any], missed: str) -> None:
    assert [name for name, holds in judged(**changed)["holds"].items() if not holds] == [missed]


def test_what_the_first_minute_takes_is_no_growth(judged: Any) -> None:
    assert judged(rss_mb=[100.0] + [200.0] * 7)["holds"]["does_not_grow"]


@pytest.mark.slow
def test_a_short_soak_loses_no_request(root: Path) -> None:
    command = [
        sys.executable,
        str(root / "benchmarks" / "soak.py"),
        "--minutes",
        "0.2",
        "--experiments",
        "20",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1 where the machine is too busy for a limit
    found = json.loads(done.stdout)
    assert len(found["windows"]) == 20 and found["requests"] > 100
    assert found["holds"]["no_errors"] and found["holds"]["ends_with_0"]
