"""CSV by the names of its columns: labels, features of users, unknown cells, and what becomes of bad lines."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onearm.engine.contexts import pack_context
from onearm.engine.errors import InvalidInput
from onearm.engine.storage import rows
from onearm.engine.storage.formats import cells, csv_columns, csv_table, jsonl, parquet, texts
from onearm.engine.storage.formats.csv_columns import roles_of
from onearm.engine.storage.records import Event
from onearm.engine.storage.rows import Naming, Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import DECIDE, EXTERNAL, LEARN, Problem

NO_PROPENSITIES = "the log says nothing of propensities: weighted estimates need them"


def written(folder: Path, *lines: str, name: str = "log.csv") -> Path:
    (folder / name).write_text("\n".join([*lines, ""]))
    return folder / name


def read(path: Path, wanted: Wanted | None = None) -> Rows:
    return csv_table.read_rows(Source(path), wanted or Wanted())


def test_a_table_of_numbers_is_taken_as_it_stands(tmp_path: Path) -> None:
    path = written(tmp_path, "action,reward,propensity,x0,x1", "2,1,0.5,0.25,-1", "0,0.5,1,3,4", "2.0, -1 ,0.125,0,1e3")
    with read(path) as found:
        table = found.columns()
        assert found.problem == Problem(3, (2,))
        assert table.action.tolist() == [2, 0, 2]
        assert table.reward.tolist() == [1.0, 0.5, -1.0]
        assert table.propensity.tolist() == [0.5, 1.0, 0.125]
        assert table.context.tolist() == [[0.25, -1.0], [3.0, 4.0], [0.0, 1000.0]]
        assert (found.notes, found.labels, found.decisions) == ([], [], 3)
    assert read(path, Wanted(contexts=False, n_arms=7)).problem == Problem(7)
    assert csv_table.read(path).table.action.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("user_id,item_id,response,score", ("item_id", "response", 1.0, None)),
        ("decisions,rewards,x_1", ("decisions", "rewards", 1.0, None)),
        ("Arm,Cost,Prob", ("Arm", "Cost", -1.0, "Prob")),
        ("interaction_id,arm_id,reward,predicted_at,propensity", ("arm_id", "reward", 1.0, "propensity")),
        ("item_id,action,click,reward,pscore", ("action", "reward", 1.0, "pscore")),
        ("timestamp,item_id,position,click,propensity_score", ("item_id", "click", 1.0, "propensity_score")),
    ],
)
def test_columns_are_known_by_their_usual_names(header: str, wanted: tuple[Any, ...]) -> None:
    roles = roles_of(header.split(","), Naming(), "log.csv")
    assert roles is not None
    assert roles[:4] == wanted


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["red", "blue", "red", "green"], ["blue", "green", "red"]),
        (["50", "181", "9", "50"], ["9", "50", "181"]),  # as numbers, not as texts
        (["10", "9.5", "-1"], ["-1", "9.5", "10"]),
        (["1", "2", "x"], ["1", "2", "x"]),
        (["1", "0", "2"], ["0", "1", "2"]),
        (["ü", "z", '"a, b"'], ["a, b", "z", "ü"]),
    ],
)
def test_labels_are_numbered_in_their_order(tmp_path: Path, labels: list[str], order: list[str]) -> None:
    path = written(tmp_path, "user_id,item_id,response", *(f"7,{label},{i}" for i, label in enumerate(labels)))
    with read(path) as found:
        assert found.labels == order
        assert found.columns().action.tolist() == [order.index(label.strip('"')) for label in labels]
        assert found.problem.n_arms == len(order)
        identity = order == ["0", "1", "2"]
        shown = ", ".join(f"{arm} = {label}" for arm, label in enumerate(order))
        named = [f"arms are the {len(order)} labels of 'item_id' in their order: {shown}"]
        unread = "columns that were not read: user_id"
        assert found.notes == [*([] if identity else named), NO_PROPENSITIES, unread]
    assert read(path, Wanted(n_arms=9)).problem.n_arms == 9


def test_actions_that_are_no_numbers_are_labels_and_labels_of_bad_lines_are_no_arms(tmp_path: Path) -> None:
    path = written(tmp_path, "action,reward", "b,1", "a,x", ",1", "c,0")
    with read(path) as found:
        assert found.labels == ["b", "c"]
        assert found.bad_lines.lines == {"bad_reward": [3], "bad_action": [4]}
    with read(written(tmp_path, "action,reward", "1,1", "b,1", "3,0")) as found:
        assert (found.labels, found.problem.n_arms) == ([], 4)
        assert found.bad_lines.lines == {"bad_action": [3]}


def test_more_labels_than_arms_can_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_columns, "ARMS_MAX", 3)
    with pytest.raises(InvalidInput, match="more than 3 labels"):
        read(written(tmp_path, "item_id,reward", *(f"a{i},1" for i in range(4))))


def test_costs_are_negated(tmp_path: Path) -> None:
    with read(written(tmp_path, "action,cost,prob", "0,-1,0.5", "1,0,0.5")) as found:
        assert found.columns().reward.tolist() == [1.0, 0.0]
        assert math.copysign(1, found.columns().reward[1]) == 1.0
        assert found.notes == ["rewards are minus 'cost'"]


def test_every_kind_of_bad_line_is_counted_and_named(tmp_path: Path) -> None:
    lines = [
        "0,1,0.5,1,a",  # line 2
        "-1,1,0.5,1,a",
        "x,1,0.5,1,a",
        "0.5,1,0.5,1,a",
        "0,yes,0.5,1,a",
        "0,inf,0.5,1,a",
        "0,1e101,0.5,1,a",
        "0,1,0,1,a",
        "0,1,1.5,1,a",  # line 10
        "0,1,half,1,a",
        "0,1,0.5,,a",
        "0,1,0.5,1",
        "0,1,0.5,1,a,b",
        "",
        '0,1,0.5,1,"open',
        '0,1,0.5,1,"a line',
        'break"',
        "0,1,0.5,1,a\rb",
        '1,1,0.5,1,"a, ""b"""',  # line 20
        "1,,0.5,1,a",  # no reward yet
        "1,1,NaN,1,a",
    ]
    path = written(tmp_path, "action,reward,propensity,x0,note", *lines)
    with read(path) as found:
        assert found.bad_lines.lines == {
            "bad_action": [3, 4, 5],
            "bad_reward": [6, 7, 8],
            "bad_propensity": [9, 10, 11],
            "bad_context": [12],
            "broken": [13, 14, 15, 16, 17, 18, 19],
        }
        assert [line for page in found.pages() for line in page.line.tolist()] == [2, 20, 22]
        assert found.columns().number.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(found.columns().propensity, [0.5, 0.5, np.nan])
        assert (found.decisions, len(found)) == (4, 3)
    with read(path, Wanted(contexts=False, n_arms=1)) as found:
        assert found.bad_lines.lines["bad_action"] == [3, 4, 5, 20, 21, 22]
        assert "bad_context" not in found.bad_lines.count


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty_file"),
        ("name,age\nann,3\n", "wrong_format"),
        ("action\n1\n", "wrong_format"),
        ("action,reward\n", "wrong_format"),
        ("action,reward\nx,y\n", "wrong_format"),
        ("action,reward\n1,\n", "wrong_format"),
    ],
)
def test_files_that_are_no_such_tables_are_refused_in_words(tmp_path: Path, content: str, code: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(InvalidInput, match=r"log\.csv") as refused:
        read(tmp_path / "log.csv")
    assert refused.value.code == code


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_tabs_and_the_mark_of_spreadsheets_are_read(tmp_path: Path, delimiter: str) -> None:
    text = "\ufeffaction,reward,note\r\n1,0.5,a\r\n0,1,b\r\n".replace(",", delimiter)
    (tmp_path / "log.csv").write_bytes(text.encode())
    with read(tmp_path / "log.csv", Wanted(segment="note")) as found:
        assert found.columns().reward.tolist() == [0.5, 1.0]
        assert found.segments == ["a", "b"]
        assert not found.bad_lines.count


def test_segments_are_those_of_good_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "action,reward,country", "0,1,de", "x,1,fr", "1,1,nl", "0,0,de")
    with read(path, Wanted(segment="country")) as found:
        assert found.segments == ["de", "nl"]
        assert [page.segment.tolist() for page in found.pages()] == [[0, 1, 0]]
    with pytest.raises(InvalidInput, match="no column 'city'"):
        read(path, Wanted(segment="city"))


