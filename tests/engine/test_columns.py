"""Columns: parts of a log are joined, cut and grown without changing an event."""

from __future__ import annotations

import numpy as np

from onearm.engine.columns import SCHEMA, concat, decided_at, empty, joined, rewarded, take
from onearm.engine.vocabulary import DECIDE, LEARN, Columns, Problem

PROBLEM = Problem(3, (2,))


def log(*events: tuple[int, int, float], masked: bool = False) -> Columns:
    """Columns of (kind, number, reward); the arm, the propensity and the context tell the number."""
    columns = empty(len(events), PROBLEM, masked=masked)
    columns.kind[:] = [kind for kind, _, _ in events]
    columns.number[:] = [number for _, number, _ in events]
    columns.reward[:] = [reward for _, _, reward in events]
    decided = columns.kind == DECIDE
    columns.action[decided] = columns.number[decided] % 3
    columns.propensity[decided] = 1.0 / (1 + columns.number[decided])
    columns.context[decided] = columns.number[decided, None]
    return columns


def test_empty_columns_have_the_types_of_the_schema() -> None:
    for masked, rows in ((False, 1), (True, 5)):
        columns = empty(5, PROBLEM, masked=masked)
        assert [str(column.dtype) for column in columns[:-2]] == [dtype for dtype, _, _ in SCHEMA.values()]
        assert (columns.unit.dtype, columns.time.dtype) == (np.uint64, np.int64)
        assert columns.context.shape == (5, 2)
        assert columns.available.shape == (rows, 3)
        assert columns.available.all()
        assert np.isnan(columns.reward).all()


def test_parts_with_one_mask_and_parts_with_many_are_joined() -> None:
    one, many, single = log((DECIDE, 0, np.nan)), log((DECIDE, 1, 0), (DECIDE, 2, 0), masked=True), log((DECIDE, 3, 0))
    many.available[0, 1] = False
    single.available[0, 2] = False  # a page of one row, whose mask looks like one for all
    assert concat([one, one]).available.shape == (1, 3)
    whole = concat([one, many, single])
    assert whole.number.tolist() == [0, 1, 2, 3]
    assert whole.available.tolist() == [[True] * 3, [True, False, True], [True] * 3, [True, True, False]]


def test_take_cuts_views_by_slice_and_copies_by_index() -> None:
    columns = log((DECIDE, 0, 0), (DECIDE, 1, 0), (DECIDE, 2, 0))
    assert np.shares_memory(take(columns, slice(1, 3)).context, columns.context)
    assert take(columns, np.array([2, 0])).number.tolist() == [2, 0]
    assert take(columns, np.array([False, True, False])).number.tolist() == [1]


def test_a_reward_finds_its_decision_before_it_whatever_the_numbers() -> None:
    ascending = log((DECIDE, 5, 0), (LEARN, 5, 1), (LEARN, 6, 1), (DECIDE, 6, 0), (LEARN, 6, 2), (LEARN, 4, 1))
    assert decided_at(ascending).tolist() == [0, 0, -1, 3, 3, -1]
    shuffled = log((DECIDE, 9, 0), (DECIDE, 2, 0), (LEARN, 9, 1), (DECIDE, 2, 0), (LEARN, 2, 1), (LEARN, 10, 1))
    assert decided_at(shuffled).tolist() == [0, 1, 0, 1, 1, -1]
    assert decided_at(log((LEARN, 0, 1))).tolist() == [-1]
    assert decided_at(empty(0, PROBLEM)).tolist() == []


def test_joined_rewards_repeat_their_decision() -> None:
    columns = joined(log((DECIDE, 0, np.nan), (DECIDE, 1, np.nan), (LEARN, 1, 7.0), (LEARN, 0, 8.0)))
    assert columns.kind.tolist() == [DECIDE, DECIDE, LEARN, LEARN]
    assert columns.action.tolist() == [0, 1, 1, 0]
    assert columns.propensity.tolist() == [1.0, 0.5, 0.5, 1.0]
    assert columns.context[:, 0].tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(columns.reward, [np.nan, np.nan, 7.0, 8.0])


def test_rewarded_is_one_row_per_rewarded_decision_with_the_sum_of_its_rewards() -> None:
    events = log(
        (DECIDE, 0, np.nan),
        (DECIDE, 1, np.nan),
        (DECIDE, 2, np.nan),
        (LEARN, 2, 0.5),
        (LEARN, 0, 1.0),
        (LEARN, 2, 0.25),
    )
    table = rewarded(events)
    assert table.kind.tolist() == [DECIDE, DECIDE]
    assert table.number.tolist() == [0, 2]
    assert table.action.tolist() == [0, 2]
    assert table.reward.tolist() == [1.0, 0.75]
