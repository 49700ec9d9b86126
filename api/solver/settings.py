"""What a tuner is told once: its values, the policy that chooses among them, the range of contexts, and the cost.

>>> settings = settings_of("ucb1", grid=(1.0, 1.9, 4), default=1.5)
>>> settings.values, settings.default
((1.0, 1.3, 1.6, 1.9), 2)
"""

from __future__ import annotations

import inspect
import json
import math
import reprlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ...engine import loop, snapshot
from ...engine.draws import POLICY, run_key
from ...engine.errors import Conflict, Damaged, InvalidInput, as_seen
from ...engine.problem import ARMS_MAX, check_param, check_seed, fitted
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from ...policies import catalog
from .. import saving

Value = int | float | str
Cost = Literal["iterations", "seconds"]
GRID = (1.0, 1.95, 20)  # the omegas of the paper's experiments
OMEGA = 1.5  # where nobody knows better: too large an omega costs less than one that is too small
BACKSTOP = 10.0
REWARD_MAX = {"iterations": -1.0, "seconds": 0.0}  # a solve takes one iteration at least
_WITHOUT_CONTEXT = ("maillard_chain",)  # have a range of contexts as params, and do as well where there is none
_SPACING = 1e-9  # of a grid's width: equally spaced, up to rounding


class Settings(NamedTuple):
    """A tuner's settings, checked."""

    policy: Policy
    problem: Problem
    values: tuple[Value, ...]  # of the knob, one an arm
    context: tuple[float, float] | None  # the range of the contexts
    seed: int
    cost: Cost
    backstop: float  # a solve may cost so many times the running median; inf where there is no limit
    default: int  # the arm that answers for others until one is known to be good

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        if not self.policy.spec:
            raise InvalidInput(
                "no_spec",
                f"policy {self.policy.name!r} does not know its params, so it cannot be saved: make it with "
                "onearm.policies.catalog.make, or name it",
            )
        return {
            "policy": self.policy.spec,
            "version": self.policy.version,
            "values": list(self.values),
            "context": self.context,
            "seed": str(self.seed),
            "cost": self.cost,
            "backstop": self.backstop if math.isfinite(self.backstop) else None,
            "default": self.values[self.default],
        }

    @staticmethod
    def from_json(saved: Any) -> Settings:
        """Return the settings; raise `Conflict` where the policy has another version now, `Damaged` for no settings."""
        body = saving.checked_table("settings", saved)
        try:
            policy = catalog.from_stored(body.get("policy"))
        except (AttributeError, TypeError) as error:
            raise Damaged("bad_saved", f"these bytes hold no policy ({error}): load others") from None
        if body.get("version") != policy.version:
            raise Conflict(
                "other_version",
                f"this was saved by version {body.get('version')} of {policy.name!r}, and it is version "
                f"{policy.version} now: go on with the onearm that saved it",
            )
        try:
            listed = _values(body["values"])
            arm = listed.index(body["default"])
            return _checked(policy, listed, body["context"], int(body["seed"]), body["cost"], body["backstop"], arm)
        except (InvalidInput, LookupError, TypeError, ValueError) as error:
            raise Damaged("bad_saved", f"these bytes hold no settings of a tuner ({error}): load others") from None


def settings_of(
    policy: str | dict[str, Any] | Policy = "tsallis",
    *,
    grid: tuple[float, float, int] | None = None,
    values: Sequence[Value] | Array | None = None,
    context: tuple[float, float] | None = None,
    seed: int = 0,
    cost: Cost = "iterations",
    backstop: float | None = BACKSTOP,
    default: Value | None = None,
) -> Settings:
    """Check the settings of a tuner; what they mean, `Tuner` says."""
    if grid is not None and values is not None:
        raise InvalidInput("bad_grid", "both a grid and values are given: give one of them")
    _check_cost(cost)
    listed = _grid(GRID if grid is None else grid) if values is None else _values(values)
    arm = _default(listed, _plain(default), omegas=values is None)
    ends = None if context is None else _range(context)
    made = policy if isinstance(policy, Policy) else catalog.from_spec(_spec(policy, ends, arm, listed, cost))
    if policy != "fixed":
        _check_omegas(made, listed)
    return _checked(made, listed, ends, _plain(seed), cost, backstop, arm)


