"""JSON logs of Vowpal Wabbit: its own samples give its figures, and lines of other kinds are named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onearm.engine.contexts import context_at
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.storage import rows
from onearm.engine.storage.formats import dsjson
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import EXTERNAL, LEARN, Features, Problem

BARE = Wanted(contexts=False)

GOOD: dict[str, Any] = {
    "_label_cost": -1.5,
    "_label_probability": 0.25,
    "_label_Action": 2,
    "_labelIndex": 1,
    "a": [2, 1],
    "p": [0.25, 0.75],
    "c": {"user": {"age": 3, "_id": 7}, "_multi": [{"_tag": "x", "i": {"id": "x"}}, {"i": {"id": "y"}, "j": [1.5]}]},
}


def written(tmp_path: Path, *lines: Any) -> Path:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (tmp_path / "log.json").write_bytes(b"\n".join(texts) + b"\n")
    return tmp_path / "log.json"


def read(file: Path, wanted: Wanted = BARE) -> Rows:
    return dsjson.read_rows(Source(file), wanted)


def changed(**changes: Any) -> dict[str, Any]:
    """Return a good line with changes; None takes a key out."""
    return {key: value for key, value in (GOOD | changes).items() if value is not None}


def test_the_sample_gives_the_known_sums_and_estimates(data_folder: Path) -> None:
    log = dsjson.read(data_folder / "dsjson" / "dsjson_cb.json")
    rows = log.table
    assert not log.bad_lines.count
    assert len(rows.kind) == 23
    assert rows.reward.sum() == 12.0
    weight = (rows.action == 0) / rows.propensity
    assert (weight * rows.reward).sum() / 23 == pytest.approx(0.306905, abs=5e-7)
    assert (weight * rows.reward).sum() / weight.sum() == pytest.approx(0.666667, abs=5e-7)
    assert (rows.available.shape, log.problem.n_arms, log.problem.context_kind) == ((1, 4), 4, "named")


def test_the_sample_of_action_features_is_read(data_folder: Path) -> None:
    file = data_folder / "dsjson" / "decisionservice.json"
    log = dsjson.read(file, Encoder(dimension=64))
    assert log.table.reward.tolist() == [1.0, 0.0, 1.0]
    assert log.table.action.tolist() == [9, 9, 9]
    assert log.table.context.shape == (3, 12, 64)
    assert log.problem == Problem(12, (12, 64))


def test_a_line_becomes_features_action_propensity_and_reward(tmp_path: Path) -> None:
    three = changed(c={"_multi": [{"id": "p"}, {"id": "q"}, {"id": "r"}]}, _label_cost=0)
    log = dsjson.read(written(tmp_path, GOOD, three), Encoder(bits=10))
    rows = log.table
    assert (rows.action.tolist(), rows.propensity.tolist(), rows.reward.tolist()) == ([1, 1], [0.25] * 2, [1.5, 0.0])
    assert not np.signbit(rows.reward).any()
    assert rows.number.tolist() == [0, 1]
    assert rows.available.tolist() == [[True, True, False], [True, True, True]]
    wanted = Encoder(bits=10).encode({"user": {"age": 3}}, GOOD["c"]["_multi"])
    found = context_at(rows.context, 0)
    assert isinstance(found, Features)
    assert found.start[:4].tolist() == wanted.start.tolist()
    kept = slice(found.start[0], found.start[-1])
    assert found.index[kept].tolist() == wanted.index.tolist()
    assert found.value[kept].tolist() == wanted.value.tolist()
    assert log.problem == Problem(3, (3, 1024), None, len(wanted.index))
    dense = dsjson.read(written(tmp_path, GOOD, three), Encoder(dimension=16)).table
    np.testing.assert_array_equal(dense.context[0, :2], Encoder(dimension=16).dense(GOOD["c"], GOOD["c"]["_multi"]))
    assert dense.available.tolist() == rows.available.tolist()


def test_either_label_names_the_action_in_any_case(tmp_path: Path) -> None:
    lines = (changed(_labelIndex=None), changed(_label_Action=None), changed(_labelIndex=None, _LABELINDEX=0))
    assert dsjson.read(written(tmp_path, *lines)).table.action.tolist() == [1, 1, 0]


BAD: dict[str, list[Any]] = {
    "not_json": [b'{"_label_cost": ', b'{"c": NaN}', b"{\xff}", b'{"c": ' + b"[" * 100_000],
    "no_decision": [b"[checkpoint]", changed(c=None), changed(c=[]), b"7"],
    "dangling_reward": [
        {"RewardValue": 1.0, "EventId": "a", "EnqueuedTimeUtc": "2021-02-04"},
        changed(RewardValue=1.0),
    ],
    "no_actions": [changed(c={}), changed(c={"_multi": []}), changed(c={"_multi": {}})],
    "other_problem": [
        changed(_outcomes=[]),
        changed(c=GOOD["c"] | {"_slots": []}),
        changed(c={"_multi": [{"id": "p", "_slot_id": 0}]}),
    ],
    "continuous_action": [changed(_label_ca={"action": 1.0})],
    "skip_learn": [changed(_skipLearn=True), changed(_SKIPLEARN=True), changed(_skiplearn=True, _label_cost=None)],
    "missing_label": [
        changed(_label_probability=None),
        changed(_labelIndex=None, _label_Action=None),
    ],
    "bad_action": [
        changed(_labelIndex=2),
        changed(_labelIndex=-1),
        changed(_labelIndex=True),
        changed(_labelIndex="1"),
    ],
    "bad_reward": [changed(_label_cost=x) for x in ("1", 1e300, True)] + [changed(_original_label_cost="1")],
    "bad_pdrop": [changed(pdrop=x) for x in (1, 1.0, -0.1, "0.5")],
    "bad_propensity": [changed(_label_probability=x) for x in (0, -0.5, 1.5, "1")],
    "bad_features": [changed(c={"_multi": [{"id": "p"}, {}]}), changed(c={"x": 1e300, "_multi": [{"id": "p"}] * 2})],
}


WANTED = {"bare": BARE, "named": Wanted(), "dense": Wanted(dimension=8)}
ASKED = [(how, kind) for how in WANTED for kind in BAD if (how, kind) != ("bare", "bad_features")]  # it reads none


@pytest.mark.parametrize(("how", "kind"), ASKED)
def test_a_bad_line_is_counted_by_kind_and_the_rest_goes_on(tmp_path: Path, how: str, kind: str) -> None:
    for bad in BAD[kind]:
        with read(written(tmp_path, GOOD, bad, b"", GOOD), WANTED[how]) as found:
            assert found.bad_lines.lines == {kind: [2]}, bad
            assert (len(found), found.decisions) == (2, 2)
            assert [page.line.tolist() for page in found.pages()] == [[1, 4]]


def test_a_last_line_that_is_cut_short_is_named_so(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD, GOOD)
    file.write_bytes(file.read_bytes()[:-20])
    assert dsjson.read(file).bad_lines.lines == {"truncated": [2]}


def test_a_file_without_one_good_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"not one good line \(\{'not_json': 1\}\)"):
        dsjson.read(written(tmp_path, b"{"))
    (tmp_path / "empty.json").write_bytes(b"")
    with pytest.raises(InvalidInput, match="is empty"):
        dsjson.read(tmp_path / "empty.json")


def test_the_figures_of_vowpal_wabbit_are_those_of_the_rows(data_folder: Path) -> None:
    """Its metrics say dsjson_sum_cost_original -12, cbea_sum_cost_baseline -6, cbea_label_first_action 9."""
    with read(data_folder / "dsjson" / "dsjson_cb.json") as found:
        columns = found.columns()
        cost, baseline = -columns.reward, columns.action == 0
        assert (cost.sum(), cost[baseline].sum(), baseline.sum()) == (-12.0, -6.0, 9)
        weight = baseline / columns.propensity
        assert (weight * columns.reward).mean() == pytest.approx(0.306905, abs=5e-7)
        assert (weight * columns.reward).sum() / weight.sum() == pytest.approx(0.666667, abs=5e-7)
        assert (found.decisions, found.unobserved, found.notes) == (23, 0, [])
        assert found.problem == Problem(4)


MIXED: list[Any] = [
    GOOD,
    changed(a=[1, 2, 3], c={"_multi": [{"id": "p"}, {"id": "q"}, {"id": "r"}]}, _label_cost=0),
    changed(o=[], _label_cost=-0.0),
    changed(o=[{"ActionTaken": True, "EventId": "e"}], _label_cost=-0.0),
    changed(o=[{"v": {"a": 1}}, {"ActionTaken": True}], pdrop=0.5),
    changed(_original_label_cost=-3.0, _label_cost=0.0),
    changed(_label_cost=None),
    changed(_skipLearn=False, _label_Action=None),
    changed(a=None, p=None),
    changed(a=[0, 1], _labelIndex=None),
    changed(_LABELINDEX=0, _labelIndex=None),
    b"",
    *(bad for kind, lines in BAD.items() if kind != "bad_features" for bad in lines),
    GOOD,
]


def test_lines_are_the_same_read_at_once_or_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without contexts whole blocks are decoded at once where they are as usual; with a segment never."""
    file = written(tmp_path, *MIXED * 3, *[GOOD] * 100, *MIXED)
    found = []
    for wanted, piece, bisect in (
        (BARE, 1 << 18, 32),
        (BARE, 200, 1),
        (BARE, 5000, 2),
        (Wanted(False, segment="user.age"), 1, 1),
    ):
        monkeypatch.setattr("onearm.engine.storage.formats.dsjson.blocks.PIECE", piece)
        monkeypatch.setattr("onearm.engine.storage.formats.dsjson.reader.BISECT", bisect)
        with read(file, wanted) as each:
            columns = [column.tolist() for column in each.columns()]
            lines = [line for page in each.pages() for line in page.line.tolist()]
            told = (each.decisions, each.unobserved, each.notes, each.problem, each.bad_lines.lines)
            found.append((columns, lines, told, each.bad_lines.count))
    assert all(each == found[0] for each in found[1:])
    n = 4 * (sum(map(len, BAD.values())) - len(BAD["bad_features"]))
    assert sum(found[0][3].values()) == n
    assert found[0][2][:2] == (4 * 12 + 100, 4 * 2)


