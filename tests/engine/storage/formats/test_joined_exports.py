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

from onearm.engine.errors import InvalidInput, counted
from onearm.engine.storage.bad_lines import BadLines
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.joined_form import Extent, JoinedRow, Joining
from onearm.engine.storage.records import Event
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
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
    "a decision is missing with its reward": (lambda rows: rows.pop(1), "missing_event", "no row holds event 2, 9:"),
    "a row is there twice": (lambda rows: rows.append(rows[4]), "repeated_seq", "event 6 is in the file twice"),
    "a reward is there twice": (
        lambda rows: _set(rows[4], "learn_seq", 9),
        "repeated_seq",
        "event 9 is in the file twice",
    ),
    "another reward is known": (lambda rows: rows[2].update(reward=0.7), "other_reward", "reward of decision 1 is 0.7"),
    "a sum is another": (lambda rows: rows[10].update(reward=0.5), "other_reward", "reward of decision 4 is 0.5"),
    "what was taken back is there": (lambda rows: rows[5].update(reward=1.0), "other_reward", "decision 3 is 1"),
    "a reward is known of which nothing was learned": (
        lambda rows: rows[4].update(reward=1.0),
        "other_reward",
        "reward of decision 2 is 1.0, and its events say unknown",
    ),
    "more was learned than a row knows": (
        lambda rows: _say_final(rows[10], 0.25),
        "other_reward",
        "event 16 is of decision 4, whose row has its reward without that",
    ),
    "a seq is behind the last": (
        lambda rows: rows[4].update(seq=2**40),
        "bad_seq",
        f"an event has the seq {2**40}, and the last one is 17",
    ),
}


def _set(row: dict[str, object], name: str, value: object) -> None:
    """Put a value into a row of Parquet, or into what was learned of a line."""
    if "learn_seq" in row:
        row[name] = value
    else:
        row["learned"], row["reward"] = {name.removeprefix("learn_"): value}, 1.0


def _say_final(row: dict[str, object], reward: float) -> None:
    """Let the row of a decision say that a reward is all that was learned."""
    row["reward"] = reward
    if "learn_reward" in row:
        row["learn_reward"] = None
    else:
        assert isinstance(row["learned"], dict)
        del row["learned"]["reward"]


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


def test_what_was_erased_is_no_damage_and_what_is_cut_off_is(form: types.ModuleType, tmp_path: Path) -> None:
    events = [event for event in EVENTS if event.number != 1]
    gone = len(EVENTS) - len(events)
    for gaps, left, missing in ((0, events, gone), (gone, events, 0), (gone, events[:-1], gone + 1), (2, events, gone)):
        with form.JoinedWriter(tmp_path / "log", PROBLEM, SPEC, Extent(0, 17, gaps)) as out:
            out.write_rows(rows_of(left, 1)[0])
        bad = form.read(tmp_path / "log").bad_lines
        assert bad.count == ({"missing_event": missing} if missing else {})
        if missing and gaps:
            assert (
                f"{counted(missing, 'event is', 'events are')} in no row, and {gaps} were erased"
                in bad.reasons["missing_event"]
            )


def test_more_were_erased_by_the_header_than_are_missing(form: types.ModuleType, tmp_path: Path) -> None:
    with form.JoinedWriter(tmp_path / "log", PROBLEM, SPEC, Extent(0, 17, 3)) as out:
        out.write_rows(rows_of(EVENTS, 1)[0])
    bad = form.read(tmp_path / "log").bad_lines
    assert (bad.count, bad.lines) == ({"missing_event": 1}, {"missing_event": [17]})
    assert "0 events are in no row, and 3 were erased" in bad.reasons["missing_event"]


def test_one_damaged_seq_costs_no_other_event(form: types.ModuleType, tmp_path: Path) -> None:
    path = write(form, tmp_path / "joined", pages=len(EVENTS))
    damage(form, path, lambda rows: rows[4].update(seq=2**40))
    log = form.read(path)
    assert log.bad_lines.count == {"bad_seq": 1, "missing_event": 1}
    assert log.bad_lines.lines == {"bad_seq": [2**40], "missing_event": [6]}
    assert log.events is not None and 2 not in log.events.number and {0, 1, 3, 4} == set(log.events.number.tolist())


