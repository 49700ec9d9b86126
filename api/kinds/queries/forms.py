"""The form for queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..form import Field, Form, lines_of, whole_of

QUERIES = Field(
    "queries",
    "What can be asked",
    "One a line: each says something of itself.",
    lines=True,
    about=("queries",),
    needed="name what can be asked, one a line",
)
BUDGET = Field(
    "horizon",
    "Budget",
    "How many questions there are.",
    "30",
    about=("horizon", "budget"),
    needed="say how many questions there are",
)


def _build(given: Mapping[str, str]) -> dict[str, Any]:
    problem = {"kind": "queries", "task": "arms", "queries": lines_of(given, "queries")}
    return {"problem": problem | {"horizon": whole_of(given, "horizon", BUDGET.label)}}


FORMS = (
    Form(
        "queries",
        "A few questions, then an answer",
        "Tests cost: ask so many, and then name the best. Nothing is earned on the way.",
        (QUERIES, BUDGET),
        _build,
    ),
)
