"""Changes of the world as people read them: what a policy found, and what it was told of."""

from __future__ import annotations

from collections.abc import Sequence

from ...engine.changes.worlds import ALL
from ...engine.vocabulary import Change
from .unknown import or_null
from .world_schemas import FoundChange


def as_found(changes: Sequence[Change]) -> list[FoundChange]:
    """Return changes as they are shown.

    >>> shown = as_found([Change(1, 398, 419, 2, 2.8e8, ALL, "found"), Change(2, 398, 500, 3, 0.0, 0, "taken_back")])
    >>> shown[0]
    FoundChange(number=1, place=398, noticed=419, model=2, evidence=280000000.0, fresh='all', cause='found')
    >>> shown[1]
    FoundChange(number=2, place=398, noticed=500, model=3, evidence=None, fresh=0, cause='taken_back')
    """
    return [
        FoundChange(
            each.number,
            each.place,
            each.noticed,
            each.model,
            or_null(each.evidence) if each.evidence > 0.0 else None,
            "all" if each.fresh == ALL else each.fresh,
            each.cause,
        )
        for each in changes
    ]


def in_words(change: Change) -> str:
    """Return a change as a sentence.

    >>> in_words(Change(1, 398, 419, 1, 2.8e8, ALL, "found"))
    'change 1, noticed at decision 419: another world since decision 398, all arms are learned anew (model 1)'
    >>> in_words(Change(2, 398, 500, 0, 0.0, 0, "taken_back"))
    'change 2, said at decision 500: what seemed to change with decision 398 did not, model 0 goes on'
    """
    how = "noticed" if change.cause == "found" else "said"
    head = f"change {change.number}, {how} at decision {change.noticed}"
    if change.cause == "taken_back":
        return f"{head}: what seemed to change with decision {change.place} did not, model {change.model} goes on"
    if change.fresh == 0:
        return f"{head}: a known world again since decision {change.place} (model {change.model})"
    anew = "all arms are" if change.fresh == ALL else "one arm is" if change.fresh == 1 else f"{change.fresh} arms are"
    return f"{head}: another world since decision {change.place}, {anew} learned anew (model {change.model})"
