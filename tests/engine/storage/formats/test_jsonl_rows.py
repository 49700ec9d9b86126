"""Exports and tables read a page at a time: equal to a fold in plain Python, whatever is bad, late or large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import messy
from support.exported import SPEC, sets

from onearm.engine.columns import concat, every_mask, rewarded
from onearm.engine.contexts import context_at, pack_context
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.storage import rows, source
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.formats.jsonl.values import as_list
from onearm.engine.storage.formats.packed import open_packed
from onearm.engine.storage.log import header_of
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import Columns, Features, Problem

FORMS = {"jsonl": (jsonl, messy.write_jsonl), "parquet": (parquet, messy.write_parquet)}
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def found(read: Rows) -> messy.Expected:
    """Return what was read, in plain Python."""
    listed = []
    for page in read.pages():
        columns = page.columns
        masks = every_mask(columns)
        assert (columns.kind == 0).all()
        for row, line in enumerate(page.line.tolist()):
            figures = (columns.action[row], columns.propensity[row], columns.reward[row])
            listed.append((*map(float, figures), columns.context[row].tolist(), masks[row].tolist(), line))
    return messy.Expected(listed, read.decisions, read.bad_lines.lines)


def same(one: messy.Expected, other: messy.Expected) -> bool:
    """Whether both are equal; NaN equals itself."""
    return repr(one._replace(rows=[(float(row[0]), *row[1:]) for row in one.rows])) == repr(other)


@FIXTURES
@given(lines=messy.logs(), page=st.integers(1, 400), memory=st.sampled_from([0, 500, 1 << 20]))
@pytest.mark.parametrize("form", FORMS)
def test_rows_are_what_a_plain_fold_makes_of_the_lines(
    form: str, tmp_path: Path, lines: list[dict[str, Any]], page: int, memory: int
) -> None:
    module, write = FORMS[form]
    first = write(tmp_path / "log", lines)
    wanted = messy.folded(lines, first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "MEMORY", memory)
        patch.setattr(source, "BLOCK_BYTES", page)
        patch.setattr("onearm.engine.storage.formats.parquet.file.PAGE", page // 20 + 1)
        if not wanted.decisions:
            with pytest.raises(InvalidInput, match="not one good decision"):
                module.read_rows(Source(tmp_path / "log"), Wanted())
            return
        with module.read_rows(Source(tmp_path / "log"), Wanted()) as read:
            bad = {kind: sorted(numbers) for kind, numbers in wanted.bad.items()}
            now = found(read)
            assert same(wanted._replace(bad={}), now._replace(bad={}))
            assert now.bad == bad
            assert read.problem == messy.PROBLEM
            assert len(read) == len(wanted.rows)
            assert read.on_disk or memory > 0
        # Contexts that are not wanted are not read, so they cannot be bad.
        clean = [line | {"context": [0.0, 0.0]} if "context" in line else line for line in lines]
        with module.read_rows(Source(tmp_path / "log"), Wanted(contexts=False)) as read:
            bare = messy.folded(clean, first)
            now = found(read)
            assert read.problem == Problem(3)
            assert same(
                bare._replace(rows=[(*row[:3], [], *row[4:]) for row in bare.rows], bad={}), now._replace(bad={})
            )


@FIXTURES
@given(log=sets())
@pytest.mark.parametrize("form", FORMS)
def test_action_sets_are_those_of_the_log_in_memory(
    form: str, tmp_path: Path, log: tuple[Problem, Columns, list[bytes]]
) -> None:
    problem, columns, packed = log
    module = FORMS[form][0]
    with module.Writer(tmp_path / "log", problem, SPEC) as out:
        out.write(columns)
    if not packed:
        return
    table = rewarded(columns)
    with module.read_rows(Source(tmp_path / "log"), Wanted()) as read:
        got = read.columns()
        assert read.problem == problem
    for name in ("number", "action", "propensity", "reward"):
        assert getattr(got, name).tobytes() == getattr(table, name).tobytes(), name
    np.testing.assert_array_equal(every_mask(got), every_mask(table))
    for row in range(len(packed)):
        assert pack_context(context_at(got.context, row), problem) == pack_context(
            context_at(table.context, row), problem
        )
    with module.read_rows(Source(tmp_path / "log"), Wanted(contexts=False)) as read:
        got = read.columns()
        assert got.context.shape == (len(packed), 0)
        np.testing.assert_array_equal(every_mask(got), every_mask(table))  # how many actions there were is still known


@pytest.mark.parametrize("form", FORMS)
def test_named_features_become_the_rows_that_an_encoder_makes(form: str, tmp_path: Path) -> None:
    encoder = Encoder(bits=18, dimension=8)
    calls: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"age": 3.0, "city": "rome"}, [{"id": "a"}, {"id": "b", "price": 0.5}]),
        ({}, [{"id": "c"}, {"id": "a", "x": 2.0}, {"id": "b"}]),
    ]
    encoded = [encoder.encode(*call) for call in calls]
    problem = Problem(3, (3, 1 << 18), nonzeros=max(len(one.index) for one in encoded))
    lines = []
    for number, one in enumerate(encoded):
        listed = as_list(Features(one.start, one.index, one.value))
        lines.append({"kind": "given", "seq": 2 * number + 1, "number": number, "action": 0, "propensity": 0.5})
        lines[-1]["context"] = listed
        lines.append({"kind": "learn", "seq": 2 * number + 2, "number": number, "reward": 1.0})
    messy.write_jsonl(tmp_path / "log.jsonl", lines, problem)
    module, path = jsonl, tmp_path / "log.jsonl"
    if form == "parquet":
        path = tmp_path / "log.parquet"
        events = jsonl.read_events(Source(tmp_path / "log.jsonl"))
        with parquet.Writer(path, problem, {}) as out:
            out.write_events(events.rows)
        module = parquet
    with module.read_rows(Source(path), Wanted(dimension=8)) as read:
        assert read.problem == Problem(3, (3, 8))
        got = read.columns()
    for row, call in enumerate(calls):
        k = len(call[1])
        np.testing.assert_array_equal(got.context[row, :k], encoder.dense(*call))
        assert got.available[row].tolist() == [action < k for action in range(3)]


HEADER = header_of(Problem(3, (2,)), {})
GOOD = {"kind": "decide", "seq": 1, "number": 0, "action": 2, "propensity": 0.5, "context": [1, 2]}
REWARD = {"kind": "learn", "seq": 2, "number": 0, "reward": 1}
GOLDEN = [  # each line with the kind of bad line that it is, from line 2
    (GOOD, None),
    (REWARD, None),
    ('{"kind": "learn", "seq": 3, "num', "not_json"),
    ("", None),
    (b"\xff\xfe", "not_json"),
    ('{"kind": "learn", "seq": 3, "x": ' + "[" * 100_000, "not_json"),
    ({"kind": "learn", "seq": 3, "number": 0}, "missing_field"),
    ({"kind": "lern", "seq": 3, "number": 0, "reward": 1}, "unknown_kind"),
    (REWARD | {"reward": None}, "wrong_type"),
    (GOOD | {"number": 1, "context": [1]}, "bad_context"),
    (GOOD | {"number": 2, "context": [1, None]}, "bad_context"),
    (GOOD | {"number": 3, "available": [7]}, "bad_available"),
    (GOOD | {"number": 4, "available": [0, 1]}, "unavailable_action"),
    (GOOD | {"number": 5, "action": 3}, "bad_action"),
    (GOOD | {"number": 6, "action": 2**70}, "bad_action"),
    (GOOD | {"number": 7, "action": [1, 0, 0]}, "bad_action"),
    (GOOD | {"number": 8, "propensity": 1.5}, "bad_propensity"),
    (GOOD, "repeated_decision"),
    (REWARD | {"number": 5}, "unknown_decision"),
    (REWARD | {"number": 99}, "unknown_decision"),
    ('{"kind":"learn","seq":9,"number":0,"reward":1} {"kind":"learn","seq":9,"number":0,"reward":1}', "not_json"),
    (REWARD | {"number": 50}, "unknown_decision"),
    (GOOD | {"seq": 8, "number": 50}, None),
    ({"kind": "change", "seq": 9, "detail": "{}"}, None),
    (REWARD | {"seq": 10, "reward": 0.25}, None),
    ('{"kind": "learn", "seq": 11', "truncated"),
]


def golden() -> tuple[bytes, dict[str, list[int]]]:
    """Return the text of a log with every kind of bad line, and which lines are bad."""
    texts = [line if isinstance(line, str | bytes) else json.dumps(line) for line, _ in GOLDEN]
    encoded = [text if isinstance(text, bytes) else text.encode() for text in [json.dumps(HEADER), *texts]]
    bad: dict[str, list[int]] = {}
    for number, (_, kind) in enumerate(GOLDEN, 2):
        if kind is not None:
            bad.setdefault(kind, []).append(number)
    return b"\n".join(encoded), bad


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("block", [50, 1 << 20])
def test_every_kind_of_bad_line_is_counted_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, block: int
) -> None:
    monkeypatch.setattr(source, "BLOCK_BYTES", block)
    text, bad = golden()
    path = tmp_path / f"log.jsonl{ending}"
    with open_packed(path) as file:
        file.write(text)
    with jsonl.read_rows(Source(path), Wanted()) as read:
        assert read.bad_lines.lines == bad
        assert read.decisions == 2
        got = read.columns()
        assert (got.action.tolist(), got.reward.tolist(), got.context.tolist()) == ([2], [1.25], [[1.0, 2.0]])
    events = jsonl.read_events(Source(path))
    kept = list(events.rows)
    assert [event.seq for event in kept] == [1, 2, 8, 9, 10]
    assert events.bad_lines.lines == bad
    if not ending:
        log = jsonl.read(path)
        assert log.bad_lines.lines == bad
        assert log.table.reward.tolist() == [1.25]


def test_a_packed_file_that_was_cut_short_counts_one_more_truncated_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = [json.dumps({"action": 0, "reward": float(reward)}) for reward in rng.normal(size=2000)]
    with open_packed(tmp_path / "log.jsonl.gz") as file:
        file.write("\n".join([*table, ""]).encode())
    whole = (tmp_path / "log.jsonl.gz").read_bytes()
    (tmp_path / "log.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with jsonl.read_rows(Source(tmp_path / "log.jsonl.gz"), Wanted()) as read:
        n = read.decisions
        assert 100 < n < 1900
        assert read.bad_lines.lines == {"truncated": [n + 1, n + 2]}  # the line in which it ends, and the end itself


TABLE = [
    ({"action": 0, "reward": 1, "propensity": 0.5, "context": [1, 2], "country": "de"}, None),
    ({"action": 2, "reward": 0.5, "context": [3, 4], "country": 7}, None),
    ({"action": 1, "reward": 0.5, "context": [3]}, "bad_context"),
    ({"action": -1, "reward": 0.5, "context": [3, 4]}, "bad_action"),
    ({"action": 1.5, "reward": 0.5, "context": [3, 4]}, "wrong_type"),
    ({"reward": 0.5, "context": [3, 4]}, "missing_field"),
    ({"action": 1, "reward": 0.5, "propensity": 0, "context": [3, 4]}, "bad_propensity"),
    ({"action": 2, "reward": 2, "propensity": None, "context": [1, 0], "country": None}, None),
]


def test_a_plain_table_is_read_with_its_bad_lines_and_segments(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line, _ in TABLE))
    bad: dict[str, list[int]] = {}
    for number, (_, kind) in enumerate(TABLE, 1):
        if kind is not None:
            bad.setdefault(kind, []).append(number)
    with jsonl.read_rows(Source(path), Wanted(segment="country")) as read:
        assert read.bad_lines.lines == bad
        assert read.problem == Problem(3, (2,))
        page = next(read.pages())
        assert page.line.tolist() == [1, 2, 8]
        assert [read.segments[place] for place in page.segment] == ["de", "7", ""]
        assert page.columns.available.tolist() == [[True] * 3]
        np.testing.assert_array_equal(page.columns.propensity, [0.5, np.nan, np.nan])
    with jsonl.read_rows(Source(path), Wanted(contexts=False, n_arms=5, segment="action")) as read:
        assert read.problem == Problem(5)
        assert read.bad_lines.lines == {kind: lines for kind, lines in bad.items() if kind != "bad_context"}
        page = next(read.pages())
        assert [read.segments[place] for place in page.segment] == ["0", "2", "1", "2"]
    with jsonl.read_rows(Source(path), Wanted(contexts=False, segment="context[1]")) as read:
        page = next(read.pages())
        assert [read.segments[place] for place in page.segment] == ["2", "4", "0"]
        assert page.columns.context.shape == (3, 0)
    with jsonl.read_rows(Source(path), Wanted(n_arms=2)) as read:
        assert read.bad_lines.lines["bad_action"] == [2, 4, 8]
    with pytest.raises(InvalidInput, match="a context of this log has 2 features"):
        jsonl.read_rows(Source(path), Wanted(segment="context[2]"))


@pytest.mark.parametrize("form", FORMS)
def test_a_feature_of_the_context_names_the_segments_of_an_export(form: str, tmp_path: Path) -> None:
    module, write = FORMS[form]
    lines: list[dict[str, Any]] = []
    for number, value in enumerate((2.0, 0.5, 2.0)):
        lines.append(GOOD | {"seq": 2 * number + 1, "number": number, "context": [0.0, value]})
        lines.append(REWARD | {"seq": 2 * number + 2, "number": number})
    write(tmp_path / "log", lines)
    for contexts in (True, False):
        wanted = Wanted(contexts=contexts, segment="context[1]")
        with module.read_rows(Source(tmp_path / "log"), wanted) as read:
            page = next(read.pages())
            assert [read.segments[place] for place in page.segment] == ["2", "0.5", "2"]
            assert page.columns.context.shape == (3, 2 if contexts else 0)
    with pytest.raises(InvalidInput, match="can be a feature of a dense context"):
        module.read_rows(Source(tmp_path / "log"), Wanted(segment="country"))


def test_a_column_of_too_many_values_names_no_segments(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(f'{{"action": 0, "reward": 0, "x": {x}}}\n' for x in range(1001)))
    with pytest.raises(InvalidInput, match="more than 1000 segments"):
        jsonl.read_rows(Source(path), Wanted(segment="x"))


def test_numbers_of_decisions_may_be_any(tmp_path: Path) -> None:
    """Far apart, descending and close to the largest int64: rewards find them over many pages."""
    rng = np.random.default_rng(5)
    numbers = [2**63 - 1, 2**63 - 2, 0, *rng.permutation(300).tolist(), *(2**60 + rng.permutation(100) * 7).tolist()]
    numbers = list(dict.fromkeys(numbers))
    lines = [GOOD | {"number": number, "action": number % 3} for number in numbers]
    lines += [REWARD | {"number": number, "reward": number % 1000} for number in reversed(numbers)]
    messy.write_jsonl(tmp_path / "log", lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK_BYTES", 700)
        with jsonl.read_rows(Source(tmp_path / "log"), Wanted()) as read:
            got = concat([page.columns for page in read.pages()])
            assert not read.bad_lines.count
    assert got.action.tolist() == [number % 3 for number in numbers]
    assert got.reward.tolist() == [number % 1000 for number in numbers]


@FIXTURES
@given(
    junk=st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from([json.dumps(HEADER), json.dumps(GOOD), json.dumps(REWARD), "{}", "[]", '{"a'])).map(
            lambda lines: "\n".join(lines).encode()
        ),
        st.tuples(st.integers(0, 3000), st.integers(0, 255)).map(
            lambda cut: golden()[0][: cut[0]] + bytes([cut[1]]) + golden()[0][cut[0] + 1 :]
        ),
    )
)
def test_whatever_lies_in_a_file_is_read_or_refused_in_words(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(junk)
    for read in (
        lambda: jsonl.read_rows(Source(path), Wanted()).columns(),
        lambda: jsonl.read_rows(Source(path), Wanted(contexts=False)).columns(),
        lambda: list(jsonl.read_events(Source(path)).rows),
    ):
        try:
            read()
        except InvalidInput as refused:
            assert str(path) in str(refused)
