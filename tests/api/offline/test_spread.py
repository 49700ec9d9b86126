"""Logs in several files, judged file by file or candidate by candidate: the same bits whoever does it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as pa_csv
from pyarrow import parquet as pq
from support.dask_workers import two_workers

from onearm.api.cli.main import run
from onearm.api.offline.candidates import candidate
from onearm.api.offline.evaluation import concluded
from onearm.api.offline.options import INTERVALS, METHODS, Options
from onearm.api.offline.reading import place_of
from onearm.api.offline.spread import judge_in_parts
from onearm.api.scheduling.scheduler import BLOCKS, Threads
from onearm.engine.storage.rows import Wanted

EVERY_METHOD = [word for name in METHODS if name != "mips" for word in ("--method", name)]
EVERY_INTERVAL = [word for name in INTERVALS for word in ("--interval", name)]
LAW = np.array([0.5, 0.3, 0.2])


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    with two_workers() as address:
        yield address


def lines(n: int, seed: int, **more: Any) -> list[str]:
    """Return a table of decisions by one law, of contexts that say something of the reward."""
    rng, rows = np.random.default_rng(seed), []
    for action, x in zip(rng.choice(3, n, p=LAW).tolist(), rng.random(n).round(3).tolist(), strict=True):
        reward = float(rng.random() < 0.2 + 0.2 * action + 0.2 * x)
        rows.append(json.dumps({"action": action, "reward": reward, "propensity": LAW[action], "context": [x]} | more))
    return rows


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    code = run([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    found = json.loads(out)
    del found["events_per_second"]
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run([*arguments]) == 2
    return capsys.readouterr().err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a log in five files, one of them in a folder of its own, beside a mark that is no log."""
    found = tmp_path / "log"
    (found / "day=2").mkdir(parents=True)
    (found / "_SUCCESS").touch()
    for number, n in enumerate((30, 1, 20, 25)):
        (found / f"part-{number}.jsonl").write_text("\n".join(lines(n, number)) + "\n")
    (found / "day=2" / "part-0.jsonl").write_text("\n".join(lines(15, 9)) + "\n")
    return found


@pytest.fixture
def whole(folder: Path, tmp_path: Path) -> Path:
    """Return the same log as one file."""
    file = tmp_path / "whole.jsonl"
    file.write_text("".join(part.read_text() for part in sorted(folder.rglob("*.jsonl"))))
    return file


