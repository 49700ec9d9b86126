"""`onearm train`: what it solves exactly, and what it refuses before it trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onearm.api.cli import train as command
from onearm.api.train.plan import PROCEDURE
from onearm.engine.errors import installing
from onearm.engine.trained.artefact import unpack

LINE = ("train", "--task", "thresholds", "--points", "3", "--budget", "4", "--out", "here")
COIN = ("train", "--task", "arms", "--arms", "2", "--answers", "bits", "--budget", "6", "--out", "here")


def test_a_small_problem_is_solved_exactly(onearm: Any, tmp_path: Path) -> None:
    done = onearm(*COIN, "--levels", "3.5,13,60", "--exact", "0.1,0.3,0.5,0.7,0.9", "--json")
    assert done.code == 0, done.err
    found = done.json
    files = [tmp_path / "here" / f"arms-2-6-bits-table{end}" for end in (".npz", ".json")]
    artefact = unpack(*(file.read_bytes() for file in files))
    assert artefact.sha256 == found["sha256"]
    assert artefact.worst_case["sample"] == pytest.approx((0.008560, 0.163080, 0.312500), abs=1e-5)
    assert artefact.offsets == pytest.approx(artefact.worst_case["sample"], abs=1e-6)
    np.testing.assert_allclose(artefact.arrays["query"].sum(axis=1), 1.0, atol=1e-9)


def test_a_person_sees_a_table(onearm: Any) -> None:
    done = onearm(*COIN, "--levels", "13", "--exact", "0.1,0.3,0.5,0.7,0.9")
    assert done.code == 0, done.err
    shown = " ".join(done.out.split())
    assert "worst identification after 6 queries" in shown
    assert "kept: the optimum" in shown
    assert "0.16308" in shown


def test_levels_below_the_easiest_are_refused_in_one_line(onearm: Any) -> None:
    done = onearm(*LINE, "--levels", "0.001", "--processes", "1")
    assert done.code == 2 and "take a larger level" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--task", "arms", "--budget", "4", "--out", "x"), "--task arms needs --arms"),
        ((*LINE, "--arms", "3"), "--task thresholds has no --arms"),
        ((*LINE, "--levels", "8,4"), "the levels are"),
        ((*LINE, "--levels", "8,many"), "no list of numbers"),
        ((*LINE, "--starts", "99"), "starts is 99"),
        ((*LINE, "--processes", "0"), "--processes is 0"),
        ((*LINE, "--seed", "-1"), "seed is -1"),
        ((*LINE, "--exact", "0.5,0.9", "--levels", "0.01"), "difficulty of 0.01"),
        (("train", "--task", "hypotheses", "--table", "no.csv", "--budget", "4", "--out", "x"), "no.csv"),
    ],
)
def test_what_cannot_be_trained_is_refused(onearm: Any, arguments: tuple[str, ...], message: str) -> None:
    done = onearm(*arguments)
    assert done.code == 2
    assert message in done.err
    assert not Path("x").exists()


@pytest.mark.parametrize(("name", "text"), [("t.csv", "0,1\n1,zero\n"), ("t.json", "[[0, 1], [1]]"), ("t.json", "{")])
def test_a_table_that_is_none_is_refused(onearm: Any, name: str, text: str) -> None:
    Path(name).write_text(text)
    done = onearm("train", "--task", "hypotheses", "--table", name, "--budget", "4", "--out", "x")
    assert done.code == 2
    assert "table" in done.err


def test_tables_come_as_csv_or_json() -> None:
    assert command._rows(_file("rows.csv", "0,1\n\n1,0\n")) == [[0.0, 1.0], [1.0, 0.0]]
    assert command._rows(_file("rows.json", "[[0, 1], [1, 0]]")) == [[0, 1], [1, 0]]


def _file(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_scipy_it_says_what_to_install(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    done = onearm(*LINE, "--exact", "0.5,0.9")
    assert done.code == 2
    assert installing("solver") in done.err


def test_another_plan_in_the_folder_is_refused(onearm: Any) -> None:
    folder = Path("here")
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps({"procedure": PROCEDURE, "budget": 5}))
    done = onearm(*LINE)
    assert done.code == 2
    assert "another plan" in done.err
