"""What is particular to Parquet: plain tables of any types, columns that another tool wrote, and damaged files."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import messy

from onearm.engine.errors import InvalidInput
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import Problem


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_a_plain_table_is_read_with_its_bad_rows_and_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.storage.formats.parquet.file.PAGE", 2)
    path = write(
        tmp_path / "log.parquet",
        action=pa.array([0, 4, None, -1, 1, 1, 2], pa.int32()),
        reward=pa.array([1, 0.5, 1, 1, None, 1, 2], pa.float32()),
        propensity=[0.5, 1.0, 1.0, 1.0, 1.0, 1.5, None],
        context=[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [5.0, 6.0]],
        country=["de", "fr", "fr", "fr", "fr", "fr", "de"],
    )
    with parquet.read_rows(Source(path), Wanted(segment="country")) as read:
        assert read.bad_lines.lines == {"bad_action": [3, 4], "bad_reward": [5], "bad_propensity": [6]}
        assert (read.decisions, len(read), read.problem) == (3, 3, Problem(5, (2,)))
        columns = read.columns()
        assert columns.action.tolist() == [0, 4, 2]
        assert columns.reward.tolist() == [1.0, 0.5, 2.0]
        assert columns.context.tolist() == [[1, 2], [3, 4], [5, 6]]
        np.testing.assert_array_equal(columns.propensity, [0.5, 1.0, np.nan])
        assert [read.segments[place] for page in read.pages() for place in page.segment] == ["de", "fr", "de"]
        assert np.concatenate([page.line for page in read.pages()]).tolist() == [1, 2, 7]
        assert all(array.flags.writeable for array in columns[:7])  # as compiled loops want them
    with parquet.read_rows(Source(path), Wanted(contexts=False, n_arms=3, segment="context[0]")) as read:
        assert read.problem == Problem(3)
        assert read.bad_lines.lines["bad_action"] == [2, 3, 4]
        assert [read.segments[place] for page in read.pages() for place in page.segment] == ["1", "5"]


def test_contexts_of_another_length_are_bad_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", action=[0, 1, 0], reward=[1, 1, 1], context=[[1.0], [1.0, 2.0], None])
    with parquet.read_rows(Source(path), Wanted()) as read:
        assert read.bad_lines.lines == {"bad_context": [2, 3]}
    with parquet.read_rows(Source(path), Wanted(contexts=False)) as read:
        assert not read.bad_lines.count  # what is not read is not checked


LINES: list[dict[str, Any]] = [
    {"kind": "decide", "seq": 1, "number": 0, "action": 1, "propensity": 0.5, "context": [0.0, 1.0]},
    {"kind": "learn", "seq": 2, "number": 0, "reward": 1.0},
]


def test_a_decision_of_an_export_without_a_context_is_a_bad_row(tmp_path: Path) -> None:
    messy.write_parquet(tmp_path / "log", [*LINES, LINES[0] | {"number": 1, "context": None}])
    with parquet.read_rows(Source(tmp_path / "log"), Wanted()) as read:
        assert read.bad_lines.lines == {"bad_context": [3]}


def test_columns_that_another_tool_gave_other_types_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    messy.write_parquet(path, LINES)
    table = pq.read_table(path)
    wider = table.set_column(1, "kind", table.column("kind").cast(pa.int64()))
    pq.write_table(wider, path)
    with parquet.read_rows(Source(path), Wanted()) as read:
        assert read.columns().reward.tolist() == [1.0]
    place = table.schema.names.index("context")
    pq.write_table(table.set_column(place, "context", table.column("context").cast(pa.list_(pa.float64()))), path)
    with pytest.raises(InvalidInput, match="has the column 'context' of the type list"):
        parquet.read_rows(Source(path), Wanted())


def test_standard_input_is_read_as_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messy.write_parquet(tmp_path / "log", LINES)
    with (tmp_path / "log").open("rb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
        with parquet.read_rows(Source(Path("-")), Wanted()) as read:
            assert read.columns().reward.tolist() == [1.0]


def test_progress_adds_up_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.storage.formats.parquet.table.BLOCK", 3)
    path = write(tmp_path / "log.parquet", action=[0] * 10, reward=[1.0] * 10)
    told: list[int] = []
    parquet.read_rows(Source(path, told.append), Wanted()).close()
    assert (len(told), sum(told)) == (4, path.stat().st_size)


def test_what_is_read_at_once_is_gone_through_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.storage.formats.parquet.table.BLOCK", 8)
    monkeypatch.setattr("onearm.engine.storage.formats.parquet.reader.PAGE", 3)
    path = write(tmp_path / "log.parquet", action=[0, 1] * 5, reward=[float(i) for i in range(10)])
    with parquet.read_rows(Source(path), Wanted()) as rows:
        pages = list(rows.pages())
        assert [page.columns.number.tolist() for page in pages] == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
        assert [page.columns.reward.tolist() for page in pages] == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
        assert [page.line.tolist() for page in pages] == [[1, 2, 3], [4, 5, 6], [7, 8], [9, 10]]
        assert [len(block.line) for block in rows.blocks()] == [8, 2]


def test_a_reward_repeats_action_and_propensity_also_where_the_log_it_came_from_did_not(tmp_path: Path) -> None:
    messy.write_jsonl(tmp_path / "log.jsonl", LINES)
    events = jsonl.read_events(Source(tmp_path / "log.jsonl"))
    with parquet.Writer(tmp_path / "log.parquet", events.problem, events.spec) as out:
        out.write_events(events.rows)
    learned = pq.read_table(tmp_path / "log.parquet").to_pylist()[1]
    assert (learned["action"], learned["propensity"]) == (1, 0.5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 5000), byte=st.integers(0, 255), short=st.booleans())
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path: Path, cut: int, byte: int, short: bool) -> None:
    messy.write_parquet(tmp_path / "log", LINES)
    whole = (tmp_path / "log").read_bytes()
    place = cut % len(whole)
    (tmp_path / "log").write_bytes(whole[:place] + (b"" if short else bytes([byte]) + whole[place + 1 :]))
    for read in (
        lambda: parquet.read_rows(Source(tmp_path / "log"), Wanted()).columns(),
        lambda: list(parquet.read_events(Source(tmp_path / "log")).rows),
    ):
        try:
            read()
        except InvalidInput as refused:
            assert "log" in str(refused)


def test_a_name_that_ends_in_gz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="packed twice"):
        parquet.Writer(tmp_path / "log.parquet.gz", Problem(2), {})
