"""A log in several files, and one in a storage: the command and Python read it alike, and as one file."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import onearm
from onearm.api.cli.main import run
from onearm.api.offline.joined import Joined, join, told_of
from onearm.api.offline.own import Batch
from onearm.api.offline.reading import place_of
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.rows import Told, Wanted
from onearm.engine.vocabulary import Array


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of the same table as a whole, one.csv, and in two files, many/."""
    rng = np.random.default_rng(6)
    action, age = rng.integers(0, 2, 120), rng.integers(18, 80, 120)
    log = polars.DataFrame(
        {
            "action": action,
            "reward": (rng.random(120) < 0.3 + 0.4 * (action == (age > 50))).astype(float),
            "propensity": [0.5] * 120,
            "age": age,
            "p_0": np.where(age > 50, 0.25, 0.75),
            "p_1": np.where(age > 50, 0.75, 0.25),
            "place": rng.integers(0, 3, 120),
        }
    )
    log.write_csv(tmp_path / "one.csv")
    (tmp_path / "many").mkdir()
    log[:40].write_csv(tmp_path / "many" / "a.csv")
    log[40:].select(reversed(log.columns)).write_csv(tmp_path / "many" / "b.csv")
    return tmp_path


def by_age(batch: Batch) -> Array:
    """Return a law that depends on the age, and on where the decision stands in the log."""
    old = (batch["age"] > 50) ^ (batch.number % 7 == 0)
    return np.stack([~old, old], 1).astype(float)


def value_of(log: Path | str, target: Any, **asked: Any) -> float:
    found: float = onearm.evaluate(log, target, **asked).to_dict()["estimates"][0]["value"]
    return found


@pytest.mark.parametrize("target", [by_age, "column:p_0", "columns:p_*", "frequency:place", "action:1"])
@pytest.mark.parametrize("method", ["ips", "dr"])
def test_several_files_are_worth_what_one_is(target: Any, method: str, folder: Path) -> None:
    whole, files = (value_of(folder / name, target, features="age", method=method) for name in ("one.csv", "many"))
    assert files == pytest.approx(whole, rel=1e-9)


def test_columns_are_named_in_several_files(folder: Path) -> None:
    whole, files = (onearm.read_log(folder / name, features="age") for name in ("one.csv", "many"))
    assert files.features == whole.features == ["age"]
    assert files.to_dict() == whole.to_dict()


def test_a_file_tells_joined_what_it_tells_alone(folder: Path) -> None:
    rows = place_of(str(folder / "one.csv"), None, None).rows(Wanted(beside=()))
    with rows:
        joined = join([("one.csv", rows)])
        for each in fields(Told):
            assert getattr(joined, each.name) == getattr(rows, each.name), each.name
        assert len(Joined([told_of(rows, "one.csv")])) == len(rows)


@pytest.mark.parametrize("name", ["one.csv", "many"])
def test_the_command_and_python_find_the_same_bits(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, targets = str(folder / name), ["uniform", "ucb1", "columns:p_*"]
    words = [word for target in targets for word in ("--target", target)]
    assert run(["evaluate", log, *words, "--method", "match", "--method", "snips", "--json"]) == 0
    by_command = json.loads(capsys.readouterr().out)["estimates"]
    by_python = onearm.evaluate(log, targets, method=["match", "snips"]).to_dict()["estimates"]
    assert by_python == by_command


def test_company_changes_no_bit_of_a_candidate_in_several_files(folder: Path) -> None:
    alone = value_of(folder / "many", "uniform", features="age", method="match")
    assert value_of(folder / "many", ["uniform", by_age], features="age", method="match") == alone


def test_files_with_other_columns_are_refused(folder: Path) -> None:
    other = polars.read_csv(folder / "many" / "b.csv")
    other.with_columns(p_2=polars.lit(0.0)).write_csv(folder / "many" / "b.csv")
    with pytest.raises(InvalidInput, match=r"b\.csv is read by other columns than .*a\.csv"):
        onearm.evaluate(folder / "many", "columns:p_*")


@pytest.mark.parametrize("name", ["one.csv", "many"])
def test_what_lies_in_a_storage_is_read_as_what_lies_here(name: str, folder: Path) -> None:
    log = folder / name
    there = f"file://{log}"
    for method in ("snips", "dr"):
        asked = {"features": "age", "method": method}
        assert value_of(there, ["uniform", "columns:p_*"], **asked) == value_of(
            log, ["uniform", "columns:p_*"], **asked
        )
    assert onearm.read_log(there, features="age").to_dict() == onearm.read_log(log, features="age").to_dict()


def test_what_this_process_alone_reads_is_handed_to_no_worker(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["evaluate", str(folder / "many"), "--target", "columns:p_*"]
    assert run([*asked, "--scheduler", "threads"]) == 2
    assert "columns:p_* is read by this process alone: leave out --scheduler" in capsys.readouterr().err
    assert run(asked) == 0
