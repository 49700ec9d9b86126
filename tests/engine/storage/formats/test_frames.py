"""Tables in memory, of any library with the Arrow PyCapsule interface, are read as files of the same columns are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.storage.formats import csv_table, frame, jsonl, parquet
from onearm.engine.storage.rows import Naming, Wanted
from onearm.engine.storage.source import Source

COLUMNS: dict[str, list[Any]] = {
    "offer": ["mug", "hat", "mug", "cup"],
    "paid": [2.5, 0.0, 1.0, 1.0],
    "chance": [0.5, 0.25, 0.5, 1.0],
    "country": ["de", "fr", "de", None],
    "age": [31.0, 40.5, None, 18.0],
}
NAMING = Naming(action="offer", reward="paid", propensity="chance", features=("country", "age"))


class Foreign:
    """A table of a library that nobody has heard of."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


LIBRARIES: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "pandas": pandas.DataFrame,
    "polars": polars.DataFrame,
    "arrow": pa.table,
    "foreign": Foreign,
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_table_in_memory_is_read_as_a_parquet_file_is(library: str, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table(COLUMNS), path)
    wanted = Wanted(naming=NAMING)
    with (
        parquet.read_rows(Source(path), wanted) as of_file,
        frame.read_rows(frame.arrow_of(LIBRARIES[library](COLUMNS)), wanted) as rows,
    ):
        expected, found = of_file.columns(), rows.columns()
        assert rows.labels == of_file.labels == ["cup", "hat", "mug"]
        assert rows.notes == of_file.notes
    for name in ("action", "reward", "propensity", "context"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_a_table_in_memory_is_read_in_pages_and_not_copied() -> None:
    n = 200_000
    table = polars.DataFrame({"action": np.zeros(n, np.int64), "reward": np.arange(n) % 2, "x0": np.ones(n)})
    arrow = frame.arrow_of(table)
    assert arrow["x0"].chunk(0).buffers()[1].address == table["x0"].to_arrow().buffers()[1].address
    told: list[int] = []
    with frame.read_rows(arrow, Wanted(), told.append) as rows:
        assert (len(rows), sum(told), len(told) > 3) == (n, n, True)
        assert [int(page.line[0]) for page in rows.pages()][:2] == [1, told[0] + 1]


def test_a_reward_may_be_true_or_false(tmp_path: Path) -> None:
    columns = {"action": [0, 1, 1], "clicked": [True, False, None]}
    with frame.read_rows(frame.arrow_of(pa.table(columns)), Wanted()) as rows:
        assert (rows.columns().reward.tolist(), rows.decisions) == ([1.0, 0.0], 3)
    path = tmp_path / "log.csv"
    path.write_text("action,clicked\n0,True\n1,False\n1,\n")
    with csv_table.read_rows(Source(path), Wanted()) as rows:
        assert rows.columns().reward.tolist() == [1.0, 0.0]


def test_columns_called_as_features_are_the_context_in_every_format(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"action": [0, 1], "reward": [1, 0], "propensity": [0.5, 0.5], "x0": [3.0, 4.0]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    lines = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for form in (parquet, jsonl):
        path = tmp_path / f"log.{form.__name__.rpartition('.')[2]}"
        with form.read_rows(Source(path), Wanted()) as rows:
            assert rows.columns().context.tolist() == [[3.0], [4.0]], path


def test_columns_that_no_plain_table_reads_are_told(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"action": [0, 1], "reward": [1, 0], "country": ["de", "fr"]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    lines = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for form in (parquet, jsonl):
        with form.read_rows(Source(tmp_path / f"log.{form.__name__.rpartition('.')[2]}"), Wanted()) as rows:
            assert rows.unused == ["country"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pandas.DataFrame({"action": [0], "reward": [1], "what": [object()]}), "the columns that are needed"),
        (pa.table([[0], [1], [1]], names=["action", "reward", "reward"]), "two columns 'reward'"),
        (pa.table({"action": [0], "reward": [1], "context": [{"start": [0]}]}), "the type struct.*a list of numbers"),
        (pa.table({"action": [0], "reward": [1], "context": ["{}"]}), "of the type string: a context is a list of"),
        (pa.table({"action": [0], "reward": [1], "context": [["a"]]}), "of the type list.*a context is a list of"),
        (pa.table({"offer": [0], "paid": [1]}), "the table is not a table of decisions: its columns must name"),
    ],
)
def test_what_cannot_be_read_is_refused(table: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        frame.read_rows(frame.arrow_of(table), Wanted())


def test_an_index_without_a_name_is_no_column() -> None:
    table = pandas.DataFrame({"action": [0, 1], "reward": [1, 0]}).iloc[[1, 0]]
    with frame.read_rows(frame.arrow_of(table), Wanted()) as rows:
        assert (rows.unused, rows.columns().action.tolist()) == ([], [1, 0])


def test_arms_that_have_names_are_read_in_every_format(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"action": ["mug", "hat"], "reward": [1, 0]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    (tmp_path / "log.jsonl").write_text('{"action":"mug","reward":1}\n{"action":"hat","reward":0}\n')
    for form in (parquet, jsonl):
        with form.read_rows(Source(tmp_path / f"log.{form.__name__.rpartition('.')[2]}"), Wanted()) as rows:
            assert (rows.labels, rows.columns().action.tolist()) == (["hat", "mug"], [1, 0])
