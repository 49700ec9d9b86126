"""The Open Bandit Dataset: known figures of its sample, the pipeline's contexts, and what becomes of bad lines."""

from __future__ import annotations

import csv
import gzip
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onearm.engine.contexts import unpack_contexts
from onearm.engine.errors import InvalidInput
from onearm.engine.storage import rows
from onearm.engine.storage.formats import cells, jsonl, obd, packed, parquet
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import EXTERNAL, LEARN, Columns, Problem

HEADER = ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user-item_affinity_0"
BARE = Wanted(contexts=False)


def line(second: int, item: Any = 0, click: Any = 0, propensity: Any = 0.5, users: str = "a,b") -> str:
    return f"0,2019-11-24 00:00:{second:02d}.5+00:00,{item},1,{click},{propensity},{users},0.0"


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    (folder / "men.csv").write_text("\n".join([header, *lines, ""]))
    return folder / "men.csv"


def read(path: Path, wanted: Wanted = BARE) -> Rows:
    return obd.read_rows(Source(path), wanted)


def same(one: Columns, other: Columns) -> bool:
    return all(np.array_equal(a, b, equal_nan=a.dtype == np.float64) for a, b in zip(one, other, strict=True))


def test_uniform_play_is_worth_the_known_figures(data_folder: Path) -> None:
    """By the pipeline of the data set's authors, on the log of Bernoulli Thompson sampling."""
    with read(data_folder / "obd" / "bts" / "men" / "men.csv.gz") as found:
        rows = found.columns()
        assert (found.problem, found.decisions) == (Problem(34), 10_000)
    weight = 1 / 34 / rows.propensity
    assert np.mean(weight * rows.reward) == pytest.approx(0.0030086263272564836, rel=0, abs=1e-12)
    assert np.sum(weight * rows.reward) / weight.sum() == pytest.approx(0.003189423162277392, rel=0, abs=1e-12)


def test_contexts_are_those_of_the_pipeline(data_folder: Path) -> None:
    """One-hot, the categories of each feature in the order of their texts, without the first: `pandas.get_dummies`."""
    path = data_folder / "obd" / "random" / "men" / "men.csv.gz"
    with gzip.open(path, "rt") as file:
        lines = sorted(csv.DictReader(file), key=lambda row: row["timestamp"])
    columns = []
    for j in range(4):
        texts = [row[f"user_feature_{j}"] for row in lines]
        columns += [[float(text == category) for text in texts] for category in sorted(set(texts))[1:]]
    with read(path, Wanted()) as found:
        assert found.problem == Problem(34, (len(columns),))
        np.testing.assert_array_equal(found.columns().context, np.transpose(columns))


def test_a_missing_category_is_none_and_one_of_bad_lines_does_not_count(tmp_path: Path) -> None:
    users = ["b,x", "a,x", ",x", "c,y"]
    path = written(tmp_path, *(line(i, users=user) for i, user in enumerate(users)), line(9, -1, users="d,z"))
    with read(path, Wanted()) as found:
        assert found.columns().context.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 1]]


def test_too_many_categories_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, *(line(0, users=f"u{i},b") for i in range(1030)))
    with pytest.raises(InvalidInput, match="more than 1024 categories") as refused:
        read(path, Wanted())
    assert refused.value.code == "too_many_categories"


@pytest.mark.parametrize(("segment", "names"), [("position", ["2", "3", "1"]), ("user_feature_1", None)])
def test_segments_are_the_values_of_a_column(data_folder: Path, segment: str, names: list[str] | None) -> None:
    path = data_folder / "obd" / "bts" / "men" / "men.csv.gz"
    with gzip.open(path, "rt") as file:
        wanted = [row[segment] for row in csv.DictReader(file)]
    with read(path, Wanted(contexts=False, segment=segment)) as found:
        assert found.segments == (names or list(dict.fromkeys(wanted)))
        assert [found.segments[place] for page in found.pages() for place in page.segment] == wanted


