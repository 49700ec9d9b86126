"""Tables whose columns have names: what each is, in CSV, Parquet and JSON lines alike; what becomes of features."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.features import feature_number, unit_of
from onearm.engine.storage.formats import csv_table, jsonl, parquet
from onearm.engine.storage.formats.named_features import LABELS_MAX
from onearm.engine.storage.rows import Naming, Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import Array

NAMING = Naming(action="offer", reward="paid", propensity="chance", features=("country", "age", "asked"))
TABLE: list[dict[str, Any]] = [
    {"offer": "mug", "paid": 2.5, "chance": 0.5, "country": "de", "age": 31, "asked": "1970-01-01T06:00:00+00:00"},
    {"offer": "hat", "paid": 0, "chance": 0.25, "country": "fr", "age": 40.5, "asked": "1970-01-04T12:00:00+00:00"},
    {"offer": "mug", "paid": 1, "chance": 0.5, "country": "de", "age": None, "asked": "1970-01-05T00:00:00+00:00"},
    {"offer": "cup", "paid": 1, "chance": 1.0, "country": None, "age": 18, "asked": "1970-01-01T00:00:00+00:00"},
]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table, empty where nothing is known."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the same as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the same in columns, times as times."""
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    if "asked" in rows[0]:
        place = table.schema.get_field_index("asked")
        table = table.set_column(place, "asked", table["asked"].cast(pa.timestamp("ms", "UTC")))
    pq.write_table(table, path)


WRITERS: dict[str, tuple[Callable[[Path, list[dict[str, Any]]], None], Any]] = {
    "csv": (write_csv, csv_table),
    "jsonl": (write_jsonl, jsonl),
    "parquet": (write_parquet, parquet),
}


def read(form: str, tmp_path: Path, rows: list[dict[str, Any]], naming: Naming = NAMING, **wanted: Any) -> Rows:
    """Return the rows of a table that was written in a format."""
    write, module = WRITERS[form]
    path = tmp_path / f"table.{form}"
    write(path, rows)
    found: Rows = module.read_rows(Source(path), Wanted(naming=naming, **wanted))
    return found


def contexts(form: str, tmp_path: Path, cells: list[Any]) -> Array:
    """Return the contexts of a table with one feature."""
    rows = [{"action": 0, "reward": 1, "x": cell} for cell in cells]
    found: Array = read(form, tmp_path, rows, Naming(features=("x",))).columns().context
    return found


@pytest.mark.parametrize("form", WRITERS)
def test_columns_are_what_a_person_says_in_every_format(form: str, tmp_path: Path) -> None:
    with read(form, tmp_path, TABLE) as rows:
        found = rows.columns()
        assert rows.labels == ["cup", "hat", "mug"]
        assert found.action.tolist() == [2, 1, 2, 0]
        assert found.reward.tolist() == [2.5, 0.0, 1.0, 1.0]
        assert found.propensity.tolist() == [0.5, 0.25, 0.5, 1.0]
        assert rows.problem.context_shape == (3 + 2 + 10,)
        country, age, asked = np.split(found.context, [3, 5], axis=1)
        assert country.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]  # de, fr, missing
        assert age.tolist() == [[31, 0], [40.5, 0], [0, 1], [18, 0]]
        assert asked[:, 0].tolist() == [0.25, 3.5, 4.0, 0.0]  # days since the first day
        assert asked[0, 1:3] == pytest.approx([1.0, 0.0], abs=1e-12)  # six o'clock
        weekdays = asked[:, 3:].argmax(axis=1).tolist()
        assert weekdays == [3, 6, 0, 3]  # Thursday, Sunday, Monday, Thursday
        assert asked[:, 3:].sum(axis=1).tolist() == [1, 1, 1, 1]
        assert rows.unused == []
        assert any(
            "contexts are 15 numbers: country (2 labels, 1 missing), age (number, 1 missing), asked (time)" in note
            for note in rows.notes
        )


@pytest.mark.parametrize("form", WRITERS)
def test_columns_that_nobody_named_are_told_as_unread(form: str, tmp_path: Path) -> None:
    usual = [{"action": i % 2, "reward": 1, "country": "de", "age": i} for i in range(4)]
    with read(form, tmp_path, usual, Naming(features=("age",))) as rows:
        assert rows.unused == ["country"]
        assert "columns that were not read: country" in rows.notes
        assert rows.columns().context.tolist() == [[0], [1], [2], [3]]
    with read(form, tmp_path, usual, Naming(features=("age",)), contexts=False) as rows:
        assert rows.problem.context_shape == (0,)


@pytest.mark.parametrize("form", WRITERS)
def test_units_costs_and_segments_of_a_table(form: str, tmp_path: Path) -> None:
    rows = [
        {"variant": name, "loss": 2, "who": who, "x0": 1.0} for name, who in (("b", "ann"), ("a", ""), ("b", "bob"))
    ]
    naming = Naming(reward="loss", is_cost=True, unit="who")
    with read(form, tmp_path, rows, naming, segment="variant") as found:
        columns = found.columns()
        assert columns.reward.tolist() == [-2, -2, -2]
        assert columns.unit.tolist() == [unit_of("ann"), 0, unit_of("bob")]
        assert columns.context.tolist() == [[1.0]] * 3
        assert found.segments == ["b", "a"]


