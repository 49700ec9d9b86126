"""The Open Bandit Dataset read as one table: figures of its sample, lines by time, bad ones named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.storage.formats import obd
from onearm.engine.vocabulary import Problem


@pytest.mark.parametrize(("policy", "clicks"), [("random", 46), ("bts", 69)])
def test_the_open_bandit_sample_has_its_known_figures(data_folder: Path, policy: str, clicks: int) -> None:
    """Both counts are by `awk -F, 'NR > 1 { clicks += $5 } END { print clicks }'`."""
    log = obd.read(data_folder / "obd" / policy / "men" / "men.csv.gz")
    assert log.problem == Problem(34)
    assert len(log.table.kind) == 10_000
    assert log.table.reward.sum() == clicks
    assert not log.bad_lines.count
    if policy == "random":
        np.testing.assert_array_equal(log.table.propensity, 1 / 34)
    else:
        assert log.table.propensity.min() < 1 / 34 < log.table.propensity.max()


OBD_HEADER = ",timestamp,item_id,position,click,propensity_score,user-item_affinity_0,user-item_affinity_1"


def obd_line(second: int, item: object = 0, click: object = 0, propensity: object = 0.5) -> str:
    return f"0,2019-11-24 00:00:{second:02d}.5+00:00,{item},1,{click},{propensity},0.0,0.0"


def test_open_bandit_lines_are_sorted_by_time(tmp_path: Path) -> None:
    path = tmp_path / "men.csv"
    seconds = [3, 1, 2] * 20
    lines = [obd_line(second, click=place) for place, second in enumerate(seconds)]
    path.write_text("\n".join([OBD_HEADER, *lines, ""]))
    log = obd.read(path)
    assert log.problem == Problem(2)  # by the affinities
    # Python's sort is stable: lines of the same moment stay in their order.
    assert log.table.reward.tolist() == sorted(range(60), key=lambda place: seconds[place])
    (tmp_path / "item_context.csv").write_text(",item_id,item_feature_0\n0,0,1.0\n1,4,1.0\n")
    assert obd.read(path).problem == Problem(5)


def test_bad_lines_of_an_open_bandit_file_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "men.csv"
    lines = [
        obd_line(1, 1, 1),  # line 2
        "broken,line",
        obd_line(2, "x"),
        obd_line(3, 2),
        obd_line(4, 0, ""),
        obd_line(5, 0, 0, "nan"),
        obd_line(6, 0, 0, 0),
        "",
        obd_line(7).replace("2019-11-24", "yesterday"),  # line 10
        obd_line(8, 0.5),
        obd_line(9),
        obd_line(10)[:30],
    ]
    path.write_text("\n".join([OBD_HEADER, *lines]))
    log = obd.read(path)
    assert log.bad_lines.lines == {
        "broken": [3, 9, 13],
        "bad_action": [4, 5, 11],
        "bad_reward": [6],
        "bad_propensity": [7, 8],
        "bad_timestamp": [10],
    }
    assert log.table.action.tolist() == [1, 0]


def test_an_open_bandit_file_without_a_needed_column_names_it(tmp_path: Path) -> None:
    (tmp_path / "men.csv").write_text("timestamp,item_id,click\n")
    with pytest.raises(InvalidInput, match="no column 'propensity_score'"):
        obd.read(tmp_path / "men.csv")
