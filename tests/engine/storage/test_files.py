"""Logs as files: what is written is read back to the bit, and a bad line is named while the rest goes on."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onearm.engine.columns import concat, empty, rewarded, take
from onearm.engine.contexts import context_at, first_actions, n_actions, pack_context, take_contexts
from onearm.engine.errors import InvalidInput
from onearm.engine.storage import source
from onearm.engine.storage.formats import jsonl, obd, parquet
from onearm.engine.storage.formats.parquet.arrays import values_of
from onearm.engine.storage.log import Log, gathered, header_of
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import Event
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Columns, Features, Problem

EXPORTS = {"jsonl": jsonl, "parquet": parquet}
SPEC = {"policy": {"name": "ucb1", "params": {"alpha": 1.0}}, "seed": "18446744073709551615"}


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


def assert_same(found: Columns, wanted: Columns) -> None:
    n, k = len(wanted.kind), wanted.available.shape[1]
    for name, one, other in zip(Columns._fields[:-1], found, wanted, strict=False):
        assert one.dtype == other.dtype, name
        assert one.shape == other.shape, name
        assert one.tobytes() == other.tobytes(), name
    np.testing.assert_array_equal(np.broadcast_to(found.available, (n, k)), np.broadcast_to(wanted.available, (n, k)))


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


KINDS = {"actions": Problem(4, (4, 3)), "named": Problem(4, (4, 64), 50, 30)}


@st.composite
def sets(draw: st.DrawFn) -> tuple[Problem, Columns, list[bytes]]:
    """A log of action sets of 1 to 4 actions, with contexts as bytes too."""
    problem = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, 4), max_size=6))
    masked = draw(st.booleans())
    contexts, masks = [], []
    for k in sizes:
        if problem.nonzeros is None:
            contexts.append(rng.normal(size=(1, k, 3)))
        else:
            start = np.concatenate([[0], np.sort(rng.integers(0, 8, k)), [8]])
            contexts.append(Features(start[np.newaxis], rng.integers(0, 64, 8, np.uint32), rng.normal(size=8)))
        masks.append(rng.permutation(k) > 0 if masked and k > 1 else None)
    context, available = gathered(contexts, masks, problem)
    n = len(sizes)
    columns = empty(2 * n, problem)._replace(context=take_contexts(context, np.repeat(np.arange(n), 2)))
    columns = columns._replace(available=available if len(available) == 1 else np.repeat(available, 2, axis=0))
    columns.kind[1::2], columns.number[:] = LEARN, np.repeat(np.arange(n), 2)
    columns.propensity[:], columns.reward[1::2] = np.repeat(rng.random(n), 2), rng.normal(size=n)
    if n:
        columns.action[:] = np.broadcast_to(columns.available, (2 * n, columns.available.shape[1])).argmax(axis=1)
    return problem, columns, [pack_context(context_at(one, 0), problem) for one in contexts]


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
        Event(key, 3, DECIDE, 1, 1, 0.25, context=np.array([0.1, 0]).tobytes(), decision_id='"\u00e9\n'),
        Event(key, 4, LEARN, 1, 1, 0.25, -1.5, reward_id="r"),
        Event(key, 5, LEARN, 0, 4, None, 2.5, reward_id="", time=123),
    ]
    store.append(events)
    with form.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write_events(store.read_events(key, 0, limit=2))
        out.write_events(store.read_events(key, 2))
    wanted = concat([columns for columns, _, _ in store.columns(key, problem)])
    store.close()
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


HEADER = '{"onearm": 1, "problem": {"n_arms": 3, "context_shape": [2]}, "experiment": {}}'
DECISION = '{"kind": "decide", "seq": 1, "number": 0, "action": 2, "propensity": 0.5, "context": [1, 2]}'
REWARD = '{"kind": "learn", "seq": 2, "number": 0, "reward": 1}'


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"kind": "learn", "seq": 3, "number": 0, "rew', "not_json"),
        ("\x00\x01", "not_json"),
        ('{"kind": "learn", "seq": 3, "number": 0}', "missing_field"),
        (DECISION.replace('"propensity": 0.5, ', "").replace("0,", "1,"), "missing_field"),
        ('{"kind": "lern", "seq": 3, "number": 0, "reward": 1}', "unknown_kind"),
        ('{"seq": 3, "number": 0, "reward": 1}', "unknown_kind"),
        ('{"kind": "learn", "seq": 3, "number": 0, "reward": null}', "wrong_type"),
        ('{"kind": "learn", "seq": 3, "number": -1, "reward": 1}', "wrong_type"),
        ("[1, 2]", "wrong_type"),
        ('{"kind": "learn", "seq": 3, "number": 1, "reward": 1}', "unknown_decision"),
        (DECISION, "repeated_decision"),
        (DECISION.replace('"number": 0', '"number": 1').replace("2, ", "3, "), "bad_action"),
        (DECISION.replace('"number": 0', '"number": 1').replace("2, ", f"{10**30}, ", 1), "bad_action"),
        (DECISION.replace('"number": 0', '"number": 1').replace("0.5", "1.5"), "bad_propensity"),
        (DECISION.replace('"number": 0', '"number": 1').replace("0.5", "0.0"), "bad_propensity"),
        (DECISION.replace('"number": 0', '"number": 1').replace("[1, 2]", "[1]"), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1').replace("[1, 2]", '[1, "a"]'), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1').replace("[1, 2]", "[1, null]"), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1').replace('"context": [1, 2]', '"time": 1'), "bad_context"),
        (DECISION.replace('"number": 0', '"number": 1')[:-1] + ', "available": [0, 3]}', "bad_available"),
        (DECISION.replace('"number": 0', '"number": 1')[:-1] + ', "available": []}', "bad_available"),
        (DECISION.replace('"number": 0', '"number": 1')[:-1] + ', "available": [0, 1]}', "unavailable_action"),
    ],
)
def test_a_bad_line_of_an_export_is_named_and_the_rest_goes_on(tmp_path: Path, line: str, kind: str) -> None:
    path = tmp_path / "log.jsonl"
    last = '{"kind": "learn", "seq": 9, "number": 0, "reward": 0.5, "reward_id": "b"}'
    path.write_text("\n".join([HEADER, DECISION, line, "", REWARD, last]))
    log = jsonl.read(path)
    assert log.bad_lines.count == {kind: 1}
    assert log.bad_lines.lines == {kind: [3]}
    assert log.events is not None
    assert log.events.kind.tolist() == [DECIDE, LEARN, LEARN]
    assert log.table.reward.tolist() == [1.5]
    assert log.table.context.tolist() == [[1, 2]]


def test_the_rewards_of_a_bad_decision_are_bad_as_well(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, DECISION.replace("0.5", "7"), REWARD]))
    log = jsonl.read(path)
    assert log.bad_lines.lines == {"bad_propensity": [2], "unknown_decision": [3]}
    assert len(log.table.kind) == 0


def test_a_reward_before_its_decision_is_of_an_unknown_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, REWARD, DECISION]))
    assert jsonl.read(path).bad_lines.lines == {"unknown_decision": [2]}


def test_a_truncated_last_line_is_told_from_a_corrupt_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, DECISION, REWARD[:20]]))
    assert jsonl.read(path).bad_lines.lines == {"truncated": [3]}


def test_many_bad_lines_are_counted_and_the_first_twenty_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([HEADER, *["{"] * 50, DECISION, ""]))
    log = jsonl.read(path)
    assert log.bad_lines.count == {"not_json": 50}
    assert log.bad_lines.lines == {"not_json": list(range(2, 22))}


def test_pages_meet_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(4, (2,))
    columns = empty(100, problem, masked=True)
    columns.number[:] = np.arange(100) // 2
    columns.kind[1::2] = LEARN
    columns.reward[1::2] = np.arange(50)
    columns.context[:] = columns.number[:, None]
    columns.available[columns.number == 30, 1:] = False  # so that some pages have masks and others do not
    monkeypatch.setattr("onearm.engine.storage.formats.parquet.file.PAGE", 7)
    monkeypatch.setattr(source, "BLOCK", 300)
    for form in (jsonl, parquet):
        with form.Writer(tmp_path / "log", problem, SPEC) as out:
            out.write(columns)
        events = form.read(tmp_path / "log").events
        assert events is not None
        assert_same(events, columns)


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
    assert parquet.read(tmp_path / "log").bad_lines.lines == {"bad_action": [2], "bad_reward": [3, 4]}
    plain_parquet(tmp_path / "log", {"action": [0.0, 1.0, 0.5], "reward": [1, 0, 1]})
    log = parquet.read(tmp_path / "log")
    assert log.bad_lines.lines == {"bad_action": [3]}
    assert log.table.action.tolist() == [0, 1]


def test_bad_rows_of_a_parquet_export_are_named(tmp_path: Path) -> None:
    problem = Problem(3)
    columns = empty(6, problem)
    columns.kind[:] = DECIDE, 9, LEARN, LEARN, DECIDE, LEARN
    columns.number[:] = 0, 0, 0, 7, 1, 0
    columns.action[4] = 3
    columns.reward[2:4] = 1.0
    with parquet.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write(columns)
    log = parquet.read(tmp_path / "log")
    assert log.bad_lines.lines == {
        "unknown_kind": [2],
        "unknown_decision": [4],
        "bad_action": [5],
        "bad_reward": [6],
    }
    assert log.table.reward.tolist() == [1.0]


@pytest.mark.parametrize("read", [jsonl.read, parquet.read, obd.read], ids=["jsonl", "parquet", "obd"])
def test_files_that_are_no_logs_are_refused_in_words(tmp_path: Path, read: Callable[[Path], Log]) -> None:
    path = tmp_path / "log"
    with pytest.raises(InvalidInput, match="No such file") as refused:
        read(path)
    assert refused.value.code == "unreadable_file"
    path.touch()
    with pytest.raises(InvalidInput, match="is empty") as refused:
        read(path)
    assert refused.value.code == "empty_file"
    for content in (b"name,age\nann,3\n", b"\x89PNG\r\n\x1a\n\xff\xfe" * 10, b"{}\n", b"PAR1PAR1PAR1PAR1"):
        path.write_bytes(content)
        with pytest.raises(InvalidInput) as refused:
            read(path)
        assert refused.value.code == "wrong_format"
        assert str(path) in str(refused.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(InvalidInput) as refused:
        read(path)
    assert refused.value.code == "unreadable_file"


def test_lists_are_cut_where_their_batch_begins() -> None:
    """Batches may be views into larger ones, and a null list hides its values in `flatten`."""
    lists = pa.array([[1.0, 2.0], None, [5.0, 6.0]], pa.list_(pa.float64(), 2)).slice(1)
    assert values_of(lists).to_pylist()[2:] == [5.0, 6.0]
    assert len(values_of(lists)) == 4


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ('{"onearm": 2, "problem": {}}', "unknown_format"),
        ('{"onearm": 1, "experiment": {}}', "bad_header"),
        ('{"onearm": 1, "problem": {"n_arms": "x", "context_shape": [0]}, "experiment": {}}', "bad_header"),
        ('{"onearm": 1, "problem": {"n_arms": 0, "context_shape": [0]}, "experiment": {}}', "bad_arms"),
    ],
)
def test_a_header_of_another_format_or_a_damaged_one_is_refused(tmp_path: Path, header: str, code: str) -> None:
    (tmp_path / "log.jsonl").write_text(f"{header}\n{DECISION}\n")
    with pytest.raises(InvalidInput) as refused:
        jsonl.read(tmp_path / "log.jsonl")
    assert refused.value.code == code
    pq.write_table(pa.table({"kind": [0]}).replace_schema_metadata({"onearm": header}), tmp_path / "log.parquet")
    with pytest.raises(InvalidInput) as refused:
        parquet.read(tmp_path / "log.parquet")
    assert refused.value.code == code


def test_a_parquet_file_without_a_needed_column_names_it(tmp_path: Path) -> None:
    plain_parquet(tmp_path / "log.parquet", {"action": [1], "clicks": [1.0]})
    with pytest.raises(InvalidInput, match="no column 'reward'"):
        parquet.read(tmp_path / "log.parquet")


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
