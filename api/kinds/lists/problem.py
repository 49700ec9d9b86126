"""What the problem of an experiment says where lists are filled."""

from __future__ import annotations

from typing import Any

from ....engine.errors import InvalidInput
from ....engine.problem import check_problem
from ...experiment.definition import Arms, Declared, Definition, whole
from ...experiment.ids import check_fields
from .intake import ListIntake

KNOWN = {"kind", "context", "actions", "slots", "horizon"}


def read_problem(body: dict[str, Any], arms: Arms, policy: Any) -> Declared:
    """Return the problem of a slot, and how contexts, actions and slots arrive."""
    check_fields("problem", body, KNOWN, {"domain", "memory"})
    horizon = whole("bad_horizon", "the horizon", body.get("horizon"))
    if "slots" not in body:
        raise InvalidInput("bad_slots", 'problem.slots is missing: say how many a list has at most, as {"max": 3}')
    shared = ListIntake.from_json(body.get("context", {"kind": "none"}), body.get("actions", {"kind": "fixed"}))
    assert isinstance(shared, ListIntake)
    intake = shared.with_slots(body["slots"])
    if intake.per_call and arms:
        raise InvalidInput("bad_arms", "arms are given, but the actions come with each call: leave the arms out")
    if not intake.per_call and not arms:
        raise InvalidInput("bad_arms", 'arms must be a list of one or more objects like {"id": "a"}')
    if intake.encoder is not None and arms:
        intake.read(None, arms)  # raises where an arm has a field that is no feature
    problem = intake.problem(len(arms), horizon)
    check_problem(problem)
    return Declared(problem, arms, intake)


def problem_json(spec: Definition) -> dict[str, Any]:
    """Return the fields of a problem that `read_problem` reads."""
    return spec.intake.to_json()


def intake_of(spec: Definition) -> ListIntake:
    """Return how contexts, actions and slots arrive."""
    assert isinstance(spec.intake, ListIntake)
    return spec.intake
