"""Exports of logs: what is written is read back to the bit, and looks as documented."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.exported import EXPORTS, KINDS, SPEC, assert_same, sets

from onearm.engine.columns import concat, empty, rewarded, take
from onearm.engine.contexts import context_at, first_actions, n_actions, pack_context
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.formats.arrow_arrays import values_of
from onearm.engine.storage.log import header_of
from onearm.engine.storage.records import Event
from onearm.engine.storage.source import Source
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Columns, Features, Problem


@pytest.fixture(params=EXPORTS)
def form(request: pytest.FixtureRequest) -> types.ModuleType:
    return EXPORTS[request.param]


@st.composite
def logs(draw: st.DrawFn) -> tuple[Problem, Columns]:
    """A log in which each decision is learned at most once, at any time after it."""
    shape: tuple[int, ...] = draw(st.sampled_from([(0,), (1,), (3,)]))
    problem = Problem(draw(st.integers(1, 10)), shape, draw(st.sampled_from([None, 50])))
    n = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    masked = draw(st.booleans())
    columns = empty(2 * n, problem, masked=masked)
    order = rng.permutation(np.repeat(np.arange(n), 2))
    first = np.array([row == list(order).index(number) for row, number in enumerate(order)], np.bool_)
    rank = np.cumsum(first)[np.array([list(order).index(number) for number in order], np.int64)] - 1
    columns.kind[:] = np.where(first, DECIDE, LEARN)
    columns.number[:] = rank  # decisions are numbered as they come
    columns.action[:] = rng.integers(0, problem.n_arms, n)[rank]
    columns.propensity[:] = np.where(rng.random(n) < 0.3, np.nan, rng.random(n) + 1e-300)[rank]
    columns.reward[~first] = rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n)
    columns.context[:] = rng.normal(size=(n, *shape))[rank]
    if masked and n:
        masks = rng.random((n, problem.n_arms)) < 0.5
        columns.available[:] = masks[rank]
        columns.available[np.arange(2 * n), columns.action] = True
    return problem, take(columns, rng.random(2 * n) < 0.8 if draw(st.booleans()) else slice(None))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), cut=st.integers(0, 24))
def test_an_export_is_read_back_to_the_bit(
    form: types.ModuleType, tmp_path: Path, log: tuple[Problem, Columns], cut: int
) -> None:
    problem, columns = log
    known = np.isin(columns.number, columns.number[columns.kind == DECIDE])
    columns = take(columns, known)  # a reward without its decision is a bad line, tested below
    with form.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write(take(columns, slice(0, cut)))
        out.write(take(columns, slice(cut, None)))
    read = form.read(tmp_path / "log")
    assert read.problem == problem
    assert read.spec == SPEC
    assert not read.bad_lines.count
    assert read.events is not None
    assert_same(read.events, columns)
    assert_same(read.table, rewarded(columns))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=sets(), cut=st.integers(0, 12))
def test_action_sets_are_read_back_to_the_bit(
    form: types.ModuleType, tmp_path: Path, log: tuple[Problem, Columns, list[bytes]], cut: int
) -> None:
    problem, columns, _ = log
    with form.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write(take(columns, slice(0, cut)))
        out.write(take(columns, slice(cut, None)))
    read = form.read(tmp_path / "log")
    assert read.problem == problem
    assert not read.bad_lines.count
    assert read.events is not None
    found = read.events
    for name in Columns._fields[:5]:
        assert getattr(found, name).tobytes() == getattr(columns, name).tobytes(), name
    n, k = len(columns.kind), columns.available.shape[1]
    np.testing.assert_array_equal(np.broadcast_to(found.available, (n, k)), np.broadcast_to(columns.available, (n, k)))
    for row in range(n):
        one, other = (pack_context(context_at(each.context, row), problem) for each in (found, columns))
        assert one == other


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=sets())
def test_action_sets_of_the_database_are_exported(
    form: types.ModuleType, tmp_path: Path, log: tuple[Problem, Columns, list[bytes]]
) -> None:
    problem, columns, packed = log
    events = []
    sizes = n_actions(packed, problem)
    for row in range(len(columns.kind)):
        kind, number = int(columns.kind[row]), int(columns.number[row])
        event = Event(1, row + 1, kind, number, int(columns.action[row]), float(columns.propensity[row]))
        if kind == DECIDE:
            mask = columns.available[min(row, len(columns.available) - 1), : sizes[number]]
            bits = None if mask.all() else np.packbits(mask).tobytes()
            events.append(event._replace(context=packed[number], available=bits))
        else:
            events.append(event._replace(reward=float(columns.reward[row])))
    with form.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write_events(events[:3])
        out.write_events(events[3:])
    read = form.read(tmp_path / "log")
    assert not read.bad_lines.count
    found = read.events
    assert found is not None
    assert found.reward.tobytes() == columns.reward.tobytes()
    for row in range(len(columns.kind)):
        context = first_actions(context_at(found.context, row), sizes[columns.number[row]])
        assert pack_context(context, problem) == packed[columns.number[row]]
        masks = (each.available[min(row, len(each.available) - 1)] for each in (found, columns))
        assert len({mask.tobytes() for mask in masks}) == 1


def test_a_bad_action_set_is_a_bad_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    """The one line in the middle is bad; what is around it is read."""
    good = {"actions": [[1, 2, 3]], "named": [[], [3, 1.5]]}
    wrong: dict[str, list[Any]] = {
        "actions": [None, [], [[1, 2]], [[1, 2, "x"]], [[1, 2, 3]] * 5, 7, [1, 2, 3], [[[1, 2, 3]]]],
        "named": [
            None,
            [],
            [[1, 2]],
            [[], [1]],
            [[], [1.5, 2]],
            [[], [64, 2]],
            [[], [-1, 2]],
            [[]] * 6,
            [[], [[1, 2]]],
        ],
    }
    for kind, problem in KINDS.items():
        for bad in wrong[kind]:
            lines: list[dict[str, Any]] = [
                {"onearm": 1, "problem": header_of(problem, {})["problem"], "experiment": {}}
            ]
            for number, context in enumerate((good[kind], bad, good[kind])):
                lines.append({"kind": "decide", "seq": number + 1, "number": number, "action": 0, "propensity": 1.0})
                lines[-1]["context"] = context
            (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
            read = jsonl.read(tmp_path / "log.jsonl")
            assert sum(read.bad_lines.count.values()) == 1, bad
            assert read.events is not None
            assert read.events.number.tolist() == [0, 2]


def test_the_lines_of_action_sets_look_as_documented(tmp_path: Path) -> None:
    features = Features(np.array([[0, 1, 1, 3]]), np.array([7, 3, 5], np.uint32), np.array([1.0, 0.5, 2.0]))
    shown = {
        "actions": (np.array([[[1.0, 2.0, 3.0]] * 2]), [[1, 2, 3]] * 2),
        "named": (features, [[7, 1], [], [3, 0.5, 5, 2]]),
    }
    for kind, (context, lists) in shown.items():
        columns = empty(1, KINDS[kind])._replace(context=context, available=np.array([[False, True]]))
        columns.action[:] = 1
        with jsonl.Writer(tmp_path / "log.jsonl", KINDS[kind], SPEC) as out:
            out.write(columns)
        header, line = (json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines())
        assert header["problem"].get("nonzeros") == KINDS[kind].nonzeros
        assert (line["context"], line["available"]) == (lists, [1])
        with parquet.Writer(tmp_path / "log.parquet", KINDS[kind], SPEC) as table:
            table.write(columns)
        row = pq.read_table(tmp_path / "log.parquet").to_pylist()[0]
        wanted = {"start": [0, 1, 1, 3], "index": [7, 3, 5], "value": [1.0, 0.5, 2.0]} if kind == "named" else lists
        assert (row["context"], row["available"]) == (wanted, [False, True])


def test_an_export_of_the_database_holds_the_columns_of_the_database(form: types.ModuleType, tmp_path: Path) -> None:
    problem = Problem(9, (2,))
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    key = store.add_experiment("e", "{}", b"", "{}", 0).key
    mask = np.packbits(np.arange(9) % 2 == 0).tobytes()
    events = [
        Event(key, 1, DECIDE, 0, 4, None, context=np.array([1.5, -2]).tobytes(), available=mask, sent='{\n"a": 1}'),
        Event(key, 2, CHANGE, detail='{"archived": true}'),
        Event(key, 3, DECIDE, 1, 1, 0.25, context=np.array([0.1, 0]).tobytes(), decision_id='"\u00e9\n', unit_id="u"),
        Event(key, 4, LEARN, 1, 1, 0.25, -1.5, reward_id="r"),
        Event(key, 5, LEARN, 0, 4, None, 2.5, reward_id="", time=123),
    ]
    store.append(events)
    with form.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write_events(store.read_events(key, 0, limit=2))
        out.write_events(store.read_events(key, 2))
    wanted = concat([columns for columns, _, _ in store.columns(key, problem)])
    store.close()
    told = form.read_events(Source(tmp_path / "log"))
    assert [event.unit_id for event in told.rows] == [None, None, "u", None, None]
    read = form.read(tmp_path / "log")
    assert not read.bad_lines.count
    assert read.events is not None
    assert_same(read.events, wanted)
    assert read.table.number.tolist() == [0, 1]
    assert read.table.reward.tolist() == [2.5, -1.5]


def test_a_json_export_looks_as_documented(tmp_path: Path) -> None:
    problem = Problem(3, (2,))
    columns = empty(2, problem, masked=True)
    columns.kind[1], columns.reward[1] = LEARN, 1.0
    columns.action[:], columns.propensity[0] = 2, 0.25
    columns.context[0] = 0.5, -1.0
    columns.available[:, 1] = False
    with jsonl.Writer(tmp_path / "log.jsonl", problem, SPEC) as out:
        out.write(columns)
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [
        {"onearm": 1, "problem": {"n_arms": 3, "context_shape": [2], "horizon": None}, "experiment": SPEC},
        {
            "kind": "decide",
            "seq": 1,
            "number": 0,
            "action": 2,
            "propensity": 0.25,
            "context": [0.5, -1.0],
            "available": [0, 2],
        },
        {"kind": "learn", "seq": 2, "number": 0, "reward": 1.0},
    ]


def test_a_parquet_export_carries_units_and_is_no_puzzle_to_others(tmp_path: Path) -> None:
    problem = Problem(3, (2,))
    columns = empty(2, problem)
    columns.kind[1], columns.reward[1] = LEARN, 1.0
    columns.context[:] = 0.5, -1.0
    with parquet.Writer(tmp_path / "log.parquet", problem, SPEC) as out:
        out.write(columns)
    table = pq.read_table(tmp_path / "log.parquet")
    assert table.column("kind").to_pylist() == [0, 1]
    assert table.column("propensity").to_pylist() == [None, None]
    assert table.column("reward").to_pylist() == [None, 1.0]
    assert table.column("context").to_pylist() == [[0.5, -1.0], None]
    assert table.column("available").to_pylist() == [None, None]
    assert table.schema.field("propensity").metadata[b"unit"] == b"probability"
    assert all(field.metadata[b"unit"] and field.metadata[b"meaning"] for field in table.schema)
    assert json.loads(table.schema.metadata[b"onearm"])["experiment"] == SPEC


def test_lists_are_cut_where_their_batch_begins() -> None:
    """Batches may be views into larger ones, and a null list hides its values in `flatten`."""
    lists = pa.array([[1.0, 2.0], None, [5.0, 6.0]], pa.list_(pa.float64(), 2)).slice(1)
    assert values_of(lists).to_pylist()[2:] == [5.0, 6.0]
    assert len(values_of(lists)) == 4
