"""Many queries asked in one call of Python, and many answers told: what as many single calls would do."""

from __future__ import annotations

import math
import re
from typing import Any

import golden
import numpy as np
import pytest

import onearm
from onearm.api.kinds.queries.engine import QueryEngine
from onearm.engine.errors import Conflict, InvalidInput, NotFound


def opened(name: str = "uniform_budget") -> QueryEngine:
    problem = golden.task_of(golden.specimen(name))
    assert problem.task is not None and problem.horizon is not None
    return onearm.open(golden.specimen(name).spec, task=problem.task, horizon=problem.horizon, seed=2)


def answers(engine: QueryEngine, queries: Any) -> Any:
    """Return what the queries say, in the manner of the task."""
    assert engine.problem.task is not None
    low = -1.0 if engine.problem.task.answers == "signs" else 0.0
    return np.where(np.asarray(queries) % 2 == 0, 1.0, low)


@pytest.mark.parametrize("name", golden.names("query"))
def test_many_are_asked_and_told_as_one_by_one(name: str) -> None:
    """A query counts as asked at once, in a batch too; answers come late, in any order, some never."""
    together, apart = opened(name), opened(name)
    draws = np.random.default_rng(4)
    while together.left:
        n = min(4, together.left)
        batch, singles = together.ask_many(n), [apart.ask() for _ in range(n)]
        assert [(one.number, one.query_id, one.query, one.propensity) for one in singles] == list(
            zip(batch.number, batch.query_id, batch.query, batch.propensity, strict=True)
        )
        order = draws.permutation(n)[:3]
        together.tell_many(batch[order], answers(together, batch.query[order]))
        for row in order:
            apart.tell(singles[row], float(answers(apart, singles[row].query)))
        assert together.digest() == apart.digest() and together.answered == apart.answered
    assert together.recommend() == apart.recommend()


def test_what_cannot_be_asked_or_told_together_changes_nothing() -> None:
    engine = onearm.open("uniform_budget", task=onearm.thresholds(3), horizon=5)
    batch, single = engine.ask_many(2, open=["0", "2"]), engine.ask()
    assert set(batch.query_id) <= {"0", "2"}
    before = engine.digest()
    for misuse, kind, message in (
        (lambda: engine.ask_many(3), Conflict, "3 queries are asked, and 2 of 5 are left"),
        (lambda: engine.ask_many(-1), InvalidInput, "n is -1: it must be a whole number"),
        (lambda: engine.ask_many(True), InvalidInput, "n is True: it must be a whole number"),
        (lambda: engine.ask_many(1, open="0"), InvalidInput, "open is '0': it must be a list of ids"),
        (lambda: engine.tell_many(batch, [1.0]), InvalidInput, "the answers have the shape [1]: it must be [2]"),
        (lambda: engine.tell_many(batch, [1.0, 0.5]), InvalidInput, "the answer is 0.5: it must be"),
        (lambda: engine.tell_many(batch, [1.0, math.nan]), InvalidInput, "answer 1 is nan"),
        (lambda: engine.tell_many([0, 0], [1.0, 1.0]), InvalidInput, "decision 0 is given twice"),
        (lambda: engine.tell_many([0, 3], [1.0, 1.0]), NotFound, "there is no decision 3"),
    ):
        with pytest.raises(kind, match=re.escape(message)):
            misuse()
        assert (engine.digest(), engine.answered, engine.left) == (before, 0, 2)
    engine.tell_many([single, 1], [1.0, -1.0])
    with pytest.raises(Conflict, match="decision 1 already has feedback"):
        engine.tell(1, 1)
    engine.tell(int(batch.number[0]), 1)
    assert engine.answered == 3
