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

from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_problem, check_seed
from onearm.engine.vocabulary import Policy, Problem
from onearm.policies import catalog

ID_LENGTH_MAX = 256
SAFE_INTEGER_MAX = 2**53  # larger whole numbers lose digits in many JSON readers: they travel as strings
DEFAULT_POLICY = {"name": "thompson_beta", "params": {}}


@dataclass(frozen=True)
class Spec:
    """The immutable spec of an experiment."""

    id: str
    policy: Policy
    problem: Problem
    arms: tuple[dict[str, Any], ...]  # each with its "id"; arm number = position
    seed: int

    @cached_property
    def run(self) -> np.uint64:
        """The run key of the policy's draws."""
        return run_key(self.seed, 0, POLICY)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The ids of the arms, by number."""
        return tuple(arm["id"] for arm in self.arms)

    @cached_property
    def arm_numbers(self) -> dict[str, int]:
        """The numbers of the arms, by id."""
        return {label: number for number, label in enumerate(self.labels)}

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON; `Spec.from_json` reads it back."""
        context = (
            {"kind": "none"}
            if self.problem.context_shape == (0,)
            else {"kind": "dense", "length": self.problem.context_shape[0]}
        )
        problem: dict[str, Any] = {"kind": "arms", "context": context}
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
        check_fields("the experiment", body, {"experiment_id", "problem", "policy", "arms", "seed"}, {"reward"})
        arms = _arms(body.get("arms"))
        policy = catalog.from_spec(body.get("policy", DEFAULT_POLICY))
        problem = _problem(body.get("problem") or {}, len(arms))
        check_problem(problem)
        policy.init(policy.params, problem)  # refuses a problem that does not fit
        return cls(
            check_id("experiment_id", body["experiment_id"]),
            policy,
            problem,
            arms,
            _seed(body.get("seed", 0)),
        )

    def versions(self) -> dict[str, Any]:
        """Return the versions that the bits of a decision depend on."""
        return {
            "onearm": version("onearm"),
            "policy": self.policy.version,
            "numba": numba.__version__,
            "numpy": np.__version__,
            "platform": f"{platform.system()}-{platform.machine()}",
        }


def check_id(name: str, value: Any) -> str:
    """Return an id: 1 to 256 printable characters, without a slash and not beginning with a tilde."""
    if not isinstance(value, str) or not 1 <= len(value) <= ID_LENGTH_MAX:
        raise InvalidInput("bad_id", f"{name} must be a string of 1 to {ID_LENGTH_MAX} characters")
    if "/" in value or value.startswith("~") or not value.isprintable():
        raise InvalidInput(
            "bad_id",
            f"{name} is {value!r}: an id has printable characters only, no slash, and does not begin with a tilde "
            "(~12 is the id that the service gives to decision 12)",
        )
    return value


def check_fields(what: str, body: Any, known: set[str], planned: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Refuse a body that is no object, or that has fields nobody reads."""
    if not isinstance(body, dict):
        raise InvalidInput("bad_body", f"{what} is {json.dumps(body)[:80]}: it must be a JSON object")
    if early := sorted(planned & set(body)):
        raise InvalidInput("not_built", f"{what} has the field {early[0]!r}, which is not built yet: leave it out")
    if unknown := sorted(set(body) - known):
        raise InvalidInput(
            "unknown_field",
            f"{what} has the unknown field {unknown[0]!r}: known are {', '.join(sorted(known))}",
        )


def _arms(arms: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(arms, list) or not arms:
        raise InvalidInput("bad_arms", 'arms must be a list of one or more objects like {"id": "a"}')
    seen = set()
    for arm in arms:
        if not isinstance(arm, dict):
            raise InvalidInput("bad_arms", f'an arm is {json.dumps(arm)[:80]}: it must be an object like {{"id": "a"}}')
        label = check_id("the id of an arm", arm.get("id"))
        if label in seen:
            raise InvalidInput("bad_arms", f"two arms have the id {label!r}: ids of arms are unique")
        seen.add(label)
    return tuple(arms)


def _problem(problem: Any, n_arms: int) -> Problem:
    check_fields("problem", problem, {"kind", "context", "horizon"}, {"domain", "memory"})
    if (kind := problem.get("kind", "arms")) != "arms":
        raise InvalidInput("not_built", f"the kind of problem is {kind!r}: only 'arms' is built yet")
    horizon = problem.get("horizon")
    if horizon is not None and (isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1):
        raise InvalidInput("bad_horizon", f"the horizon is {horizon!r}: it must be a whole number of at least 1")
    context = problem.get("context", {"kind": "none"})
    check_fields("problem.context", context, {"kind", "length"})
    if context.get("kind") == "none":
        return Problem(n_arms, (0,), horizon)
    if context.get("kind") != "dense":
        raise InvalidInput(
            "not_built", f"the kind of context is {context.get('kind')!r}: 'none' and 'dense' are built yet"
        )
    length = context.get("length")
    if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= 100_000:
        raise InvalidInput(
            "bad_context",
            f"the length of the context is {length!r}: it must be a whole number from 1 to 100000",
        )
    return Problem(n_arms, (length,), horizon)


def _seed(seed: Any) -> int:
    """Return the seed; one above 2^53 comes as a string of digits."""
    if isinstance(seed, str) and seed.isascii() and seed.isdigit():
        seed = int(seed)
    elif isinstance(seed, int) and seed > SAFE_INTEGER_MAX:
        raise InvalidInput(
            "bad_seed",
            f"the seed is {seed}: a seed above 2^53 is written as a string, for JSON readers round it",
        )
    return check_seed(seed)
