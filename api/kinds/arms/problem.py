"""What the problem of an experiment says where one of k arms is chosen."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from typing import Any

from ....engine.choices import ARM_FEEDBACKS, FeedbackKind
from ....engine.errors import InvalidInput, as_seen
from ....engine.laws.largest import ARMS_MAX as LAW_ARMS_MAX
from ....engine.problem import check_problem
from ....engine.vocabulary import Problem
from ....policies import catalog
from ...experiment.context_intake import ContextIntake
from ...experiment.definition import Arms, Declared, Definition, whole
from ...experiment.ids import check_fields
from ...experiment.state_intake import StateIntake
from ...experiment.tags import tags_of


def _adaptive(inner: str) -> dict[str, Any]:
    return {"name": "adaptive", "params": {"policy": {"name": inner, "params": {}}}}


DEFAULT_POLICY = _adaptive("thompson_any")
SHARES_POLICY = _adaptive("thompson_beta")
CONTEXT_POLICY = _adaptive("fourier_softmax")
STATES_POLICY: dict[str, Any] = {"name": "half_visit", "params": {}}
DEFAULTS = {
    "adaptive": "around thompson_any, thompson_beta or fourier_softmax, as they say",
    "thompson_any": "inside adaptive, without contexts",
    "thompson_beta": "inside adaptive, without contexts, where rewards are declared to lie in [0, 1]",
    "fourier_softmax": "inside adaptive, with contexts",
    "half_visit": "where decisions move a state",
}


def read_problem(body: dict[str, Any], arms: Arms, policy: Any) -> Declared:
    """Return the problem, and how contexts and actions arrive."""
    known = {"kind", "context", "states", "actions", "horizon", "feedback"}
    check_fields("problem", body, known, {"domain", "memory"})
    horizon = whole("bad_horizon", "the horizon", body.get("horizon"))
    read = body.get("context", {"kind": "none"}), body.get("actions", {"kind": "fixed"})
    states = body.get("states")
    intake = ContextIntake.from_json(*read) if states is None else StateIntake.from_json(*read, states)
    if intake.per_call and arms:
        raise InvalidInput("bad_arms", "arms are given, but the actions come with each call: leave the arms out")
    if not intake.per_call and not arms:
        raise InvalidInput("bad_arms", 'arms must be a list of one or more objects like {"id": "a"}')
    if intake.encoder is not None and arms:
        intake.read(None, arms)  # raises where an arm has a field that is no feature
    problem = dataclasses.replace(intake.problem(len(arms), horizon), tags=tags_of(arms))
    if "feedback" in body:
        problem = dataclasses.replace(problem, feedback=_feedback(body, problem))
    check_problem(problem)
    return Declared(problem, arms, intake)


def problem_json(spec: Definition) -> dict[str, Any]:
    """Return what `read_problem` reads."""
    told = {} if spec.problem.feedback in ("reward", "transition") else {"feedback": spec.problem.feedback}
    return told | spec.intake.to_json()


def _feedback(body: dict[str, Any], problem: Problem) -> FeedbackKind:
    """Return what is told of a decision."""
    feedback: Any = body["feedback"]
    known = ARM_FEEDBACKS if problem.states is None else ("transition",)
    if isinstance(feedback, str) and feedback in known:
        told: FeedbackKind = feedback
        return told
    if problem.states is not None:
        raise InvalidInput(
            "bad_feedback",
            f"problem.feedback is {as_seen(feedback)}, and there are states: each reward tells the next one "
            '("transition"); leave the feedback out',
        )
    raise InvalidInput(
        "bad_feedback",
        f"problem.feedback is {as_seen(feedback)}: of arms, with no domain, it must be one of "
        f"{', '.join(ARM_FEEDBACKS)}",
    )


def default_policy(problem: Problem) -> dict[str, Any]:
    """Return the policy where none is named."""
    if problem.states is not None:
        return STATES_POLICY
    if problem.context_shape != (0,):
        return CONTEXT_POLICY
    if problem.reward_range == (0.0, 1.0) and problem.n_arms <= LAW_ARMS_MAX:
        return SHARES_POLICY
    return DEFAULT_POLICY


def exploring_policy(share: float) -> dict[str, Any]:
    """Return the policy of contexts that takes any action with the probability `share`, and else what looks best."""
    return {"name": "linear_greedy", "params": {"epsilon": share}}


def with_reward_max(policy: Any, declared: Declared) -> Any:
    """Return the spec of a policy; a param `reward_max` that is left out becomes the highest reward declared.

    Only where its default is a number, and of a policy inside as well; one that is given and lower is refused. Policies
    that are made for a range (`RewardRange`) have none filled in: they get the range when they are fitted.
    """
    limits = declared.problem.reward_range
    if limits is None or not isinstance(policy, dict) or not isinstance(policy.get("name"), str):
        return policy
    params = policy.get("params", {})
    if not isinstance(params, dict):
        return policy
    inner = params.get("policy")
    if isinstance(inner, str):
        inner = catalog.spec_of(inner)
    if isinstance(inner, dict):
        params = {**params, "policy": with_reward_max(inner, declared)}
    known = inspect.signature(catalog.factory(policy["name"])).parameters.get("reward_max")
    if known is not None and not _is_made_for_a_range(policy):
        if "reward_max" in params:
            _check_top(params["reward_max"], limits)
        elif known.default is not None:
            params = {**params, "reward_max": limits[1]}
    return {**policy, "params": params} if params else policy


def _check_top(reward_max: Any, limits: tuple[float, float]) -> None:
    """Refuse a largest reward below the highest declared; what is no number is refused where the policy is built."""
    if isinstance(reward_max, (int, float)) and reward_max < limits[1]:
        raise InvalidInput(
            "bad_range",
            f"reward_max is {reward_max:g}, but rewards are declared to lie in [{limits[0]:g}, {limits[1]:g}]: leave "
            "reward_max out",
        )


def _is_made_for_a_range(policy: dict[str, Any]) -> bool:
    """Tell whether a policy is made for a range; what is wrong with its spec is said where it is built."""
    with contextlib.suppress(Exception):
        return catalog.from_spec(policy).reward_range is not None
    return False
