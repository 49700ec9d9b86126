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

import numpy as np

from ....engine.errors import Conflict, InvalidInput
from ....engine.task import best_arm, hypotheses, thresholds
from ....engine.vocabulary import Feedback
from ...experiment.intake import mask_of
from ...experiment.spec import Spec
from ..decided import Decided
from ..engine import PolicyEngine
from ..kind import Request
from ..pending import REMEMBERED
from .kind import QUERIES
from .problem import budget_of, task_of
from .recommendation import RecommendedHypothesis, recommended

__all__ = ["Query", "QueryEngine", "best_arm", "hypotheses", "thresholds"]

_NO_CONTEXT = np.zeros(0)


class Query(Decided, frozen=True, eq=False, gc=False):
    """A decision as a person wants it: the decision's number, the query's id, its number, and its propensity."""

    number: int
    query_id: str
    query: int
    propensity: float

    @property
    def chosen(self) -> int:
        """The query."""
        return self.query


class QueryEngine(PolicyEngine[Query]):
    """One policy at work on a task in this process; not to be shared between threads. `onearm.open` makes it."""

    def __init__(self, spec: Spec, remember: int = REMEMBERED) -> None:
        super().__init__(spec, QUERIES, Query, remember)
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
        seen = {"_context": _NO_CONTEXT, "_available": available, "_engine": self._pending.engine}
        query = Query(instance.t, roster.labels[action], int(action), float(propensity), **seen)
        self._pending.hold(query)
        return query

    def tell(self, query: Query | int, answer: float) -> None:
        """Learn the answer to a query (or to that of a decision's number). Each takes one.

        Raises `InvalidInput` where the task has no such answer: nothing is learned then.
        """
        value = task_of(self.problem).check_answer(answer.item() if isinstance(answer, np.generic) else answer)
        self._learn(self._pending.find(query, self.number), Feedback(0.0, np.array([value])))

    def recommend(self) -> RecommendedHypothesis:
        """Return what is recommended now, and what is guaranteed of it; this changes nothing.

        Asked before all answers are in, it carries a warning.
        """
        return recommended(self.spec, self.recommended(), asked=self.number, answered=self.answered)
