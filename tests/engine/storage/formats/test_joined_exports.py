"""Exports in the joined form: read as the same log as in the form of events, and what was damaged is found."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.exported import EXPORTS, SPEC, assert_same

from onearm.engine.storage.formats import parquet
from onearm.engine.storage.joined_form import Extent, JoinedRow, Joining
from onearm.engine.storage.log import BadLines
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.storage.tables import Event
from onearm.engine.vocabulary import CHANGE, CORRECTED, DECIDE, EARLY, EXTERNAL, LEARN, OUTCOME, Problem

PROBLEM = Problem(3, (2,))
CONTEXT = np.array([0.5, -1.0]).tobytes()


@pytest.fixture(params=EXPORTS)
def form(request: pytest.FixtureRequest) -> types.ModuleType:
    return EXPORTS[request.param]


def decided(seq: int, number: int, kind: int = DECIDE, **said: object) -> Event:
    told = {"context": CONTEXT, "decision_id": f"d{number}", "unit_id": f"u{number % 2}", "time": 1000 + seq} | said
    return Event(0, seq, kind, number, number % 3, 0.25, **told)  # type: ignore[arg-type]


def learned(seq: int, number: int, reward: float, **said: object) -> Event:
    return Event(0, seq, LEARN, number, reward=reward, **({"reward_id": "", "time": 1000 + seq} | said))  # type: ignore[arg-type]


EVENTS = [
    Event(0, 1, CHANGE, detail='{"change": "noted"}', time=1),
    decided(2, 0, detail='{"why": 1}', sent='{"a": 1}'),
    decided(3, 1, kind=EXTERNAL, policy=1, available=np.packbits([True, True, False]).tobytes()),
    learned(4, 1, 0.1, reward_id="late", sent='{"b": 2}'),
    Event(0, 5, EARLY, -5, reward=2.0, reward_id="", detail='{"decision_id": "d2"}', time=7),
    decided(6, 2),  # of which nothing was learned
    decided(7, 3),
    Event(0, 8, OUTCOME, 3, reward=1.0, reward_id="", detail='{"late": true}', time=8),
    learned(9, 0, -0.5, detail=None),  # after others were decided
    Event(0, 10, CORRECTED, 1, reward=0.75, time=9),
    learned(11, 3, 1.0),
    Event(0, 12, CORRECTED, 3, reward=None, time=10),
    Event(0, 13, CORRECTED, 1, reward=0.5, time=11),
    decided(14, 4),
    learned(15, 4, 0.25),
    learned(16, 4, 0.5),
    Event(0, 17, CHANGE, detail='{"change": "noted"}', sent='{"who": "me"}', time=12),
]
KNOWN = {0: -0.5, 1: 0.5, 4: 0.75}


def rows_of(events: list[Event], pages: int) -> list[list[JoinedRow]]:
    size = -(-len(events) // pages)
    joining = Joining(
        lambda numbers: [each for each in events if each.kind in (LEARN, CORRECTED) and each.number in numbers]
    )
    return [joining.rows(events[at : at + size]) for at in range(0, len(events), size)]


def write(form: types.ModuleType, path: Path, events: list[Event] = EVENTS, pages: int = 1) -> Path:
    with form.JoinedWriter(path, PROBLEM, SPEC, Extent(0, events[-1].seq)) as out:
        for page in rows_of(events, pages):
            out.write_rows(page)
    return path


def two_row(form: types.ModuleType, path: Path, events: list[Event] = EVENTS) -> Path:
    with form.Writer(path, PROBLEM, SPEC) as out:
        out.write_events(events)
    return path


@pytest.mark.parametrize("pages", [1, 3, len(EVENTS)])
def test_a_decision_and_its_reward_are_one_row(form: types.ModuleType, tmp_path: Path, pages: int) -> None:
    rows = [row for page in rows_of(EVENTS, pages) for row in page]
    assert [row.event.seq for row in rows] == [1, 2, 3, 5, 6, 7, 8, 10, 12, 13, 14, 16, 17]
    assert {row.event.number: row.reward for row in rows if row.event.kind in (DECIDE, EXTERNAL)} == KNOWN | {
        2: None,
        3: None,
    }
    assert [row.learned.seq for row in rows if row.learned is not None] == [9, 4, 11, 15]


@pytest.mark.parametrize("pages", [1, 3, len(EVENTS)])
def test_the_log_is_the_same_as_in_the_form_of_events(form: types.ModuleType, tmp_path: Path, pages: int) -> None:
    log, other = form.read(write(form, tmp_path / "joined", pages=pages)), form.read(two_row(form, tmp_path / "two"))
    assert not log.bad_lines.count
    assert log.events is not None and other.events is not None
    assert_same(log.events, other.events)
    np.testing.assert_array_equal(log.seqs, other.seqs)
    assert log.changes == other.changes
    assert log.problem == other.problem and log.spec == other.spec
    for one, two in zip(log.corrected, other.corrected, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("pages", [1, 3, len(EVENTS)])
def test_every_event_comes_back_in_its_order(form: types.ModuleType, tmp_path: Path, pages: int) -> None:
    events = list(form.read_events(Source(write(form, tmp_path / "joined", pages=pages))).rows)
    assert events == list(form.read_events(Source(two_row(form, tmp_path / "two"))).rows)
    assert [event.seq for event in events] == list(range(1, 18))


@pytest.mark.parametrize("contexts", [False, True])
def test_evaluation_reads_what_is_known_in_the_end(form: types.ModuleType, tmp_path: Path, contexts: bool) -> None:
    wanted = Wanted(contexts=contexts)

    def read(path: Path) -> Rows:
        rows: Rows = form.read_rows(Source(path), wanted)
        return rows

    with read(write(form, tmp_path / "joined", pages=3)) as rows, read(two_row(form, tmp_path / "two")) as other:
        assert rows.decisions == other.decisions == 5
        assert rows.problem == other.problem
        assert rows.columns().reward.tolist() == list(KNOWN.values())
        assert_same(rows.columns(), other.columns())
        for one, two in zip(rows.drawn() or (), other.drawn() or (), strict=True):
            np.testing.assert_array_equal(one, two)


def test_simulated_logs_are_written_whole(form: types.ModuleType, tmp_path: Path) -> None:
    log = form.read(two_row(form, tmp_path / "two", [e for e in EVENTS if e.kind in (DECIDE, EXTERNAL, LEARN)][:-1]))
    assert log.events is not None
    for make, path in ((form.Writer, tmp_path / "a"), (form.JoinedWriter, tmp_path / "b")):
        with make(path, PROBLEM, SPEC) as out:
            out.write(log.events)
    one, other = form.read(tmp_path / "a").events, form.read(tmp_path / "b").events
    assert_same(one, other)


def test_pages_become_large_row_groups(tmp_path: Path) -> None:
    """Small ones, as pages of a database are, would take most of the time to read."""
    with pq.ParquetFile(write(parquet, tmp_path / "joined", pages=6)) as file:
        assert file.num_row_groups == 1
        leaves = [file.metadata.row_group(0).column(j) for j in range(file.metadata.num_columns)]
        encodings = {leaf.path_in_schema: leaf.encodings for leaf in leaves}
    assert "DELTA_BINARY_PACKED" in encodings["seq"]
    assert "RLE_DICTIONARY" in encodings["context.list.element"]


Damage = Callable[[list[dict[str, object]]], object]
DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "a row is missing": (lambda rows: rows.pop(4), "missing_event", "no row holds event 6:"),
    "the last row is missing": (lambda rows: rows.pop(), "missing_event", "no row holds event 17:"),
    "a decision is missing with its reward": (lambda rows: rows.pop(1), "missing_event", "no row holds event 2:"),
    "a row is there twice": (lambda rows: rows.append(rows[4]), "repeated_seq", "event 6 is in the file twice"),
    "a reward is there twice": (
        lambda rows: _set(rows[4], "learn_seq", 9),
        "repeated_seq",
        "event 9 is in the file twice",
    ),
    "another reward is known": (lambda rows: rows[2].update(reward=0.7), "other_reward", "reward of decision 1 is 0.7"),
    "a sum is another": (lambda rows: rows[10].update(reward=0.5), "other_reward", "reward of decision 4 is 0.5"),
    "what was taken back is there": (lambda rows: rows[5].update(reward=1.0), "other_reward", "decision 3 is 1"),
}


def _set(row: dict[str, object], name: str, value: object) -> None:
    """Put a value into a row of Parquet, or into what was learned of a line."""
    if "learn_seq" in row:
        row[name] = value
    else:
        row["learned"], row["reward"] = {name.removeprefix("learn_"): value}, 1.0


def damage(form: types.ModuleType, path: Path, change: Damage) -> None:
    """Change the rows of a file."""
    if form is parquet:
        table = pq.read_table(path)
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
        return
    header, *lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    change(rows)
    path.write_text("".join(f"{line}\n" for line in [header, *map(json.dumps, rows)]))


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_named(form: types.ModuleType, tmp_path: Path, name: str) -> None:
    change, kind, says = DAMAGES[name]
    path = write(form, tmp_path / "joined")
    damage(form, path, change)
    found: BadLines = form.read(path).bad_lines
    assert kind in found.count, found.count
    assert says in found.reasons[kind]
    events = form.read_events(Source(path))
    assert list(events.rows)
    assert events.bad_lines.count == found.count


def test_what_was_erased_is_no_damage(form: types.ModuleType, tmp_path: Path) -> None:
    events = [event for event in EVENTS if event.number != 1]
    for gaps in (False, True):
        with form.JoinedWriter(tmp_path / "log", PROBLEM, SPEC, Extent(0, 17, gaps)) as out:
            out.write_rows(rows_of(events, 1)[0])
        assert bool(form.read(tmp_path / "log").bad_lines.count) is not gaps


def test_a_damaged_seq_is_not_counted_one_by_one(form: types.ModuleType, tmp_path: Path) -> None:
    path = write(form, tmp_path / "joined")
    damage(form, path, lambda rows: rows[-1].update(seq=2**62))
    assert form.read(path).bad_lines.count["missing_event"] == 2**62 - 17
