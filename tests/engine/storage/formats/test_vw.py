"""Vowpal Wabbit's text: its features are those of its JSON, its labels are told, and what was read is written again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onearm.engine.contexts import context_at
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.storage import rows
from onearm.engine.storage.events import Events
from onearm.engine.storage.formats import dsjson, vw, vw_text
from onearm.engine.storage.formats.vw.features import DIMENSION
from onearm.engine.storage.formats.vw.texts import HEAD
from onearm.engine.storage.records import Event
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import EXTERNAL, LEARN, Features, Problem

BARE = Wanted(contexts=False)
GOOD = """shared 'e7 |user age:31 city=paris |query red red
|item id=a
0:-1.5:0.25 'b |item:2 id=b price:0.5
"""
THREE = "0:2:1 | x\n| y\n| z\n"
NUMBERED = "2:-1.5:0.25 'e7|user age:31\n"


def written(tmp_path: Path, *texts: str | bytes, end: str = "\n") -> Path:
    parts = [text if isinstance(text, bytes) else text.encode() for text in texts]
    (tmp_path / "log.vw").write_bytes(b"".join(part + end.encode() for part in parts))
    return tmp_path / "log.vw"


def read(file: Path, wanted: Wanted = BARE) -> Rows:
    return vw.read_rows(Source(file), wanted)


def events(file: Path) -> tuple[Events, list[Event]]:
    found = vw.read_events(Source(file))
    return found, list(found.rows)


def test_an_event_of_an_action_set_becomes_a_row(tmp_path: Path) -> None:
    with read(written(tmp_path, GOOD, THREE), Wanted()) as found:
        columns = found.columns()
        assert (columns.action.tolist(), columns.propensity.tolist()) == ([1, 0], [0.25, 1.0])
        assert columns.reward.tolist() == [1.5, -2.0]
        assert columns.available.tolist() == [[True, True, False], [True, True, True]]
        assert [page.line.tolist() for page in found.pages()] == [[1, 5]]
        shared = {"user": {"age": 31, "city": "paris"}, "query": {"red": 2}}
        wanted = Encoder().encode(shared, [{"item": {"id": "a"}}, {"item": {"id=b": 2.0, "price": 1.0}}])
        context = context_at(columns.context, 0)
        assert context.start[:4].tolist() == wanted.start.tolist()
        assert columns.context.index[: wanted.start[-1]].tolist() == wanted.index.tolist()
        assert columns.context.value[: wanted.start[-1]].tolist() == wanted.value.tolist()
        assert (found.decisions, found.problem.n_arms, found.problem.context_kind) == (2, 3, "named")


def test_features_are_those_of_json(tmp_path: Path, data_folder: Path) -> None:
    """The same decisions in both formats of Vowpal Wabbit, where names have no spaces, are the same rows."""
    lines = (data_folder / "dsjson" / "dsjson_cb.json").read_text().replace("Cold brew", "Cold").replace("Iced m", "M")
    (tmp_path / "log.json").write_text(lines)
    source = dsjson.read_events(Source(tmp_path / "log.json"))
    with vw.Writer(tmp_path / "log.vw", source.problem, {}) as writer:
        writer.write_events(source.rows)
    wanted = (Wanted(), Wanted(dimension=32))
    for each in wanted:
        with dsjson.read_rows(Source(tmp_path / "log.json"), each) as one, read(tmp_path / "log.vw", each) as other:
            assert one.problem == other.problem
            for column, same in zip(flat(one), flat(other), strict=True):
                np.testing.assert_array_equal(column, same)


def flat(found: Rows) -> list[Any]:
    columns = found.columns()
    context = list(columns.context) if isinstance(columns.context, Features) else [columns.context]
    return [*columns[:6], columns.available, *context]


def test_the_figures_of_the_sample_are_those_of_its_json(tmp_path: Path, data_folder: Path) -> None:
    source = dsjson.read_events(Source(data_folder / "dsjson" / "dsjson_cb.json"))
    with vw.Writer(tmp_path / "log.vw", source.problem, {}) as writer:
        writer.write_events(source.rows)
    with read(tmp_path / "log.vw") as found:
        columns = found.columns()
        weight = (columns.action == 0) / columns.propensity
        assert columns.reward.sum() == 12.0
        assert (weight * columns.reward).sum() / 23 == pytest.approx(0.306905, abs=5e-7)
        assert (weight * columns.reward).sum() / weight.sum() == pytest.approx(0.666667, abs=5e-7)


def test_a_line_of_numbered_arms_becomes_a_row(tmp_path: Path) -> None:
    file = written(tmp_path, NUMBERED, "1 3:0.5:1 4 | x\n", "1:0:.5 |\n", end="")
    with read(file, Wanted(dimension=16)) as found:
        columns = found.columns()
        assert (columns.action.tolist(), columns.reward.tolist()) == ([1, 2, 0], [1.5, -0.5, 0.0])
        assert columns.available.tolist() == [[True] * 4, [True, False, True, True], [True] * 4]
        np.testing.assert_array_equal(columns.context[0], Encoder(dimension=16).dense(None, [{"user": {"age": 31}}])[0])
        assert (columns.context.shape, columns.context[2].any()) == ((3, 16), False)
        assert found.problem == Problem(4, (16,))
    with read(file, Wanted(contexts=False, n_arms=6)) as found:
        assert found.problem == Problem(6)
        assert found.columns().available.tolist()[1] == [True, False, True, True, False, False]
        assert found.columns().available.tolist()[0] == [True] * 6


@pytest.mark.parametrize(
    ("text", "numbered"),
    [
        ("shared | x\n1:1:.5 | y\n", False),
        ("1:1:.5 | y\n| z\n\n1:1:.5 | y\n| z\n", False),
        ("0:1:.5 | y\n\n", False),
        ("1:1:.5 | y\n2:1:.5 | y\n", True),
        ("| y\n1:1:.5 | y\n2:1:.5 | y\n", True),
        ("1:1:.5 | y\n\n2:1:.5 | y\n\n", True),
        ("1:1:.5 | y\n", True),
        ("1:1:.5 | y\n| z\n", False),
    ],
)
def test_the_first_lines_tell_whether_arms_are_numbered(tmp_path: Path, text: str, numbered: bool) -> None:
    with read(written(tmp_path, text, end=""), Wanted(dimension=4)) as found:
        assert (len(found.problem.context_shape) == 1) == numbered


def test_a_log_that_could_be_either_is_decided_after_its_first_lines(tmp_path: Path) -> None:
    with read(written(tmp_path, *["2:1:.5 | y\n"] * HEAD)) as found:
        assert (found.problem.n_arms, len(found)) == (2, HEAD)


BAD = {
    "no_actions": ["shared | x\n"],
    "missing_label": ["shared | x\n| y\n", "shared | x\n1 | y\n"],
    "bad_label": [
        "shared | x\n0:1:.5 | y\n0:1:.5 | z\n",
        "shared | x\n0:1:.5 3 | y\n",
        "| y\nshared | x\n0:1:.5 | z\n",
    ],
    "bad_reward": ["0:x:.5 | y\n", "0:nan:.5 | y\n", "0:1e200:.5 | y\n", "0::.5 | y\n"],
    "bad_propensity": ["0:1 | y\n", "0:1:0 | y\n", "0:1:1.5 | y\n", "0:1:nan | y\n", "0:1:.5:2 | y\n", "0:1:x | y\n"],
    "bad_action": ["x:1:.5 | y\n", "-1:1:.5 | y\n", ":1:.5 | y\n"],
}
BAD_FEATURES = {
    "bad_features": ["0:1:.5 | y:x\n", "0:1:.5 | y:inf\n", "0:1:.5 |n:z y\n", "0:1:.5 |\n", "0:1:.5 | y:1e300\n"],
    "not_text": [b"0:1:.5 | \xff\n"],
}
BAD_NUMBERED = {
    "missing_label": ["| x\n", "1 2 | x\n"],
    "bad_label": ["1:1:.5 2:1:.5 | x\n"],
    "bad_reward": ["1:x:.5 | y\n"],
    "bad_propensity": ["1:1 | y\n"],
    "bad_action": ["0:1:.5 | y\n", "x:1:.5 | y\n", "6:1:.5 | y\n", "1:1:.5 0 | y\n"],
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("wanted", [BARE, Wanted(), Wanted(dimension=8)], ids=["bare", "named", "dense"])
def test_a_bad_event_is_counted_by_kind_and_the_rest_goes_on(tmp_path: Path, kind: str, wanted: Wanted) -> None:
    for bad in BAD[kind]:
        with read(written(tmp_path, GOOD, bad, "", GOOD), wanted) as found:
            assert found.bad_lines.lines == {kind: [5]}, bad
            assert (len(found), found.decisions) == (2, 2)


@pytest.mark.parametrize("kind", BAD_FEATURES)
def test_bad_features_are_counted_where_contexts_are_read(tmp_path: Path, kind: str) -> None:
    for bad in BAD_FEATURES[kind]:
        file = written(tmp_path, GOOD, bad, "", GOOD)
        with read(file, Wanted()) as found:
            assert found.bad_lines.lines == {kind: [5]}, bad
        with read(file) as found:
            assert (found.bad_lines.lines, len(found)) == ({}, 3)


@pytest.mark.parametrize("kind", BAD_NUMBERED)
def test_a_bad_line_of_numbered_arms_is_counted(tmp_path: Path, kind: str) -> None:
    for bad in BAD_NUMBERED[kind]:
        file = written(tmp_path, NUMBERED, NUMBERED, bad, "\n", NUMBERED, end="")
        with read(file, Wanted(contexts=False, n_arms=5)) as found:
            assert found.bad_lines.lines == {kind: [3]}, bad
            assert [page.line.tolist() for page in found.pages()] == [[1, 2, 5]]


NO_NUMBERS = ["1_0", "\u0661", "\uff11", "infinity", "1.5e", "0x1"]  # Python reads the first three


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(
    ("text", "kind", "seen"),
    [
        ("shared |u age:{}\n0:1:.5 | y\n", "bad_features", "line 5: the feature 'age' has the value '{}': it must be"),
        ("0:1:.5 |u:{} y\n", "bad_features", "line 5: the feature 'u' has the value '{}': it must be"),
        ("0:{}:.5 | y\n", "bad_reward", "line 5: the cost is '{}': it must be"),
        ("0:1:{} | y\n", "bad_propensity", "line 5: the label is '0:1:{}': its probability must be"),
    ],
    ids=["feature", "namespace", "cost", "probability"],
)
def test_what_only_python_takes_for_a_number_is_refused_with_its_line_and_value(
    tmp_path: Path, text: str, kind: str, seen: str, number: str
) -> None:
    file = written(tmp_path, GOOD, text.format(number), GOOD)
    counted = [events(file)[0].bad_lines]
    for wanted in (Wanted(), Wanted(dimension=8)):
        with read(file, wanted) as found:
            assert len(found) == 2
            counted.append(found.bad_lines)
    for bad in counted:
        assert bad.lines == {kind: [5]}
        assert bad.reasons[kind].startswith(seen.format(number))


def test_a_log_of_earlier_versions_keeps_the_numbers_that_they_read(tmp_path: Path) -> None:
    """They took 1_0 for ten, and recorded its slots and the line: both are read and written as ever."""
    found, (made, learned) = events(written(tmp_path, GOOD))
    recorded = made._replace(sent=(made.sent or "").replace("age:31", "age:1_0"))
    with dsjson.Writer(tmp_path / "log.dsjson", found.problem, {}) as writer:
        writer.write_events([recorded, learned])
    assert json.loads((tmp_path / "log.dsjson").read_text())["c"]["user"]["age"] == 10.0


def test_a_file_without_one_good_event_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"not one good line \(\{'missing_label': 1\}\)"):
        read(written(tmp_path, "nonsense\n"))
    with pytest.raises(InvalidInput, match="is empty"):
        read(written(tmp_path))


@pytest.mark.parametrize("wanted", [BARE, Wanted(), Wanted(dimension=8)], ids=["bare", "named", "dense"])
@pytest.mark.parametrize(
    "text", [[GOOD, THREE, "0:x:1 | x\n", GOOD], ["1 2:1:.5 | x", "1:1:.5 | y", "x", "3:1:.5 |q z:.5"]]
)
def test_pages_on_disk_and_packed_files_hold_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, text: list[str]
) -> None:
    file = written(tmp_path, *text)
    packed = tmp_path / "log.vw.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    with read(file, wanted) as known:
        monkeypatch.setattr(rows, "MEMORY", 0)
        monkeypatch.setattr("onearm.engine.storage.formats.vw.reader.PAGE", 1)
        with read(packed, wanted) as found:
            assert found.on_disk
            assert len(list(found.pages())) == 3
            assert {page.columns.available.shape[1] for page in found.pages()} == {3}
            assert found.bad_lines.lines == known.bad_lines.lines
            for one, other in zip(flat(found), flat(known), strict=True):
                np.testing.assert_array_equal(one, np.broadcast_to(other, one.shape))


@pytest.mark.parametrize("text", [GOOD + "\n", NUMBERED])
def test_the_last_event_of_a_packed_file_that_was_cut_short_is_bad(tmp_path: Path, text: str) -> None:
    noise = np.random.default_rng(1).integers(0, 10**9, 400)  # so that little can be packed
    texts = "".join(text.replace("e7", str(each)) for each in noise)
    (tmp_path / "log.vw.gz").write_bytes(gzip.compress(texts.encode())[:-1000])
    with read(tmp_path / "log.vw.gz") as found:
        assert 10 < len(found) < 400
        assert found.bad_lines.count == {"truncated": 1}


@pytest.mark.parametrize(
    ("segment", "names"), [("user.age", ["31", ""]), ("user.city", ["paris", ""]), ("x", ["", "1"])]
)
def test_segments_are_features_of_the_shared_context(tmp_path: Path, segment: str, names: list[str]) -> None:
    with read(written(tmp_path, GOOD, "shared | x\n" + THREE), Wanted(False, segment=segment)) as found:
        (page,) = found.pages()
        assert [found.segments[place] for place in page.segment] == names


def test_events_are_decisions_that_others_made_and_their_rewards(tmp_path: Path) -> None:
    tagged = "'a | x\n0:1:.5 'b | y\n"
    found, made = events(written(tmp_path, GOOD, "0:1 | x\n", tagged))
    assert [(event.kind, event.seq, event.number) for event in made] == [
        (EXTERNAL, 1, 0),
        (LEARN, 2, 0),
        (EXTERNAL, 3, 1),
        (LEARN, 4, 1),
    ]
    assert [event.actions for event in made[::2]] == ['["0","1"]', '["a","b"]']
    assert [event.decision_id for event in made[::2]] == ["e7", None]
    assert json.loads(made[0].sent or "") == {"from": "vw", "line": GOOD.rstrip("\n")}
    assert (made[0].action, made[0].propensity, made[1].reward) == (1, 0.25, 1.5)
    assert found.bad_lines.lines == {"bad_propensity": [5]}
    assert (found.problem.context_kind, found.problem.n_arms, found.spec) == ("named", 2, {"from": "vw"})


def test_a_word_at_the_bar_is_a_tag_as_in_vowpal_wabbit(tmp_path: Path) -> None:
    """So is a shared line without a space before its bar, which then is an action."""
    _, made = events(written(tmp_path, "2:1:.5 e7|u a\n", "1:1:.5 'e8 |u a\n", "1:1:.5|u a\n", end=""))
    assert [event.decision_id for event in made[::2]] == ["e7", "e8"]
    found, made = events(written(tmp_path, "shared| a\n0:1:0.5 b| x\n| y\n"))
    assert (found.problem.n_arms, made[0].action, made[0].decision_id) == (3, 1, None)


def test_the_arms_that_could_be_chosen_are_kept(tmp_path: Path) -> None:
    found, made = events(written(tmp_path, "1 3:0.5:1 | x\n", "10:1:.5 'e8| x\n", end=""))
    assert made[0].available == np.packbits([1, 0, 1, 0, 0, 0, 0, 0, 0, 0]).tobytes()
    assert (made[2].available, made[2].decision_id) == (None, "e8")
    assert found.problem == Problem(10, (DIMENSION,))


def back(file: Path) -> bytes:
    found, made = events(file)
    with vw.Writer(file.with_name("back.vw"), found.problem, found.spec) as writer:
        writer.write_events(made)
    return file.with_name("back.vw").read_bytes()


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    for texts, end in (((GOOD, THREE, "0:1:1 | x\n"), "\n"), ((NUMBERED, "1 3:0.5:1 4  '|q  z:.50\n"), "")):
        file = written(tmp_path, *texts, end=end)
        assert back(file) == file.read_bytes()


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_late_rewards_are_added_and_decisions_without_one_are_left_out(tmp_path: Path, packing: str) -> None:
    for text, end in ((GOOD, "\n"), (NUMBERED, "")):
        found, made = events(written(tmp_path, text, text, end=end))
        with vw.Writer(tmp_path / f"back.vw{packing}", found.problem, {}) as writer:
            writer.write_events(made)
            writer.write_events([made[1]._replace(reward=0.25), made[0]._replace(number=2)])
        assert writer.unrewarded == 1
        again, remade = events(tmp_path / f"back.vw{packing}")
        assert [event.reward for event in remade if event.kind == LEARN] == [1.75, 1.5]
        assert not again.bad_lines.count
        assert remade[0]._replace(sent=None, actions=None) == made[0]._replace(sent=None, actions=None)


def test_decisions_that_are_no_arms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="vw holds decisions for one of several actions: this log decides a move"):
        vw.Writer(tmp_path / "ours.vw", Problem(100, slots=1), {})


@pytest.mark.parametrize(
    ("problem", "context", "text"),
    [
        (Problem(3), None, "3:-1.5:0.25 'd_1 |\n"),
        (Problem(3, (2,)), [0.5, -1.0], "3:-1.5:0.25 'd_1 |x 0:0.5 1:-1\n"),
        (
            Problem(2, (2, 2)),
            [[0.5, 1.0], [2.0, 0.0]],
            "shared 'd_1 |\n'0 | id=0 |x 0:0.5 1\n0:-1.5:0.25 '1 | id=1 |x 0:2\n\n",
        ),
    ],
    ids=["none", "dense", "actions"],
)
def test_decisions_of_our_own_become_text(tmp_path: Path, problem: Problem, context: Any, text: str) -> None:
    _, (given_, learned) = events(written(tmp_path, GOOD))
    blob = None if context is None else np.array(context).tobytes()
    made = given_._replace(action=problem.n_arms - 1, context=blob, sent=None, actions=None, decision_id="d 1")
    with vw.Writer(tmp_path / "ours.vw", problem, {}) as writer:
        writer.write_events([made, learned])
    assert (tmp_path / "ours.vw").read_text() == text


def test_a_mask_of_numbered_arms_is_written_beside_the_label(tmp_path: Path) -> None:
    _, (given_, learned) = events(written(tmp_path, NUMBERED, end=""))
    mask = np.packbits([True, True, False, True]).tobytes()
    with vw.Writer(tmp_path / "ours.vw", Problem(4), {}) as writer:
        writer.write_events([given_._replace(sent=None, context=None, available=mask), learned])
    assert (tmp_path / "ours.vw").read_text() == "2:-1.5:0.25 1 4 'e7 |\n"


def test_named_features_without_their_names_are_written_by_their_slots(tmp_path: Path) -> None:
    found, made = events(written(tmp_path, THREE))
    with vw.Writer(tmp_path / "ours.vw", found.problem, {}) as writer:
        writer.write_events([event._replace(sent=None) for event in made])
    slots = [Encoder().encode({}, [{"": {name: 1.0}}]).index[0] for name in "xyz"]
    lines = (tmp_path / "ours.vw").read_text().split("\n")
    assert lines[:3] == [f"{label}'{a} | id={a} |x {slots[a]}" for a, label in enumerate(["0:2.0:1.0 ", "", ""])]


@pytest.mark.parametrize("propensity", [None, np.nan])
def test_a_decision_without_a_propensity_has_no_line(tmp_path: Path, propensity: float | None) -> None:
    found, made = events(written(tmp_path, GOOD))
    with (
        pytest.raises(InvalidInput, match="decision 0 has no propensity"),
        vw.Writer(tmp_path / "ours.vw", found.problem, {}) as writer,
    ):
        writer.write_events([made[0]._replace(propensity=propensity, sent=None)])


names = st.text("ab=.0-é中", max_size=3)
spaces = st.dictionaries(
    names, st.dictionaries(names.filter(bool), st.floats(-1e9, 1e9), min_size=1, max_size=2), min_size=1, max_size=2
)


@given(st.lists(st.tuples(spaces, spaces, st.floats(-1e9, 1e9), st.floats(1e-3, 1)), min_size=1, max_size=3))
def test_any_features_come_back(tmp_path_factory: pytest.TempPathFactory, made: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("log")
    texts = [
        f"shared {vw_text.written(shared)}\n|a b\n0:{cost!r}:{propensity!r} {vw_text.written(own)}\n"
        for shared, own, cost, propensity in made
    ]
    for text, (shared, own, _, _) in zip(texts, made, strict=True):
        parsed = [vw_text.parse(line) for line in text.split("\n")]
        assert (parsed[0].features, parsed[2].features) == (shared, own)
    file = written(folder, *texts)
    try:
        found, rows_made = events(file)
    except InvalidInput:  # all features of every event are zeros
        assert not any(value for _, own, _, _ in made for named in own.values() for value in named.values())
        return
    rewards = [event.reward for event in rows_made if event.kind == LEARN]
    bad = found.bad_lines.lines.get("bad_features", [])
    assert rewards == [0.0 - cost for row, (_, _, cost, _) in enumerate(made) if 4 * row + 1 not in bad]
    if not bad:
        assert back(file) == file.read_bytes()


@given(st.binary(max_size=100), st.integers(0, 120), st.binary(max_size=3))
def test_whatever_the_bytes_are_nothing_but_invalid_input_is_raised(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int, patch: bytes
) -> None:
    good = GOOD.encode()
    file = tmp_path_factory.mktemp("log") / "log.vw"
    file.write_bytes(noise + b"\n\n" + good[:cut] + patch + good[cut + 1 :] + b"\n" + good + b"\n" + good)
    for wanted in (BARE, Wanted(), Wanted(False, segment="user.age")):
        try:
            with read(file, wanted) as found:
                assert len(found) >= 1
        except InvalidInput:
            assert noise or cut < len(good)
    try:
        events(file)
    except InvalidInput:
        assert noise or cut < len(good)