def test_features_of_users_come_from_the_file_beside_the_log(tmp_path: Path) -> None:
    log = written(tmp_path, "user_id,item_id,response", "u1,5,1", "u2,7,0", "u3,5,1", "u4,5,1", "u1,7,0")
    written(tmp_path, "user_id,u0,u1", "u2,0.5,1", "u1,3,-4", "u4,x,1", name="features_user.csv")
    with read(log) as found:
        assert found.problem == Problem(2, (2,))
        assert found.columns().context.tolist() == [[3, -4], [0.5, 1], [3, -4]]
        assert found.bad_lines.lines == {"bad_context": [4, 5]}
        assert found.notes[-1] == "contexts are the 2 features of users in features_user.csv"
    with read(log, Wanted(contexts=False)) as found:
        assert (found.problem, len(found)) == (Problem(2), 5)
    named = written(tmp_path, "user_id,item_id,response,x0", "u1,5,1,9")
    assert read(named).columns().context.tolist() == [[9.0]]  # a log's own features go first
    written(tmp_path, "customer,u0", "u1,1", name="features_user.csv")
    log = written(tmp_path, "user_id,item_id,response", "u1,5,1")
    with pytest.raises(InvalidInput, match=r"features_user\.csv has no column 'user_id'"):
        read(log)
    written(tmp_path, "user_id", "u1", name="features_user.csv")
    with pytest.raises(InvalidInput, match="no features of theirs"):
        read(log)


