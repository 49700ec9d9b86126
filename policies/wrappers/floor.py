"""Floor: a wrapper that gives every available arm a minimum probability, so that the log can be used for estimates.

Source: mixing with the uniform law, as in Auer, Cesa-Bianchi, Freund, Schapire, "The nonstochastic multiarmed bandit
problem", 2002. With k available arms and minimum f the law is p' = (1 - k f) p + f. One uniform chooses the branch, and
in the uniform one the arm; in the other the inner policy decides with its own draws.
State: the inner policy's. Cost: the inner policy's, its law included; O(K) more.
The inner policy learns with the logged propensity p', which is the law that was drawn from.
Draws: the wrapper's own is number 2^32 - 1, at the far end from those of policies, which count from 0. One floor is
enough: a second one inside, at any depth, is refused (its kernels would call themselves with other types, which numba
cannot link).
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from ...engine import protocol
from ...engine.changes.turning import within
from ...engine.draws import uniform
from ...engine.errors import InvalidInput
from ...engine.growth import grown
from ...engine.kernel import kernel
from ...engine.laws.availability import count_available, nth_available
from ...engine.problem import check_param, check_wrapped, fitted
from ...engine.states.learned import learned_inside
from ...engine.vectors.constants import of_inner
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_VERSION = 1  # of the floor's own bits; the inner policy's is added
_DRAW = 2**32 - 1


class FloorParams(NamedTuple):
    """Numbers fixed at creation, and the inner policy's."""

    minimum: float  # lowest probability of an available arm, > 0, at most 1 / k
    inner: Any  # the inner policy's params


class FloorState(NamedTuple):
    """The inner policy's state."""

    inner: Any


def floor(policy: Policy, minimum: float = 0.01) -> Policy:
    """Decide as `policy` does, but give every available arm at least the probability `minimum`."""
    check_param("minimum", minimum, low=0.0, high=1.0, low_open=True)
    check_wrapped(policy)
    if "arm" not in policy.actions:
        raise InvalidInput(
            "no_arms",
            f"policy {policy.name!r} decides on arms that stream past, which have no lowest probability: "
            "wrap one that decides on numbered arms",
        )
    if not protocol.has_law(policy.params):
        raise InvalidInput(
            "no_law",
            f"policy {policy.name!r} does not know the probabilities it decides with, and a floor mixes probabilities: "
            "wrap one that does (Thompson sampling: with propensities=true)",
        )
    if _holds_floor(policy.params):
        raise InvalidInput(
            "floor_in_floor", f"policy {policy.name!r} has a floor already: wrap once, with the larger minimum"
        )

    def check_room(params: FloorParams, problem: Problem) -> None:
        if problem.n_arms * params.minimum > 1.0 + 1e-12:
            raise InvalidInput(
                "floor_too_high",
                f"minimum is {params.minimum:g} and there are {problem.n_arms} arms: their product must be at most 1; "
                f"take a minimum up to {1.0 / problem.n_arms:g}",
            )

    def init(params: FloorParams, problem: Problem) -> FloorState:
        check_room(params, problem)
        return FloorState(policy.init(params.inner, problem))

    def grow(params: FloorParams, state: FloorState, problem: Problem) -> FloorState:
        check_room(params, problem)
        return FloorState(grown(policy, state.inner, problem))

    def resolve(problem: Problem) -> Policy:
        inner = fitted(policy, problem)
        spec = {"name": "floor", "params": {"policy": inner.spec, "minimum": minimum}}
        return dataclasses.replace(floor(inner, minimum), spec=spec)

    params = FloorParams(float(minimum), policy.params)
    version = _VERSION - 1 + policy.version
    return Policy(
        "floor",
        params,
        init,
        version,
        policy.contexts,
        policy.context_length_max,
        grow=grow if policy.grow else None,
        resolve=resolve if policy.resolve else None,
        constants=of_inner(policy),
        learned=learned_inside(policy),
        divides=policy.divides,
        probability_min=float(minimum),
        **within(policy),
    )


def _holds_floor(params: Any) -> bool:
    return isinstance(params, FloorParams) or (isinstance(params, tuple) and any(map(_holds_floor, params)))


@kernel
def select(params: FloorParams, state: FloorState, instance: Instance, key: Key) -> Decision:
    """Take an arm of the uniform law with probability k f, else the inner policy's."""
    minimum = params.minimum
    k = count_available(instance.available)
    u = uniform(key, _DRAW)
    if u < k * minimum:
        arm = nth_available(instance.available, min(int(u / minimum), k - 1))
        p = protocol.probability(params.inner, state.inner, instance, arm)
    else:
        decision = protocol.select(params.inner, state.inner, instance, key)
        arm = decision.action
        p = decision.propensity
    return Decision(arm, _mix(k, minimum, p))


@kernel
def mark(params: FloorParams, state: FloorState, instance: Instance, decision: Decision, key: Key) -> None:
    """Let the inner policy take note."""
    protocol.mark(params.inner, state.inner, instance, decision, key)


@kernel
def update(
    params: FloorParams,
    state: FloorState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Let the inner policy learn."""
    protocol.update(params.inner, state.inner, instance, decision, feedback, key)


@kernel
def probability(params: FloorParams, state: FloorState, instance: Instance, action: int) -> float:
    """Return the arm's probability in the mixture; 0 where it is not available."""
    if not instance.available[action]:
        return 0.0
    p = protocol.probability(params.inner, state.inner, instance, action)
    return _mix(count_available(instance.available), params.minimum, p)


@kernel
def write_law(params: FloorParams, state: FloorState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    protocol.write_law(params.inner, state.inner, instance, law)
    k = count_available(instance.available)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = _mix(k, params.minimum, law[a])


@kernel
def appraise(params: FloorParams, state: FloorState, instance: Instance, scores: Array, widths: Array) -> None:
    """Let the inner policy say what it expects."""
    protocol.appraise(params.inner, state.inner, instance, scores, widths)


@kernel
def attribute(params: FloorParams, state: FloorState, instance: Instance, action: int, parts: Array) -> None:
    """Let the inner policy say why."""
    protocol.attribute(params.inner, state.inner, instance, action, parts)


@kernel
def _mix(k: int, minimum: float, p: float) -> float:
    """Return minimum + (1 - k minimum) p; rounding may not lead beyond 1."""
    return min(minimum + max(1.0 - k * minimum, 0.0) * p, 1.0)


protocol.register_policy(
    FloorParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    write_law=write_law,
    appraise=appraise,
    attribute=attribute,
)