def test_many_missing_events_are_not_named_one_by_one(form: types.ModuleType, tmp_path: Path) -> None:
    with form.JoinedWriter(tmp_path / "log", PROBLEM, SPEC, Extent(0, 2**62)) as out:
        out.write_rows(rows_of(EVENTS, 1)[0])
    bad = form.read(tmp_path / "log").bad_lines
    assert bad.count["missing_event"] == 2**62 - 17
    assert bad.lines["missing_event"] == list(range(18, 38))


def test_decisions_of_a_log_have_no_reward_of_their_own(form: types.ModuleType, tmp_path: Path) -> None:
    """Whatever their rows say: it would be taken for what was learned, which is an event of its own."""
    for path in (write(form, tmp_path / "joined"), two_row(form, tmp_path / "two")):
        damage(form, path, lambda rows: [row.update(reward=1.0) for row in rows if row["kind"] in ("decide", 0)])
        events = form.read(path).events
        assert events is not None and np.isnan(events.reward[events.kind == DECIDE]).all()


@pytest.mark.parametrize("header", [{"until": "x"}, {"until": None}, {"until": -1}, {"until": True}, {"gaps": 0.5}])
def test_a_header_without_an_extent_is_refused(
    form: types.ModuleType, tmp_path: Path, header: dict[str, object]
) -> None:
    path = write(form, tmp_path / "joined")
    change_header(form, path, header)
    for read in (
        form.read,
        lambda path: form.read_rows(Source(path), Wanted()),
        lambda path: list(events_in(form, path)),
    ):
        with pytest.raises(InvalidInput, match="and must have a whole number from 0 on") as refused:
            read(path)
        assert refused.value.code == "wrong_format"


def test_a_base_that_is_no_number_is_none(form: types.ModuleType, tmp_path: Path) -> None:
    path = write(form, tmp_path / "joined")
    change_header(form, path, {"begins": "x"})
    assert form.read(path).begins == 0
    assert [event.seq for event in events_in(form, path)] == list(range(1, 18))


def events_in(form: types.ModuleType, path: Path) -> list[Event]:
    return list(form.read_events(Source(path)).rows)


def change_header(form: types.ModuleType, path: Path, said: dict[str, object]) -> None:
    """Say something else in the header of a file."""
    if form is parquet:
        table = pq.read_table(path)
        header = json.dumps(json.loads(table.schema.metadata[b"onearm"]) | said)
        pq.write_table(table.replace_schema_metadata({"onearm": header}), path)
        return
    header, rest = path.read_text().split("\n", 1)
    path.write_text(json.dumps(json.loads(header) | said) + "\n" + rest)


@pytest.mark.parametrize("contexts", [False, True])
def test_a_decision_that_is_there_twice_is_judged_once(form: types.ModuleType, tmp_path: Path, contexts: bool) -> None:
    path = write(form, tmp_path / "joined")
    damage(form, path, lambda rows: rows.append(rows[1]))
    with form.read_rows(Source(path), Wanted(contexts=contexts)) as rows:
        assert (rows.decisions, rows.bad_lines.count) == (5, {"repeated_decision": 1})
        assert rows.columns().reward.tolist() == list(KNOWN.values())


def test_what_is_wrong_with_an_event_is_named_by_its_seq(form: types.ModuleType, tmp_path: Path) -> None:
    path = write(form, tmp_path / "joined")
    damage(form, path, lambda rows: rows[10].update(action=7))
    for bad in (form.read(path).bad_lines, _read_through(form, path)):
        assert (bad.lines["bad_action"], bad.places["bad_action"]) == ([14], "event")
    with form.read_rows(Source(path), Wanted()) as rows:  # which takes no row apart
        bad = rows.bad_lines
    assert (bad.lines["bad_action"], bad.places["bad_action"]) == ([11 if form is parquet else 12], "line")


def test_lines_that_cannot_be_decoded_are_named_by_their_number(tmp_path: Path) -> None:
    path = write(jsonl, tmp_path / "joined")
    path.write_text(path.read_text().replace('"action":1', '"action":"one"', 1))
    bad = jsonl.read(path).bad_lines
    assert (bad.lines["wrong_type"], bad.places["wrong_type"]) == ([4], "line")
    assert (bad.lines["missing_event"], bad.places["missing_event"]) == ([3, 4], "event")


def _read_through(form: types.ModuleType, path: Path) -> BadLines:
    events = form.read_events(Source(path))
    assert list(events.rows)
    found: BadLines = events.bad_lines
    return found
