"""What is refused where a vector is decided: there are no arms that join or retire."""

from __future__ import annotations

from typing import Any, NoReturn

from ....engine.errors import InvalidInput
from ...experiment.definition import check_arm
from ...service.records import Record
from ..kind import ChangeHandler, Work


def join(work: Work, arm: dict[str, Any], record: Record | None) -> NoReturn:
    """Refuse an arm."""
    check_arm(arm)
    retire(work, "", record)


def retire(work: Work, label: str, record: Record | None) -> NoReturn:
    """Refuse it."""
    raise InvalidInput("no_arms", f"the experiment {work.spec.id!r} decides vectors: it has no arms; decide points")


CHANGES = {"join": ChangeHandler(join), "retire": ChangeHandler(retire)}
