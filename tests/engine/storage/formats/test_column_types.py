"""Columns of any type that a library writes: whole numbers of any size, labels that are kept once, times, spans."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.storage.formats import frame, parquet
from onearm.engine.storage.rows import Naming, Rows, Wanted
from onearm.engine.storage.source import Source

LARGE = 2**53 + 1  # no float64


def rows_of(table: Any, *features: str) -> Rows:
    """Return the rows of a table."""
    return frame.read_rows(frame.arrow_of(table), Wanted(naming=Naming(features=features)))


def log(**columns: Any) -> polars.DataFrame:
    """Return a log of four decisions with more columns."""
    return polars.DataFrame({"action": ["a", "b", "a", "b"], "reward": [1.0, 0.0, 1.0, 1.0]} | columns)


@pytest.mark.parametrize("dtype", [polars.Int64, polars.UInt64])
def test_whole_numbers_beyond_2_to_the_53_are_read_as_the_nearest_float(dtype: Any) -> None:
    large = polars.Series([0, LARGE, 3, LARGE], dtype=dtype)
    for table, features in ((log(x0=large), []), (log(d=large), ["d"])):
        with rows_of(table, *features) as rows:
            assert rows.columns().context[:, 0].tolist() == [0.0, 2.0**53, 3.0, 2.0**53]
            assert not rows.bad_lines.count
    with rows_of(log(reward=large)) as rows:
        assert rows.columns().reward.tolist() == [0.0, 2.0**53, 3.0, 2.0**53]


def test_a_large_number_and_a_missing_one_may_stand_in_one_column() -> None:
    with rows_of(log(d=polars.Series([None, LARGE, 2**64 - 1, 1], dtype=polars.UInt64)), "d") as rows:
        assert rows.columns().context.tolist() == [[0.0, 1.0], [2.0**53, 0.0], [2.0**64, 0.0], [1.0, 0.0]]


def test_actions_beyond_2_to_the_63_are_bad_lines() -> None:
    for more in ({}, {"context": [[1.0], [2.0], [3.0], [4.0]]}):
        table = log(action=polars.Series([0, 1, 1, 2**64 - 1], dtype=polars.UInt64), **more)
        with rows_of(table) as rows:
            assert (len(rows), dict(rows.bad_lines.count)) == (3, {"bad_action": 1})


@pytest.mark.parametrize("kind", [polars.Categorical, polars.Enum(["a", "b", "de", "fr"])])
def test_labels_that_polars_keeps_once_are_read_as_texts(kind: Any, tmp_path: Path) -> None:
    texts = log(country=["de", None, "fr", "de"])
    table = texts.with_columns(polars.col("action").cast(kind), polars.col("country").cast(kind))
    table.write_parquet(tmp_path / "log.parquet")
    wanted = Wanted(naming=Naming(features=("country",)), segment="country")
    with (
        rows_of(texts, "country") as expected,
        rows_of(table, "country") as rows,
        parquet.read_rows(Source(tmp_path / "log.parquet"), wanted) as of_file,
    ):
        for found in (rows, of_file):
            assert found.labels == ["a", "b"]
            assert np.array_equal(found.columns().context, expected.columns().context)


def test_segments_that_polars_keeps_once_are_read_of_a_table_with_lists() -> None:
    table = log(action=[0, 1, 0, 1], context=[[1.0]] * 4, country=["de", "fr", "de", "de"])
    table = table.with_columns(polars.col("country").cast(polars.Categorical))
    with frame.read_rows(frame.arrow_of(table), Wanted(segment="country")) as rows:
        assert rows.segments == ["de", "fr"]


def test_times_of_nanoseconds_are_read(tmp_path: Path) -> None:
    start = 20_000 * 86_400 * 10**9
    times = polars.Series([start, start + 1, start + 1_001, start + 3_600 * 10**9])
    table = log(seen=times.cast(polars.Datetime("ns", "UTC")))
    table.write_parquet(tmp_path / "log.parquet")
    wanted = Wanted(naming=Naming(features=("seen",)))
    with (
        rows_of(table, "seen") as rows,
        rows_of(table.to_pandas(), "seen") as of_pandas,
        parquet.read_rows(Source(tmp_path / "log.parquet"), wanted) as of_file,
    ):
        for found in (rows, of_pandas, of_file):
            days = found.columns().context[:, 0]
            assert np.allclose(days, [0.0, 0.0, 1e-6 / 86_400, 1 / 24], atol=1e-12) and days[2] > 0.0


@pytest.mark.parametrize(
    "table",
    [
        log(waited=[timedelta(seconds=1)] * 4),
        pandas.DataFrame({"action": ["a"], "reward": [1], "waited": [timedelta(seconds=1)]}),
        pa.table({"action": ["a"], "reward": [1], "waited": pa.array([(0, 0, 10**9)], pa.month_day_nano_interval())}),
    ],
    ids=["polars", "pandas", "months"],
)
def test_a_span_of_time_is_refused_as_a_feature(table: Any) -> None:
    with pytest.raises(InvalidInput, match=r"the column 'waited' .*span of time: make it a number"):
        rows_of(table, "waited")


def test_a_span_of_time_that_nobody_asks_for_is_left_alone() -> None:
    with rows_of(pa.table({"action": ["a"], "reward": [1], "waited": pa.array([1], pa.duration("s"))})) as rows:
        assert rows.unused == ["waited"]