@given(st.binary() | st.text(st.sampled_from("a\xe9\uf780\uf7ff\U0001f600")).map(str.encode))
def test_any_line_can_be_text_in_json_and_comes_back(line: bytes) -> None:
    text = texts.text_of(line)
    assert texts.bytes_of(json.loads(msgspec.json.encode(text))) == line


def test_rows_on_disk_are_those_in_memory_and_blocks_meet_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f'{"abc"[i % 3]},{i},0.5,u{i % 7},"{i % 4}"' for i in range(500)]
    lines[40] = 'a,1,0.5,u1,"open'
    lines[90] = "a,1,0.5"
    written(tmp_path, "user_id,x,y", *(f"u{i},{i},{-i}" for i in range(7)), name="features_user.csv")
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress("\n".join(["item_id,reward,prob,user_id,s", *lines, ""]).encode()))
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 1000)
    monkeypatch.setattr(rows, "MEMORY", 5000)
    kept = [i for i in range(500) if i not in (40, 90)]
    with read(path, Wanted(segment="s")) as found:
        assert found.on_disk
        assert len(list(found.pages())) > 10
        assert found.bad_lines.lines == {"broken": [42, 92]}
        table = found.columns()
        assert table.reward.tolist() == kept
        assert table.action.tolist() == [i % 3 for i in kept]
        assert table.context[:, 1].tolist() == [-(i % 7) for i in kept]
        assert [found.segments[k] for page in found.pages() for k in page.segment] == [str(i % 4) for i in kept]


