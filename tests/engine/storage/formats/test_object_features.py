"""Columns as named features: what a table makes is what the encoder of a service makes of the same objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_table_features import TABLE, WRITERS, read

from onearm.engine.contexts import context_at, pack_context, row_slice
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.storage.formats import decision_table
from onearm.engine.storage.rows import Naming
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import Features

ENCODER = Encoder(10)
NAMING = Naming(action="offer", reward="paid", propensity="chance", encoder=ENCODER)
ARMS = [{"id": "cup"}, {"id": "hat"}, {"id": "mug"}]
OBJECTS = [{"country": "de", "age": 31}, {"country": "fr", "age": 40.5}, {"country": "de"}, {"age": 18}]


def same(found: Features, expected: Features) -> None:
    """Compare the numbers of one context, wherever they lie."""
    assert len(found.start) == len(expected.start)
    for row in range(len(found.start) - 1):
        one, other = row_slice(found, row), row_slice(expected, row)
        assert found.index[one].tolist() == expected.index[other].tolist()
        assert found.value[one].tolist() == expected.value[other].tolist()


@pytest.mark.parametrize("form", list(WRITERS))
@pytest.mark.parametrize("encoder", [ENCODER, Encoder(12, (("", ""), ("", "", "")))], ids=["usual", "threes"])
def test_rows_are_the_objects_that_clients_send(form: str, encoder: Encoder, tmp_path: Path) -> None:
    with read(form, tmp_path, TABLE, replace(NAMING, encoder=encoder)) as rows:
        columns = rows.columns()
        assert (rows.problem.layout, rows.labels, rows.example) == ("named", ["cup", "hat", "mug"], OBJECTS[0])
        assert rows.problem.context_shape == (3, 1 << encoder.bits)
        for place, sent in enumerate(OBJECTS):
            expected = encoder.encode(sent, ARMS)
            same(context_at(columns.context, place), expected)
            assert len(expected.value) <= (rows.problem.nonzeros or 0)
        (note,) = [note for note in rows.notes if "named features" in note]
    assert note.startswith("contexts are named features: country (2 labels, 1 empty), age (number, 1 empty); times are")
    assert "'asked'" in note


@pytest.mark.parametrize("form", list(WRITERS))
def test_candidates_that_need_numbers_get_a_row_for_each_action(form: str, tmp_path: Path) -> None:
    dense = replace(ENCODER, dimension=16)
    with read(form, tmp_path, TABLE, NAMING, dimension=16) as rows:
        assert rows.columns().context.tolist() == [dense.dense(sent, ARMS).tolist() for sent in OBJECTS]


@pytest.mark.parametrize("form", list(WRITERS))
def test_events_hold_the_same_contexts_and_whom_and_when(form: str, tmp_path: Path) -> None:
    write, module = WRITERS[form]
    path = tmp_path / f"table.{form}"
    write(path, [row | {"who": f"u{n % 2}"} for n, row in enumerate(TABLE)])
    events = module.read_events(Source(path), replace(NAMING, time="asked", unit="who"))
    found = list(events.rows)
    assert events.example == OBJECTS[0]
    given = found[::2]
    assert [event.unit_id for event in given] == ["u0", "u1", "u0", "u1"]
    assert [event.time // 3_600_000_000 for event in given] == [6, 84, 96, 0]
    for event, sent in zip(given, OBJECTS, strict=True):
        assert event.context == pack_context(ENCODER.encode(sent, ARMS), events.problem)


def test_points_in_names_make_namespaces_and_truths_are_no_labels(tmp_path: Path) -> None:
    rows = [{"action": 0, "reward": 1, "user.age": 31, "user.new": "True", "x": 2}] * 2
    encoder = Encoder(10, (("user", ""),))
    with read("csv", tmp_path, [*rows, rows[0] | {"user.new": "false"}], Naming(encoder=encoder)) as found:
        assert found.example == {"user": {"age": 31, "new": True}, "x": 2}
        same(context_at(found.columns().context, 0), encoder.encode(found.example, [{"id": "0"}]))
    clash = [{"action": 0, "reward": 1, "user": 1, "user.age": 31}]
    with pytest.raises(InvalidInput, match=r"'user' is a column, and others make it a namespace.*--ignore"):
        read("csv", tmp_path, clash, Naming(encoder=encoder))
    with pytest.raises(InvalidInput, match="'user' is a column, and others make it a namespace"):
        read("csv", tmp_path, [{"action": 0, "reward": 1, "user.age": 31, "user": 1}], Naming(encoder=encoder))


def test_what_is_ignored_named_or_an_id_is_no_feature(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"action": 0, "reward": 1, "user_id": 7, "a": 1, "b": 2, "c": 3}]
    for naming, expected, left in (
        (Naming(ignored=("b",)), {"a": 1, "c": 3}, ["user_id", "b"]),
        (Naming(features=("c", "user_id")), {"c": 3, "user_id": 7}, ["a", "b"]),
        (Naming(unit="a"), {"b": 2, "c": 3}, ["user_id"]),
    ):
        with read("csv", tmp_path, rows, replace(naming, encoder=ENCODER)) as found:
            assert (found.example, found.unused) == (expected, left)
    with pytest.raises(InvalidInput, match="has no column 'd'"):
        read("csv", tmp_path, rows, Naming(ignored=("d",), encoder=ENCODER))


def test_a_table_of_nothing_else_has_no_contexts(tmp_path: Path) -> None:
    for form in WRITERS:
        with read(form, tmp_path, [{"action": 0, "reward": 1}], Naming(encoder=ENCODER)) as rows:
            assert (rows.problem.context_shape, rows.example) == ((0,), None)


def test_long_tables_are_kept_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_table, "TOGETHER", 3)
    rows = [{"action": n % 2, "reward": n, "x": n} for n in range(10)]
    with read("csv", tmp_path, rows, Naming(encoder=ENCODER)) as found:
        assert [len(page.line) for page in found.pages()] == [3, 3, 3, 1]
        columns = found.columns()
    assert columns.reward.tolist() == list(range(10))
    assert [
        float(np.sum(context_at(columns.context, n).value[row_slice(context_at(columns.context, n), 0)]))
        for n in (0, 9)
    ] == [0.0, 9.0]


def test_texts_are_what_they_say_and_an_empty_column_is_nothing(tmp_path: Path) -> None:
    cells = [("NA", "01234", "", "none"), ("de", "99999", "", "pro"), ("", "01234", "", "pro")]
    rows = [{"action": 0, "reward": 1} | dict(zip(("country", "zip", "y", "plan"), row, strict=True)) for row in cells]
    with read("csv", tmp_path, rows, Naming(encoder=ENCODER)) as found:
        assert found.example == {"country": "NA", "zip": "01234", "plan": "none"}
        (note,) = [note for note in found.notes if "named features" in note]
        assert "country (2 labels, 1 empty), zip (2 labels), y (empty), plan (2 labels)" in note
        same(context_at(found.columns().context, 2), ENCODER.encode({"zip": "01234", "plan": "pro"}, [{"id": "0"}]))


def test_a_number_that_is_too_large_is_a_bad_line(tmp_path: Path) -> None:
    rows = [{"action": 0, "reward": 1, "x": x} for x in (1.0, 1e20, 3.0)]
    with read("csv", tmp_path, rows, Naming(encoder=ENCODER)) as found:
        assert found.columns().reward.tolist() == [1.0, 1.0]
        assert found.bad_lines.lines["bad_context"] == [3]
        assert "'x' is 1e+20 in a line" in found.bad_lines.reasons["bad_context"]


def test_namespaces_that_a_table_lacks_are_refused(tmp_path: Path) -> None:
    rows = [{"action": 0, "reward": 1, "user.age": 3}]
    with pytest.raises(InvalidInput, match="there is no namespace 'usr': there are '', 'user'"):
        read("csv", tmp_path, rows, Naming(encoder=Encoder(10, (("usr", ""),))))
