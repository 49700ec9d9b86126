"""Queries that are closed, and the commit to what is recommended. What the kind keeps in work is that commit.

{"change": "concluded", "answer": {...}}    nothing more is asked, and this is recommended
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from ....engine.errors import InvalidInput
from ...experiment.definition import Definition
from ...http.schemas import ArmStatus
from ...service.history import ArmRetired, History
from ...service.records import Record
from ..arms.changes import retired
from ..kind import ChangeHandler, Work
from .recommendation import recommended
from .recommendation_schemas import RecommendedHypothesis


class Concluded(msgspec.Struct, frozen=True, tag_field="change", tag="concluded"):
    """No query is asked any more, and a hypothesis is recommended for good."""

    answer: RecommendedHypothesis


def concluded(spec: Definition, part: None, history: History) -> Concluded | None:
    """Return the commit of a log, None where there is none."""
    return next((change for change in reversed(history.changes) if isinstance(change, Concluded)), None)


def recommend(work: Work) -> RecommendedHypothesis:
    """Return what `commit` would commit to now, or has. Only reads."""
    if work.own is not None:
        answer: RecommendedHypothesis = work.own.answer
        return answer
    closed = len(work.roster.retired)
    return recommended(work.spec, work.recommended(), asked=work.number, answered=work.rewards, closed=closed)


def commit(work: Work, said: None, record: Record | None) -> tuple[Concluded | None, RecommendedHypothesis]:
    """Ask no more, and keep to what is recommended now; asked again, the first answer."""
    if work.own is not None:
        return None, work.own.answer
    work.check_open()
    work.own = Concluded(msgspec.structs.replace(recommend(work), committed=True))
    return work.own, work.own.answer


def join(work: Work, arm: dict[str, Any], record: Record | None) -> NoReturn:
    """Refuse it: the hypotheses say what there is to ask."""
    raise InvalidInput(
        "queries_are_fixed",
        f"the queries of the experiment {work.spec.id!r} are those of its task: none can join; create another",
    )


def retire(work: Work, label: str, record: Record | None) -> tuple[ArmRetired | None, ArmStatus]:
    """Never ask a query again; once it is closed this changes nothing."""
    return retired(work, label, f"the query {label!r} is the last open one: commit, or archive, instead")


CHANGES = {"join": ChangeHandler(join), "retire": ChangeHandler(retire), "commit": ChangeHandler(commit)}