def test_features_tell_nothing_of_labels(tmp_path: Path) -> None:
    file = written(tmp_path, *MIXED)
    with read(file) as bare, read(file, Wanted()) as named:
        assert named.bad_lines.lines == bare.bad_lines.lines
        for one, other in zip(bare.columns()[:6], named.columns()[:6], strict=True):
            np.testing.assert_array_equal(one, other)
        assert bare.columns().available.tolist() == named.columns().available.tolist()


def test_the_observed_cost_is_the_reward_where_labels_are_of_an_apprentice(tmp_path: Path) -> None:
    lines = (changed(_label_cost=-1.0, _original_label_cost=-0.25), changed(_original_label_cost=-1.5))
    with read(written(tmp_path, *lines)) as found:
        assert found.columns().reward.tolist() == [0.25, 1.5]
        assert found.notes == [
            "lines with labels for learning (apprentice mode): 1; rewards are the observed ones, of "
            "_original_label_cost"
        ]


def test_a_decision_without_an_outcome_has_the_default_reward_and_is_counted(tmp_path: Path) -> None:
    outcomes: list[Any] = [[], [{"ActionTaken": True, "EventId": "e"}], [{"v": None}], [{"v": 1.0}], None]
    lines = [changed(o=each, _label_cost=-0.5) for each in outcomes]
    with read(written(tmp_path, *lines, changed(_label_cost=None))) as found:
        assert (found.decisions, len(found), found.unobserved) == (6, 5, 3)
        assert found.columns().reward.tolist() == [0.5] * 5
        assert found.notes == ["decisions without an outcome: 3 of 6; their reward is the default of the joiner"]


