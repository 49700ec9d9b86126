"""Logs of moves in files and in the database: read back to the bit, and a bad one is named while the rest goes on."""

from __future__ import annotations

import json
import math
import types
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onearm.engine.actions import PULL, READ, pack_action
from onearm.engine.columns import concat, empty, joined, take
from onearm.engine.errors import Damaged, InvalidInput
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.log import header_of
from onearm.engine.storage.records import Event, Snapshot
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Columns, Problem

EXPORTS = {"jsonl": jsonl, "parquet": parquet}
SPEC = {"policy": {"name": "early_drop", "params": {}}, "seed": "1"}
PROBLEM = Problem(0, horizon=2**62, slots=3)


@pytest.fixture(params=EXPORTS)
def form(request: pytest.FixtureRequest) -> types.ModuleType:
    return EXPORTS[request.param]


@st.composite
def logs(draw: st.DrawFn) -> tuple[Problem, Columns]:
    """A log of moves, each learned at most once, at any time after it."""
    problem = Problem(draw(st.sampled_from([0, 7, 2**53])), horizon=draw(st.sampled_from([None, 2**62])), slots=3)
    n = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    order = rng.permutation(np.repeat(np.arange(n), 2))
    _, first = np.unique(order, return_index=True)
    columns = empty(2 * n, problem, masked=True)
    columns.kind[:] = LEARN
    columns.kind[first] = DECIDE
    rank = {number: place for place, number in enumerate(order[np.sort(first)])}
    columns.number[:] = [rank[number] for number in order]
    columns.propensity[:] = 1.0
    for row in np.flatnonzero(columns.kind == DECIDE):
        reading = rng.random() < 0.5
        slot = int(rng.integers(problem.n_choices - 1))
        mask = rng.random(problem.n_choices) < 0.5
        mask[-1 if reading else slot] = True
        columns.available[row] = mask
        columns.action[row] = (READ, slot, 0) if reading else (PULL, slot, rng.integers(1, 2**53, endpoint=True))
    columns = joined(columns)
    learned = np.flatnonzero(columns.kind == LEARN)
    columns.reward[learned] = rng.normal(size=len(learned)) * 10.0 ** rng.integers(-300, 300, len(learned))
    for row in learned:
        reading = columns.action[row, 0] == READ
        columns.detail[row] = (0, rng.integers(-1, 2**53)) if reading else (rng.integers(0, columns.action[row, 2]), -1)
    return problem, take(columns, (columns.kind == DECIDE) | (rng.random(2 * n) < 0.8))


def rows_of(columns: Columns, key: int) -> list[Event]:
    """Return a log as rows of the database."""
    events = []
    for row, (kind, number) in enumerate(zip(columns.kind.tolist(), columns.number.tolist(), strict=True)):
        event = Event(key, row + 1, kind, number, None, 1.0, time=row)
        if kind == DECIDE:
            mask = np.packbits(columns.available[row]).tobytes()
            events.append(event._replace(vector=pack_action(columns.action[row]), available=mask))
        else:
            detail = json.dumps([int(value) for value in columns.detail[row]])
            events.append(event._replace(reward=float(columns.reward[row]), detail=detail, reward_id=""))
    return events


def assert_same(found: Columns | None, wanted: Columns) -> None:
    assert found is not None
    for name, one, other in zip(Columns._fields[:7], found, wanted, strict=False):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        assert one.tobytes() == other.tobytes(), name
    masks = (np.broadcast_to(each.available, wanted.available.shape) for each in (found, wanted))
    np.testing.assert_array_equal(*masks)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), cut=st.integers(0, 24))
def test_an_export_is_read_back_to_the_bit(
    form: types.ModuleType, tmp_path: Path, log: tuple[Problem, Columns], cut: int
) -> None:
    problem, columns = log
    with form.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write(take(columns, slice(0, cut)))
        out.write(take(columns, slice(cut, None)))
    read = form.read(tmp_path / "log")
    assert (read.problem, read.spec, dict(read.bad_lines.count)) == (problem, SPEC, {})
    assert_same(read.events, columns)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), page=st.integers(1, 30))
def test_a_log_in_the_database_comes_back_as_it_was_and_so_does_its_export(
    store: Store, form: types.ModuleType, tmp_path: Path, log: tuple[Problem, Columns], page: int
) -> None:
    """Rewards repeat moves that are older than their page."""
    problem, columns = log
    key = store.add_experiment(f"e{len(store.experiments())}", "{}", b"", "{}", 0).key
    events = rows_of(columns, key)
    store.append(events)
    assert store.read_events(key, 0) == events
    for learned_only in (False, True):
        kept = take(columns, (columns.kind == LEARN) | (not learned_only))
        pages = [part for part, _, _ in store.columns(key, problem, page=page, learned_only=learned_only)]
        assert_same(concat(pages) if pages else empty(0, problem), kept)
    with form.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write_events(store.read_events(key, 0, limit=3))
        out.write_events(store.read_events(key, 3))
    read = form.read(tmp_path / "log")
    assert not read.bad_lines.count
    assert_same(read.events, columns)


