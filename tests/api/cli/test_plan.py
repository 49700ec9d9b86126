"""`onearm plan`: a world of states from a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onearm.api.cli.main import run


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("plan") / "a.jsonl"
    assert run(f"simulate --env admission --policy uniform --horizon 3000 --seed 1 --log {path}".split()) == 0
    return str(path)


def test_the_best_policy_is_printed_beside_others(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["plan", log, "--target", "action:1", "--target", "uniform", "--draws", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["decisions"], found["states"], found["actions"]) == (3000, 20, 2)
    assert found["gain"]["gain"] > found["targets"]["uniform"]["gain"] > found["targets"]["action:1"]["gain"]
    first = found["policy"][1]
    assert (first["state"], first["action"]) == (1, 1), "who pays well enters an empty house"
    assert first["q"]["1"] > first["q"]["0"]


def test_a_person_gets_tables(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["plan", log, "--draws", "20"]) == 0
    said = capsys.readouterr().out
    assert "reward of a decision in the long run" in said and "logged" in said and "agreement" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--target", "action:7"], "--target is 'action:7': it must be uniform, or action:ID with one of 0, 1"),
        (["--draws", "3"], "--draws"),
        (["--format", "csv"], "is not a table (csv)"),
    ],
)
def test_wrong_use_is_refused(log: str, more: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["plan", log, *more]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.covering
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("asked", [["evaluate", "--target", "uniform"], ["replay", "--policy", "ucb1"]])
def test_estimates_by_propensities_are_refused(
    log: str, form: str, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"log.{form}"
    assert run(["convert", log, str(file)]) == 0
    capsys.readouterr()
    assert run([asked[0], str(file), *asked[1:]]) == 2
    assert "the log is of decisions that move a state" in " ".join(capsys.readouterr().err.split())