def test_dangling_rewards_are_said(tmp_path: Path) -> None:
    with read(written(tmp_path, GOOD, *BAD["dangling_reward"])) as found:
        assert found.notes == ["left out: 2 rewards without a decision"]


def test_dropping_all_events_alike_changes_nothing(tmp_path: Path) -> None:
    lines = [changed(pdrop=0.9, _label_probability=p) for p in (0.25, 1.0, 0.1)]
    with read(written(tmp_path, *lines)) as found:
        np.testing.assert_allclose(found.columns().propensity, [0.25, 1.0, 0.1], rtol=1e-15)
        assert found.columns().propensity.max() <= 1.0
        assert found.notes == []


def test_estimates_are_means_over_the_events_that_were_dropped_too(tmp_path: Path) -> None:
    """Every event is logged as often as its share says: estimates must be those of the log without dropping."""
    whole = [(0.2, 1.0, 0.0), (0.4, 0.0, 0.0), (0.25, 2.0, 0.75), (0.5, 1.0, 0.5)]  # propensity, reward, pdrop
    repeated = [(p, reward) for p, reward, dropped in whole for _ in range(round(1 / (1 - dropped)))]
    lines = [changed(_label_probability=p, _label_cost=-reward, pdrop=dropped) for p, reward, dropped in whole]
    with read(written(tmp_path, *lines)) as found:
        columns = found.columns()
        weight = 0.125 / columns.propensity
        full = np.array([0.125 / p for p, _ in repeated])
        rewards = np.array([reward for _, reward in repeated])
        assert weight.mean() == pytest.approx(full.mean(), rel=1e-14)
        assert (weight * columns.reward).mean() == pytest.approx((full * rewards).mean(), rel=1e-14)
        assert found.notes == ["0 to 0.75 of the events were dropped (pdrop): each row counts for those like it"]