CONVERTED = b"""\xef\xbb\xbfuser_id,item_id,response,prob,time,decision_id,note\r
1,b,1,0.50,2024-05-01 12:00:00+02:00,d1,"a, ""b"" "\r
2,a,,0.5,yesterday,,\r
3,"a",0.0,,2024-05-01T10:00:00,d3,caf\xe9\r
"""


@pytest.mark.parametrize("form", [jsonl, parquet])
def test_a_table_comes_back_to_the_byte(tmp_path: Path, form: Any) -> None:
    (tmp_path / "log.csv").write_bytes(CONVERTED)
    events = csv_table.read_events(Source(tmp_path / "log.csv"))
    with form.Writer(tmp_path / "log", events.problem, events.spec) as out:
        out.write_events(events.rows)
    again = form.read_events(Source(tmp_path / "log"))
    with csv_table.Writer(tmp_path / "back.csv", again.problem, again.spec) as out:
        out.write_events(again.rows)
    assert (tmp_path / "back.csv").read_bytes() == CONVERTED
    assert out.unrewarded == 0


def test_events_hold_times_ids_and_decisions_without_a_reward(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(CONVERTED)
    events = csv_table.read_events(Source(tmp_path / "log.csv"))
    assert events.spec["labels"] == ["a", "b"]
    found = list(events.rows)
    assert [event.kind for event in found] == [EXTERNAL, LEARN, EXTERNAL, EXTERNAL, LEARN]
    assert [event.seq for event in found] == [1, 2, 3, 4, 5]
    assert [event.number for event in found] == [0, 0, 1, 2, 2]
    assert [event.action for event in found] == [1, 1, 0, 0, 0]
    assert [event.time for event in found] == [1714557600000000] * 2 + [0] + [1714557600000000] * 2
    assert [event.decision_id for event in found] == ["d1", None, None, "d3", None]
    assert [event.propensity for event in found] == [0.5, 0.5, 0.5, None, None]
    assert json.loads(found[2].sent or "") == {"from": "csv", "line": "2,a,,0.5,yesterday,,\r"}


def test_a_changed_reward_is_written_into_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "action,cost,note", '1,-2,"a, b"', "0,3.0,", "1,,x")
    events = csv_table.read_events(Source(path))
    found = list(events.rows)
    found += [found[1]._replace(reward=0.5, reward_id="r"), found[4]._replace(kind=LEARN, reward=1.0, sent=None)]
    with csv_table.Writer(tmp_path / "out.csv", events.problem, events.spec) as out:
        out.write_events(found)
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "action,cost,note",
        '1,-2.5,"a, b"',
        "0,3.0,",
        "1,-1,x",
    ]


