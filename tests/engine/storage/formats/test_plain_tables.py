"""Plain tables of decisions, as JSON lines and as Parquet."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.exported import EXPORTS

from onearm.engine.errors import InvalidInput
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.vocabulary import DECIDE, Problem


def plain_jsonl(path: Path, table: dict[str, list[object]]) -> None:
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def plain_parquet(path: Path, table: dict[str, list[object]]) -> None:
    pq.write_table(pa.table(table), path)


@pytest.mark.parametrize(("form", "write"), [(jsonl, plain_jsonl), (parquet, plain_parquet)], ids=EXPORTS)
def test_a_plain_table_of_decisions_is_read(
    form: types.ModuleType, write: Callable[[Path, dict[str, list[object]]], None], tmp_path: Path
) -> None:
    table: dict[str, list[object]] = {"note": ["a", "b", "c"], "action": [2, 0, 1], "reward": [1.0, 0.0, 0.5]}
    write(tmp_path / "log", table)
    log = form.read(tmp_path / "log")
    assert (log.problem, log.spec, log.events) == (Problem(3), None, None)
    assert log.table.kind.tolist() == [DECIDE] * 3
    assert log.table.number.tolist() == [0, 1, 2]
    assert log.table.action.tolist() == [2, 0, 1]
    assert log.table.reward.tolist() == [1.0, 0.0, 0.5]
    assert np.isnan(log.table.propensity).all()
    table |= {"propensity": [0.5, None, 0.25], "context": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}
    write(tmp_path / "log", table)
    log = form.read(tmp_path / "log")
    assert log.problem == Problem(3, (2,))
    np.testing.assert_array_equal(log.table.propensity, [0.5, math.nan, 0.25])
    np.testing.assert_array_equal(log.table.context, [[1, 2], [3, 4], [5, 6]])
    assert not log.bad_lines.count


@pytest.mark.parametrize(("form", "write"), [(jsonl, plain_jsonl), (parquet, plain_parquet)], ids=EXPORTS)
def test_bad_rows_of_a_plain_table_are_named_and_the_rest_goes_on(
    form: types.ModuleType, write: Callable[[Path, dict[str, list[object]]], None], tmp_path: Path
) -> None:
    table: dict[str, list[object]] = {
        "action": [0, -1, 1, 2, 1, 10**9],
        "reward": [1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
        "propensity": [0.5, 0.5, 2.0, 0.5, 1.0, 1.0],
        "context": [[1.0], [1.0], [1.0], [1.0, 2.0], [3.0], [4.0]],
    }
    write(tmp_path / "log", table)
    log = form.read(tmp_path / "log")
    assert log.bad_lines.lines == {"bad_context": [4], "bad_action": [2, 6], "bad_propensity": [3]}
    assert log.problem == Problem(2, (1,))
    assert log.table.number.tolist() == [0, 1]
    assert log.table.reward.tolist() == [1.0, 0.0]


def test_parquet_rows_without_an_action_or_a_finite_reward_are_bad(tmp_path: Path) -> None:
    table = {"action": [0, None, 1, 1], "reward": [1.0, 1.0, None, math.inf]}
    plain_parquet(tmp_path / "log", table)
    log = parquet.read(tmp_path / "log")
    assert log.bad_lines.lines == {"bad_action": [2], "bad_reward": [4]}  # the third reward has not come yet
    assert log.table.reward.tolist() == [1.0]
    plain_parquet(tmp_path / "log", {"action": [0.0, 1.0, 0.5], "reward": [1, 0, 1]})
    log = parquet.read(tmp_path / "log")
    assert log.bad_lines.lines == {"bad_action": [3]}
    assert log.table.action.tolist() == [0, 1]


def test_a_parquet_file_without_a_needed_column_names_it(tmp_path: Path) -> None:
    plain_parquet(tmp_path / "log.parquet", {"action": [1], "clicks": [1.0]})
    with pytest.raises(InvalidInput, match=r"and a reward \(reward, .*, and has 'action, clicks'"):
        parquet.read(tmp_path / "log.parquet")
