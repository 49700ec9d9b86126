"""What the problem of an experiment says where arms come once."""

from __future__ import annotations

import inspect
from typing import Any

from ....engine.errors import InvalidInput
from ....engine.problem import HORIZON_MAX, check_problem, check_range
from ....engine.vocabulary import Problem
from ....policies import catalog
from ...experiment.definition import Arms, Declared, Definition, whole
from ...experiment.ids import check_fields

DEFAULT_POLICY = {"name": "early_drop", "params": {}}
DEFAULTS = {"early_drop": "where arms stream past"}
UNIT = (0.0, 1.0)  # the range of rewards, where the problem does not say


def read_problem(body: dict[str, Any], arms: Arms, policy: Any) -> Declared:
    """Return the problem, and the range of the reward of a pull."""
    check_fields("problem", body, {"kind", "slots", "arms", "horizon", "reward_range"}, {"domain", "memory"})
    if arms:
        raise InvalidInput(
            "bad_arms", "arms are given, but they come once: leave them out, and offer them with POST .../arms"
        )
    horizon = whole("bad_horizon", "the horizon", body.get("horizon"))
    if horizon is not None and horizon > HORIZON_MAX:
        raise InvalidInput("bad_horizon", f"the horizon is {horizon}: it is at most 2^53 pulls, or left out")
    slots = whole("bad_slots", "problem.slots", body.get("slots", 1))
    n_arms = whole("bad_arms", "problem.arms", body.get("arms"))
    if n_arms == 0:
        raise InvalidInput("bad_arms", "problem.arms is 0: it is about how many arms will be offered, or left out")
    limits = body.get("reward_range", UNIT)
    if limits is not None:
        limits = check_range("reward_range", limits)
    problem = Problem(n_arms or 0, horizon=horizon, slots=1 if slots is None else slots, reward_range=limits)
    check_problem(problem)
    return Declared(problem)


def problem_json(spec: Definition) -> dict[str, Any]:
    """Return what `read_problem` reads."""
    limits = spec.problem.reward_range
    arms = {"arms": spec.problem.n_arms} if spec.problem.n_arms else {}
    return {"slots": slots_of(spec.problem), "reward_range": None if limits is None else list(limits), **arms}


def default_policy(problem: Problem) -> dict[str, Any]:
    """Return the policy where none is named."""
    return DEFAULT_POLICY


def scaled(policy: Any, declared: Declared) -> Any:
    """Return the spec of a policy; a param `scale` that is left out becomes the width of the rewards' range."""
    limits = declared.problem.reward_range
    if limits is None or not isinstance(policy, dict) or not isinstance(policy.get("name"), str):
        return policy
    params = policy.get("params", {})
    known = inspect.signature(catalog.factory(policy["name"])).parameters
    if not isinstance(params, dict) or "scale" in params or "scale" not in known:
        return policy
    return {**policy, "params": {**params, "scale": limits[1] - limits[0]}}


def slots_of(problem: Problem) -> int:
    """Return how many arms can be stored, beside the one that arrived."""
    assert problem.slots is not None
    return problem.slots