def two_moves() -> Columns:
    """Return a reading and a pull of what arrived, each with its feedback."""
    columns = empty(4, PROBLEM, masked=True)
    columns.kind[:], columns.number[:], columns.propensity[:] = [DECIDE, LEARN] * 2, [0, 0, 1, 1], 1.0
    columns.action[:2], columns.action[2:] = (READ, 3, 0), (PULL, 3, 8)
    columns.available[:2], columns.available[2:] = [False] * 4 + [True], [False] * 3 + [True] * 2
    columns.reward[1::2] = 0.0, 5.0
    columns.detail[1::2] = (0, 0), (8, -1)
    return columns


def test_an_export_looks_as_documented(tmp_path: Path) -> None:
    with jsonl.Writer(tmp_path / "log.jsonl", PROBLEM, SPEC) as out:
        out.write(two_moves())
    header, *lines = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert header["problem"] == {"n_arms": 0, "context_shape": [0], "horizon": 2**62, "slots": 3}
    made = {"propensity": 1.0}
    assert lines == [
        {"kind": "decide", "seq": 1, "number": 0, "action": [1, 3, 0], **made, "available": [4]},
        {"kind": "learn", "seq": 2, "number": 0, "reward": 0.0, "detail": [0.0, 0.0]},
        {"kind": "decide", "seq": 3, "number": 1, "action": [0, 3, 8], **made, "available": [3, 4]},
        {"kind": "learn", "seq": 4, "number": 1, "reward": 5.0, "detail": [8.0, -1.0]},
    ]
    with parquet.Writer(tmp_path / "log.parquet", PROBLEM, SPEC) as table:
        table.write(two_moves())
    row = pq.read_table(tmp_path / "log.parquet").to_pylist()[3]
    assert (row["action"], row["detail"], row["reward"]) == ([0, 3, 8], "[8.0, -1.0]", 5.0)


@pytest.mark.parametrize(
    ("line", "field", "value", "kind"),
    [
        (3, "action", [0, 4, 8], "bad_action"),  # there is no place 4 but for reading
        (3, "action", [0, -1, 8], "bad_action"),
        (3, "action", [0, 3, 0], "bad_action"),
        (3, "action", [2, 3, 8], "bad_action"),
        (3, "action", [0, 3], "bad_action"),
        (3, "action", [0, 3, 2**64], "bad_action"),
        (3, "action", 3, "bad_action"),
        (3, "action", None, "wrong_type"),
        (3, "action", [0, 3, 0.5], "bad_action"),
        (3, "action", [0, 1, 8], "unavailable_action"),
        (3, "available", [0, 5], "bad_available"),
        (1, "action", [1, 4, 0], "bad_action"),
        (2, "detail", None, "bad_detail"),
        (2, "detail", [], "bad_detail"),
        (2, "detail", [0], "bad_detail"),
        (2, "detail", [0, 0, 0], "bad_detail"),
        (4, "detail", [0.5, -1], "bad_detail"),
        (4, "detail", [-1, -1], "bad_detail"),
        (4, "detail", [8, -2], "bad_detail"),
        (4, "detail", [1e300, -1], "bad_detail"),
        (4, "detail", ["8", -1], "wrong_type"),
        (4, "reward", 1e999, "wrong_type"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_goes_on(tmp_path: Path, line: int, field: str, value: Any, kind: str) -> None:
    path = tmp_path / "log.jsonl"
    with jsonl.Writer(path, PROBLEM, SPEC) as out:
        out.write(two_moves())
    lines = list(map(json.loads, path.read_text().splitlines()))
    lines[line][field] = value
    path.write_text("".join(json.dumps(one).replace("Infinity", "1e999") + "\n" for one in lines))
    read = jsonl.read(path)
    wanted = {kind: [line + 1]} | ({"unknown_decision": [line + 2]} if lines[line]["kind"] == "decide" else {})
    assert read.bad_lines.lines == wanted
    assert read.events is not None
    assert len(read.events.kind) == 4 - len(wanted)


@pytest.mark.parametrize("detail", ["[8.0, NaN]", "[8.0]", "8", "x", None, '{"pulls": 8}', "[8.0, [1.0]]"])
def test_bad_rows_of_a_parquet_export_are_named(tmp_path: Path, detail: str | None) -> None:
    path = tmp_path / "log.parquet"
    with parquet.Writer(path, PROBLEM, SPEC) as out:
        out.write(two_moves())
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[1]["detail"] = detail
    rows[2]["action"] = [0, 3, None]
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    read = parquet.read(path)
    assert read.bad_lines.lines == {"bad_detail": [2], "bad_action": [3], "unknown_decision": [4]}
    assert read.events is not None
    assert read.events.kind.tolist() == [DECIDE]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"slots": 0}, "bad_slots"),
        ({"slots": 65}, "bad_slots"),
        ({"n_arms": -1}, "bad_arms"),
        ({"context_shape": [2]}, "bad_context"),
        ({"horizon": 2**63}, "bad_horizon"),
    ],
)
def test_a_header_of_a_stream_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    header = header_of(PROBLEM, SPEC)
    header["problem"] |= change
    (tmp_path / "log.jsonl").write_text(json.dumps(header) + "\n")
    with pytest.raises(InvalidInput) as refused:
        jsonl.read(tmp_path / "log.jsonl")
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("row", "change", "said"),
    [
        (2, {"vector": b"short"}, "an action that is not a move"),
        (1, {"detail": None}, "whose detail is not"),
        (1, {"detail": "[1"}, "whose detail is not"),
        (1, {"detail": "null"}, "whose detail is not"),
        (1, {"detail": "3"}, "whose detail is not"),
        (1, {"detail": "[0, 0.5]"}, "whose detail is not"),
        (3, {"detail": "[8]"}, "whose detail is not"),
        (2, {"available": b"12"}, "masks that are not"),
    ],
)
def test_a_damaged_row_of_the_database_is_refused(tmp_path: Path, row: int, change: dict[str, Any], said: str) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path}/run.db")) as store:
        key = store.add_experiment("e", "{}", b"", "{}", 0).key
        events = rows_of(two_moves(), key)
        events[row] = events[row]._replace(**change)
        store.append(events)
        with pytest.raises(Damaged, match=said):
            list(store.columns(key, PROBLEM))


