"""Rows of policies as tables: every state has one, in the documented order."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from support.compiled import compiled

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.states import count_states, shared, uniform
from onearm.engine.task import best_arm, thresholds
from onearm.engine.trained.tables import TablePolicy, binomials, n_rows, table_row


def enumerated(n: int, budget: int) -> list[tuple[int, ...]]:
    """Return all (up_1, down_1, up_2, ...) by total, then by the sums of fewer parts, the longest first."""
    every = [parts for parts in product(range(budget + 1), repeat=2 * n) if sum(parts) <= budget]
    return sorted(every, key=lambda parts: [sum(parts[:j]) for j in range(2 * n, 0, -1)])


@pytest.mark.parametrize(("n", "budget"), [(1, 5), (2, 4), (3, 3)])
def test_rows_are_the_places_in_the_enumeration(n: int, budget: int) -> None:
    sums = binomials(n, budget)
    states = count_states(best_arm(n, "bits"), budget)
    every = enumerated(n, budget)
    assert len(every) == n_rows(n, budget) == len(states.asked)
    for row, parts in enumerate(every):
        up, down = np.array(parts[0::2]), np.array(parts[1::2])
        assert table_row(sums, up + down, up) == row
        assert states.up[row].tolist() == up.tolist()
        assert states.asked[row].tolist() == (up + down).tolist()


def test_the_next_rows_have_one_answer_more() -> None:
    states = count_states(thresholds(3), 4)
    assert states.n_open == n_rows(3, 3) == states.layers[-2]
    for row in range(0, states.n_open, 7):
        for i in range(3):
            for after, up in ((states.next_up[row, i], 1), (states.next_down[row, i], 0)):
                one = np.eye(3, dtype=np.int64)[i]
                assert states.asked[after].tolist() == (states.asked[row] + one).tolist()
                assert states.up[after].tolist() == (states.up[row] + up * one).tolist()


def test_only_equals_share_a_law() -> None:
    scores = np.array([[1.0, 1.0 + 1e-12, 0.999], [-np.inf, -np.inf, -np.inf]])
    assert shared(scores).tolist() == [[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]


@pytest.mark.jit
def test_the_compiled_row_is_the_same() -> None:
    sums = binomials(3, 6)
    states = count_states(best_arm(3, "bits"), 6)
    row_of = compiled(table_row)
    rows = [row_of(sums, asked, up) for asked, up in zip(states.asked, states.up, strict=True)]
    assert rows == list(range(924))


@pytest.mark.parametrize(
    ("task", "budget", "words"),
    [
        (best_arm(2), 4, "normal"),
        (best_arm(2, "bits"), 0, "the budget is 0"),
        (best_arm(10, "bits"), 20, "fewer queries or a smaller budget"),
    ],
)
def test_what_cannot_be_a_table_is_refused_in_words(task: object, budget: int, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        count_states(task, budget)  # type: ignore[arg-type]


def test_a_table_of_another_shape_or_without_laws_is_refused() -> None:
    task, good = best_arm(2, "bits"), uniform(best_arm(2, "bits"), 3)
    with pytest.raises(InvalidInput, match=r"query has the shape \[14, 2\]: it must have \[15, 2\]"):
        TablePolicy(task, 3, good.query[1:], good.recommendation)
    for wrong in (np.full((15, 2), 0.6), np.full((15, 2), np.nan), np.tile([1.5, -0.5], (15, 1))):
        with pytest.raises(InvalidInput, match="a row of query is no law"):
            TablePolicy(task, 3, wrong, good.recommendation)
