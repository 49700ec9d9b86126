"""Arms that join an experiment at work, and arms that retire."""

from __future__ import annotations

from typing import Any

from ....engine.errors import Conflict, InvalidInput, NotFound
from ....engine.growth import grown
from ....engine.problem import check_problem
from ...experiment.definition import check_arm
from ...http.schemas import ArmStatus
from ...service.history import ArmAdded, ArmRetired, grown_problem
from ...service.records import Record
from ..kind import ChangeHandler, Work


def join(work: Work, arm: dict[str, Any], record: Record | None) -> tuple[ArmAdded | None, ArmStatus]:
    """Let an arm join; the same arm again changes nothing."""
    label = check_arm(arm)
    _check_fixed(work)
    status = ArmStatus(label, label in work.roster.retired)
    if (there := work.roster.numbers.get(label)) is not None:
        if work.roster.arms[there] != arm:
            raise Conflict("arm_exists", f"there is an arm {label!r} with another description: take another id")
        return None, status
    work.check_open()
    if work.spec.intake.encoder is not None:
        work.spec.intake.read(None, [arm])  # raises where it has a field that is no feature
    problem = grown_problem(work.spec, len(work.roster.arms) + 1)
    check_problem(problem)
    work.state = grown(work.spec.policy, work.state, problem)
    work.problem = problem
    return ArmAdded(arm, work.number), status


def retire(work: Work, label: str, record: Record | None) -> tuple[ArmRetired | None, ArmStatus]:
    """Never choose an arm again; its number stays its own. Once it is retired this changes nothing."""
    _check_fixed(work)
    return retired(work, label, f"the arm {label!r} is the last one: add another one first, or archive")


def retired(work: Work, label: str, last: str) -> tuple[ArmRetired | None, ArmStatus]:
    """Return that an arm retires; `last` is said where no other one is left."""
    if label not in work.roster.numbers:
        raise NotFound("unknown_arm", f"there is no arm {label!r}: the arms are {', '.join(work.roster.labels[:20])}")
    if label in work.roster.retired:
        return None, ArmStatus(label, True)
    work.check_open()
    if work.roster.active.sum() == 1:
        raise Conflict("last_arm", last)
    return ArmRetired(label), ArmStatus(label, True)


def _check_fixed(work: Work) -> None:
    if work.spec.intake.per_call:
        raise InvalidInput(
            "actions_are_listed",
            f"the experiment {work.spec.id!r} has no arms: its actions come with each call; list them there",
        )


CHANGES = {"join": ChangeHandler(join), "retire": ChangeHandler(retire)}
