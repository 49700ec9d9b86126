"""`onearm convert`: what goes from one format to another comes back, and a target appears when it is complete."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from onearm.api.experiment.spec import Spec
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.records import Event
from onearm.engine.storage.source import Source
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN, Problem


def test_the_sample_of_dsjson_goes_to_json_lines_and_back(onearm: Any, data_folder: Path) -> None:
    sample = data_folder / "dsjson" / "dsjson_cb.json"
    done = onearm("convert", str(sample), "--from", "dsjson", "--to", "jsonl", "out/log.jsonl", "--json")
    assert done.code == 0
    assert done.json == {
        "from": "dsjson",
        "to": "jsonl",
        "file": "out/log.jsonl",
        "decisions": 23,
        "rewards": 23,
        "changes": 0,
        "left_out": {},
        "bad_lines": {},
        "bad_line_numbers": {},
        "bad_line_reasons": {},
    }
    assert onearm("convert", "out/log.jsonl", "out/log.parquet").code == 0
    assert onearm("convert", "out/log.parquet", "out/back.dsjson").code == 0
    lines = [
        [json.loads(line) for line in path.read_bytes().splitlines()] for path in (sample, Path("out/back.dsjson"))
    ]
    assert lines[0] == lines[1]
    assert sorted(path.name for path in Path("out").iterdir()) == ["back.dsjson", "log.jsonl", "log.parquet"]


@pytest.mark.parametrize("middle", ["log.parquet", "other.jsonl.gz", "log.ndjson.zst"])
def test_an_export_comes_back_to_the_byte(onearm: Any, log: Path, middle: str) -> None:
    done = onearm("convert", str(log), middle)
    assert done.code == 0
    assert done.err.startswith("40 decisions, 40 rewards of ")
    assert onearm("convert", middle, "back.jsonl").code == 0
    assert Path("back.jsonl").read_bytes() == log.read_bytes()
    found, before = (json.loads(onearm("verify", name, "--json").out)["experiments"][0] for name in (middle, str(log)))
    assert found["digest"] == before["digest"]


@pytest.mark.parametrize(
    ("env", "policy"),
    [
        ('forecasts:{"experts":3}', "optimistic_hedge"),  # vectors, with a list of what each earned
        ('arm_stream:{"arms":5,"means":"uniform"}', "early_drop"),  # moves
        ('named:{"env":{"name":"linear","params":{"arms":4,"dimension":3,"min_actions":2}},"bits":8}', "squarecb"),
        ('linear:{"arms":4,"dimension":3,"min_actions":2}', "squarecb"),  # action sets of several sizes
        ('thresholds:{"points":8}', "uniform_budget"),  # queries
    ],
)
def test_whatever_is_decided_comes_back_from_parquet_to_the_byte(onearm: Any, env: str, policy: str) -> None:
    command = ("simulate", "--env", env, "--policy", policy, "--horizon", "12", "--seed", "3", "--log", "log.jsonl")
    done = onearm(*command)
    assert done.code == 0, done.err
    assert onearm("convert", "log.jsonl", "log.parquet").code == 0
    assert onearm("convert", "log.parquet", "back.jsonl").code == 0
    assert Path("back.jsonl").read_bytes() == Path("log.jsonl").read_bytes()
    assert onearm("verify", "log.parquet").code == 0


def test_a_plain_table_becomes_decisions_of_others_with_their_lines(onearm: Any) -> None:
    lines = [{"action": 1, "reward": 2.0, "propensity": 0.5, "note": "kept"}, {"action": 0, "reward": 1.0}]
    Path("table.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert onearm("convert", "table.jsonl", "log.parquet").code == 0
    events = list(parquet.read_events(Source(Path("log.parquet"))).rows)
    assert [json.loads(event.sent)["line"] for event in events[::2]] == lines
    log = parquet.read(Path("log.parquet"))
    assert (log.problem.n_arms, log.table.reward.tolist()) == (2, [2.0, 1.0])
    pq.write_table(
        pq.ParquetFile("log.parquet").read(["action", "reward"]).slice(1, 1).replace_schema_metadata(), "t.parquet"
    )
    assert onearm("convert", "t.parquet", "t.jsonl", "--json").json["decisions"] == 1


BAD = '{"kind": "learn", "seq": 3, "number": 77, "reward": 1}\nnonsense\n'


def test_bad_lines_are_named_and_with_strict_nothing_is_written(onearm: Any, log: Path) -> None:
    log.write_text(log.read_text() + BAD)
    done = onearm("convert", str(log), "log.parquet", "--json")
    assert done.code == 0
    assert done.json["bad_line_numbers"] == {"unknown_decision": [82], "not_json": [83]}
    shown = onearm("convert", str(log), "log.parquet")
    assert "1 bad: not_json in line 83" in shown.err
    strict = onearm("convert", str(log), "strict.parquet", "--strict", "--json")
    assert strict.code == 1
    assert (strict.json["file"], strict.json["bad_lines"]) == (None, {"unknown_decision": 1, "not_json": 1})
    told = onearm("convert", str(log), "strict.parquet", "--strict")
    assert "2 lines are bad in" in told.err and "was not written" in told.err
    assert [path.name for path in Path().iterdir() if "strict" in path.name] == []


def test_strict_leaves_an_older_file_as_it_was(onearm: Any, log: Path) -> None:
    log.write_text(log.read_text() + BAD)
    Path("log.parquet").write_text("older")
    assert onearm("convert", str(log), "log.parquet", "--strict").code == 1
    assert Path("log.parquet").read_text() == "older"


def test_nothing_stands_under_the_name_while_it_is_written_nor_after_an_error(
    onearm: Any, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def broken(self: Any, events: Any) -> None:
        seen.append([path.name for path in Path().iterdir()])
        raise InvalidInput("no", "the disk is full: make room")

    monkeypatch.setattr(parquet.Writer, "write_events", broken)
    done = onearm("convert", str(log), "log.parquet")
    assert (done.code, done.err) == (2, "onearm: the disk is full: make room\n")
    assert "log.parquet" not in seen[0] and len(seen[0]) == 2
    assert [path.name for path in Path().iterdir()] == [log.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.jsonl", "out.jsonl"], "is what is read"),
        (["out.jsonl", "link.jsonl"], "is what is read"),
        (["out.jsonl", "folder.jsonl"], "is a folder"),
        (["out.jsonl", "log.xyz"], "does not end in .* or say --to"),
        (["log.xyz", "log.jsonl"], "does not end in .* or say --from"),
        (["-", "log.jsonl"], "say --from"),
        (["nothing.jsonl", "log.jsonl"], "No such file"),
        (["out.jsonl", "log.parquet.gz"], "packed twice"),
        (["out.jsonl", "log.parquet", "--experiment", "e"], "is no database"),
        (["out.jsonl", "log.parquet", "--from", "database"], "is no URL of a database"),
        (["sqlite:///run.db", "log.parquet", "--from", "jsonl"], "is the URL of a database"),
        (["sqlite:///none.db", "log.parquet"], "no file none.db"),
        (["out.jsonl", "log.parquet", "--from", "dsjson"], "not one good line|no decision"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(onearm: Any, log: Path, arguments: list[str], message: str) -> None:
    os.link(log, "link.jsonl")
    Path("folder.jsonl").mkdir()
    before = sorted(path.name for path in Path().iterdir())
    done = onearm("convert", *arguments)
    assert done.code == 2
    assert re.search(message, done.err), done.err
    assert sorted(path.name for path in Path().iterdir()) == before


def test_what_the_target_has_no_place_for_is_refused_or_left_out_and_counted(onearm: Any) -> None:
    problem = Problem(2)
    rows = [
        Event(0, 1, DECIDE, 0, 1, 0.5, decision_id="a", time=5),
        Event(0, 2, LEARN, 0, 1, 0.5, 1.0, reward_id="r", time=6),
        Event(0, 3, 2, detail="{}"),
        Event(0, 4, DECIDE, 1, 0, 0.5),
        Event(0, 5, LEARN, 1, 0, 0.5, 0.0),
    ]
    with jsonl.Writer(Path("log.jsonl"), problem, {}) as out:
        out.write_events(rows)
    done = onearm("convert", "log.jsonl", "log.csv")
    assert done.code == 2
    assert "csv has no place for" in done.err and "--lossy" in done.err
    assert not Path("log.csv").exists()
    done = onearm("convert", "log.jsonl", "log.csv", "--lossy", "--json")
    assert done.code == 0
    assert done.json["left_out"]["change"] == 1
    assert done.json["left_out"]["reward_id"] == 1
    assert (done.json["decisions"], done.json["rewards"]) == (2, 2)
    back = onearm("convert", "log.csv", "back.jsonl", "--json")
    assert back.code == 0
    assert [event.reward for event in jsonl.read_events(Source(Path("back.jsonl"))).rows if event.kind == LEARN] == [
        1,
        0,
    ]


def test_standard_input_is_converted(onearm: Any, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, count in ((log.read_bytes(), 40), (b'{"action": 1, "reward": 0.5}\n', 1)):
        Path("piped").write_bytes(text)
        with Path("piped").open("rb", buffering=0) as raw:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
            done = onearm("convert", "-", "--from", "jsonl", "log.jsonl", "--json")
        assert (done.code, done.json["decisions"]) == (0, count)


def test_an_experiment_of_a_database_is_converted_as_it_is_exported(onearm: Any, tmp_path: Path) -> None:
    spec = {
        "experiment_id": "hello",
        "policy": {"name": "uniform", "params": {}},
        "arms": [{"id": "a"}, {"id": "b"}],
        "seed": 3,
    }
    url = make_database(tmp_path / "run.db", spec)
    assert onearm("export", "hello", "exported.jsonl", "--database", url).code == 0
    for arguments in ([], ["--experiment", "hello"], ["--from", "database"]):
        done = onearm("convert", url, "log.jsonl", *arguments, "--json")
        assert (done.code, done.json["from"], done.json["decisions"]) == (0, "database", 2)
        assert Path("log.jsonl").read_bytes() == Path("exported.jsonl").read_bytes()
    done = onearm("convert", url, "log.parquet", "--experiment", "other")
    assert (done.code, done.err) == (2, "onearm: there is no experiment 'other': there are hello\n")
    assert "is what is read" in onearm("convert", url, "run.db", "--to", "jsonl").err


def make_database(path: Path, spec: dict[str, Any]) -> str:
    whole = Spec.from_json(spec)
    store = Store.open(f"sqlite:///{path}")
    key = store.add_experiment("hello", json.dumps(whole.to_json()), b"", "{}", 0).key
    store.append(
        [
            Event(key, 1, DECIDE, 0, 1, 0.5, time=1),
            Event(key, 2, DECIDE, 1, 0, 0.5, time=2, decision_id="b"),
            Event(key, 3, LEARN, 1, 0, 0.5, 1.0, reward_id="", time=3),
        ]
    )
    store.close()
    return f"sqlite:///{path}"


def test_a_packed_target_is_packed(onearm: Any, log: Path) -> None:
    assert onearm("convert", str(log), "log.jsonl.gz").code == 0
    assert gzip.decompress(Path("log.jsonl.gz").read_bytes()) == log.read_bytes()


def test_a_person_sees_how_many_bytes_are_read(onearm: Any, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    whole: list[int | None] = []

    def progress(what: str, total: int | None, unit: str) -> Any:
        whole.append(total)
        assert (what, unit) == ("converting", "bytes")
        return nullcontext(told.append)

    monkeypatch.setattr("onearm.api.cli.any_log.progress", progress)
    assert onearm("convert", str(log), "log.parquet").code == 0
    assert [sum(told)] == whole == [log.stat().st_size]


def test_a_target_that_is_no_plain_file_is_left_as_it_is(onearm: Any, log: Path, tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    for target in ("-", "link.jsonl", "pipe.jsonl"):
        done = onearm("convert", str(log), target, "--to", "jsonl")
        assert (done.code, "is no plain file" in done.err) == (2, True)
    assert (tmp_path / "link.jsonl").is_symlink() and (tmp_path / "pipe.jsonl").is_fifo()


def test_a_target_below_a_file_is_refused_in_words(onearm: Any, log: Path) -> None:
    done = onearm("convert", str(log), f"{log}/x.jsonl")
    assert (done.code, "cannot write" in done.err) == (2, True)


@pytest.mark.parametrize("form", ["jsonl", "parquet", "jsonl.gz"])
def test_rows_of_decisions_are_made_of_an_export_and_taken_apart_to_the_byte(onearm: Any, log: Path, form: str) -> None:
    done = onearm("convert", str(log), f"joined.{form}", "--rows", "decisions", "--json")
    assert (done.code, done.json["decisions"], done.json["rewards"]) == (0, 40, 40)
    assert onearm("convert", f"joined.{form}", "back.jsonl").code == 0
    assert Path("back.jsonl").read_bytes() == log.read_bytes()
    assert onearm("convert", f"joined.{form}", "again.parquet", "--rows", "decisions").code == 0
    assert [pq.ParquetFile("again.parquet").metadata.num_rows, len(log.read_bytes().splitlines())] == [40, 81]
    found = {
        onearm("verify", name, "--json").json["experiments"][0]["digest"]
        for name in (str(log), f"joined.{form}", "again.parquet")
    }
    assert len(found) == 1


def test_rows_of_decisions_of_a_database_are_those_that_are_exported(onearm: Any, tmp_path: Path) -> None:
    spec = {"experiment_id": "hello", "policy": {"name": "uniform", "params": {}}, "arms": [{"id": "a"}, {"id": "b"}]}
    url = make_database(tmp_path / "run.db", spec)
    assert onearm("export", "hello", "exported.jsonl", "--rows", "decisions", "--database", url).code == 0
    assert onearm("convert", url, "log.jsonl", "--rows", "decisions").code == 0
    assert Path("log.jsonl").read_bytes() == Path("exported.jsonl").read_bytes()


def test_logs_of_others_become_rows_of_decisions_and_come_back(onearm: Any, data_folder: Path) -> None:
    sample = data_folder / "dsjson" / "dsjson_cb.json"
    assert onearm("convert", str(sample), "log.parquet", "--from", "dsjson", "--rows", "decisions").code == 0
    assert pq.ParquetFile("log.parquet").metadata.num_rows == 23
    assert onearm("convert", "log.parquet", "back.dsjson").code == 0
    lines = [[json.loads(line) for line in path.read_bytes().splitlines()] for path in (sample, Path("back.dsjson"))]
    assert lines[0] == lines[1]


def test_rows_of_decisions_are_refused_of_other_formats_and_of_events_out_of_order(onearm: Any, log: Path) -> None:
    done = onearm("convert", str(log), "log.csv", "--rows", "decisions")
    assert (done.code, "csv has no other rows: --rows is for jsonl and parquet" in done.err) == (2, True)
    header, first, second, *rest = log.read_text().splitlines(keepends=True)
    log.write_text("".join([header, first, second.replace('"seq":2', '"seq":9'), *rest]))
    done = onearm("convert", str(log), "log.parquet", "--rows", "decisions")
    assert (done.code, "event 3 stands behind event 9" in done.err) == (2, True), done.err
    assert sorted(path.name for path in Path().iterdir()) == [log.name]
