"""The spec of an experiment: its definition as JSON, and what its bits depend on. Its kind reads the problem."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from ...engine import snapshot
from ...engine.arrays import roomless
from ...engine.errors import InvalidInput, OnearmError, as_seen
from ...engine.problem import ANY_REWARD, check_seed, fitted
from ...engine.storage.numerals import natural_in
from ...engine.vocabulary import Policy, Problem
from ...policies import catalog
from ..kinds.kind import Kind
from ..kinds.queries.tasks import FIELDS as OF_QUERIES
from ..kinds.table import KINDS, kind_of
from .constraints import CONSTRAINTS, Constraints, constraints_of
from .definition import (
    DEPTH_MAX,
    SAFE_INTEGER_MAX,
    Declared,
    Definition,
    check_arm,
    check_reward_fields,
    is_shallow,
)
from .ids import check_fields, check_id
from .sizes import made_within
from .window import FIELDS, Window, window_of

KNOWN = {"experiment_id", "problem", "policy", "arms", "seed", "reward", "constraints"}
OF_ANY = {"kind", "context", "states", "actions", "horizon", "slots"}
OF_VECTORS = {"domain", "feedback"}
OF_STREAMS = {"arms", "reward_range"}
INSIDE = {
    "problem": OF_ANY | OF_VECTORS | OF_STREAMS | {*OF_QUERIES},
    "reward": {"range", *FIELDS},
    "constraints": CONSTRAINTS,
    "policy": {"params"},  # a name may be meant for the experiment
}


class Spec(Definition):
    """The immutable spec of an experiment."""

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON; `Spec.from_stored` reads it back."""
        kind, limits = kind_of(self.problem), self.problem.reward_range
        problem: dict[str, Any] = {"kind": kind.name, **kind.problem_json(self)}
        told = "reward_range" in problem  # where arms come once
        said: dict[str, Any] = {} if limits is None or told else {"range": list(limits)}
        if said and self.supposed:
            said["supposed"] = True
        if self.window is not None:
            said |= self.window.to_json()
        reward = {"reward": said} if said else {}
        if self.problem.horizon is not None:
            problem["horizon"] = self.problem.horizon
        return {
            "experiment_id": self.id,
            "problem": problem,
            "policy": self.policy.spec,
            "arms": list(self.arms) if kind.has_arms else [],
            "seed": self.seed if self.seed <= SAFE_INTEGER_MAX else str(self.seed),
            **reward,
            **({} if self.constraints is None else {"constraints": self.constraints.said}),
        }

    @classmethod
    def from_json(cls, body: dict[str, Any], state_bytes: int | None = None) -> Spec:
        """Check a creation body (docs/http.md) and return its spec; nothing is left unread.

        Where it declares no range of rewards, and its policy is made for one, that is the range. Params of the policy
        that it does not name take their defaults. Where `state_bytes` is given, a state that takes more is refused
        before it is made.
        """
        spec = cls._read(body, catalog.from_spec, state_bytes)
        if spec.problem.reward_range is not None or spec.policy.reward_range is None:
            return spec
        limits = spec.policy.reward_range
        return dataclasses.replace(spec, problem=dataclasses.replace(spec.problem, reward_range=limits), supposed=True)

    @classmethod
    def from_stored(cls, body: dict[str, Any], state_bytes: int | None = None) -> Spec:
        """Return the spec that `to_json` wrote, now or in an earlier version: it means what it meant then.

        Where it has no range of rewards none is refused, and a policy that is made for one clips. `state_bytes` is as
        in `from_json`, for specs that come from somewhere else.
        """
        return cls._read(body, catalog.from_stored, state_bytes)

    def called(self, experiment_id: Any, seed: Any) -> Spec:
        """Return the same with another id and seed; both are checked."""
        return dataclasses.replace(self, id=check_id("experiment_id", experiment_id), seed=_seed(seed))

    @classmethod
    def _read(cls, body: dict[str, Any], made: Callable[[Any], Policy], state_bytes: int | None = None) -> Spec:
        """Check a body and return its spec; `made` builds the policy of a spec, whose state has a limit or none."""
        if not is_shallow(body):
            raise InvalidInput("too_deep", f"the experiment has brackets nested deeper than {DEPTH_MAX}: keep it flat")
        check_fields("the experiment", body, KNOWN, inside=INSIDE)
        arms = _arms(body.get("arms", []))
        kind = _kind(problem := body.get("problem", {}))
        named = body.get("policy")
        if isinstance(named, str):
            named = catalog.spec_of(named)
        named = catalog.in_full(named)
        declared = _ranged(kind.read_problem(problem, arms, named), kind, body)
        seed = _seed(body.get("seed", 0))
        experiment_id = check_id("experiment_id", body["experiment_id"])
        said = f"the policy {json.dumps(named, default=str)[:200]}"
        if "policy" not in body:
            named, said = kind.default_policy(declared.problem), "the default policy"
        made = _kept(made, constraints := _constraints(kind, body, declared))
        policy, state = _policy(made, kind.complete(named, declared), declared.problem, said, state_bytes)
        return cls(
            experiment_id,
            policy,
            declared.problem,
            declared.arms,
            seed,
            declared.intake,
            declared.hypotheses,
            _window(kind, body, declared.problem, declared.problem.reward_range or policy.reward_range),
            snapshot.size(state),
            roomless(state),
            constraints,
            declared.problem.reward_range is not None and body.get("reward", {}).get("supposed") is True,
        )


