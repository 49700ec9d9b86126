"""The picture of the README: what is simulated, that it can be read on any page, and its tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from support.colours import WHITE, can_be_read, contrast

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def regret(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import regret

    yield regret
    del sys.modules["regret"]


def test_every_colour_can_be_read_on_white_and_at_night(regret: ModuleType) -> None:
    assert contrast("#000000", WHITE) == pytest.approx(21.0)
    assert all(map(can_be_read, regret.POLICIES.values()))


def test_a_short_run_is_written_and_drawn(
    regret: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["regret.py", "--horizon", "50", "--replications", "3", "--out", str(tmp_path)])
    regret.main()
    found = json.loads((tmp_path / "regret.json").read_text())
    assert list(found["policies"]) == list(regret.POLICIES) and len(found["policies"]) == 5
    for curve in found["policies"].values():
        assert curve["t"][-1] == 50 and curve["regret"][-1] == pytest.approx(curve["last"], abs=0.01)
        assert 0.0 <= curve["last"] <= 50 * (max(found["means"]) - min(found["means"]))
    assert found["plots"] == [str(tmp_path / "regret.svg")] and "<svg" in (tmp_path / "regret.svg").read_text()
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_the_table_of_the_picture_is_made_from_its_results(regret: ModuleType) -> None:
    import tables

    result = json.loads((BENCHMARKS / "results" / "regret.json").read_text())
    lines = tables.regret(result).splitlines()
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == sorted(
        result["policies"], key=lambda name: float(result["policies"][name]["last"])
    )
    assert "| an arm at random, by the means | 9,000 |" in lines
