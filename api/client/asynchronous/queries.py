"""An experiment that asks within a budget: the methods of the engine that `onearm.open` returns for a task."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from ...experiment.ids import ids_of
from ...kinds.queries.bodies import QueryDecision
from ...kinds.queries.recommendation_schemas import RecommendedHypothesis
from ..decided import Choices, QueryChoice
from .deciding import AsyncDeciding, asking, nothing
from .experiment import name_of


class AsyncQueries(AsyncDeciding):
    """Queries, their answers, and what is recommended."""

    async def ask(
        self, open: Iterable[str] | None = None, *, unit_id: str | None = None, decision_id: str | None = None
    ) -> QueryChoice[Awaitable[None]]:
        """Choose the next query; as the engine's `ask`. Raises `Conflict` where the budget is spent."""
        among = ids_of("open", open)
        _, body = asking(decision_id, eligible_actions=among, unit_id=unit_id)
        return self._choice(await self._decided(QueryDecision, body))

    async def ask_many(self, n: int, open: Iterable[str] | None = None) -> Choices[QueryChoice[Awaitable[None]]]:
        """Choose n queries; as the engine's `ask_many`. What the budget has room for is asked before it raises."""
        among = ids_of("open", open)
        bodies = [asking(None, eligible_actions=among)[1] for _ in range(n)]
        return Choices(map(self._choice, await self._decided_together(QueryDecision, bodies)), "query_id")

    async def tell(self, query: QueryChoice[Any] | str, answer: float) -> None:
        """Tell the answer to a query, or to that of a decision's id; as the engine's `tell`."""
        await self._rewarded(name_of(query), {"value": answer})

    async def tell_many(self, queries: Sequence[QueryChoice[Any] | str], answers: Any) -> None:
        """Tell the answers to n queries; as the engine's `tell_many`. A bad one is refused alone."""
        told = [(name_of(query), {"value": answer}) for query, answer in zip(queries, answers, strict=True)]
        await self._rewarded_together(told)

    async def recommend(self) -> RecommendedHypothesis:
        """Return what is recommended now, and what is guaranteed of it; this changes nothing."""
        return await self._connection.ask("GET", f"{self._path}/recommendation", RecommendedHypothesis)

    async def commit(self) -> RecommendedHypothesis:
        """Keep to what is recommended now: there are no more queries."""
        return await self._connection.ask("POST", f"{self._path}:commit", RecommendedHypothesis)

    @property
    async def budget(self) -> int:
        """How many queries there are."""
        return int((await self.about()).problem["horizon"])

    @property
    async def answered(self) -> int:
        """How many queries were answered."""
        return (await self.about()).rewards

    @property
    async def left(self) -> int:
        """How many queries can be asked yet."""
        about = await self.about()
        return int(about.problem["horizon"]) - about.decisions

    def _choice(self, made: QueryDecision) -> QueryChoice[Awaitable[None]]:
        propensity = math.nan if made.propensity is None else made.propensity
        return QueryChoice(made.decision_id, made.query_id, propensity, made, self.tell, nothing)
