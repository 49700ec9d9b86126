"""The benchmark of the client measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_it_measures_four_ways(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks" / "client.py"), "--seconds", "0.3", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    assert found["machine"]
    for way in ("alone", "threads", "tasks"):
        assert found[f"{way}_by_raw"] == found[f"{way}_per_cpu_second"] / found["raw_per_cpu_second"] > 0.0
    assert found["threads_by_raw"] > found["alone_by_raw"]