def test_a_propensity_never_passes_1_whatever_was_dropped(tmp_path: Path) -> None:
    lines = [changed(_label_probability=0.9, pdrop=dropped) for dropped in (0.0, 0.9)]
    with read(written(tmp_path, *lines)) as found:
        propensity = found.columns().propensity
        assert propensity.max() == 1.0
        assert propensity[1] / propensity[0] == pytest.approx(0.1)
        assert "only estimates that divide by the sum of weights" in found.notes[1]


@pytest.mark.parametrize("wanted", [BARE, Wanted(), Wanted(dimension=8)], ids=["bare", "named", "dense"])
@pytest.mark.parametrize("packing", ["", ".gz"])
def test_pages_on_disk_and_packed_files_hold_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, packing: str
) -> None:
    """Pages with fewer actions than others get room for all of them when they are read again."""
    file = written(tmp_path, *MIXED)
    with read(file, wanted) as known:
        monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 1000)
        monkeypatch.setattr(rows, "MEMORY", 0)
        packed = file.with_name("log.json" + packing)
        packed.write_bytes(gzip.compress(file.read_bytes()) if packing else file.read_bytes())
        with read(packed, wanted) as found:
            assert found.on_disk
            assert not known.on_disk
            assert len(list(found.pages())) > 2
            assert {page.columns.available.shape[1] for page in found.pages()} == {3}
            assert found.bad_lines.lines == known.bad_lines.lines
            for one, other in zip(flat(found), flat(known), strict=True):
                np.testing.assert_array_equal(one, other)


def flat(found: Rows) -> list[Any]:
    columns = found.columns()
    context = list(columns.context) if isinstance(columns.context, Features) else [columns.context]
    return [*columns[:6], columns.available, *context]


def test_a_packed_file_that_was_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 10**9, 400)  # so that little can be packed
    texts = b"".join(msgspec.json.encode(changed(EventId=str(each))) + b"\n" for each in noise)
    (tmp_path / "log.json.gz").write_bytes(gzip.compress(texts)[:-1500])
    with read(tmp_path / "log.json.gz") as found:
        assert 10 < len(found) < 400
        assert found.bad_lines.count["truncated"] in (1, 2)


