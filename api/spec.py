"""What an experiment is: its policy, its problem, its arms and its seed, fixed at creation."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numba
import numpy as np

from onearm.api.ids import check_fields, check_id
from onearm.api.intake import Intake
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput, OnearmError
from onearm.engine.problem import check_fit, check_problem, check_seed
from onearm.engine.vocabulary import Policy, Problem
from onearm.policies import catalog

DEPTH_MAX = 40  # of brackets in a spec: far from where JSON readers and the compiler give up
SAFE_INTEGER_MAX = 2**53  # larger whole numbers lose digits in many JSON readers: they travel as strings
DEFAULT_POLICY = {"name": "thompson_beta", "params": {}}
CONTEXT_POLICY = {"name": "fourier_ucb", "params": {}}  # where there are contexts


@dataclass(frozen=True)
class Spec:
    """The immutable spec of an experiment."""

    id: str
    policy: Policy
    problem: Problem
    arms: tuple[dict[str, Any], ...]  # each with its "id"; arm number = position; none where actions are listed
    seed: int
    intake: Intake

    @cached_property
    def run(self) -> np.uint64:
        """The run key of the policy's draws."""
        return run_key(self.seed, 0, POLICY)

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON; `Spec.from_json` reads it back."""
        problem: dict[str, Any] = {"kind": "arms", **self.intake.to_json()}
        if self.problem.horizon is not None:
            problem["horizon"] = self.problem.horizon
        return {
            "experiment_id": self.id,
            "problem": problem,
            "policy": self.policy.spec,
            "arms": list(self.arms),
            "seed": self.seed if self.seed <= SAFE_INTEGER_MAX else str(self.seed),
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Spec:
        """Check a creation body (docs/http.md) and return its spec; nothing is left unread."""
        if not _is_shallow(body):
            raise InvalidInput("too_deep", f"the experiment has brackets nested deeper than {DEPTH_MAX}: keep it flat")
        check_fields("the experiment", body, {"experiment_id", "problem", "policy", "arms", "seed"}, {"reward"})
        arms = _arms(body.get("arms", []))
        problem, intake = _problem(body.get("problem", {}), arms)
        seed = _seed(body.get("seed", 0))
        experiment_id = check_id("experiment_id", body["experiment_id"])
        default = DEFAULT_POLICY if problem.context_shape == (0,) else CONTEXT_POLICY
        policy = _policy(body.get("policy", default), problem)
        return cls(experiment_id, policy, problem, arms, seed, intake)

    def versions(self) -> dict[str, Any]:
        """Return the versions that the bits of a decision depend on."""
        return {
            "onearm": version("onearm"),
            "policy": self.policy.version,
            "numba": numba.__version__,
            "numpy": np.__version__,
            "platform": f"{platform.system()}-{platform.machine()}",
        }


def _arms(arms: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(arms, list):
        raise InvalidInput("bad_arms", 'arms must be a list of one or more objects like {"id": "a"}')
    seen = set()
    for arm in arms:
        label = check_arm(arm)
        if label in seen:
            raise InvalidInput("bad_arms", f"two arms have the id {label!r}: ids of arms are unique")
        seen.add(label)
    return tuple(arms)


def check_arm(arm: Any) -> str:
    """Return the id of an arm, an object that has one."""
    if not isinstance(arm, dict):
        raise InvalidInput("bad_arms", f'an arm is {json.dumps(arm)[:80]}: it must be an object like {{"id": "a"}}')
    if not _is_shallow(arm):
        raise InvalidInput("too_deep", f"the arm has brackets nested deeper than {DEPTH_MAX}: keep it flat")
    return check_id("the id of an arm", arm.get("id"))


def _is_shallow(value: Any, depth: int = DEPTH_MAX) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return depth > 0 and all(_is_shallow(inner, depth - 1) for inner in value)


def _policy(spec: Any, problem: Problem) -> Policy:
    """Return the policy of a spec; it refuses params and problems that do not fit."""
    try:
        policy = catalog.from_spec(spec)
        check_fit(policy, problem)
        policy.init(policy.params, problem)
    except OnearmError:
        raise
    except Exception as error:  # the function of a policy file need not check everything that a client may send
        raise InvalidInput(
            "bad_param",
            f"the policy {json.dumps(spec)[:200]} cannot be built ({type(error).__name__}: {error}): check its params",
        ) from error
    return policy


def _problem(body: Any, arms: tuple[dict[str, Any], ...]) -> tuple[Problem, Intake]:
    check_fields("problem", body, {"kind", "context", "actions", "horizon"}, {"domain", "memory"})
    if (kind := body.get("kind", "arms")) != "arms":
        raise InvalidInput("not_built", f"the kind of problem is {kind!r}: only 'arms' is built yet")
    horizon = body.get("horizon")
    if horizon is not None and (isinstance(horizon, bool) or not isinstance(horizon, int)):
        raise InvalidInput("bad_horizon", f"the horizon is {horizon!r}: it must be a whole number, or left out")
    intake = Intake.from_json(body.get("context", {"kind": "none"}), body.get("actions", {"kind": "fixed"}))
    if intake.listed and arms:
        raise InvalidInput("bad_arms", "arms are given, but the actions are listed in each call: leave the arms out")
    if not intake.listed and not arms:
        raise InvalidInput("bad_arms", 'arms must be a list of one or more objects like {"id": "a"}')
    if intake.encoder is not None and arms:
        intake.read(None, arms)  # raises where an arm has a field that is no feature
    problem = intake.problem(len(arms), horizon)
    check_problem(problem)
    return problem, intake


def _seed(seed: Any) -> int:
    """Return the seed; one above 2^53 comes as a string of digits."""
    if isinstance(seed, str) and seed.isascii() and seed.isdigit() and len(seed) <= 20:
        seed = int(seed)
    elif isinstance(seed, int) and seed > SAFE_INTEGER_MAX:
        raise InvalidInput(
            "bad_seed",
            f"the seed is {seed}: a seed above 2^53 is written as a string, for JSON readers round it",
        )
    return check_seed(seed)