def test_a_segment_that_is_no_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no column 'colour'.*position") as refused:
        read(written(tmp_path, line(1)), Wanted(segment="colour"))
    assert refused.value.code == "bad_segment"


def test_every_kind_of_bad_line_is_counted_and_named(tmp_path: Path) -> None:
    lines = [
        line(1, 1, 1),  # line 2
        "broken,line",
        line(2, "x"),
        line(3, 5),
        line(4, 0, ""),
        line(5, 0, 0, "nan"),
        line(6, 0, 0, 0),
        "",
        line(7).replace("2019-11-24", "yesterday"),  # line 10
        line(8, 0.5),
        line(9, 0, "1e101"),
        line(10, 0, 0, 1.5),
        line(11).replace("2019-11-24", "2019-13-24"),
        f"{line(12)},0.0",
        line(13, '"0'),
        line(14).replace("0,1,", "0,\r,"),
        line(15, " 1 ", "+1", "5e-1"),  # line 18
        line(16, "1.0", "1."),
        line(17)[:30],
    ]
    path = written(tmp_path, *lines)
    (tmp_path / "item_context.csv").write_text(",item_id\n0,1\n")
    for wanted in (BARE, Wanted()):
        with read(path, wanted) as found:
            assert found.bad_lines.lines == {
                "broken": [3, 9, 15, 16, 17, 20],
                "bad_action": [4, 5, 11],
                "bad_reward": [6, 12],
                "bad_propensity": [7, 8, 13],
                "bad_timestamp": [10, 14],
            }
            rows = found.columns()
            assert (rows.action.tolist(), rows.reward.tolist()) == ([1, 1, 1], [1.0, 1.0, 1.0])
            assert [row for page in found.pages() for row in page.line.tolist()] == [2, 18, 19]
            assert (found.decisions, found.problem.n_arms) == (3, 2)


def test_a_file_without_a_good_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"not one good line.*bad_action") as refused:
        read(written(tmp_path, line(1, "x"), line(2, "y")))
    assert refused.value.code == "wrong_format"


def test_lines_are_numbered_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 1000)
    lines = [line(i % 60, "x" if i % 7 == 3 else 0, i) if i % 11 else f'{line(1)},"' for i in range(300)]
    path = written(tmp_path, *lines)
    bad = {"bad_action": [i + 2 for i in range(300) if i % 7 == 3 and i % 11]}
    bad["broken"] = [i + 2 for i in range(300) if i % 11 == 0]
    with read(path) as found:
        assert found.bad_lines.lines == {kind: numbers[:20] for kind, numbers in bad.items()}
        assert found.bad_lines.count == {kind: len(numbers) for kind, numbers in bad.items()}
        assert sum(map(len, bad.values())) + len(found) == 300
        for page in found.pages():
            assert page.line.tolist() == (page.columns.reward + 2).tolist()


def test_rows_are_sorted_by_time_in_memory_and_taken_as_they_stand_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 500)
    monkeypatch.setattr(obd, "PAGE", 7)
    seconds = np.random.default_rng(0).integers(0, 60, 50).tolist()
    path = written(tmp_path, *(line(second, click=i, users=f"u{i % 3},b") for i, second in enumerate(seconds)))
    wanted = Wanted(segment="user_feature_0")
    order = sorted(range(50), key=lambda i: seconds[i])  # Python's sort is stable too
    with read(path, wanted) as found:
        assert not found.on_disk
        assert not found.notes
        assert len(list(found.pages())) == 8
        assert found.columns().reward.tolist() == order
        assert [row for page in found.pages() for row in page.line] == [i + 2 for i in order]
        assert [found.segments[k] for page in found.pages() for k in page.segment] == [f"u{i % 3}" for i in order]
        by_code = [[0, 0], [1, 0], [0, 1]]
        assert found.columns().context.tolist() == [by_code[i % 3] for i in order]
        assert found.columns().number.tolist() == list(range(50))
    monkeypatch.setattr(rows, "MEMORY", 0)
    with read(path, wanted) as found:
        assert found.on_disk
        assert found.columns().reward.tolist() == list(range(50))
        assert found.columns().context.tolist() == [by_code[i % 3] for i in range(50)]
        (note,) = found.notes
    command = note[note.index("(head") : note.index(" > sorted.csv")]
    done = subprocess.run(command, shell=True, capture_output=True, check=True, env={"LC_ALL": "C"})
    (tmp_path / "men.csv").write_bytes(done.stdout)
    with read(path, wanted) as found:
        assert found.on_disk
        assert not found.notes
        assert found.columns().reward.tolist() == order