def _checked(
    policy: Policy,
    values: tuple[Value, ...],
    context: Any,
    seed: int,
    cost: Any,
    backstop: Any,
    default: int,
) -> Settings:
    """Return the settings, where policy, values, contexts and costs go together."""
    _check_cost(cost)
    ends = None if context is None else _range(context)
    problem = Problem(len(values), (0,) if ends is None else (1,))
    limit = math.inf if backstop is None else check_param("backstop", _plain(backstop), low=1.0, low_open=True)
    policy = fitted(policy, problem)
    _check_that_costs_count(policy, problem)
    return Settings(policy, problem, values, ends, check_seed(seed), cost, limit, default)


def _spec(
    policy: Any, context: tuple[float, float] | None, arm: int, values: tuple[Value, ...], cost: Cost
) -> dict[str, Any]:
    """Return the spec of a policy by name, name:{json params} or spec, with what a tuner knows filled in."""
    if policy == "tsallis":
        params: Any = {}
        name = "tsallis_inf_binned"
        if context is None:
            name, params = "tsallis_inf", {"estimator": "reduced_variance", "scale": "running_mean"}
    elif policy == "fixed":  # the values as if equally spaced from 0.5 to 1.5: which they need not be
        omega = 0.5 + arm / max(len(values) - 1, 1)
        return {"name": "fixed_omega", "params": {"omega": omega, "omega_min": 0.5, "omega_max": 1.5}}
    elif isinstance(policy, str) and policy.partition(":")[2]:
        name, _, text = policy.partition(":")
        try:
            params = json.loads(text)
        except json.JSONDecodeError:
            return catalog.parse(policy).spec  # which says what is wrong
    else:
        spec = {"name": policy} if isinstance(policy, str) else policy
        if not isinstance(spec, dict) or not isinstance(spec.get("name"), str) or set(spec) - {"name", "params"}:
            return spec  # the catalogue says what is wrong
        name, params = spec["name"], spec.get("params", {})
    if not isinstance(params, dict):
        return {"name": name, "params": params}
    return {"name": name, "params": _known(name, params, context, values, cost) | params}


def _known(
    name: str, given: dict[str, Any], context: tuple[float, float] | None, values: tuple[Value, ...], cost: Cost
) -> dict[str, Any]:
    """Return the params that a policy asks for and a tuner knows.

    They are `reward_max`, the range of contexts as `low` and `high`, and the first and the last omega.
    """
    asked = inspect.signature(catalog.factory(name)).parameters
    known: dict[str, Any] = {"reward_max": REWARD_MAX[cost]} if "reward_max" in asked else {}
    ends = [key for key in ("low", "high") if key in asked and asked[key].default is inspect.Parameter.empty]
    if ends and context is None:
        if name in _WITHOUT_CONTEXT:
            context = (0.0, 1.0)  # any range will do
        elif set(ends) - set(given):
            raise InvalidInput(
                "no_context",
                f"policy {name!r} reads a context: give its range as context=(low, high), or take 'tsallis'",
            )
    if ends and context is not None:
        known |= dict(zip(ends, context, strict=True))
    if "omega_min" in asked and len(values) > 1 and not any(isinstance(value, str) for value in values):
        known |= {"omega_min": values[0], "omega_max": values[-1]}
    return known


def _check_omegas(policy: Policy, values: tuple[Value, ...]) -> None:
    """Refuse a policy that takes its arms, or lets an inner one take them, for other omegas than the values are."""
    params = policy.params
    while not hasattr(params, "omega_min"):
        params = getattr(params, "inner", None)
        if params is None:
            return
    if len(values) == 1:
        return
    grid = np.linspace(params.omega_min, params.omega_max, len(values))
    if any(isinstance(value, str) for value in values) or np.abs(values - grid).max() > _SPACING * np.ptp(grid):
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy {policy.name!r} takes its arms for equally spaced omegas, {reprlib.repr(grid.tolist())} here, and "
            f"the values are {reprlib.repr(list(values))}: give grid=(low, high, how many), or take another policy",
        )


