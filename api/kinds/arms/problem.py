"""What the problem of an experiment says where one of k arms is chosen."""

from __future__ import annotations

from typing import Any

from ....engine.errors import InvalidInput
from ....engine.problem import check_problem
from ....engine.vocabulary import Problem
from ...experiment.definition import Arms, Declared, Definition, whole
from ...experiment.ids import check_fields
from ...experiment.intake import Intake

DEFAULT_POLICY = {"name": "thompson_any", "params": {}}
CONTEXT_POLICY = {"name": "fourier_softmax", "params": {}}  # where there are contexts


def read_problem(body: dict[str, Any], arms: Arms, policy: Any) -> Declared:
    """Return the problem, and how contexts and actions arrive."""
    check_fields("problem", body, {"kind", "context", "actions", "horizon"}, {"domain", "memory"})
    horizon = whole("bad_horizon", "the horizon", body.get("horizon"))
    intake = Intake.from_json(body.get("context", {"kind": "none"}), body.get("actions", {"kind": "fixed"}))
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
    """Return what `read_problem` reads."""
    return spec.intake.to_json()


def default_policy(problem: Problem) -> dict[str, Any]:
    """Return the policy where none is named."""
    return DEFAULT_POLICY if problem.context_shape == (0,) else CONTEXT_POLICY
