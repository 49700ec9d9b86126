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

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....engine.errors import Conflict, InvalidInput, as_seen
from ....engine.problem import EMPTY_CONTEXT, check_rewards
from ....engine.storage.records import Event
from ....engine.task import best_arm, hypotheses, thresholds
from ....engine.vocabulary import Array, Feedback
from ...experiment.ids import ids_of
from ...experiment.intake import mask_of
from ...experiment.spec import Spec
from ..decided import Decided, DecidedMany
from ..engine import PolicyEngine
from ..kind import Asked, Request
from ..pending import REMEMBERED, Many
from .changes import recommend
from .http import gate
from .kind import QUERIES
from .problem import budget_of, task_of
from .recommendation_schemas import RecommendedHypothesis

if TYPE_CHECKING:
    from ...durable.journal import Journal

__all__ = ["Query", "QueryEngine", "best_arm", "hypotheses", "thresholds"]


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


class ManyQueries(DecidedMany, frozen=True, eq=False, gc=False):
    """Queries that were asked together, a row each, or some of them: `batch[rows]`."""

    number: Array  # int64[n]
    query: Array  # int64[n]
    propensity: Array  # float64[n]
    _labels: Sequence[str]

    @property
    def query_id(self) -> list[str]:
        """The ids of the queries."""
        return [self._labels[query] for query in self.query.tolist()]

    def one(self, row: int) -> Query:
        """Return row `row` of all that were asked together."""
        rows, query = self._columns, int(self._columns.action[row])
        number, propensity = int(rows.number[row]), float(rows.propensity[row])
        return Query(number, self._labels[query], query, propensity, **self.carried(row))


class QueryEngine(PolicyEngine[Query]):
    """One policy at work on a task in this process; in memory it is for one thread. `onearm.open` makes it."""

    budget: int  # how many queries there are

    def __init__(self, spec: Spec, remember: int = REMEMBERED, journal: Journal | None = None) -> None:
        super().__init__(spec, QUERIES, Query, remember, journal)
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
        if self._journal is not None:
            self._get_ready(self._journal)
        available = self._mask(open)
        if not self.left:
            raise Conflict(
                "budget_spent", f"{self.budget} queries are asked of {self.budget}: tell what is missing, and recommend"
            )
        gate(self)  # nothing is asked once a service has committed
        instance, (action, propensity) = self._decide(Request(EMPTY_CONTEXT, available))
        seen: dict[str, Any] = {"_context": EMPTY_CONTEXT, "_available": available, "_time": instance.time}
        seen["_engine"] = self._pending.engine
        query = Query(instance.t, self.roster.labels[action], int(action), float(propensity), **seen)
        self._pending.hold(query)
        return query

    def ask_many(self, n: int, open: Iterable[str] | None = None) -> ManyQueries:
        """Choose n queries: what n calls of `ask` would, with no answer told between them. `open` holds for all.

        Raises `Conflict` where the budget has fewer left.
        """
        journal = self._journal
        if journal is not None:
            self._get_ready(journal)
        available = self._mask(open)
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            raise InvalidInput("bad_queries", f"n is {as_seen(n)}: it must be a whole number, how many queries")
        if n > self.left:
            raise Conflict(
                "budget_spent", f"{n} queries are asked, and {self.left} of {self.budget} are left: ask fewer"
            )
        if n:
            gate(self)
        time = self._when(None)
        rows = self._decide_many(np.zeros((n, 0)), available[np.newaxis], int(n), time=time)
        assert available[rows.action].all(), "a policy asked a query that is not open"
        asked = [Asked(Request(EMPTY_CONTEXT, available, time=time))] * int(n)
        return self._hold_many(ManyQueries, rows, rows.action, asked, _labels=self.roster.labels)

    def _remade(self, event: Event) -> Query:
        assert event.number is not None and event.action is not None, "this asks a query"
        propensity = math.nan if event.propensity is None else event.propensity
        query_id = self.roster.labels[event.action]
        return Query(event.number, query_id, event.action, propensity, **self._carried(event))

    def tell(self, query: Query | int, answer: float) -> None:
        """Learn the answer to a query (or to that of a decision's number). Each takes one.

        Raises `InvalidInput` where the task has no such answer: nothing is learned then.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        value = task_of(self.problem).check_answer(answer.item() if isinstance(answer, np.generic) else answer)
        self._learn((self._pending.find(query, self.number), Feedback(0.0, np.array([value]))))

    def tell_many(self, queries: Many, answers: Any) -> None:
        """Learn the answers to n queries, float64[n], in their order: what n calls of `tell` would.

        `queries` are what `ask_many` returned or some of it, `batch[rows]`, or a list of numbers or of queries. Nothing
        is learned where one of them cannot be, or where the task has no such answer.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        found = self._pending.find_many(queries, self.number)
        values = check_rewards(answers, len(found.columns.kind), "answer")
        task = task_of(self.problem)
        for answer in values[~task.possible(values)].tolist():
            task.check_answer(answer)  # says what is wrong with the first
        self._learn_many(found, np.zeros(len(values)), values[:, np.newaxis])

    def _mask(self, open: Iterable[str] | None) -> Array:
        """Return which queries can be asked, bool[k]."""
        roster = self.roster
        ids = ids_of("open", open)
        return roster.active if ids is None else mask_of(roster.numbers, roster.active, ids, None)

    def recommend(self) -> RecommendedHypothesis:
        """Return what is recommended now, and what is guaranteed of it; this changes nothing.

        Asked before all answers are in, it carries a warning.
        """
        return recommend(self)
