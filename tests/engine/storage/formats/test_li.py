"""Replay text: arms from 0 or 1, any number of features, blanks of any kind, and what becomes of bad lines."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onearm.engine.contexts import pack_context
from onearm.engine.errors import InvalidInput
from onearm.engine.storage import rows
from onearm.engine.storage.formats import jsonl, li, parquet
from onearm.engine.storage.records import Event
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import DECIDE, EXTERNAL, LEARN, Problem

NO_PROPENSITIES = "the log says nothing of propensities: matching takes them to be equal, weights need them"


def written(folder: Path, *lines: str) -> Path:
    (folder / "log.li").write_text("\n".join([*lines, ""]))
    return folder / "log.li"


def read(path: Path, wanted: Wanted | None = None) -> Rows:
    return li.read_rows(Source(path), wanted or Wanted())


@pytest.mark.parametrize("first", [0, 1])
def test_arms_are_numbered_from_0_whatever_the_log_begins_with(tmp_path: Path, first: int) -> None:
    path = written(tmp_path, f"{first + 2} 1 0.5 -3", f"{first} 0 1e2 7", f"{first + 1} 0.25 .5 0")
    with read(path) as found:
        rows = found.columns()
        assert found.problem == Problem(3, (2,))
        assert rows.action.tolist() == [2, 0, 1]
        assert rows.reward.tolist() == [1.0, 0.0, 0.25]
        assert rows.context.tolist() == [[0.5, -3.0], [100.0, 7.0], [0.5, 0.0]]
        assert np.isnan(rows.propensity).all()
        numbered = ["arms are numbered from 1 in the log: arm 0 here is 1 there"] if first else []
        assert found.notes == [*numbered, NO_PROPENSITIES]
        assert found.decisions == 3
    assert li.read(path).table.action.tolist() == [2, 0, 1]


def test_contexts_and_segments_are_read_where_they_are_wanted(tmp_path: Path) -> None:
    path = written(tmp_path, "1 1 5 0.5", "2 0 6 0.5", "1 0 5 1", "1 1 x 2", "2 0 5 y")
    with read(path, Wanted(contexts=False)) as found:
        assert found.problem == Problem(2)
        assert len(found) == 5  # features that are not read cannot be bad
    for contexts, bad in ((True, [4, 5]), (False, [4])):
        with read(path, Wanted(contexts=contexts, segment="context[0]")) as found:
            assert found.segments == ["5", "6"]
            assert [page.segment.tolist() for page in found.pages()] == [[0, 1, 0] + [0] * (not contexts)]
            assert found.bad_lines.lines == {"bad_context": bad}
    with read(path, Wanted(contexts=False, segment="context[1]")) as found:
        assert found.segments == ["0.5", "1", "2"]
    with pytest.raises(InvalidInput, match="has 2 features"):
        read(path, Wanted(segment="context[2]"))
    with pytest.raises(InvalidInput, match="the segment is 'size'"):
        read(path, Wanted(segment="size"))


def test_blanks_of_any_kind_part_cells(tmp_path: Path) -> None:
    path = tmp_path / "log.li"
    path.write_bytes(b" 2  1\t3\t \r\n1 0 4 \n\t2\t0\t5\n2 1 6\n")
    with read(path) as found:
        assert not found.bad_lines.count
        assert found.columns().action.tolist() == [1, 0, 1, 1]
        assert found.columns().context[:, 0].tolist() == [3, 4, 5, 6]


def test_every_kind_of_bad_line_is_counted_and_named(tmp_path: Path) -> None:
    good = ["2 1 3 4"] * 3
    bad = [
        "x 1 3 4",
        "-1 1 3 4",
        "1.5 1 3 4",
        "1 yes 3 4",
        "1 inf 3 4",
        "1 1 3",
        "1 1 3 4 5",
        "",
        "1 1 nan 4",
        '1 1 "3 4',
    ]
    path = written(tmp_path, *good, *bad, "1 0 1 1")
    with read(path) as found:
        assert found.bad_lines.lines == {
            "bad_action": [4, 5, 6],
            "bad_reward": [7, 8],
            "broken": [9, 10, 11],
            "bad_context": [12, 13],
        }
        assert [line for page in found.pages() for line in page.line.tolist()] == [1, 2, 3, 14]
        assert found.columns().action.tolist() == [1, 1, 1, 0]


def test_the_number_of_arms_can_be_given(tmp_path: Path) -> None:
    assert read(written(tmp_path, "0 1", "3 1"), Wanted(n_arms=9)).problem == Problem(9)
    with read(written(tmp_path, "1 1", "3 1", "4 1"), Wanted(n_arms=3)) as found:
        assert found.columns().action.tolist() == [0, 2]  # numbered from 1
        assert found.bad_lines.lines == {"bad_action": [3]}
    with pytest.raises(InvalidInput, match="has the arms 0 to 3, more than 3") as refused:
        read(written(tmp_path, "0 1", "3 1"), Wanted(n_arms=3))
    assert refused.value.code == "bad_arms"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty_file"),
        ("one\ntwo\n", "wrong_format"),
        ("a b c\n", "wrong_format"),
        ('{"a": 1}\n{"b": 2}\n', "wrong_format"),
        ("\n\n\n", "wrong_format"),
    ],
)
def test_files_that_are_no_replay_text_are_refused_in_words(tmp_path: Path, content: str, code: str) -> None:
    (tmp_path / "log.li").write_text(content)
    with pytest.raises(InvalidInput, match=r"log\.li") as refused:
        read(tmp_path / "log.li")
    assert refused.value.code == code


def test_rows_on_disk_are_those_in_memory_and_blocks_meet_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(300, 4))
    lines = [f"{i % 5 + 1} {i % 2} {' '.join(map(repr, row))}" for i, row in enumerate(numbers.tolist())]
    lines[100] = "nothing"
    path = tmp_path / "log.li.gz"
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 1000)
    monkeypatch.setattr(rows, "MEMORY", 5000)
    with read(path) as found:
        assert found.on_disk
        assert len(list(found.pages())) > 10
        assert found.bad_lines.lines == {"broken": [101]}
        np.testing.assert_array_equal(found.columns().context, np.delete(numbers, 100, axis=0))
        assert found.columns().action.tolist() == [i % 5 for i in range(300) if i != 100]
    path.write_bytes(path.read_bytes()[:3000])
    with read(path) as found:
        n = len(found)
        assert found.bad_lines.lines == {"broken": [101], "truncated": [n + 2]} or n < 100


@pytest.mark.parametrize("form", [jsonl, parquet])
def test_a_log_comes_back_to_the_byte(tmp_path: Path, form: Any) -> None:
    text = b"1 0.50 1e0 2\r\n3\t1  0 0 \n2 -0 1 5\n"
    (tmp_path / "log.li").write_bytes(text)
    events = li.read_events(Source(tmp_path / "log.li"))
    with form.Writer(tmp_path / "log", events.problem, events.spec) as out:
        out.write_events(events.rows)
    again = form.read_events(Source(tmp_path / "log"))
    assert again.problem == Problem(3, (2,))
    with li.Writer(tmp_path / "back.li", again.problem, again.spec) as out:
        out.write_events(again.rows)
    assert (tmp_path / "back.li").read_bytes() == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.floats(-1e100, 1e100), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=8,
    )
)
def test_events_of_others_are_read_back_to_the_bit(tmp_path: Path, table: list[tuple[int, float, float]]) -> None:
    problem = Problem(5, (1,))
    events = []
    for i, (arm, reward, number) in enumerate(table):
        context = pack_context(np.array([number]), problem)
        events.append(Event(1, 2 * i + 1, DECIDE, i, arm, 0.5, context=context))
        events.append(Event(1, 2 * i + 2, LEARN, i, arm, 0.5, reward))
    events.append(Event(1, len(events) + 1, EXTERNAL, len(table), 0, 0.5, context=context))  # without a reward
    with li.Writer(tmp_path / "log.li", problem, {"policy": {}}) as out:
        out.write_events(events)
    assert out.unrewarded == 1
    with read(tmp_path / "log.li") as found:
        first = min(min(arm for arm, _, _ in table), 1)
        assert found.columns().action.tolist() == [arm - first for arm, _, _ in table]
        assert found.columns().reward.tolist() == [reward for _, reward, _ in table]
        assert found.columns().context[:, 0].tolist() == [number for _, _, number in table]


@given(st.binary(max_size=200))
@example(b"VWFB")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_the_reader_and_every_line_is_accounted_for(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "log.li"
    path.write_bytes(b"1 0 2 3\n" * 30 + junk)
    n_lines = 30 + junk.count(b"\n") + (junk[-1:] not in (b"", b"\n"))
    with read(path) as found:
        assert len(found) + sum(found.bad_lines.count.values()) == n_lines
    path.write_bytes(junk)
    try:
        read(path)
    except InvalidInput as refused:
        assert refused.code in ("wrong_format", "empty_file", "binary_log")