def _check_cost(cost: Any) -> None:
    if not isinstance(cost, str) or cost not in REWARD_MAX:
        raise InvalidInput("bad_cost", f"cost is {as_seen(cost)}: it must be one of {', '.join(REWARD_MAX)}")


def _grid(grid: Any) -> tuple[Value, ...]:
    """Return n equally spaced values from low to high."""
    try:
        low, high, n = map(_plain, grid)
    except (TypeError, ValueError):
        raise InvalidInput(
            "bad_grid", f"grid is {as_seen(grid)}: it must be (low, high, how many), or give values"
        ) from None
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= ARMS_MAX:
        raise InvalidInput("bad_grid", f"a grid of {n!r} values: it must be a whole number from 1 on; or give values")
    low, high = check_param("grid[0]", low), check_param("grid[1]", high)
    if not low < high and n > 1:
        raise InvalidInput("bad_grid", f"the grid goes from {low:g} to {high:g}: the second must be larger")
    return _values([low + (high - low) * i / max(n - 1, 1) for i in range(n)])


def _values(values: Any) -> tuple[Value, ...]:
    """Return numbers, or labels, that are all different; whole numbers stay whole."""
    if isinstance(values, (str, bytes)):
        raise InvalidInput("bad_values", f"values is {as_seen(values)}: it must be a list of numbers or of labels")
    listed = tuple(_plain(value) for value in (values.tolist() if isinstance(values, np.ndarray) else values))
    if not 1 <= len(listed) <= ARMS_MAX:
        raise InvalidInput("bad_values", f"there are {len(listed)} values: there must be 1 to {ARMS_MAX}")
    for value in listed:
        if not isinstance(value, str):
            check_param("a value", value)
    if len(set(listed)) < len(listed):
        twice = next(value for value in listed if listed.count(value) > 1)
        raise InvalidInput("bad_values", f"the value {twice!r} is there twice: all must be different")
    return listed


def _default(values: tuple[Value, ...], default: Value | None, *, omegas: bool) -> int:
    """Return the arm that is nearest to the default: of omegas 1.5, of values the first."""
    if default is None:
        default = OMEGA if omegas else values[0]
    if default in values:
        return values.index(default)
    if any(isinstance(value, str) for value in values) or isinstance(default, str):
        raise InvalidInput(
            "bad_default", f"default is {as_seen(default)}: it must be one of {', '.join(map(repr, values))}"
        )
    wanted = check_param("default", default)
    return min(range(len(values)), key=lambda arm: abs(float(values[arm]) - wanted))


def _range(context: Any) -> tuple[float, float]:
    try:
        low, high = map(_plain, context)
    except (TypeError, ValueError):
        raise InvalidInput(
            "bad_context", f"context is {as_seen(context)}: it must be the range (low, high) of one number, or None"
        ) from None
    low, high = check_param("context[0]", low), check_param("context[1]", high)
    if not low < high:
        raise InvalidInput("bad_context", f"the contexts lie in [{low:g}, {high:g}]: the second must be larger")
    return low, high


def _check_that_costs_count(policy: Policy, problem: Problem) -> None:
    """Refuse a policy that learns the same from 2 iterations as from 200: it clips rewards to [0, 1]."""
    digests = []
    for cost in (None, 2.0, 200.0):
        state = policy.init(policy.params, problem)
        if cost is not None:
            instance = Instance(0, np.zeros(problem.context_shape), np.ones(problem.n_arms, np.bool_))
            decision, feedback = Decision(0, 1.0 / problem.n_arms), Feedback(-cost, np.zeros(0))
            loop.learn.now(policy.params, state, instance, decision, feedback, Key(run_key(0, 0, POLICY), 0))
        digests.append(snapshot.digest(state))
    before, low, high = digests
    if low == high and low != before:
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy {policy.name!r} learns the same from 2 iterations as from 200, since it reads rewards in [0, 1] "
            "only: take 'tsallis', or another policy",
        )


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value
