"""The picture of the README: what is simulated, that it can be read on any page, and its tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WHITE, NIGHT = "#FFFFFF", "#0D1117"  # the backgrounds of a page on GitHub


@pytest.fixture
def regret(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import regret

    yield regret
    del sys.modules["regret"]


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read_on_white_and_at_night(regret: ModuleType) -> None:
    assert contrast("#000000", WHITE) == pytest.approx(21.0)
    for colour in (*regret.POLICIES.values(), regret.TEXT):
        assert min(contrast(colour, WHITE), contrast(colour, NIGHT)) >= 3.0, colour


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