@pytest.mark.parametrize(
    ("segment", "names"),
    [
        ("Version", ["1", "2", ""]),
        ("user.age", ["3", "4", ""]),
        ("geo.city", ["paris", "", "rome"]),
        ("geo.place.zip", ["", "7", ""]),
        ("hour", ["9", "", "true"]),
    ],
)
def test_segments_are_keys_of_lines_or_features_of_the_context(tmp_path: Path, segment: str, names: list[str]) -> None:
    actions = GOOD["c"]["_multi"]
    lines = (
        changed(Version="1", c={"user": {"age": 3}, "geo": [{"city": "paris"}], "hour": 9, "_multi": actions}),
        changed(Version=2, c={"user": [{"x": 1}, {"age": 4.0}], "geo": {"place": {"zip": 7}}, "_multi": actions}),
        changed(Version=None, c={"user": {"age": None}, "geo": {"city": "rome"}, "hour": True, "_multi": actions}),
    )
    with read(written(tmp_path, *lines), Wanted(False, segment=segment)) as found:
        (page,) = found.pages()
        assert [found.segments[place] for place in page.segment] == names


def test_a_segment_that_no_line_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the segment is 'c\.nothing': no line has it"):
        read(written(tmp_path, GOOD), Wanted(False, segment="c.nothing"))


def events(file: Path) -> tuple[Any, list[Any]]:
    found = dsjson.read_events(Source(file))
    return found, list(found.rows)


def test_events_are_decisions_that_others_made_and_their_rewards(tmp_path: Path) -> None:
    line = changed(EventId="e7", Timestamp="2021-02-04T16:31:29.2460000Z")
    tagged = changed(
        c={"_multi": [{"_TAG": "p", "id": 1}, {"_tag": "q", "id": 2}]}, event_id="e8", Timestamp="2021-02-04T17:31:29"
    )
    found, made = events(written(tmp_path, line, changed(_label_cost=None), b"[]", tagged))
    assert [event.kind for event in made] == [EXTERNAL, LEARN, EXTERNAL, EXTERNAL, LEARN]
    assert [event.seq for event in made] == [1, 2, 3, 4, 5]
    assert [event.number for event in made] == [0, 0, 1, 2, 2]
    assert [event.decision_id for event in made] == ["e7", None, None, "e8", None]
    assert [event.actions for event in made if event.kind == EXTERNAL] == ['["0","1"]', '["0","1"]', '["p","q"]']
    assert made[0].time == 1_612_456_289_246_000 == made[1].time
    assert made[3].time - made[0].time == 3_600_000_000 - 246_000
    assert (made[0].action, made[0].propensity, made[1].reward, made[2].time) == (1, 0.25, 1.5, 0)
    assert json.loads(made[0].sent) == {"from": "dsjson", "line": line}
    assert found.bad_lines.lines == {"no_decision": [3]}
    assert found.problem.context_kind == "named"
    assert (found.problem.n_arms, found.spec) == (2, {"from": "dsjson"})


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_bytes().split(b"\n") if line]


@pytest.mark.parametrize("name", ["dsjson_cb.json", "decisionservice.json"])
def test_the_samples_come_back_as_they_were(tmp_path: Path, data_folder: Path, name: str) -> None:
    file = data_folder / "dsjson" / name
    found, made = events(file)
    with dsjson.Writer(tmp_path / "back.json", found.problem, found.spec) as writer:
        writer.write_events(made)
    assert (tmp_path / "back.json").read_bytes().split(b"\n") == [*file.read_bytes().rstrip(b"\n").split(b"\n"), b""]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_late_rewards_are_added_to_the_line_of_their_decision(tmp_path: Path, packing: str) -> None:
    found, made = events(written(tmp_path, changed(_original_label_cost=-1.5), changed(_label_cost=None)))
    more = [made[1]._replace(seq=9, reward=0.25), made[1]._replace(seq=10, number=1, reward=2.0)]
    with dsjson.Writer(tmp_path / f"back.json{packing}", found.problem, found.spec) as writer:
        writer.write_events(made[:2])
        writer.write_events([*made[2:], *more])
    with read(tmp_path / f"back.json{packing}") as back:
        assert back.columns().reward.tolist() == [1.75, 2.0]


def test_decisions_that_are_no_arms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match="dsjson holds decisions for one of several actions: this log decides a move"
    ):
        dsjson.Writer(tmp_path / "ours.json", Problem(100, slots=1), {})


