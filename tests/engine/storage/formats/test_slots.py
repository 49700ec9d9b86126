"""Logs whose decisions have slots: lists of conditional bandits shrink, slates have one reward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.slates import cascade, independent, pseudo_inverse
from onearm.engine.storage.formats.slots import TARGETS, Slots, read_slots, targets
from onearm.engine.storage.source import Source

CONTEXT: dict[str, Any] = {
    "u": {"x": 1},
    "_multi": [{"id": a} for a in "abc"],
    "_slots": [{"_id": "s0"}, {"_id": "s1"}],
}
FIRST: dict[str, Any] = {"_label_cost": -1.0, "_id": "s0", "_a": [2, 0, 1], "_p": [0.8, 0.1, 0.1], "_o": [{"v": 1.0}]}
SECOND: dict[str, Any] = {"_label_cost": 0, "_id": "s1", "_a": [0, 1], "_p": [0.25, 0.75], "_o": [0]}
LISTED: dict[str, Any] = {"Timestamp": "2019-09-10T14:43:37Z", "c": CONTEXT, "_outcomes": [FIRST, SECOND]}
SLATE: dict[str, Any] = {
    "_label_cost": -2.0,
    "o": [{"v": 2.0}],
    "c": {"_multi": [{"_slot_id": s} for s in (0, 0, 0, 1, 1)], "_slots": [{}, {}]},
    "_outcomes": [{"_a": [1, 0, 2], "_p": [0.5, 0.25, 0.25]}, {"_a": [0, 1], "_p": [0.25, 0.75]}],
}
SINGLE: dict[str, Any] = {"_label_cost": 0, "_label_probability": 1, "_labelIndex": 0, "c": {"_multi": [{"id": "p"}]}}


def written(tmp_path: Path, *lines: Any) -> Source:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (tmp_path / "log.json").write_bytes(b"\n".join(texts) + b"\n")
    return Source(tmp_path / "log.json")


def read(tmp_path: Path, *lines: Any) -> Slots:
    return read_slots(written(tmp_path, *lines))


def first(**changes: Any) -> dict[str, Any]:
    """Return a list whose first slot has changes; None takes a key out."""
    slot = {key: value for key, value in (FIRST | changes).items() if value is not None}
    return LISTED | {"_outcomes": [slot, SECOND]}


def test_a_list_of_slots_is_read_with_what_was_left_for_each(tmp_path: Path) -> None:
    short = LISTED | {"c": CONTEXT | {"_slots": [{}]}, "_outcomes": [SECOND]}
    slots = read(tmp_path, LISTED, b"", short)
    nan = np.nan
    np.testing.assert_array_equal(slots.reward, [[1.0, 0.0], [0.0, nan]])
    np.testing.assert_array_equal(slots.propensity, [[0.8, 0.25], [0.25, nan]])
    assert slots.action.tolist() == [[2, 0], [0, -1]]
    assert slots.n_choices.tolist() == [[3, 2], [2, 0]]
    assert slots.first.tolist() == [[0, 0], [0, -1]]
    assert (slots.length.tolist(), slots.line.tolist(), slots.notes) == ([2, 1], [1, 3], [])
    assert not np.signbit(slots.reward[0]).any()


def test_a_slate_has_one_reward_and_actions_of_its_own_for_each_slot(tmp_path: Path) -> None:
    slots = read(tmp_path, SLATE, SLATE | {"_label_cost": 0.0, "_original_label_cost": -3.0})
    assert slots.reward.tolist() == [2.0, 3.0]
    assert slots.action[0].tolist() == [1, 0]
    assert slots.n_choices[0].tolist() == [3, 2]


def test_targets_are_told_given_what_stands_above(tmp_path: Path) -> None:
    short = LISTED | {"c": CONTEXT | {"_slots": [{}]}, "_outcomes": [SECOND]}
    slots = read(tmp_path, LISTED, short)
    np.testing.assert_allclose(targets(slots, "uniform"), [[1 / 3, 1 / 2], [1 / 2, np.nan]])
    np.testing.assert_array_equal(targets(slots, "logged"), slots.propensity)
    np.testing.assert_array_equal(targets(slots, "first"), [[0.0, 1.0], [1.0, np.nan]])
    with pytest.raises(InvalidInput, match="the target is 'best': of a log with slots it is uniform, logged, first"):
        targets(slots, "best")


def test_the_baseline_is_the_first_target_where_the_log_has_one(tmp_path: Path) -> None:
    slots = read(tmp_path, LISTED | {"_ba": [2, 1]})
    np.testing.assert_array_equal(targets(slots, "first"), [[1.0, 0.0]])


def test_estimates_of_uniform_lists_are_right_over_all_lists(tmp_path: Path) -> None:
    """Every list of a small world, as often as its law says: estimates are then exact expectations."""
    law = {(0, 1): (0.5, 0.5), (0, 2): (0.5, 0.5), (1, 0): (0.25, 0.75), (1, 2): (0.25, 0.25)}
    law |= {(2, 0): (0.25, 0.25), (2, 1): (0.25, 0.75)}
    value = {0: 1.0, 1: 0.25, 2: 0.5}
    lines, counts = [], []
    for shown, propensities in law.items():
        left = [a for a in range(3) if a != shown[0]]
        outcomes = [
            {"_label_cost": -value[shown[0]], "_a": [shown[0], *left], "_p": [propensities[0], 0.5, 0.0]},
            {
                "_label_cost": -value[shown[1]],
                "_a": sorted(left, key=lambda a: a != shown[1]),
                "_p": [propensities[1], 0.1],
            },
        ]
        counts.append(round(16 * propensities[0] * propensities[1]))
        lines += [LISTED | {"_outcomes": outcomes}] * counts[-1]
    assert sum(counts) == 16
    slots = read(tmp_path, *lines)
    columns = (slots.reward, slots.propensity, targets(slots, "uniform"), slots.length)
    truth = np.mean([value[one] + value[other] for one, other in law])
    assert cascade(*columns).value == pytest.approx(truth, rel=1e-14)
    logged = (slots.reward, slots.propensity, targets(slots, "logged"), slots.length)
    assert independent(*logged).value == pytest.approx(slots.reward.sum(axis=1).mean(), rel=1e-14)


def test_slates_feed_the_pseudo_inverse(tmp_path: Path) -> None:
    slots = read(tmp_path, SLATE)
    found = pseudo_inverse(slots.reward, slots.propensity, targets(slots, "uniform"), slots.length)
    assert found.value == pytest.approx(2.0 * (1 / 3 / 0.5 + 1 / 2 / 0.25 - 1))


def test_differing_shares_of_dropped_events_are_said(tmp_path: Path) -> None:
    slots = read(tmp_path, LISTED | {"pdrop": 0.5}, LISTED)
    assert slots.notes == ["the shares of events that were dropped (pdrop) differ, and each list counts once"]
    assert read(tmp_path, LISTED | {"pdrop": 0.5}).notes == []


BAD: dict[str, list[Any]] = {
    "not_json": [b"{"],
    "no_decision": [b"[1]", LISTED | {"c": None}],
    "dangling_reward": [{"RewardValue": 1.0, "EventId": "e"}],
    "other_problem": [SINGLE, SLATE],
    "no_actions": [
        LISTED | {"c": {"_multi": [], "_slots": [{}, {}]}},
        LISTED | {"c": {"_multi": [1], "_slots": [{}, {}]}},
    ],
    "skip_learn": [LISTED | {"_skipLearn": True}],
    "bad_slots": [
        LISTED | {"_outcomes": []},
        LISTED | {"_outcomes": [FIRST]},
        LISTED | {"_outcomes": [FIRST, 1]},
        LISTED | {"c": {"_multi": [{}]}},
    ],
    "missing_label": [first(_a=None), first(_p=None), first(_a=[]), first(_label_cost=None)],
    "bad_action": [
        first(_a=[3, 0, 1]),
        first(_a=[-1, 0, 1]),
        first(_a=["0", 1, 2]),
        first(_a=[2, 2, 1]),
        first(_a=[0, 1, 2]),
    ],
    "bad_propensity": [first(_p=[0.8]), first(_p=[0.0, 0.5, 0.5]), first(_p=[1.5, 0, 0]), first(_p=["1", 0, 0])],
    "bad_reward": [first(_label_cost="1"), first(_label_cost=1e300), first(_original_label_cost="x")],
    "bad_pdrop": [LISTED | {"pdrop": 1}],
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_counted_by_kind_and_the_rest_goes_on(tmp_path: Path, kind: str) -> None:
    for bad in BAD[kind]:
        slots = read(tmp_path, LISTED, bad, b"", LISTED)
        assert slots.bad_lines.lines == {kind: [2]}, bad
        assert slots.line.tolist() == [1, 4]


def test_a_bad_slate_is_counted(tmp_path: Path) -> None:
    slots = read(tmp_path, SLATE, SLATE | {"_label_cost": None}, SLATE | {"_label_cost": "1"}, LISTED)
    assert slots.bad_lines.lines == {"missing_label": [2], "bad_reward": [3], "other_problem": [4]}


def test_a_file_without_slots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"not one good line \(\{'other_problem': 1\}\)"):
        read(tmp_path, SINGLE)


@given(st.binary(max_size=100), st.integers(0, 400), st.binary(max_size=3))
def test_whatever_the_bytes_are_lists_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int, patch: bytes
) -> None:
    good = json.dumps(LISTED).encode()
    lines = (noise, good[:cut] + patch + good[cut + 1 :], good)
    slots = read(tmp_path_factory.mktemp("log"), *lines)
    for name in TARGETS:
        law = targets(slots, name)
        assert ((law >= 0) & (law <= 1) | (slots.n_choices == 0)).all()