OLDER = """
CREATE TABLE event (
    experiment INTEGER NOT NULL REFERENCES experiment (key), seq BIGINT NOT NULL, kind SMALLINT NOT NULL,
    number BIGINT, action BIGINT, propensity DOUBLE PRECISION, reward DOUBLE PRECISION, context {binary},
    available {binary}, detail TEXT, sent TEXT, decision_id TEXT, reward_id TEXT, body_hash {binary},
    time BIGINT NOT NULL, actions TEXT, PRIMARY KEY (experiment, seq),
    CONSTRAINT event_decision_id UNIQUE (experiment, decision_id),
    CONSTRAINT event_number_reward_id UNIQUE (experiment, number, reward_id)
)
"""


def test_a_database_of_the_schema_before_moves_keeps_its_rows_and_takes_moves(url: str) -> None:
    """Schema 0003 had no column for actions that are no arms; its rows are read as they were."""
    with closing(Store.open(url)) as store:
        key = store.add_experiment("old", "{}", b"hash", "{}", 7).key
        store.append([], (), [], [Snapshot(key, 2, 1, "digest", "{}")])
    rows = [
        Event(key, 1, DECIDE, 0, 2, 0.25, None, b"\0" * 8, b"\xa0", None, '{"a": 1}', "id", None, b"\1", 5),
        Event(key, 2, LEARN, 0, 2, 0.25, 1.5, None, None, None, None, None, "r", b"\2", 6),
        Event(key, 3, CHANGE, detail='{"archived": true}', time=7),
    ]
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE event"))
        connection.execute(sa.text("ALTER TABLE experiment DROP COLUMN deleted_at"))
        for table in (
            "node",
            "shard",
            "published",
            "bucket",
            "counted",
            "erased",
            "base",
            "base_part",
            "artefact",
            "api_key",
            "audit",
        ):
            connection.execute(sa.text(f"DROP TABLE {table}"))
        binary = "BLOB" if url.startswith("sqlite") else "BYTEA"
        connection.execute(sa.text(OLDER.format(binary=binary)))
        old = Event._fields[:-3]
        names = ", ".join(old)
        values = ", ".join(f":{name}" for name in old)
        insert = sa.text(f"INSERT INTO event ({names}) VALUES ({values})")
        connection.execute(insert, [{name: getattr(row, name) for name in old} for row in rows])
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '0003'"))
    engine.dispose()
    with closing(Store.open(url)) as store:
        assert store.read_events(key, 0) == rows
        assert store.newest_snapshots(key) == [Snapshot(key, 2, 1, "digest", "{}")]
        [(columns, _, _)] = store.columns(key, Problem(3, (1,)))
        assert (columns.action.tolist(), columns.detail.shape) == ([2, 2], (2, 0))
        assert math.isnan(columns.reward[0]) and columns.reward[1] == 1.5
        new = store.add_experiment("new", "{}", b"", "{}", 8).key
        store.append(rows_of(two_moves(), new))
        [(columns, _, _)] = store.columns(new, PROBLEM)
        assert_same(columns, two_moves())