@pytest.mark.parametrize(
    ("problem", "context"),
    [(Problem(3), None), (Problem(3, (2,)), [0.5, -1.0]), (Problem(3, (3, 2)), [[0.5, 1.0], [2.0, 0.0], [3.0, 4.0]])],
    ids=["none", "dense", "actions"],
)
def test_decisions_of_our_own_become_lines_that_are_read_again(tmp_path: Path, problem: Problem, context: Any) -> None:
    _, (given_, learned) = events(written(tmp_path, GOOD))
    blob = None if context is None else np.array(context).tobytes()
    made = given_._replace(action=2, context=blob, sent=None, actions=None, decision_id="d1", time=1_000_001)
    with dsjson.Writer(tmp_path / "ours.json", problem, {}) as writer:
        writer.write_events([made, learned, made._replace(number=1, decision_id=None)])
    first, second = lines_of(tmp_path / "ours.json")
    assert (first["EventId"], first["Timestamp"]) == ("d1", "1970-01-01T00:00:01.0000010Z")
    assert (first["a"], first["_label_Action"], first["o"][0]["v"]) == ([3, 1, 2], 3, 1.5)
    assert "_label_cost" not in second
    with read(tmp_path / "ours.json", Wanted(dimension=32)) as back:
        columns = back.columns()
        assert (columns.action.tolist(), columns.propensity.tolist(), columns.reward.tolist()) == ([2], [0.25], [1.5])
        assert (back.decisions, back.problem.n_arms) == (2, 3)


@pytest.mark.parametrize("propensity", [None, np.nan])
def test_a_decision_without_a_propensity_has_no_line(tmp_path: Path, propensity: float | None) -> None:
    found, made = events(written(tmp_path, GOOD))
    unknown = made[0]._replace(propensity=propensity, sent=None)
    with (
        pytest.raises(InvalidInput, match="decision 0 has no propensity"),
        dsjson.Writer(tmp_path / "ours.json", found.problem, {}) as writer,
    ):
        writer.write_events([unknown])


numbers = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
features = st.dictionaries(texts.map(lambda text: f"f{text}"), numbers | texts | st.booleans() | st.none(), max_size=3)


@st.composite
def logged(draw: Callable[[Any], Any]) -> dict[str, Any]:
    k = draw(st.integers(1, 4))
    action = draw(st.integers(0, k - 1))
    actions = [{"id": str(a), "x": draw(features)} for a in range(k)]
    line = {
        "_label_cost": draw(numbers),
        "_label_probability": draw(st.floats(1e-3, 1.0)),
        "_labelIndex": action,
        "o": draw(st.sampled_from([[], [{"v": 1.0}], [{"v": {"x": 1}}, {"ActionTaken": True}]])),
        "EventId": draw(texts),
        "Timestamp": draw(st.sampled_from(["2021-02-04T16:31:29.2460000Z", "", "yesterday"])),
        "a": [action + 1, *(a + 1 for a in range(k) if a != action)],
        "c": {"u": draw(features), "_multi": actions},
    }
    return line if draw(st.booleans()) else {key: line[key] for key in line if key != "_label_cost"}


@given(st.lists(logged(), min_size=1, max_size=5))
def test_what_is_written_is_what_was_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    found, made = events(written(folder, *lines))
    with dsjson.Writer(folder / "back.json", found.problem, found.spec) as writer:
        writer.write_events(made)
    assert (folder / "back.json").read_bytes() == (folder / "log.json").read_bytes()
    again, remade = events(folder / "back.json")
    assert remade == made
    assert again.problem == found.problem


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=3))
def test_whatever_the_bytes_are_nothing_but_invalid_input_is_raised(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int, patch: bytes
) -> None:
    good = json.dumps(GOOD).encode()
    file = tmp_path_factory.mktemp("log") / "log.json"
    file.write_bytes(noise + b"\n" + good[:cut] + patch + good[cut + 1 :] + b"\n" + good)
    for wanted in (BARE, Wanted(), Wanted(False, segment="user.age")):
        try:
            with read(file, wanted) as found:
                assert len(found) >= 1
        except InvalidInput:
            assert cut < len(good)
    events(file)
