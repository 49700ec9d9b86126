"""Queries from Python: ask one, tell its answer, and read what is recommended in the end.

>>> import onearm
>>> engine = onearm.open("uniform_budget", task=onearm.thresholds(3), horizon=12)  # where do the signs turn?
>>> while engine.left:
...     query = engine.ask()
...     engine.tell(query, answer=1 if query.query < 2 else -1)
>>> found = engine.recommend()
>>> found.hypothesis, found.final, found.warning  # the first two points are positive
(2, True, None)

Answers may come late and in any order; `ask` again meanwhile. The decisions are those of the service and of
`onearm simulate` at the same seed, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ....engine.errors import Conflict, InvalidInput
from ....engine.task import best_arm, hypotheses, thresholds
from ....engine.vocabulary import Decision, Feedback
from ...experiment.intake import mask_of
from ...experiment.spec import Spec
from ..engine import PolicyEngine
from ..kind import Request
from .kind import QUERIES
from .problem import budget_of, task_of
from .recommendation import RecommendedHypothesis, recommended

__all__ = ["Query", "QueryEngine", "best_arm", "hypotheses", "thresholds"]

_NO_CONTEXT = np.zeros(0)


class Query(NamedTuple):
    """A decision as a person wants it: the decision's number, the query's id, its number, and its propensity."""

    number: int
    query_id: str
    query: int
    propensity: float


class QueryEngine(PolicyEngine[Query]):
    """One policy at work on a task in this process; not to be shared between threads. `onearm.open` makes it."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec, QUERIES, Query)
        self.budget = budget_of(spec.problem)

    @property
    def answered(self) -> int:
        """How many queries were answered."""
        return self.rewards

    @property
    def left(self) -> int:
        """How many queries can be asked yet."""
        return self.budget - self.number

    def ask(self, open: Iterable[str] | None = None) -> Query:
        """Choose the next query; `open` are the ids of those that can be asked, of all.

        Raises `Conflict` where the budget is spent. In the state the query counts as asked at once, so that several may
        be asked before the first is answered.
        """
        if isinstance(open, str):
            raise InvalidInput("bad_eligible", f"open is {open!r}: it must be a list of ids")
        if not self.left:
            raise Conflict(
                "budget_spent", f"{self.budget} queries are asked of {self.budget}: tell what is missing, and recommend"
            )
        roster = self.roster
        available = roster.active if open is None else mask_of(roster.numbers, roster.active, open, None)
        instance, (action, propensity) = self._decide(Request(_NO_CONTEXT, available))
        query = Query(instance.t, roster.labels[action], int(action), float(propensity))
        self._pending.hold(query, instance)
        return query

    def tell(self, query: Query | int, answer: float) -> None:
        """Learn the answer to a query (or to that of a decision's number). Each takes one.

        Raises `InvalidInput` where the task has no such answer: nothing is learned then.
        """
        value = task_of(self.problem).check_answer(answer.item() if isinstance(answer, np.generic) else answer)
        asked, instance = self._pending.find(query, self.number)
        self._learn(instance, Decision(asked.query, asked.propensity), Feedback(0.0, np.array([value])))

    def recommend(self) -> RecommendedHypothesis:
        """Return what is recommended now, and what is guaranteed of it; this changes nothing.

        Asked before all answers are in, it carries a warning.
        """
        return recommended(self.spec, self.recommended(), asked=self.number, answered=self.answered)