def test_blocks_that_are_each_in_order_may_not_be_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 200)  # some three lines
    for cut in range(1, 9):
        seconds = [*range(20, 20 + cut), *range(10)]
        with read(written(tmp_path, *(line(second, click=second) for second in seconds))) as found:
            assert len(list(found.pages())) == 1
            assert found.columns().reward.tolist() == sorted(seconds)
        with read(written(tmp_path, *(line(second, click=second) for second in sorted(seconds)))) as found:
            assert len(list(found.pages())) > 1  # in order: nothing is put together
            assert found.columns().reward.tolist() == sorted(seconds)


def test_rows_on_disk_are_those_in_memory(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data_folder / "obd" / "random" / "men" / "men.csv.gz"
    with read(path, Wanted()) as found:
        in_memory = found.columns()
    monkeypatch.setattr(rows, "MEMORY", 0)
    with read(path, Wanted()) as found:
        assert found.on_disk
        assert same(found.columns(), in_memory)
    assert same(obd.read(path).table, in_memory._replace(context=np.zeros((10_000, 0))))


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_packed_campaigns_are_read_and_what_was_cut_off_is_one_bad_line(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(3)
    lines = [line(i % 60, 0, i, round(rng.random() + 1e-9, 9)) for i in range(6000)]
    text = "\n".join([HEADER, *lines, ""]).encode()
    path = tmp_path / f"men.csv{ending}"
    with packed.open_packed(path) as out:
        out.write(text)
    whole = path.read_bytes()
    with read(path) as found:
        assert (len(found), found.bad_lines.count) == (6000, {})
    path.write_bytes(whole[: len(whole) // 2])
    with read(path) as found:
        n = len(found)
        assert 0 < n < 6000
        assert found.bad_lines.lines == {"truncated": [n + 2]}


def test_the_arms_are_those_of_the_items_of_the_affinities_or_of_the_log(tmp_path: Path) -> None:
    path = written(tmp_path, line(1, 0))
    assert read(path, Wanted(n_arms=9)).problem.n_arms == 1  # one affinity
    (tmp_path / "item_context.csv").write_text(",item_id,item_feature_0\n0,0,1.0\n1,4,1.0\n")
    assert read(path, Wanted(n_arms=9)).problem.n_arms == 5
    (tmp_path / "item_context.csv").unlink()
    bare = written(tmp_path, "2019-11-24T00:00:00Z,3,1,0.5", header="timestamp,item_id,click,propensity_score")
    assert read(bare).problem.n_arms == 4
    assert read(bare, Wanted(n_arms=9)).problem == Problem(9)
    with pytest.raises(InvalidInput, match="bad_action"):
        read(bare, Wanted(n_arms=3))


def test_items_lie_beside_a_packed_campaign_too(tmp_path: Path) -> None:
    path = tmp_path / "men.csv.gz"
    path.write_bytes(gzip.compress(written(tmp_path, line(1, 0)).read_bytes()))
    (tmp_path / "item_context.csv").write_text(",item_id,size\n0,0,1.0\n1,1,2.0\n2,2,1.0\n")
    assert read(path).problem.n_arms == 3
    assert obd.read_items(path, "size").tolist() == [0, 1, 0]


def test_items_have_categories(data_folder: Path, tmp_path: Path) -> None:
    path = data_folder / "obd" / "bts" / "men" / "men.csv.gz"
    with path.with_name("item_context.csv").open() as file:
        items = {int(row["item_id"]): row for row in csv.DictReader(file)}
    for feature in ("item_feature_0", "item_feature_1", "item_feature_3"):
        texts = [items[arm][feature] for arm in range(34)]
        wanted = [sorted(set(texts)).index(text) for text in texts]
        assert obd.read_items(path, feature).tolist() == wanted
        assert obd.read_items(path.with_name("item_context.csv"), feature).dtype == np.int64
    with pytest.raises(InvalidInput, match=r"no feature 'size'.*item_feature_0, item_feature_1"):
        obd.read_items(path, "size")
    (tmp_path / "item_context.csv").write_text(",item_id,size\n0,0,1.0\n1,2,1.0\n")
    with pytest.raises(InvalidInput, match="no size of the item 1"):
        obd.read_items(tmp_path / "men.csv", "size")
    (tmp_path / "item_context.csv").unlink()
    with pytest.raises(InvalidInput) as refused:
        obd.read_items(tmp_path / "men.csv", "size")
    assert refused.value.code == "unreadable_file"


def test_events_hold_the_time_the_line_and_the_position(data_folder: Path) -> None:
    path = data_folder / "obd" / "bts" / "men" / "men.csv.gz"
    events = obd.read_events(Source(path))
    with read(path, Wanted()) as found:
        wanted = found.columns()
        assert events.problem == found.problem
    texts = gzip.decompress(path.read_bytes()).decode().splitlines()
    decision, reward = next(events.rows), next(events.rows)
    assert (decision.kind, reward.kind, decision.seq, reward.seq) == (EXTERNAL, LEARN, 1, 2)
    assert (decision.time, reward.time) == (1574553663979311, 1574553663979311)
    assert (decision.action, decision.propensity, reward.reward) == (2, 0.045525, 0.0)
    assert json.loads(decision.sent or "") == {"from": "obd", "line": texts[1]}
    np.testing.assert_array_equal(unpack_contexts([decision.context], events.problem)[0], wanted.context[0])
    assert events.spec["header"] == texts[0]


def converted(path: Path, form: Any, to: Path) -> Any:
    """Write a log as an export, and return the events that are read from there."""
    events = obd.read_events(Source(path))
    with form.Writer(to, events.problem, events.spec) as out:
        out.write_events(events.rows)
    return form.read_events(Source(to))


@pytest.mark.parametrize("form", [jsonl, parquet])
def test_a_campaign_comes_back_to_the_byte(tmp_path: Path, form: Any) -> None:
    lines = [line(i * 7 % 60, i % 3, i % 2, (i + 1) / 50, f"ü{i % 4},{'' if i % 5 else 'x'}") for i in range(40)]
    header = f"\ufeff{HEADER},user-item_affinity_1,user-item_affinity_2"
    lines = [f"{each},1.0,2.0" for each in lines]
    last = b"0,2019-11-24 00:00:00+00:00,1,\xff,0,1,a,b,0.0,,\r\n"
    text = "\r\n".join([header, *lines, ""]).encode() + last
    (tmp_path / "men.csv").write_bytes(text)
    again = converted(tmp_path / "men.csv", form, tmp_path / "log")
    with obd.Writer(tmp_path / "back.csv", again.problem, again.spec) as out:
        out.write_events(again.rows)
    assert (tmp_path / "back.csv").read_bytes() == text


def test_a_reward_that_was_added_is_written_into_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, line(1, 0, 1), line(2, 0, 0))
    events = list(obd.read_events(Source(path)).rows)
    spec = {"from": "obd", "header": HEADER}
    with obd.Writer(tmp_path / "out.csv", Problem(1), spec) as out:
        out.write_events([*events, events[1]._replace(seq=9, reward=0.5, reward_id="r")])
    assert (tmp_path / "out.csv").read_text().splitlines() == [HEADER, line(1, 0, 1.5), line(2, 0, 0)]


def test_events_of_others_become_lines_and_what_has_no_place_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, line(1, 0, 0.25), line(2, 0, 1))
    events = [event._replace(sent=None, context=None) for event in obd.read_events(Source(path)).rows]
    events.append(events[2]._replace(seq=5, number=2))  # nobody rewarded it
    with obd.Writer(tmp_path / "out.csv.gz", Problem(3), {"policy": {}}) as out:
        out.write_events(events)
    assert out.unrewarded == 1
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).decode().splitlines() == [
        ",timestamp,item_id,position,click,propensity_score",
        "0,2019-11-24 00:00:01.500000+00:00,0,1,0.25,0.5",
        "1,2019-11-24 00:00:02.500000+00:00,0,1,1,0.5",
    ]
    with (
        pytest.raises(InvalidInput, match="decision 0 has no propensity"),
        obd.Writer(tmp_path / "out.csv", Problem(3), {}) as out,
    ):
        out.write_events([events[0]._replace(propensity=None)])
    for problem in (Problem(3, (3, 2)), Problem(3, (3, 64), nonzeros=5), Problem(0, slots=1)):
        with pytest.raises(InvalidInput) as refused:
            obd.Writer(tmp_path / "out.csv", problem, {})
        assert refused.value.code == "cannot_hold"


def test_standard_input_is_a_campaign_without_items_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, line(1, 0), line(2, 0, 1))
    (tmp_path / "item_context.csv").write_text(",item_id\n0,7\n")
    monkeypatch.chdir(tmp_path)
    with path.open("rb", buffering=0) as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(raw=file)))
        events = obd.read_events(Source(Path("-")))
    assert events.problem == Problem(1, (0,))
    assert [event.reward for event in events.rows if event.kind == LEARN] == [0.0, 1.0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_break_the_reader_and_every_line_is_accounted_for(tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray("\n".join([HEADER, *(line(i, i % 2, i % 2) for i in range(12)), ""]).encode())
    for at in data.draw(st.lists(st.integers(len(HEADER) + 1, len(text) - 1), max_size=6)):
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b'"', b"\n", b"\r", b"\xff", b","])
        )
    path = tmp_path / "men.csv"
    path.write_bytes(text)
    try:
        with read(path, Wanted()) as found:
            body = bytes(text)[len(HEADER) + 1 :]
            n_lines = body.count(b"\n") + (not body.endswith(b"\n"))
            assert len(found) + sum(found.bad_lines.count.values()) == n_lines
    except InvalidInput as refused:
        assert refused.code == "wrong_format"


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "men.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        read(path)


def test_numbers_and_moments_are_read_one_by_one_as_in_columns() -> None:
    """A cell must not mean something else because another one in its block is bad."""
    numbers = ["0", "7", "1.0", "0.5", "-1", "1e3", "nan", "9" * 25, "", "x", "1_0", "0x1", "0X1"]
    for text in numbers:
        alone, beside = (cells.floats(pa.array(texts))[0] for texts in ([text], [text, "?"]))
        assert alone == beside or (math.isnan(alone) and math.isnan(beside)), text
        one, two = (int(cells.wholes(pa.array(texts))[0]) for texts in ([text], [text, "?"]))
        assert one == two or (one < 0 and two < 0), text
    assert np.isnan(cells.floats(pa.array(["1_0"]))).all()
    assert (cells.wholes(pa.array(["0x1", "0X1"])) < 0).all()
    for text in ["2019-11-24 00:00:01+00:00", "2019-11-24T00:00:01.25Z", "2019-11-24 09:00:01+09:00", "2019", "x"]:
        assert cells.moments(pa.array([text]))[0] == cells.moments(pa.array([text, "?"]))[0], text
