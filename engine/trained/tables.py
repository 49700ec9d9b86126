"""Policies as tables: one row for every count of answers, of queries that are answered by one of two.

Of n queries each with so many ups and downs, at most T answers together, there are C(T + 2 n, 2 n) states. The row of
a state is its number in the combinatorial number system: with s_j the sum of the first j of up_1, down_1, up_2, ...,
it is the sum over j of C(s_j + j - 1, j). States with fewer answers come first, and row 0 has none.

>>> n_rows(2, 10), n_rows(3, 6)
(1001, 924)
>>> sums = binomials(2, 10)
>>> [int(table_row(sums, np.array(count), np.array([0, 0]))) for count in ([0, 0], [1, 0], [10, 0])]
[0, 3, 990]

Source: Knuth, The Art of Computer Programming 4A, section 7.2.1.3, theorem L.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput, as_seen
from ..kernel import kernel
from ..task import Array, Task

ROWS_MAX = 2_000_000


@dataclass(frozen=True)
class TablePolicy:
    """A policy that knows what it does in every state: plain arrays, which can be stored.

    `query` is float64[n_rows(n, budget - 1), n], the law of the next query, of states with fewer answers than the
    budget; `recommendation` is float64[n_rows(n, budget), m], the law of what is recommended.
    """

    task: Task  # answers are signs or bits
    budget: int
    query: Array
    recommendation: Array

    def __post_init__(self) -> None:
        n, m = self.task.n_queries, self.task.n_hypotheses
        check_table_task(self.task, self.budget)
        _check_law("query", self.query, (n_rows(n, self.budget - 1), n))
        _check_law("recommendation", self.recommendation, (n_rows(n, self.budget), m))


def n_rows(n: int, answers: int) -> int:
    """Return how many states n queries have with at most so many answers."""
    return math.comb(answers + 2 * n, 2 * n)


def binomials(n: int, budget: int) -> Array:
    """Return int64[2 n, budget + 1], C(s + j, j + 1) in row j and column s: what `table_row` adds up."""
    return np.array([[math.comb(s + j, j + 1) for s in range(budget + 1)] for j in range(2 * n)], dtype=np.int64)


@kernel
def table_row(sums: Array, count: Array, up: Array) -> int:
    """Return the row of a state: how often each query was answered and how often with 1, int64[n] each. O(n).

    `sums` is what `binomials` returns for n queries and the budget, which the counts must not exceed together.
    """
    row = 0
    s = 0
    for i in range(len(count)):
        s += up[i]
        row += sums[2 * i, s]
        s += count[i] - up[i]
        row += sums[2 * i + 1, s]
    return row


def check_table_task(task: Task, budget: int) -> None:
    """Refuse tasks whose states cannot be counted, or are more than two million."""
    if task.answers == "normal":
        raise InvalidInput(
            "bad_task", "the answers are normal: a table counts answers that are signs or bits, so take one of them"
        )
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise InvalidInput("bad_budget", f"the budget is {as_seen(budget)}: it must be a whole number of 1 or more")
    if (rows := n_rows(task.n_queries, budget)) > ROWS_MAX:
        raise InvalidInput(
            "bad_budget",
            f"{task.n_queries} queries with {budget} answers have {rows} states: a table has up to {ROWS_MAX}; take "
            "fewer queries or a smaller budget",
        )


def _check_law(name: str, law: Array, shape: tuple[int, int]) -> None:
    if law.shape != shape:
        raise InvalidInput("bad_table", f"{name} has the shape {list(law.shape)}: it must have {list(shape)}")
    if not (np.isfinite(law).all() and (law >= 0.0).all() and np.abs(law.sum(axis=1) - 1.0).max() <= 1e-6):
        raise InvalidInput("bad_table", f"a row of {name} is no law: its numbers must be 0 or more, and their sum 1")
