"""What the problem of an experiment says where a vector is decided."""

from __future__ import annotations

from typing import Any

from ....engine.domain import Domain
from ....engine.errors import InvalidInput, as_seen
from ....engine.problem import check_problem
from ....engine.vocabulary import VECTOR_FEEDBACKS, Problem
from ...experiment.context_intake import ContextIntake
from ...experiment.definition import Arms, Declared, Definition, whole
from ...experiment.ids import check_fields
from ...experiment.intake import hints

GRADIENT_POLICY = {"name": "optimistic_ftrl", "params": {}}
WEIGHTS_POLICY = {"name": "optimistic_hedge", "params": {}}
DEFAULTS = {
    "optimistic_ftrl": "where gradients are revealed, or losses of what is not weights",
    "optimistic_hedge": "where the losses of weights are revealed",
}


def read_problem(body: dict[str, Any], arms: Arms, policy: Any) -> Declared:
    """Return the problem, and how contexts arrive; where the policy reads forecasts, a context is one."""
    check_fields("problem", body, {"kind", "domain", "feedback", "context", "horizon"}, {"memory"})
    if arms:
        raise InvalidInput("bad_arms", "arms are given, but a vector is decided: leave them out")
    if "domain" not in body:
        raise InvalidInput(
            "bad_domain", 'the problem has no domain: say where vectors lie, like {"kind": "ball", "dimension": 3}'
        )
    domain = Domain.from_json(body["domain"])
    feedback = body.get("feedback", "gradient")
    if not isinstance(feedback, str) or feedback not in VECTOR_FEEDBACKS:
        raise InvalidInput(
            "bad_feedback",
            f"problem.feedback is {as_seen(feedback)}: it must be one of {', '.join(VECTOR_FEEDBACKS)}",
        )
    horizon = whole("bad_horizon", "the horizon", body.get("horizon"))
    context: dict[str, Any] = {"kind": "none"}
    if hints(policy):
        context = {"kind": "dense", "length": domain.dimension}
    intake = ContextIntake.from_json(body.get("context", context), {})
    if intake.encoder is not None:
        raise InvalidInput("bad_context", "the context has named features, but a vector is decided: take kind dense")
    problem = Problem(0, (intake.length,), horizon, domain=domain, feedback=feedback)
    check_problem(problem)
    return Declared(problem, intake=intake)


def problem_json(spec: Definition) -> dict[str, Any]:
    """Return what `read_problem` reads."""
    return {"domain": domain_of(spec.problem).to_json(), "feedback": spec.problem.feedback, **spec.intake.to_json()}


def default_policy(problem: Problem) -> dict[str, Any]:
    """Return the policy where none is named; raise `InvalidInput` where one must be."""
    if problem.feedback not in ("gradient", "losses"):
        raise InvalidInput(
            "no_policy",
            f"there is no default policy where {problem.feedback} is revealed: name one (see `onearm policies`)",
        )
    weights = problem.feedback == "losses" and [part.kind for part in domain_of(problem).parts] == ["simplex"]
    return WEIGHTS_POLICY if weights else GRADIENT_POLICY


def domain_of(problem: Problem) -> Domain:
    """Return where the vectors of a problem lie."""
    assert problem.domain is not None
    return problem.domain
