"""Arms that join an experiment at work, retire and come back, and what a person says of the world."""

from __future__ import annotations

from typing import Any

from ....engine.changes.turning import check_turns, turned
from ....engine.changes.worlds import changes_of, leader_of, standing
from ....engine.errors import Conflict, InvalidInput, NotFound
from ....engine.growth import grown
from ....engine.problem import check_problem
from ....engine.snapshot import copied
from ....engine.vocabulary import Change, Problem, Turn
from ...experiment.definition import check_arm
from ...experiment.worlds import as_found
from ...http.schemas import ArmStatus, World, WorldSaid
from ...service.history import ArmAdded, ArmRestored, ArmRetired, ChangeTakenBack, WorldChanged, grown_problem
from ...service.records import Record
from ..kind import ChangeHandler, Work


def join(work: Work, arm: dict[str, Any], record: Record | None) -> tuple[ArmAdded | ArmRestored | None, ArmStatus]:
    """Let an arm join, or one that was retired take part again; one that takes part changes nothing."""
    problem = _with_arm(work, arm)
    status = ArmStatus(arm["id"], False)
    if problem is not None:
        work.state = grown(work.spec.policy, work.state, problem)
        work.problem = problem
        return ArmAdded(arm, work.number), status
    if arm["id"] not in work.roster.retired:
        return None, status
    work.check_open()
    return ArmRestored(arm["id"]), status


def joins(work: Work, arm: dict[str, Any]) -> bool:
    """Tell whether an arm is one that never joined; raises where it cannot join."""
    if (problem := _with_arm(work, arm)) is None:
        return False
    grown(work.spec.policy, copied(work.state), problem)  # a copy: the larger state shares arrays, and writes them
    return True


def _with_arm(work: Work, arm: dict[str, Any]) -> Problem | None:
    """Return the problem once an arm has joined; None where it is there. Raises where that cannot be."""
    label = check_arm(arm)
    _check_fixed(work)
    if (there := work.roster.numbers.get(label)) is not None:
        if work.roster.arms[there] != arm:
            raise Conflict(
                "arm_exists", f"there is an arm {label!r} with another description: send that, or take another id"
            )
        return None
    work.check_open()
    if work.spec.intake.encoder is not None:
        work.spec.intake.read(None, [arm])  # raises where it has a field that is no feature
    if work.spec.constraints is not None:
        work.spec.constraints.check_arm(arm)
    problem = grown_problem(work.spec, [*work.roster.arms, arm])
    check_problem(problem)
    work.check_room(problem)
    return problem


def retire(work: Work, label: str, record: Record | None) -> tuple[ArmRetired | None, ArmStatus]:
    """Choose an arm no more, until it is added again; its number stays its own. A retired one changes nothing."""
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


def say(work: Work, said: WorldSaid, record: Record | None) -> tuple[WorldChanged | ChangeTakenBack | None, World]:
    """Take up that the world is another one now, or that the last change was none; the same again changes nothing."""
    policy = work.spec.policy
    check_turns(policy)
    if _is_done(said, changes_of(policy, work.state), leader_of(policy, work.state)):
        return None, _world(work)
    work.check_open()
    known = said.change == "known"
    turned(policy, work.state, Turn(work.number, known, said.model))
    made = WorldChanged(work.number, said.model) if known else ChangeTakenBack(work.number)
    return made, _world(work)


def _world(work: Work) -> World:
    policy = work.spec.policy
    return World(leader_of(policy, work.state) or 0, as_found(changes_of(policy, work.state)))


def _is_done(said: WorldSaid, changes: list[Change], leader: int | None) -> bool:
    """Tell whether what is said was taken up already; refuse what does not fit the changes that there are."""
    if said.change == "false":
        return _is_taken_back(said, changes)
    following = changes[-1].number + 1 if changes else 1
    if said.number is None or said.number == following:
        return said.model is not None and said.model == leader
    same = [each for each in changes if each.number == said.number and each.cause == "said"]
    if same and said.model in (same[0].model, None):
        return True
    raise Conflict("changed_meanwhile", f"number is {said.number}, and the next change is {following}: read them again")


def _is_taken_back(said: WorldSaid, changes: list[Change]) -> bool:
    if said.number is None or said.model is not None:
        raise InvalidInput("bad_world", "which change was none is said by its number, and without a model")
    stand = [each.number for each in standing(changes)]
    if said.number not in stand and any(each.number == said.number and each.cause != "taken_back" for each in changes):
        return True
    if not stand or said.number == stand[-1]:
        return False
    raise Conflict(
        "not_the_last", f"number is {said.number}, and the last change that stands is {stand[-1]}: begin with that"
    )


def _check_fixed(work: Work) -> None:
    if work.spec.intake.per_call:
        raise InvalidInput(
            "actions_are_listed",
            f"the experiment {work.spec.id!r} has no arms: its actions come with each call; list them there",
        )


CHANGES = {
    "join": ChangeHandler(join, is_new=joins),
    "retire": ChangeHandler(retire),
    "say": ChangeHandler(say, waits=True),
}
