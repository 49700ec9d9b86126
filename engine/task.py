"""Tasks of active learning: what can be asked, how answers come, and what is recommended in the end.

There are n queries with unknown means theta, float64[n]: the answer to query i has the mean theta_i. After a budget of
queries one of m hypotheses is recommended: rows z of a table, float64[m, n]. The best is the one whose value
<z, theta> is the largest; where answers are bits, thresholds and tables weigh them as signs, 2 theta - 1. Asking costs
nothing; the recommendation pays a loss:
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
from typing import Any, Literal, get_args

import numpy as np

from .errors import InvalidInput, as_seen

Array = np.ndarray[Any, Any]
TaskKind = Literal["arms", "thresholds", "hypotheses"]
AnswerKind = Literal["normal", "signs", "bits"]
LossKind = Literal["identification", "simple_regret"]

QUERIES_MAX = 10_000
NUMBERS_MAX = 2**24  # of a table
ANSWER_MAX = 1e100  # sums of such answers stay finite
_RULES = {"normal": "a number of at most 1e+100 in size", "signs": "-1 or 1", "bits": "0 or 1"}


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
            raise InvalidInput(
                "bad_task", f"there are {as_seen(self.n_queries)} queries: a task has 1 to {QUERIES_MAX}"
            )
        if not isinstance(self.answers, str) or self.answers not in _RULES:
            raise InvalidInput("bad_task", f"answers is {as_seen(self.answers)}: it must be one of {', '.join(_RULES)}")
        if not isinstance(self.loss, str) or self.loss not in get_args(LossKind):
            raise InvalidInput(
                "bad_task", f"loss is {as_seen(self.loss)}: it must be one of {', '.join(get_args(LossKind))}"
            )
        if self.n_hypotheses < 2 and self.kind != "arms":
            raise InvalidInput(
                "bad_task", "there is one hypothesis: at least two are needed, or nothing is to be found"
            )

    @property
    def n_hypotheses(self) -> int:
        """How many can be recommended, m."""
        return {"arms": self.n_queries, "thresholds": self.n_queries + 1}.get(self.kind, len(self.rows))

    def fields(self) -> dict[str, Any]:
        """Return the task as clients write it: fields of a problem. The ids of queries and hypotheses are numbers."""
        fields: dict[str, Any] = {
            "task": self.kind,
            "queries": self.n_queries,
            "answers": self.answers,
            "loss": self.loss,
        }
        if self.kind == "hypotheses":
            fields["hypotheses"] = [{"id": str(number), "answers": list(row)} for number, row in enumerate(self.rows)]
        return fields

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

    @property
    def is_shifted(self) -> bool:
        """Whether hypotheses weigh answers that are bits: these count as signs, or 0 and 1 would both speak for 1."""
        return self.answers == "bits" and self.kind != "arms"

    def signed(self, means: Array) -> Array:
        """Return means as hypotheses weigh them, float64[..., n]: 2 theta - 1 of bits, but for arms; else theta."""
        return 2.0 * means - 1.0 if self.is_shifted else means

    def losses(self, means: Array) -> Array:
        """Return what each recommendation costs where the queries have the means float64[..., n]: float64[..., m]."""
        value = self.signed(means) @ self.table.T
        gap = value.max(axis=-1, keepdims=True) - value
        return gap if self.loss == "simple_regret" else (gap > 0.0).astype(np.float64)

    def possible(self, answers: Array) -> Array:
        """Return which of these answers, float64[n], can be: -1 or 1, 0 or 1, or any number up to 1e100 in size."""
        if self.answers == "normal":
            return np.asarray(np.abs(answers) <= ANSWER_MAX)
        return np.isin(answers, (-1.0, 1.0) if self.answers == "signs" else (0.0, 1.0))

    def check_answer(self, answer: Any) -> float:
        """Return an answer; raise `InvalidInput` where the task has none like it."""
        number = isinstance(answer, (int, float)) and not isinstance(answer, bool) and abs(answer) <= ANSWER_MAX
        if not number or not self.possible(np.array([float(answer)]))[0]:
            raise InvalidInput("bad_answer", f"the answer is {as_seen(answer)}: it must be {_RULES[self.answers]}")
        return float(answer) + 0.0  # -0.0 becomes 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON."""
        rows = {"hypotheses": [list(row) for row in self.rows]} if self.kind == "hypotheses" else {}
        return {"kind": self.kind, "queries": self.n_queries, "answers": self.answers, "loss": self.loss, **rows}

    @classmethod
    def from_json(cls, body: Any) -> Task:
        """Return the task of `to_json`; nothing is left unread."""
        if not isinstance(body, dict) or body.get("kind") not in get_args(TaskKind):
            raise InvalidInput(
                "bad_task",
                f"the task is {as_seen(body)}: it must be an object whose kind is arms, thresholds or hypotheses",
            )
        known = {"kind", "answers", "loss", "hypotheses" if body["kind"] == "hypotheses" else "queries"}
        if extra := sorted(set(body) - known - {"queries"}):
            raise InvalidInput("bad_task", f"the task of {body['kind']} has the field {extra[0]!r}: leave it out")
        given = {name: body[name] for name in ("answers", "loss") if name in body}
        if body["kind"] == "hypotheses":
            task = hypotheses(body.get("hypotheses", ()), **given)
            if body.get("queries", task.n_queries) != task.n_queries:
                raise InvalidInput(
                    "bad_task", f"there are {body['queries']} queries, but hypotheses of {task.n_queries} numbers each"
                )
            return task
        return {"arms": best_arm, "thresholds": thresholds}[body["kind"]](body.get("queries", 0), **given)


def best_arm(arms: int, answers: AnswerKind = "normal", loss: LossKind = "identification") -> Task:
    """Return the task of finding the arm with the largest mean."""
    return Task("arms", arms, answers, loss)


def thresholds(points: int, answers: AnswerKind = "signs", loss: LossKind = "simple_regret") -> Task:
    """Return the task of finding where on a line of points the signs turn: all before it are positive."""
    return Task("thresholds", points, answers, loss)


def hypotheses(
    table: Sequence[Sequence[float]] | Array, answers: AnswerKind = "signs", loss: LossKind = "identification"
) -> Task:
    """Return the task of finding the best row of a table, float64[m, n], finite; no two rows may be equal.

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
