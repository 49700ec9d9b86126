"""Tasks of active learning: what can be asked, how answers come, and what is recommended in the end.

There are n queries with unknown means theta, float64[n]: the answer to query i has the mean theta_i. After a budget of
queries one of m hypotheses is recommended: rows z of a table, float64[m, n]. The best is the one whose value
<z, theta> is the largest. Asking costs nothing; the recommendation pays a loss:
"identification"   1 where another hypothesis is better, else 0
"simple_regret"    how much more the best one is worth: of signs and predictions the excess number of errors

kind            queries             hypotheses
"arms"          K arms              the same arms
"thresholds"    n points on a line  n + 1 cuts: the first k points are positive, k = 0..n
"hypotheses"    anything            a table: of 20 questions the objects, by their answers

>>> task = thresholds(3)
>>> task.table.tolist()
[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
>>> task.losses(np.array([0.5, -0.5, -0.5])).tolist()
[0.5, 0.0, 0.5, 1.0]

Source: Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from onearm.engine.errors import InvalidInput

Array = np.ndarray[Any, Any]
TaskKind = Literal["arms", "thresholds", "hypotheses"]
AnswerKind = Literal["normal", "signs", "bits"]
LossKind = Literal["identification", "simple_regret"]

QUERIES_MAX = 10_000
NUMBERS_MAX = 2**24  # of a table
_ANSWERS = ("normal", "signs", "bits")
_LOSSES = ("identification", "simple_regret")


@dataclass(frozen=True)
class Task:
    """The queries, their answers, and what is recommended. Made by `best_arm`, `thresholds` and `hypotheses`.

    `answers` come as "normal", the mean plus standard normal noise; as "signs", -1 or 1; or as "bits", 0 or 1.
    """

    kind: TaskKind
    n_queries: int
    answers: AnswerKind
    loss: LossKind
    rows: tuple[tuple[float, ...], ...] = ()  # the table, of the kind "hypotheses"

    def __post_init__(self) -> None:
        if not _is_whole(self.n_queries) or not 1 <= self.n_queries <= QUERIES_MAX:
            raise InvalidInput("bad_task", f"there are {self.n_queries!r} queries: a task has 1 to {QUERIES_MAX}")
        if self.answers not in _ANSWERS:
            raise InvalidInput("bad_task", f"answers is {self.answers!r}: it must be one of {', '.join(_ANSWERS)}")
        if self.loss not in _LOSSES:
            raise InvalidInput("bad_task", f"loss is {self.loss!r}: it must be one of {', '.join(_LOSSES)}")
        if self.n_hypotheses < 2 and self.kind != "arms":
            raise InvalidInput(
                "bad_task", "there is one hypothesis: at least two are needed, or nothing is to be found"
            )

    @property
    def n_hypotheses(self) -> int:
        """How many can be recommended, m."""
        return {"arms": self.n_queries, "thresholds": self.n_queries + 1}.get(self.kind, len(self.rows))

    @cached_property
    def table(self) -> Array:
        """The hypotheses, float64[m, n], read-only."""
        if self.kind == "arms":
            table = np.eye(self.n_queries)
        elif self.kind == "thresholds":
            table = np.tri(self.n_queries + 1, self.n_queries, -1)
        else:
            table = np.array(self.rows)
        table.flags.writeable = False
        return table

    def losses(self, means: Array) -> Array:
        """Return what each recommendation costs where the queries have the means float64[..., n]: float64[..., m]."""
        value = means @ self.table.T
        gap = value.max(axis=-1, keepdims=True) - value
        return gap if self.loss == "simple_regret" else (gap > 0.0).astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON."""
        rows = {"hypotheses": [list(row) for row in self.rows]} if self.kind == "hypotheses" else {}
        return {"kind": self.kind, "queries": self.n_queries, "answers": self.answers, "loss": self.loss, **rows}


def best_arm(arms: int, answers: AnswerKind = "normal", loss: LossKind = "identification") -> Task:
    """Return the task of finding the arm with the largest mean."""
    return Task("arms", arms, answers, loss)


def thresholds(points: int, answers: AnswerKind = "signs", loss: LossKind = "simple_regret") -> Task:
    """Return the task of finding where on a line of points the labels turn: all before it are positive."""
    return Task("thresholds", points, answers, loss)


def hypotheses(
    table: Sequence[Sequence[float]] | Array, answers: AnswerKind = "signs", loss: LossKind = "identification"
) -> Task:
    """Return the task of finding the best row of a table, [m, n] of finite numbers; no two rows may be equal.

    Of classifiers and of 20 questions a row holds 1 where its answer to a query is yes, and 0 where it is no. Any
    numbers are allowed: the value of a row is a weighted sum of the means.
    """
    try:
        found = np.array(table, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(
            "bad_task", "hypotheses is not a table: it must hold rows of numbers, all of one length"
        ) from None
    if found.ndim != 2 or not 1 <= found.size <= NUMBERS_MAX:
        raise InvalidInput(
            "bad_task",
            f"hypotheses has the shape {list(found.shape)}: it must be a table of up to {NUMBERS_MAX} numbers",
        )
    if not (np.abs(found) <= 1e100).all():
        raise InvalidInput(
            "bad_task", "hypotheses holds a number that is not finite, or above 1e100: all must be small"
        )
    if len(np.unique(found, axis=0)) < len(found):
        same = _first_twin(found)
        raise InvalidInput(
            "bad_task", f"the hypotheses {same[0]} and {same[1]} are the same: merge rows that no answer can tell apart"
        )
    return Task("hypotheses", found.shape[1], answers, loss, tuple(map(tuple, found.tolist())))


def _first_twin(table: Array) -> tuple[int, int]:
    _, first, row_of = np.unique(table, axis=0, return_index=True, return_inverse=True)
    twin = int(np.flatnonzero(first[row_of.ravel()] != np.arange(len(table)))[0])
    return int(first[row_of.ravel()[twin]]), twin


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
