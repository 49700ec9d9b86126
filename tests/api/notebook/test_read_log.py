"""`onearm.read_log`: any log as an object that shows itself, and as a DataFrame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest

import onearm
from onearm.engine.errors import InvalidInput

COLUMNS = {
    "offer": ["mug", "hat", "mug"],
    "cost": [1.5, 0.0, 2.0],
    "country": ["de", None, "at"],
    "age": [31, 40, 50],
}


def test_a_log_is_read_as_evaluate_reads_it_and_shows_itself() -> None:
    log = onearm.read_log(polars.DataFrame(COLUMNS), action="offer", features=["country", "age"])
    assert (len(log), log.arms) == (3, ["hat", "mug"])
    frame = log.to_frame()
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == ["action", "reward", "propensity", "country=at", "country=de", "country missing", "age"]
    assert frame["action"].to_list() == COLUMNS["offer"] and frame["reward"].to_list() == [-1.5, 0.0, -2.0]
    assert frame["country missing"].to_list() == [0.0, 1.0, 0.0]
    assert frame["propensity"].is_nan().all()
    assert "the table: 3 decisions among 2 arms, mean reward -1.16667" in repr(log)
    assert "<td" in log._repr_html_() and "rewards are minus &#x27;cost&#x27;" in log._repr_html_()


def test_features_keep_their_names() -> None:
    columns = {"action": [0, 1], "reward": [1, 0], "feature_3": [0.5, 1.5]}
    assert onearm.read_log(polars.DataFrame(columns)).to_frame()["feature_3"].to_list() == [0.5, 1.5]


def test_logs_of_vowpal_wabbit_are_read_with_a_dimension(root: Path) -> None:
    path = root / "tests" / "data" / "dsjson" / "dsjson_cb.json"
    without, hashed = (onearm.read_log(path, format="dsjson", dimension=columns) for columns in (None, 8))
    assert (without.features, len(hashed.features)) == ([], 8)
    assert np.array_equal(without.columns.reward, hashed.columns.reward)


def test_columns_of_what_is_no_table_are_refused(root: Path) -> None:
    path = root / "tests" / "data" / "dsjson" / "dsjson_cb.json"
    with pytest.raises(InvalidInput, match="is no table of decisions"):
        onearm.read_log(path, format="dsjson", action="offer")