def _kind(problem: Any) -> Kind:
    """Return the kind that a problem names; that of arms where it names none, or is no object."""
    name = problem.get("kind", "arms") if isinstance(problem, dict) else "arms"
    known = {kind.name: kind for kind in KINDS}
    if not isinstance(name, str) or name not in known:
        *most, last = known
        raise InvalidInput(
            "not_built", f"the kind of problem is {as_seen(name)}: {', '.join(most)} and {last} are known"
        )
    return known[name]


def _ranged(declared: Declared, kind: Kind, body: dict[str, Any]) -> Declared:
    """Return what the problem says, with the range of rewards that the body declares beside it."""
    if "reward" not in body:
        return declared
    if not kind.has_rewards:
        raise InvalidInput(
            "unexpected_field", f"the experiment has a reward, but it decides {kind.plural}: leave the field out"
        )
    limits = check_reward_fields(body["reward"])
    if limits is None:
        return declared
    problem = declared.problem
    if "reward_range" in body.get("problem", {}) and problem.reward_range != limits:
        raise InvalidInput(
            "bad_range", "problem.reward_range and reward.range are two ranges: it is one; leave the first out"
        )
    return declared._replace(problem=dataclasses.replace(problem, reward_range=limits))


def _window(kind: Kind, body: dict[str, Any], problem: Problem, limits: tuple[float, float] | None) -> Window | None:
    """Return the window of decisions that the body declares; only where arms are chosen each has a reward to wait for.

    `limits` are those between which rewards lie, None for any.
    """
    reward = body.get("reward", {})
    if not kind.has_windows and (said := [field for field in FIELDS if field in reward]):
        raise InvalidInput(
            "unexpected_field", f"reward has a {said[0]}, but the experiment decides {kind.plural}: leave the field out"
        )
    window = window_of(reward, ANY_REWARD if limits is None else limits)
    if window is not None and problem.detail_length:
        _check_beside(window, problem)
    return window


def _check_beside(window: Window, problem: Problem) -> None:
    """Refuse a window that makes one reward of several, or corrects one, where each comes with a number of its own."""
    beside = "the next state" if problem.states is not None else "a cost"
    if window.aggregation != "earliest":
        raise InvalidInput(
            "bad_window",
            f'reward.aggregation is "{window.aggregation}", and each reward comes with {beside}, of which one counts: '
            'it must be "earliest"',
        )
    if window.late == "learn":
        raise InvalidInput(
            "bad_window",
            f'reward.late is "learn", which corrects the default by a late reward, and not by {beside} that comes with '
            'it: say "record" or "refuse"',
        )


def _constraints(kind: Kind, body: dict[str, Any], declared: Declared) -> Constraints | None:
    """Return the constraints that the body declares; only arms that are numbered once for all have some."""
    if "constraints" not in body:
        return None
    if not kind.has_constraints:
        raise InvalidInput(
            "unexpected_field", f"the experiment has constraints, but it decides {kind.plural}: leave the field out"
        )
    if declared.intake.per_call:
        raise InvalidInput(
            "actions_are_listed",
            "the experiment has constraints, which are for arms, but its actions come with each call: leave the field "
            "out (the policy floor gives each action a least probability)",
        )
    return constraints_of(body["constraints"], declared.arms)


def _kept(made: Callable[[Any], Policy], constraints: Constraints | None) -> Callable[[Any], Policy]:
    """Return what builds a policy of a spec that keeps to constraints."""
    return made if constraints is None else lambda spec: constraints.around(made(spec))


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


def _policy(
    made: Callable[[Any], Policy], spec: Any, problem: Problem, said: str, state_bytes: int | None
) -> tuple[Policy, Any]:
    """Return the policy that is made of a spec, and a fresh state; it refuses params and problems that do not fit.

    `said` is what errors call the policy; `state_bytes` how large the state may be.
    """
    try:
        policy = fitted(made(spec), problem)
        if state_bytes is None:
            state = policy.init(policy.params, problem)
        else:
            state = made_within(policy, problem, state_bytes)
    except OnearmError:
        raise
    except Exception as error:  # the function of a policy file need not check everything that a client may send
        raise InvalidInput(
            "bad_param",
            f"{said} cannot be built ({type(error).__name__}: {error}): check its params and the size of the problem",
        ) from error
    return policy, state


def _seed(seed: Any) -> int:
    """Return the seed; one above 2^53 comes as a string of digits."""
    if isinstance(seed, str) and (number := natural_in(seed)) is not None:
        seed = number
    elif isinstance(seed, int) and seed > SAFE_INTEGER_MAX:
        raise InvalidInput(
            "bad_seed",
            f"the seed is {seed}: a seed above 2^53 is written as a string, for JSON readers round it",
        )
    return check_seed(seed)
