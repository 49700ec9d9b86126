"""Exports with bad lines: each is named, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.exported import SPEC, assert_same

from onearm.engine.columns import empty
from onearm.engine.errors import InvalidInput
from onearm.engine.storage import source
from onearm.engine.storage.formats import jsonl, obd, parquet
from onearm.engine.storage.log import Log
from onearm.engine.vocabulary import DECIDE, LEARN, Problem

HEADER = '{"onearm": 1, "problem": {"n_arms": 3, "context_shape": [2]}, "experiment": {}}'
DECISION = '{"kind": "decide", "seq": 1, "number": 0, "action": 2, "propensity": 0.5, "context": [1, 2]}'
REWARD = '{"kind": "learn", "seq": 2, "number": 0, "reward": 1}'


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"kind": "learn", "seq": 3, "number": 0, "rew', "not_json"),
        ("\x00\x01", "not_json"),
        ('{"kind": "learn", "seq": 3, "number": 0}', "missing_field"),
        (DECISION.replace('"propensity": 0.5, ', "").replace("0,", "1,"), "missing_field"),
        ('{"kind": "lern", "seq": 3, "number": 0, "reward": 1}', "unknown_kind"),
        ('{"seq": 3, "number": 0, "reward": 1}', "unknown_kind"),
        ('{"kind": "learn", "seq": 3, "number": 0, "reward": null}', "wrong_type"),
        ('{"kind": "learn", "seq": 3, "number": -1, "reward": 1}', "wrong_type"),
        ("[1, 2]", "wrong_type"),
        ('{"kind": "learn", "seq": 3, "number": 1, "reward": 1}', "unknown_decision"),
        (DECISION, "repeated_decision"),
        (DECISION.replace('"number": 0', '"number": 1').replace("2, ", "3, "), "bad_action"),
        (DECISION.replace('"number": 0', '"number": 1').replace("2, ", f"{10**30}, ", 1), "bad_action"),
        (DECISION.replace('"number": 0', '"number": 1').replace("0.5", "1.5"), "bad_propensity"),
        (DECISION.replace('"number": 0', '"number": 1').replace("0.5", "0.0"), "bad_propensity"),
        (DECISION.replace('"number": 0', '"number": 1').replace("[1, 2]", "[1]"), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1').replace("[1, 2]", '[1, "a"]'), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1').replace("[1, 2]", "[1, null]"), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1').replace('"context": [1, 2]', '"time": 1'), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1')[:-1] + ', "available": [0, 3]}', "bad_available"),
        (DECISION.replace('"number": 0', '"number": 1')[:-1] + ', "available": []}', "bad_available"),
        (DECISION.replace('"number": 0', '"number": 1')[:-1] + ', "available": [0, 1]}', "unavailable_action"),
    ],
)
def test_a_bad_line_of_an_export_is_named_and_the_rest_goes_on(tmp_path: Path, line: str, kind: str) -> None:
    path = tmp_path / "log.jsonl"
    last = '{"kind": "learn", "seq": 9, "number": 0, "reward": 0.5, "reward_id": "b"}'
    path.write_text("\n".join([HEADER, DECISION, line, "", REWARD, last]))
    log = jsonl.read(path)
    assert log.bad_lines.count == {kind: 1}
    assert log.bad_lines.lines == {kind: [3]}
    assert log.events is not None
    assert log.events.kind.tolist() == [DECIDE, LEARN, LEARN]
    assert log.table.reward.tolist() == [1.5]
    assert log.table.context.tolist() == [[1, 2]]


def test_the_rewards_of_a_bad_decision_are_bad_as_well(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, DECISION.replace("0.5", "7"), REWARD]))
    log = jsonl.read(path)
    assert log.bad_lines.lines == {"bad_propensity": [2], "unknown_decision": [3]}
    assert len(log.table.kind) == 0


def test_a_reward_before_its_decision_is_of_an_unknown_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, REWARD, DECISION]))
    assert jsonl.read(path).bad_lines.lines == {"unknown_decision": [2]}


def test_a_truncated_last_line_is_told_from_a_corrupt_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, DECISION, REWARD[:20]]))
    assert jsonl.read(path).bad_lines.lines == {"truncated": [3]}


def test_many_bad_lines_are_counted_and_the_first_twenty_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, *["{"] * 50, DECISION, ""]))
    log = jsonl.read(path)
    assert log.bad_lines.count == {"not_json": 50}
    assert log.bad_lines.lines == {"not_json": list(range(2, 22))}


def test_pages_meet_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(4, (2,))
    columns = empty(100, problem, masked=True)
    columns.number[:] = np.arange(100) // 2
    columns.kind[1::2] = LEARN
    columns.reward[1::2] = np.arange(50)
    columns.context[:] = columns.number[:, None]
    columns.available[columns.number == 30, 1:] = False  # so that some pages have masks and others do not
    monkeypatch.setattr("onearm.engine.storage.formats.parquet.file.PAGE", 7)
    monkeypatch.setattr(source, "BLOCK_BYTES", 300)
    for form in (jsonl, parquet):
        with form.Writer(tmp_path / "log", problem, SPEC) as out:
            out.write(columns)
        events = form.read(tmp_path / "log").events
        assert events is not None
        assert_same(events, columns)


def test_bad_rows_of_a_parquet_export_are_named(tmp_path: Path) -> None:
    problem = Problem(3)
    columns = empty(6, problem)
    columns.kind[:] = DECIDE, 9, LEARN, LEARN, DECIDE, LEARN
    columns.number[:] = 0, 0, 0, 7, 1, 0
    columns.action[4] = 3
    columns.reward[2:4] = 1.0
    with parquet.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write(columns)
    log = parquet.read(tmp_path / "log")
    assert log.bad_lines.lines == {
        "unknown_kind": [2],
        "unknown_decision": [4],
        "bad_action": [5],
        "bad_reward": [6],
    }
    assert log.table.reward.tolist() == [1.0]


@pytest.mark.parametrize("read", [jsonl.read, parquet.read, obd.read], ids=["jsonl", "parquet", "obd"])
def test_files_that_are_no_logs_are_refused_in_words(tmp_path: Path, read: Callable[[Path], Log]) -> None:
    path = tmp_path / "log"
    with pytest.raises(InvalidInput, match="No such file") as refused:
        read(path)
    assert refused.value.code == "unreadable_file"
    path.touch()
    with pytest.raises(InvalidInput, match="is empty") as refused:
        read(path)
    assert refused.value.code == "empty_file"
    for content in (b"name,age\nann,3\n", b"\x89PNG\r\n\x1a\n\xff\xfe" * 10, b"{}\n", b"PAR1PAR1PAR1PAR1"):
        path.write_bytes(content)
        with pytest.raises(InvalidInput) as refused:
            read(path)
        assert refused.value.code == "wrong_format"
        assert str(path) in str(refused.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(InvalidInput) as refused:
        read(path)
    assert refused.value.code == "unreadable_file"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ('{"onearm": 3, "problem": {}}', "unknown_format"),
        ('{"onearm": 1, "experiment": {}}', "bad_header"),
        ('{"onearm": 1, "problem": {"n_arms": "x", "context_shape": [0]}, "experiment": {}}', "bad_header"),
        ('{"onearm": 1, "problem": {"n_arms": 0, "context_shape": [0]}, "experiment": {}}', "bad_arms"),
    ],
)
def test_a_header_of_another_format_or_a_damaged_one_is_refused(tmp_path: Path, header: str, code: str) -> None:
    (tmp_path / "log.jsonl").write_text(f"{header}\n{DECISION}\n")
    with pytest.raises(InvalidInput) as refused:
        jsonl.read(tmp_path / "log.jsonl")
    assert refused.value.code == code
    pq.write_table(pa.table({"kind": [0]}).replace_schema_metadata({"onearm": header}), tmp_path / "log.parquet")
    with pytest.raises(InvalidInput) as refused:
        parquet.read(tmp_path / "log.parquet")
    assert refused.value.code == code
