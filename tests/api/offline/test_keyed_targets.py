"""Tables of a target find the log's lines by keys in any form; and a function is told the row of each decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import onearm
from onearm.api.offline.own import Batch
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array

CHANCES = [0.9, 0.2, 0.6, 0.4]
NOON = datetime(2026, 3, 1, 12)


def log(**columns: Any) -> polars.DataFrame:
    """Return a log of four decisions, of which each has a reward of its own."""
    known = {"action": ["a", "b", "a", "b"], "reward": [1.0, 2.0, 4.0, 8.0], "propensity": [0.5] * 4}
    return polars.DataFrame(known | columns)


def value_of(data: Any, target: Any, **asked: Any) -> float:
    found: float = onearm.evaluate(data, target, method="ips", **asked).to_dict()["estimates"][0]["value"]
    return found


EXPECTED = sum(2 * chance * reward for chance, reward in zip(CHANCES, [1, 2, 4, 8], strict=True)) / 4
NAIVE = [NOON + timedelta(hours=hour) for hour in range(4)]


@pytest.mark.parametrize(
    ("of_log", "of_table"),
    [
        (NAIVE, NAIVE),
        (NAIVE, [each.replace(tzinfo=UTC) for each in NAIVE]),
        (NAIVE, [each.isoformat() for each in NAIVE]),
        ([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]),
        ([1.0, 2.0, 3.0, None], [1, 2, 3, None]),
        (["1", "2", "3", "4"], [1.0, 2.0, 3.0, 4.0]),
        ([0.5, 1.5, 2.5, 3.5], ["0.5", "1.5", "2.5", "3.5"]),
        (["x", "y", "z", None], ["x", "y ", "z", ""]),
    ],
)
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_keys_are_the_same_in_any_form(of_log: list[Any], of_table: list[Any], form: str, tmp_path: Path) -> None:
    table = polars.DataFrame({"key": of_table, "probability": CHANCES})
    path = tmp_path / f"new.{form}"
    table.write_parquet(path) if form == "parquet" else table.write_csv(path)
    data = log(key=of_log)
    data.write_csv(tmp_path / "log.csv")
    for each in (data, tmp_path / "log.csv"):
        assert value_of(each, f"table:{path}") == pytest.approx(EXPECTED)


def test_actions_of_a_table_are_found_in_any_form(tmp_path: Path) -> None:
    keys = [key for key in range(4) for _ in range(2)]
    table = {"key": keys, "action": [0.0, 1.0] * 4, "probability": [0.9, 0.1, 0.8, 0.2, 0.6, 0.4, 0.6, 0.4]}
    polars.DataFrame(table).write_parquet(tmp_path / "new.parquet")
    for actions in ([0, 1, 0, 1], ["0", "1", "0", "1"]):
        assert value_of(log(action=actions, key=range(4)), f"table:{tmp_path / 'new.parquet'}") == pytest.approx(
            EXPECTED
        )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"key": [1, 2, 3, 4], "propensity": [0.5] * 4, "probability": CHANCES},
            "of probabilities, propensity",
        ),
        ({"key": [1, 2, 3, 4, 1.0], "probability": [*CHANCES, 0.5]}, "several lines for the same key"),
        ({"key": [], "probability": []}, "has no lines"),
        ({"key": [1, 2, 3], "probability": CHANCES[:3]}, "no line for an empty cell, which is line 4"),
        ({"key": [2**53 + 1, None], "probability": CHANCES[:2]}, r"'key' has numbers from 2\^53 on"),
    ],
)
def test_tables_that_tell_too_little_or_too_much_are_refused(
    table: dict[str, list[Any]], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "new.parquet"
    polars.DataFrame(table, strict=False).write_parquet(path)
    with pytest.raises(InvalidInput, match=said):
        onearm.evaluate(log(key=[1, 2, 3, None]), f"table:{path}")


def test_a_csv_without_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("key,probability\n")
    with pytest.raises(InvalidInput, match="has no lines"):
        onearm.evaluate(log(key=[1, 2, 3, 4]), f"table:{tmp_path / 'new.csv'}")


@pytest.mark.parametrize("form", ["frame", "parquet", "jsonl", "csv"])
def test_a_function_indexes_its_own_array_by_the_row_of_the_table(form: str, tmp_path: Path) -> None:
    data = log(reward=[1.0, None, 4.0, 8.0], x0=[0.0, 0.0, None, 0.0])  # no reward of row 1, a bad context in row 2
    path = tmp_path / f"log.{form}"
    if form != "frame":
        {"csv": data.write_csv, "jsonl": data.write_ndjson, "parquet": data.write_parquet}[form](path)
    of_a = np.array([0.9, 0.8, 0.6, 0.6])
    seen: list[list[int]] = []

    def mine(batch: Batch) -> Array:
        seen.append(batch.row.tolist())
        return np.stack([of_a[batch.row], 1.0 - of_a[batch.row]], 1)

    value = value_of(data if form == "frame" else path, mine, arms=2)
    assert seen == [[0, 3]]
    assert value == pytest.approx((2 * 0.9 * 1.0 + 2 * 0.4 * 8.0) / 2)


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_of_several_files_a_function_is_told_the_rows_of_all(form: str, tmp_path: Path) -> None:
    """As of the files read one after another: rows without a reward, and bad ones, count too."""
    for name, rewards in (("1", [1.0, None, 4.0, 8.0]), ("2", [None, 3.0, 5.0, 6.0])):
        data = log(reward=rewards, x0=[0.0, 0.0, None, 0.0])
        path = tmp_path / f"{name}.{form}"
        {"csv": data.write_csv, "jsonl": data.write_ndjson, "parquet": data.write_parquet}[form](path)
    seen: list[int] = []

    def mine(batch: Batch) -> Array:
        seen.extend(batch.row.tolist())
        return np.full((len(batch), 2), 0.5)

    found = onearm.evaluate(tmp_path, mine, arms=2)
    assert seen == [0, 3, 5, 7]
    assert sum(found.to_dict()["bad_lines"].values()) == 2


@pytest.mark.parametrize("form", ["frame", "parquet", "jsonl"])
def test_what_was_not_read_is_told_where_a_context_is_a_list_too(form: str, tmp_path: Path) -> None:
    data = log(action=[0, 1, 0, 1], context=[[0.0], [1.0], [0.0], [2.0]], country=["at"] * 4)
    path = tmp_path / f"log.{form}"
    if form != "frame":
        {"jsonl": data.write_ndjson, "parquet": data.write_parquet}[form](path)
    for target, unused in (("uniform", ["context", "country"]), ("linucb", ["country"])):
        found = onearm.evaluate(data if form == "frame" else path, target, arms=2).to_dict()
        assert found["unused_columns"] == unused
        assert f"columns that were not read: {', '.join(unused)}" in found["notes"]
