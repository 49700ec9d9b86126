"""The body of a query."""

from __future__ import annotations

import msgspec


class QueryDecision(msgspec.Struct):
    """A decision that asks: which query, and the probability with which it was chosen."""

    decision_id: str
    number: int
    query_id: str
    propensity: float | None
    policy: str
    model_version: int