def test_more_labels_than_columns_share_them_by_their_hash(tmp_path: Path) -> None:
    labels = [f"city {i}" for i in range(LABELS_MAX + 1)]
    found = contexts("csv", tmp_path, labels)
    assert found.shape == (LABELS_MAX + 1, LABELS_MAX)
    assert found.argmax(axis=1).tolist() == [feature_number("", f"x={label}") % LABELS_MAX for label in labels]
    assert (
        contexts("csv", tmp_path, labels[:-1]).tolist()
        == np.eye(LABELS_MAX)[np.argsort(np.argsort(labels[:-1]))].tolist()
    )


@pytest.mark.parametrize("form", WRITERS)
def test_truth_and_mixtures_are_labels(form: str, tmp_path: Path) -> None:
    assert contexts(form, tmp_path, [True, False, True]).tolist() == [[0, 1], [1, 0], [0, 1]]
    if form != "parquet":  # a column there has one type
        assert contexts(form, tmp_path, ["red", "blue", 3]).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_a_feature_without_a_single_cell_is_missing_everywhere(tmp_path: Path) -> None:
    assert contexts("csv", tmp_path, ["", "NA", "null"]).tolist() == [[1.0]] * 3


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_cell_that_is_no_number_among_numbers_breaks_its_line(form: str, tmp_path: Path) -> None:
    cells = [1, 2, 3, "four", 5, "inf"]
    with read(form, tmp_path, [{"action": 0, "reward": 1, "x": x} for x in cells], Naming(features=("x",))) as rows:
        assert rows.columns().context.tolist() == [[1], [2], [3], [5]]
        first = 2 if form == "csv" else 1
        assert rows.bad_lines.lines == {"bad_context": [first + 3, first + 5]}


def test_a_time_that_is_none_breaks_its_line(tmp_path: Path) -> None:
    cells = ["2024-05-01", "2024-05-02 10:00", "soon"]
    with read("csv", tmp_path, [{"action": 0, "reward": 1, "x": x} for x in cells], Naming(features=("x",))) as rows:
        assert rows.columns().context[:, 0] == pytest.approx([0.0, 1.0 + 10.0 / 24.0])
        assert rows.bad_lines.lines == {"bad_context": [4]}


def test_features_of_many_pages_are_those_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"action": i % 3, "reward": 1, "c": f"c{rng.integers(9)}", "n": "" if rng.random() < 0.1 else rng.random()}
        for i in range(400)
    ]
    naming = Naming(features=("c", "n"))
    with read("csv", tmp_path, rows, naming) as whole:
        wanted = whole.columns().context
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 256)
    with read("csv", tmp_path, rows, naming) as pages:
        assert len(list(pages.pages())) > 5
        assert pages.columns().context.tobytes() == wanted.tobytes()
    assert not np.isnan(wanted).any()


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(
    ("naming", "words"),
    [
        (Naming(features=("colour",)), "has no column 'colour': it has action, reward, x"),
        (Naming(action="item"), "has no column 'item'"),
        (Naming(unit="who"), "has no column 'who'"),
    ],
)
def test_columns_that_are_not_there_are_refused(form: str, naming: Naming, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=words):
        read(form, tmp_path, [{"action": 0, "reward": 1, "x": 1}], naming)


def test_features_that_make_too_many_numbers_are_refused(tmp_path: Path) -> None:
    names = tuple(f"c{j}" for j in range(20))
    rows = [{"action": 0, "reward": 1, **dict.fromkeys(names, f"v{i}")} for i in range(60)]
    with pytest.raises(InvalidInput, match="the features make 1200 numbers of each row, 60 of them 'c0'"):
        read("csv", tmp_path, rows, Naming(features=names))


def test_lists_are_no_cells(tmp_path: Path) -> None:
    rows = [{"action": 0, "reward": 1, "x": [1, 2]}]
    with pytest.raises(InvalidInput, match="the column 'x' of the type list"):
        read("parquet", tmp_path, rows, Naming(features=("x",)))
    for more in ([], [{"action": 0, "reward": 1}] * 3):
        with pytest.raises(InvalidInput, match="has lists or objects under 'x'"):
            read("jsonl", tmp_path, [*more, *rows], Naming(features=("x",)))


def test_bytes_that_are_no_text_are_no_cells(tmp_path: Path) -> None:
    rows = [{"action": 0, "reward": 1, "x": b"\xff\xfe"}]
    with pytest.raises(InvalidInput, match="the column 'x' of bytes that are no text"):
        read("parquet", tmp_path, rows, Naming(features=("x",)))


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(("name", "what"), [("offer", "action"), ("paid", "reward"), ("chance", "propensity")])
def test_what_is_known_only_afterwards_is_no_feature(form: str, name: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"'{name}' is the {what} of the decision, and no feature"):
        read(form, tmp_path, TABLE, replace(NAMING, features=(name,)))


def test_blanks_around_a_name_are_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("action, reward , age ,a b\n0,1,30,2\n")
    with csv_table.read_rows(Source(tmp_path / "log.csv"), Wanted(naming=Naming(features=("age", "a b")))) as rows:
        assert rows.columns().context.tolist() == [[30.0, 2.0]]


def test_a_table_that_names_nothing_is_refused_with_what_to_say(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="say which columns they are: --action, --reward"):
        read("parquet", tmp_path, [{"offer": "a", "paid": 1}], Naming())
    assert math.isnan(read("parquet", tmp_path, [{"arm": "a", "click": 1}], Naming()).columns().propensity[0])
