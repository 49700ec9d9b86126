"""The reproduction of active learning: what its script prints, and that it would notice a wrong figure."""

from __future__ import annotations

import copy
import functools
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from onearm.engine.hardness.worst_case import Effort

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ROOT / "benchmarks" / "papers"
RESULT = json.loads((ROOT / "benchmarks" / "results" / "active.json").read_text())


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PAPERS))
    return importlib.import_module("actively_learn")


def printed(script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any, *options: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["actively_learn.py", "--json", *options])
    script.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    return found


@pytest.mark.slow
def test_the_optima_of_small_problems_are_those_that_are_known(script: ModuleType) -> None:
    exact = importlib.import_module("active_exact")
    rows = [exact.row_of(small) for small in exact.KNOWN if small.budget * small.task.n_queries <= 18]
    assert len(rows) == 4
    assert max(row["difference"] for row in rows) < 1e-5
    for row in rows:
        assert row["gap"] <= row["uniform_gap"]
        assert np.allclose(np.subtract(row["robust"], row["minimax"]).max(), row["gap"], atol=1e-9)
        if row["table_gap"] is not None:
            assert row["table_gap"] == pytest.approx(row["gap"], abs=1e-9)


def test_claims_fail_where_a_figure_is_off(script: ModuleType) -> None:
    claims = script.claims
    good = {each["claim"]: each["holds"] for each in claims(RESULT)}
    worse = copy.deepcopy(RESULT)
    for row in worse["worst_case"]:
        if row["policy"].startswith("robust"):
            row["loss"] += 1.0
    for row in worse["lp"]:
        row["difference"] = 2e-5
    worse["gap"]["thresholds"] = dict.fromkeys(worse["gap"]["thresholds"], 0.07)
    worse["speed"]["thresholds"]["engine_us"] = 2.1
    bad = {each["claim"]: each["holds"] for each in claims(worse)}
    assert good.keys() == bad.keys() and len(good) > 15
    kept = {name for name, holds in bad.items() if holds}
    assert all("table's gap" in name or "training" in name for name in kept)


def test_the_claims_on_record_follow_from_the_figures_on_record(script: ModuleType) -> None:
    assert script.claims(RESULT) == RESULT["claims"]


def test_unknown_settings_and_efforts_are_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for options, word in (
        (["--settings", "nothing"], "there is no setting 'nothing'"),
        (["--effort", "0"], "effort must be above 0"),
        (["--rounds", "-1"], "rounds"),
    ):
        monkeypatch.setattr(sys, "argv", ["actively_learn.py", *options])
        with pytest.raises(SystemExit):
            script.main()
        assert word in capsys.readouterr().err


@pytest.mark.jit
@pytest.mark.slow
def test_a_small_run_prints_rows_gaps_and_plots(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    short = functools.partial(Effort, particles=8, refined=2, refining_steps=2)  # a share of an effort leaves these
    monkeypatch.setattr(script, "Effort", short)
    options = ("--settings", "thresholds", "--effort", "0.02", "--rounds", "0", "--no-lp", "--plots", str(tmp_path))
    found = printed(script, monkeypatch, capsys, *options)
    rows = found["worst_case"]
    assert {frozenset(row) for row in rows} == {frozenset({"task", "policy", "label", "level", "loss", "stderr"})}
    policies = {row["policy"] for row in rows}
    assert {"robust", "uniform_budget", "prior", "level_8", "level_64"} <= policies
    assert found["gap"]["thresholds"].keys() == policies
    for policy in policies:
        losses = [row["loss"] for row in rows if row["policy"] == policy]
        assert len(losses) == 4 and losses == sorted(losses)
    assert [Path(plot).name for plot in found["plots"]] == ["active_thresholds.svg"]
    assert (tmp_path / "active_thresholds.svg").read_text().startswith("<?xml")
    assert found["lp"] == [] and "speed" not in found
