"""Logs of Vowpal Wabbit: the sample that comes with it gives its figures, and lines of other kinds are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onearm.engine.contexts import context_at
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.storage import dsjson
from onearm.engine.vocabulary import Features, Problem

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
    "not_json": [b'{"_label_cost": ', b'{"c": NaN}', b"{\xff}"],
    "no_decision": [b"[checkpoint]", changed(c=None), changed(c=[]), b"7"],
    "dangling_reward": [{"RewardValue": 1.0, "EventId": "a", "EnqueuedTimeUtc": "2021-02-04"}],
    "no_actions": [changed(c={}), changed(c={"_multi": []}), changed(c={"_multi": {}})],
    "other_problem": [
        changed(_outcomes=[]),
        changed(_label_ca={"action": 1.0}),
        changed(c=GOOD["c"] | {"_slots": []}),
        changed(c={"_multi": [{"id": "p", "_slot_id": 0}]}),
    ],
    "skip_learn": [changed(_skipLearn=True)],
    "missing_label": [
        changed(_label_cost=None),
        changed(_label_probability=None),
        changed(_labelIndex=None, _label_Action=None),
    ],
    "bad_action": [
        changed(_labelIndex=2),
        changed(_labelIndex=-1),
        changed(_labelIndex=True),
        changed(_labelIndex="1"),
    ],
    "bad_reward": [changed(_label_cost="1"), changed(_label_cost=1e300)],
    "bad_propensity": [changed(_label_probability=x) for x in (0, -0.5, 1.5, "1")],
    "bad_features": [changed(c={"_multi": [{"id": "p"}, {}]}), changed(c={"x": 1e300, "_multi": [{"id": "p"}] * 2})],
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_counted_by_kind_and_the_rest_goes_on(tmp_path: Path, kind: str) -> None:
    for bad in BAD[kind]:
        log = dsjson.read(written(tmp_path, GOOD, bad, b"", GOOD))
        assert log.bad_lines.lines == {kind: [2]}, bad
        assert len(log.table.kind) == 2


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
