"""Changes of the world on the command line: simulate and replay tell what policies found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.every_run import every_run
from support.pictures import leave_one

from onearm.api.offline.candidates import candidate
from onearm.api.offline.evaluation import evaluate
from onearm.api.offline.judging import Readings
from onearm.api.offline.options import Options
from onearm.engine.storage.formats import jsonl
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source

WORLD = json.dumps({"env": {"name": "bernoulli", "params": {"mean": [0.1, 0.9]}}, "at": [150], "shift": 1})
SWITCHING = ("--env", f"switching:{WORLD}", "--seed", "2")
ADAPTIVE = 'adaptive:{"policy":"epsilon_greedy"}'
LABEL = candidate(ADAPTIVE).label


def test_simulate_tells_each_change_of_one_run_and_how_many_of_several(onearm: Any, tmp_path: Path) -> None:
    one = ("simulate", *SWITCHING, "--policy", ADAPTIVE, "--policy", "ucb1", "--horizon", "220")
    changing, plain = onearm(*one, "--json").json["runs"]
    ((change,),) = changing["changes"]
    assert set(change) == {"number", "place", "noticed", "model", "evidence", "fresh", "cause"}
    assert 150 <= change["place"] < change["noticed"] < 220 and "changes" not in plain
    line = f"change 1, noticed at decision {change['noticed']}: another world since decision {change['place']}"
    told = onearm(*one).out
    assert f"adaptive: {line}, all arms are learned anew (model 1)" in told and "ucb1: " not in told
    log = onearm("simulate", *SWITCHING, "--policy", ADAPTIVE, "--horizon", "220", "--log", str(tmp_path / "a.jsonl"))
    assert log.code == 0 and "change 1, noticed at decision" in log.err
    assert "adaptive: no change" in onearm(*one[:-1], "20").out
    assert "adaptive: 0 changes a run, from 0 to 0" in onearm(*one[:-1], "20", "--replications", "2").out


@pytest.fixture
def uniform(onearm: Any, tmp_path: Path) -> Path:
    """Return the log of a policy that draws alike, in a world that changes with decision 150."""
    file = tmp_path / "uniform.jsonl"
    assert onearm("simulate", *SWITCHING, "--policy", "uniform", "--horizon", "400", "--log", str(file)).code == 0
    return file


def test_replay_tells_what_candidates_found_by_their_own_clocks(onearm: Any, uniform: Path) -> None:
    asked = ("replay", str(uniform), "--policy", ADAPTIVE, "--policy", "ucb1")
    told = onearm(*asked, "--json").json["changes"]
    assert list(told) == [LABEL]
    (change,) = told[LABEL]
    assert 70 <= change["place"] <= 95  # of some 200 decisions that match
    assert f"{LABEL}: change 1, noticed at decision {change['noticed']}" in onearm(*asked).out
    assert "changes" not in onearm("replay", str(uniform), "--policy", "ucb1", "--json").json


@pytest.mark.parametrize(("learn", "first"), every_run([("matched", 0), ("logged", 0), (0.75, 300)], [("matched", 0)]))
def test_changes_are_drawn_at_the_rows_of_the_log_that_they_begin_with(uniform: Path, learn: Any, first: int) -> None:
    with jsonl.read_rows(Source(uniform), Wanted()) as rows:
        found = evaluate([candidate(ADAPTIVE), candidate("logged")], Readings(rows, [rows, rows]), Options(learn=learn))
        assert found.changes[1] == found.changed_at(1) == []
        (change,) = found.changes[0]
        drawn = found.changed_at(0)
        if first:
            assert drawn == [] and change.place < first == len(rows) - found.events
            return
        (row,) = drawn
        assert 150 <= row <= 190
        if learn == "matched":
            agrees = found.cases[0].plain.chosen == found.log.action
            assert agrees[row] and np.count_nonzero(agrees[:row]) == change.place
        else:
            assert row == change.place


def test_the_report_draws_a_line_where_a_change_was_found(
    onearm: Any, uniform: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_one(monkeypatch, "learning_curves")
    asked = ("replay", str(uniform), "--plots")
    assert onearm(*asked, str(tmp_path / "with"), "--policy", ADAPTIVE, "--policy", "ucb1").code == 0
    assert "another world since then" in (tmp_path / "with/learning_curves.svg").read_text()
