"""Tables of decisions that moved a state: read from exports and from plain tables, and what is left out is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from onearm.api.log_files import writer
from onearm.api.offline.transitions import read_transitions
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

ROWS = [
    {"state": "low", "action": 1, "reward": 0.5, "next_state": "high", "user": 7},
    {"state": "high", "action": 0, "reward": 1.0, "next_state": None, "user": 7},
    {"state": "low", "action": 0, "reward": 0.0, "next_state": "low", "user": 8},
]


def write(folder: Path, form: str, rows: list[dict[str, Any]]) -> Path:
    path, table = folder / f"log.{form}", pa.Table.from_pylist(rows)
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "csv":
        pa_csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_plain_table_is_read_alike_in_every_format(tmp_path: Path, form: str) -> None:
    read = read_transitions(write(tmp_path, form, ROWS), columns={})
    assert list(read.actions) == [0, 1]
    assert list(read.states) == ["high", "low"]
    assert [read.states[s] for s in read.state] == ["low", "high", "low"]
    assert read.action.tolist() == [1, 0, 0]
    assert read.reward.tolist() == [0.5, 1.0, 0.0]
    assert read.following.tolist() == [0, 2, 1], "a missing next state is the end"
    assert any("left alone: user" in note for note in read.notes)


def test_columns_may_have_other_names_and_ends_may_be_said(tmp_path: Path) -> None:
    rows = [
        {"where": 3, "a": "x", "r": 1, "s_next": 5, "done": 0, "first": 1},
        {"where": 5, "a": "y", "r": 2, "s_next": 3, "done": 1, "first": 0},
    ]
    read = read_transitions(write(tmp_path, "csv", rows), columns={"state": "where"})
    assert (list(read.states), list(read.actions)) == ([3, 5], ["x", "y"])
    assert read.following.tolist() == [1, 2]
    assert read.begins.tolist() == [True, False]
    assert any("state from where" in note for note in read.notes)


def test_lines_that_lack_something_are_left_out_and_counted(tmp_path: Path) -> None:
    bad = [{**ROWS[0], "reward": None}, {**ROWS[0], "action": None}, {**ROWS[0], "state": None}]
    read = read_transitions(write(tmp_path, "jsonl", [*ROWS, *bad]), columns={})
    assert len(read.reward) == 3
    assert "left out: 3 lines without a state, an action, a reward or a next state" in read.notes


def test_an_export_holds_what_happened(tmp_path: Path) -> None:
    env = envs.make("admission")
    simulation = Simulation(policies.make("uniform"), env, horizon=400, seed=3)
    with writer(
        tmp_path / "a.jsonl", simulation.problem, {"policy": {"name": "uniform", "params": {}}, "seed": "3"}
    ) as out:
        out.write(log := simulation.advance_logged(400))
    read = read_transitions(tmp_path / "a.jsonl")
    learned = log.kind == 1
    assert read.state.tolist() == log.context[learned, 0].tolist()
    assert read.following.tolist() == log.detail[learned, 0].tolist()
    assert np.array_equal(read.reward, log.reward[learned])
    assert read.begins.tolist() == [True] + [False] * 399


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (
            [{"state": 1, "action": 1, "reward": 1}],
            {},
            "no column for next_state: it has state, action, reward; name it by",
        ),
        (ROWS, {"state": "place"}, "has no column 'place'"),
        ([{**ROWS[0], "reward": "much"}], {}, "are not numbers"),
        ([{**ROWS[0], "ended": "soon"}], {}, "the column 'ended' must hold true and false"),
        ([{**ROWS[0], "reward": None}], {}, "rewards|not one good line"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, rows: Any, columns: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_transitions(write(tmp_path, "jsonl", rows), columns=columns)


def test_a_log_without_states_is_refused(tmp_path: Path) -> None:
    simulation = Simulation(policies.make("ucb1"), envs.make("bernoulli"), horizon=10, seed=3)
    with writer(tmp_path / "a.jsonl", simulation.problem, {}) as out:
        out.write(simulation.advance_logged(10))
    with pytest.raises(InvalidInput, match="a log of decisions that move no state"):
        read_transitions(tmp_path / "a.jsonl")
    with pytest.raises(InvalidInput, match="transitions are read from jsonl, csv, parquet"):
        read_transitions(tmp_path / "a.vw")


def test_states_that_are_lists_or_objects_are_refused(tmp_path: Path) -> None:
    for name, value in (("state", {"row": 1}), ("action", [1]), ("next_state", {"row": 2})):
        rows = [{**ROWS[0], name: value}]
        with pytest.raises(InvalidInput, match=f"the column '{name}'") as refusal:
            read_transitions(write(tmp_path, "jsonl", rows), columns={})
        assert refusal.value.code == "bad_column"


def test_more_states_than_can_be_counted_are_refused(tmp_path: Path) -> None:
    def chain(states: int) -> Path:
        steps = [{"state": s, "action": s % 4, "reward": 1.0, "next_state": 0} for s in range(states)]
        return write(tmp_path, "csv", steps)

    assert len(read_transitions(chain(1000), columns={}).states) == 1000
    with pytest.raises(InvalidInput, match="1001 states and 4 actions") as refusal:
        read_transitions(chain(1001), columns={})
    assert refusal.value.code == "bad_states"
