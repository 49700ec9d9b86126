"""What an experiment is: its policy, its problem, its arms and its seed, fixed at creation."""

from __future__ import annotations

import json
import platform
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numba
import numpy as np

from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput, OnearmError
from onearm.engine.problem import check_fit, check_problem, check_seed
from onearm.engine.vocabulary import Policy, Problem
from onearm.policies import catalog

ID_LENGTH_MAX = 256
DEPTH_MAX = 40  # of brackets in a spec: far from where JSON readers and the compiler give up
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
        if not _is_shallow(body):
            raise InvalidInput("too_deep", f"the experiment has brackets nested deeper than {DEPTH_MAX}: keep it flat")
        check_fields("the experiment", body, {"experiment_id", "problem", "policy", "arms", "seed"}, {"reward"})
        arms = _arms(body.get("arms"))
        problem = _problem(body.get("problem", {}), len(arms))
        check_problem(problem)
        seed = _seed(body.get("seed", 0))
        experiment_id = check_id("experiment_id", body["experiment_id"])
        policy = _policy(body.get("policy", DEFAULT_POLICY), problem)
        return cls(experiment_id, policy, problem, arms, seed)

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
    if not is_id(value):
        raise InvalidInput(
            "bad_id",
            f"{name} is {value!r}: an id has printable characters only, no slash, is not . or .., and does not begin "
            "with a tilde (~12 is the id that the service gives to decision 12)",
        )
    return value


def is_id(text: str) -> bool:
    """Tell whether a client's id is one that can stand in a URL; paths with . or .. are rewritten by clients.

    >>> [is_id(text) for text in ("a b", "caf\u00e9", "..", "~1", "a/b", "")]
    [True, True, False, False, False, False]
    """
    return (
        1 <= len(text) <= ID_LENGTH_MAX
        and "/" not in text
        and not text.startswith("~")
        and text not in (".", "..")
        and text.isprintable()
    )


def check_fields(what: str, body: Any, known: Set[str], planned: Set[str] = frozenset()) -> None:
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


def _problem(problem: Any, n_arms: int) -> Problem:
    check_fields("problem", problem, {"kind", "context", "horizon"}, {"domain", "memory"})
    if (kind := problem.get("kind", "arms")) != "arms":
        raise InvalidInput("not_built", f"the kind of problem is {kind!r}: only 'arms' is built yet")
    horizon = problem.get("horizon")
    if horizon is not None and (isinstance(horizon, bool) or not isinstance(horizon, int)):
        raise InvalidInput("bad_horizon", f"the horizon is {horizon!r}: it must be a whole number, or left out")
    context = problem.get("context", {"kind": "none"})
    check_fields("problem.context", context, {"kind", "length"})
    if context.get("kind") == "none" and "length" not in context:
        return Problem(n_arms, (0,), horizon)
    if context.get("kind") == "none":
        raise InvalidInput("bad_context", "the context has the kind 'none' and a length: leave the length out")
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
    if isinstance(seed, str) and seed.isascii() and seed.isdigit() and len(seed) <= 20:
        seed = int(seed)
    elif isinstance(seed, int) and seed > SAFE_INTEGER_MAX:
        raise InvalidInput(
            "bad_seed",
            f"the seed is {seed}: a seed above 2^53 is written as a string, for JSON readers round it",
        )
    return check_seed(seed)
