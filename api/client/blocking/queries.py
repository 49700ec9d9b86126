"""An experiment that asks within a budget: the methods of the engine that `onearm.open` returns for a task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ...experiment.ids import ids_of
from ...kinds.queries.bodies import QueryDecision
from ...kinds.queries.recommendation_schemas import RecommendedHypothesis
from ..decided import Choices, QueryChoice
from .deciding import Deciding, asking, nothing
from .experiment import name_of


class Queries(Deciding):
    """Queries, their answers, and what is recommended."""

    def ask(
        self, open: Iterable[str] | None = None, *, unit_id: str | None = None, decision_id: str | None = None
    ) -> QueryChoice[None]:
        """Choose the next query; as the engine's `ask`. Raises `Conflict` where the budget is spent."""
        among = ids_of("open", open)
        _, body = asking(decision_id, eligible_actions=among, unit_id=unit_id)
        return self._choice(self._decided(QueryDecision, body))

    def ask_many(self, n: int, open: Iterable[str] | None = None) -> Choices[QueryChoice[None]]:
        """Choose n queries; as the engine's `ask_many`. What the budget has room for is asked before it raises."""
        among = ids_of("open", open)
        bodies = [asking(None, eligible_actions=among)[1] for _ in range(n)]
        return Choices(map(self._choice, self._decided_together(QueryDecision, bodies)), "query_id")

    def tell(self, query: QueryChoice[Any] | str, answer: float) -> None:
        """Tell the answer to a query, or to that of a decision's id; as the engine's `tell`."""
        self._rewarded(name_of(query), {"value": answer})

    def tell_many(self, queries: Sequence[QueryChoice[Any] | str], answers: Any) -> None:
        """Tell the answers to n queries; as the engine's `tell_many`. A bad one is refused alone."""
        told = [(name_of(query), {"value": answer}) for query, answer in zip(queries, answers, strict=True)]
        self._rewarded_together(told)

    def recommend(self) -> RecommendedHypothesis:
        """Return what is recommended now, and what is guaranteed of it; this changes nothing."""
        return self._connection.ask("GET", f"{self._path}/recommendation", RecommendedHypothesis)

    def commit(self) -> RecommendedHypothesis:
        """Keep to what is recommended now: there are no more queries."""
        return self._connection.ask("POST", f"{self._path}:commit", RecommendedHypothesis)

    @property
    def budget(self) -> int:
        """How many queries there are."""
        return int((self.about()).problem["horizon"])

    @property
    def answered(self) -> int:
        """How many queries were answered."""
        return (self.about()).rewards

    @property
    def left(self) -> int:
        """How many queries can be asked yet."""
        about = self.about()
        return int(about.problem["horizon"]) - about.decisions

    def _choice(self, made: QueryDecision) -> QueryChoice[None]:
        propensity = math.nan if made.propensity is None else made.propensity
        return QueryChoice(made.decision_id, made.query_id, propensity, made, self.tell, nothing)