def test_lines_of_a_table_that_events_of_others_join_use_its_columns_and_labels(tmp_path: Path) -> None:
    spec = {"from": "csv", "header": "note;arm_id;response;x0", "delimiter": ";", "labels": ["red; hot", "blue"]}
    event = Event(1, 1, DECIDE, 0, 0, 0.5, context=pack_context(np.array([1.5]), Problem(2, (1,))))
    with csv_table.Writer(tmp_path / "out.csv", Problem(2, (1,)), spec) as out:
        out.write_events([event, event._replace(kind=LEARN, reward=1.0, context=None)])
    assert (tmp_path / "out.csv").read_text() == 'note;arm_id;response;x0\n;"red; hot";1;1.5\n'


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(
        st.tuples(
            st.integers(0, 4),
            st.none() | st.floats(-1e100, 1e100),
            st.none() | st.floats(1e-300, 1.0),
            st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1),
            st.integers(0, 10**15),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_events_of_others_are_read_back(tmp_path: Path, table: list[tuple[Any, ...]]) -> None:
    problem = Problem(5, (1,))
    events = []
    for i, (arm, reward, propensity, number, name, time) in enumerate(table):
        context = pack_context(np.array([number]), problem)
        event = Event(1, len(events) + 1, DECIDE, i, arm, propensity, context=context, decision_id=name, time=time)
        events.append(event)
        if reward is not None:
            events.append(Event(1, len(events) + 1, LEARN, i, arm, propensity, reward, time=time))
    with csv_table.Writer(tmp_path / "log.csv", problem, {"policy": {}}) as out:
        out.write_events(events)
    again = csv_table.read_events(Source(tmp_path / "log.csv"))
    found = list(again.rows)
    fields = ("seq", "number", "action", "propensity", "reward", "context", "decision_id", "time")
    assert [[getattr(one, name) for name in fields] for one in found] == [
        [getattr(one, name) for name in fields] for one in events
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_break_the_reader_and_every_line_is_accounted_for(tmp_path: Path, data: st.DataObject) -> None:
    header = b"action,reward,propensity,note\n"
    text = bytearray(header + b"".join(b'%d,%d,0.5,"a b"\n' % (i % 3, i % 2) for i in range(12)))
    junk = st.sampled_from([b"", b'"', b"\n", b"\r", b"\xff", b",", b"\x00"])
    for at in data.draw(st.lists(st.integers(len(header), len(text) - 1), max_size=6)):
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(junk)
    path = tmp_path / "log.csv"
    path.write_bytes(text)
    body = bytes(text)[len(header) :]
    with read(path) as found:
        waiting = found.decisions - len(found)
        n_lines = body.count(b"\n") + (not body.endswith(b"\n"))
        assert len(found) + waiting + sum(found.bad_lines.count.values()) == n_lines


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        read(path)


ODD = ["1", " 1", "1.0", "007", "-1", "", " ", "nan", "NaN", "-nan", "inf", "1e400", "0x1", "true", "abc", "1_0", "+1"]
ODD += ["99999999999999999999", '"1"', "1 ", "\u0663", "null", "0.30000000000000004", "1e-320", "-0"]


@pytest.mark.parametrize("cell", ODD)
@pytest.mark.parametrize("place", range(4))
def test_cells_that_are_read_as_numbers_say_what_they_say_as_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, place: int
) -> None:
    good = ["1", "0.5", "0.25", "3"]
    lines = [",".join([*good[:place], cell, *good[place + 1 :]]), "0,1,1,-2", "1,2", ",,,", "0,1,1,4"]
    path = written(tmp_path, "action,reward,propensity,x0", *lines)
    found = []
    for _ in range(2):
        with read(path) as rows:
            columns = rows.columns()
            names = ("action", "reward", "propensity", "context")
            said = [getattr(columns, name).tolist() for name in names]
            found.append((repr(said), rows.bad_lines.count, rows.bad_lines.lines, rows.problem, rows.notes))
        monkeypatch.setattr(cells.Table, "_numbers", lambda *arguments: None)
    assert found[0] == found[1]


@pytest.mark.parametrize("cell", ["0x1", "0X1", '"0x1"', '"0"x1'])
@pytest.mark.parametrize("last", ["1", " 1", "+1", "1.0"])
@pytest.mark.parametrize("name", ["action", "arm"])
def test_a_hexadecimal_number_is_no_action_whatever_stands_beside_it(
    tmp_path: Path, name: str, last: str, cell: str
) -> None:
    path = written(tmp_path, f"{name},reward,propensity", "0,1,0.5", f"{cell},0,0.5", f"{last},1,0.5")
    with read(path) as found:
        assert found.columns().action.tolist() == [0, 1]
        assert (found.bad_lines.count, found.bad_lines.lines) == ({"bad_action": 1}, {"bad_action": [3]})


def test_a_hexadecimal_text_in_another_column_leaves_actions_as_they_are(tmp_path: Path) -> None:
    with read(written(tmp_path, "action,reward,propensity,user_id", "0,1,0.5,0xab", "7,0,0.5,0x1")) as found:
        assert (found.columns().action.tolist(), found.bad_lines.count) == ([0, 7], {})