@pytest.mark.parametrize(
    ("learn", "estimated"),
    [("matched", ["--method", "snips"]), ("nothing", EVERY_METHOD), ("0.5", ["--method", "snips", *EVERY_INTERVAL])],
)
def test_one_file_has_the_same_bits_judged_in_parts(
    learn: str, estimated: list[str], whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = ("--target", "ucb1", "--target", "uniform", "--target", "action:2", "--target", "linucb")
    asked = ("evaluate", str(whole), *targets, *estimated, "--learn", learn, "--baseline", "logged")
    assert told(capsys, *asked, "--scheduler", "threads") == told(capsys, *asked)


@pytest.mark.parametrize("method", ["snips", "ips"])
def test_files_are_one_log(method: str, folder: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = ("--target", "ucb1", "--target", "uniform", "--target", "first", "--target", "linucb")
    asked = (*targets, "--method", method, "--baseline", "uniform", "--arms", "3")
    assert told(capsys, "evaluate", str(folder), *asked) == told(capsys, "evaluate", str(whole), *asked)


class Counting(Threads):
    """Keeps the bytes of each spec that it is given."""

    def map(self, function: Any, specs: Any, done: Any = lambda place: None) -> Any:
        self.bytes = [len(pickle.dumps(spec)) for spec in specs]
        return super().map(function, specs, done)


def test_a_worker_is_given_many_files_at_once(tmp_path: Path) -> None:
    """And of their names those that it reads; progress is told of all, and the estimates are those of one file."""
    files, heard = 200, list[int]()
    every = [lines(3, number) for number in range(files)]
    (tmp_path / "log").mkdir()
    for number, some in enumerate(every):
        (tmp_path / "log" / f"part-{number:03}.jsonl").write_text("\n".join(some) + "\n")
    (tmp_path / "whole.jsonl").write_text("\n".join(line for some in every for line in some) + "\n")
    candidates, options, scheduler = [candidate("uniform"), candidate("first")], Options(("snips",)), Counting(2)
    found = [
        judge_in_parts(
            place_of(str(tmp_path / name), None, None), candidates, options, scheduler, Wanted(n_arms=3), done=done
        )
        for name, done in (("whole.jsonl", lambda count: None), ("log", heard.append))
    ]
    assert len(scheduler.bytes) == len(heard) <= 2 * BLOCKS and sum(heard) == files * len(candidates)
    assert sum(scheduler.bytes) < 2 * files * (len(str(tmp_path)) + 100)
    one, many = (concluded(candidates, each.rows, each.facts, each.scored, options).estimates for each in found)
    assert [each.value for each in one] == [each.value for each in many]


def test_a_model_is_fitted_to_all_files(folder: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It adds up page by page, and the pages of files end with them: the last bits differ."""
    asked = ("--target", "linucb", "--target", "uniform", "--method", "dr", "--arms", "3")
    both = [told(capsys, "evaluate", str(log), *asked)["estimates"] for log in (folder, whole)]
    values = [[each["value"] for each in estimates] for estimates in both]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@pytest.mark.parametrize("methods", [(), ("--method", "dr")])
def test_workers_find_what_threads_find(
    methods: tuple[str, ...], folder: Path, dask_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (
        "replay",
        str(folder),
        "--policy",
        "uniform",
        "--sweep",
        "ucb1.alpha=0.5,1,2",
        "--policy",
        "linucb",
        "--arms",
        "3",
    )
    here = told(capsys, *asked, *methods, "--segment", "action")
    assert told(capsys, *asked, *methods, "--segment", "action", "--scheduler", dask_address) == here
    assert here["events"] == 91 and len(here["segments"]) == 3 * 5 * (1 if methods else 2)


def test_a_pattern_and_an_address_name_files_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--target", "uniform", "--method", "snips", "--arms", "3")
    found = told(capsys, "evaluate", str(folder / "part-*.jsonl"), *asked)
    assert found["events"] == 76
    for name, events in ((f"file://{folder}/part-*.jsonl", 76), (f"file://{folder}", 91)):
        assert told(capsys, "evaluate", name, *asked)["events"] == events
    assert told(capsys, "evaluate", f"file://{folder}/part-0.jsonl", *asked)["events"] == 30


def test_bad_lines_and_notes_are_told_with_their_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "part-2.jsonl").open("a") as file:
        file.write("{\n" * 3)
    found = told(capsys, "evaluate", str(folder), "--target", "uniform", "--arms", "3")
    (kind,) = found["bad_lines"]
    assert found["bad_lines"][kind] == 3 and found["bad_line_numbers"][kind] == [21, 22, 23]
    assert "part-2.jsonl" in found["bad_line_reasons"][kind]


def test_files_that_do_not_belong_together_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "evaluate", str(folder), "--target", "uniform")
    assert "part-1.jsonl has 2 arms, and" in said and "part-0.jsonl has 3: say --arms" in said
    (folder / "part-3.jsonl").rename(folder / "part-4.csv")
    assert "holds files of several formats" in refused(capsys, "evaluate", str(folder), "--target", "uniform")


def test_what_cannot_be_spread_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    target = ("--target", "uniform")
    assert "holds no file of a log" in refused(capsys, "evaluate", str(tmp_path / "empty"), *target)
    stdin = refused(capsys, "evaluate", "-", "--format", "jsonl", *target, "--scheduler", "threads")
    assert "standard input is read once" in stdin
    assert "cannot be read" in refused(capsys, "evaluate", f"file://{tmp_path}/none.jsonl", *target)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("action:3", "there is no action 3: the log has those from 0 to 2"),
        ("action:bee", "the log has no action 'bee'"),
    ],
)
def test_an_action_that_is_not_there_is_refused_before_workers_are_asked_for(
    target: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = ("--scheduler", "tcp://127.0.0.1:1")
    asked = ("evaluate", str(folder), "--target", "uniform", "--arms", "3")
    assert said in refused(capsys, *asked, "--target", target, *nobody)


def test_what_programs_left_beside_a_log_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--target", "uniform", "--arms", "3")
    before = told(capsys, "evaluate", str(folder), *asked)
    for name in ("_temporary/0", ".ipynb_checkpoints", "day=2/_committed"):
        (folder / name).mkdir(parents=True)
        (folder / name / "part-0.jsonl").write_text((folder / "part-0.jsonl").read_text())
    assert told(capsys, "evaluate", str(folder), *asked) == before
    assert told(capsys, "evaluate", f"file://{folder}", *asked) == before
    assert told(capsys, "evaluate", str(folder / "**" / "*.jsonl"), *asked)["events"] == before["events"]
    hidden = folder.rename(folder.parent / "_log")
    assert told(capsys, "evaluate", str(hidden), *asked) == before


def test_files_that_are_left_out_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("evaluate", str(folder), "--target", "uniform", "--arms", "3")
    (folder / "p1.csv.tmp").touch()
    assert "1 file was left out: p1.csv.tmp" in told(capsys, *asked)["notes"]
    for number in range(6):
        (folder / f"a{number}.tmp").touch()
    named = ", ".join(f"a{number}.tmp" for number in range(5))
    assert f"7 files were left out: {named}, ..." in told(capsys, *asked)["notes"]


def test_with_a_format_files_without_an_ending_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("evaluate", str(folder), "--target", "uniform", "--arms", "3")
    before = told(capsys, *asked)
    (folder / "part-3.jsonl").rename(folder / "part-3")
    assert told(capsys, *asked, "--format", "jsonl")["events"] == before["events"]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_without_rows_counts_none(ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"action": [0, 1, 2], "reward": [1.0, 0.0, 1.0], "propensity": [0.25, 0.25, 0.5]})
    write = pq.write_table if ending == "parquet" else pa_csv.write_csv
    log = tmp_path / "log"
    log.mkdir()
    write(table, log / f"b.{ending}")
    write(table.slice(0, 0), log / f"a.{ending}")
    asked = ("--target", "uniform", "--arms", "3")
    assert told(capsys, "evaluate", str(log), *asked)["events"] == 3
    (log / f"b.{ending}").unlink()
    assert "has columns and not one row" in refused(capsys, "evaluate", str(log), *asked)
