"""Constrained: a wrapper whose law keeps to floors and caps, of arms and of groups of arms.

Each decision is made by the nearest law to the inner policy's that gives every arm its floor at least and its cap at
most, and every group of arms the same of their sum. Arms that nothing holds keep their ratios.
Source: a projection by relative entropy, as in Csiszar, "I-divergence geometry of probability distributions and
minimization problems", 1975; how it is computed is in `engine/laws/bounded.py`.
Where the inner law keeps to all constraints, the decision is the inner policy's, bit for bit.
What one decision cannot meet, as not all arms are available, gives way for that decision alone, in this order: the
floor of an arm that is not available; the caps of arms, where those of the available ones come to less than 1; the caps
of groups, where with them less than 1 is left to give; the floor of a group, down to what its available arms may have.
State: the inner policy's. Cost: the inner policy's law (where it does not write that at once, K times the price of one
probability), and O(K) a pass: 2 to 4 of 10 arms, up to 7 of 1000 drawn at random. Each pass settles an arm at least.
The inner policy learns with the logged propensity, that of the law that was drawn from.
Draws: the wrapper's own is number 2^32 - 4, where the law was moved; else the inner policy draws.
A mixture of laws that keep to constraints does so too, so each of those that share traffic is wrapped (`split`), and
what repeats decisions goes outside (`sticky`). Any other wrapper around it would move the law again, and is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import protocol
from ...engine.changes.turning import within
from ...engine.draws import uniform
from ...engine.errors import InvalidInput
from ...engine.growth import grown
from ...engine.kernel import kernel
from ...engine.laws.constraints import (
    BoundsWork,
    Constraints,
    Which,
    bounded_law,
    check_met,
    constraints_of,
    members_of,
    read_bounds,
    work_of,
)
from ...engine.laws.from_scores import draw, leader_of
from ...engine.problem import check_wrapped, fitted
from ...engine.states.learned import learned_inside
from ...engine.vectors.constants import of_inner
from ...engine.vocabulary import Array, Constrained, Decision, Feedback, Instance, Key, Policy, Problem

_VERSION = 1  # of the wrapper's own bits; the inner policy's is added
_DRAW = 2**32 - 4


class ConstrainedParams(NamedTuple):
    """The constraints, and the inner policy's params."""

    shares: Constraints
    inner: Any


class ConstrainedState(NamedTuple):
    """The inner policy's state, and working space."""

    inner: Any
    scratch_work: BoundsWork
    scratch_number: Array  # int64[1], of the decision that it is of; -1 before any


def constrained(
    policy: Policy,
    floors: float | list[float] = 0.0,
    caps: float | list[float] = 1.0,
    groups: list[dict[str, Any]] | None = None,
) -> Policy:
    """Decide as nearly as `policy` does as floors and caps allow, in [0, 1].

    One number is for every arm, a list for arms by their numbers; further ones have none. A group is like
    {"name": "new", "arms": [3, 4], "floor": 0.2, "cap": 0.5}; with "tag" in place of arms it has those that the
    problem gives this tag, and from then on those that join with it.
    """
    given = list(groups or ())
    shares = constraints_of(floors, caps, given)
    _check_inner(policy)

    def work_for(params: ConstrainedParams, problem: Problem) -> BoundsWork:
        k = problem.n_arms
        members = members_of(given, k, problem.tags)
        check_met(params.shares, given, members, k)
        return work_of(params.shares, members, k)

    def init(params: ConstrainedParams, problem: Problem) -> ConstrainedState:
        work = work_for(params, problem)
        return ConstrainedState(policy.init(params.inner, problem), work, np.full(1, -1))

    def grow(params: ConstrainedParams, state: ConstrainedState, problem: Problem) -> ConstrainedState:
        work = work_for(params, problem)
        return ConstrainedState(grown(policy, state.inner, problem), work, state.scratch_number)

    def resolve(problem: Problem) -> Policy:
        inner = fitted(policy, problem)
        params = {"policy": inner.spec, "floors": floors, "caps": caps, "groups": groups}
        return dataclasses.replace(
            constrained(inner, floors, caps, groups), spec={"name": "constrained", "params": params}
        )

    return Policy(
        "constrained",
        ConstrainedParams(shares, policy.params),
        init,
        _VERSION - 1 + policy.version,
        policy.contexts,
        policy.context_length_max,
        feedbacks=policy.feedbacks,
        grow=grow if policy.grow else None,
        resolve=resolve if policy.resolve else None,
        constants=of_inner(policy),
        foretells=policy.foretells,
        probability_min=shares.every_floor,
        divides=policy.divides,
        learned=learned_inside(policy),
        constrained=_telling([group["name"] for group in given]),
        **within(policy),
    )


def _check_inner(policy: Any) -> None:
    """Refuse what cannot be constrained, or would not keep what it promises then."""
    check_wrapped(policy)
    if "arm" not in policy.actions:
        raise InvalidInput(
            "no_arms", f"policy {policy.name!r} does not choose among numbered arms: only these have floors and caps"
        )
    if not protocol.has_law(policy.params):
        raise InvalidInput(
            "no_law",
            f"policy {policy.name!r} does not know the probabilities it decides with, which constraints move: wrap one "
            "that does (Thompson sampling: with propensities=true)",
        )
    if policy.unconstrained is not None:
        raise InvalidInput("unconstrained", f"policy {policy.name!r} cannot be constrained: {policy.unconstrained}")


def _telling(groups: Sequence[str]) -> Callable[[Any, Any, int, Sequence[str]], Constrained | None]:
    """Return what tells what constraints did to a decision."""

    def tell(params: ConstrainedParams, state: ConstrainedState, number: int, arms: Sequence[str]) -> Any:
        if state.scratch_number[0] != number:
            return None
        work = state.scratch_work
        applied, relaxed = (_named(params.shares, one, arms, groups) for one in (work.applied, work.relaxed))
        return Constrained(applied, relaxed)

    return tell


def _named(shares: Constraints, which: Which, arms: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return constraints by name; one that is the same for every arm is named once."""
    every = {"floor": len(shares.floor) == 0, "cap": len(shares.cap) == 0}
    found: list[str] = []
    for name, flags, of in zip(which._fields, which, (arms, arms, groups, groups), strict=True):
        places = np.flatnonzero(flags).tolist()
        if every.get(name):
            found += [name] if len(places) else []
        else:
            found += [f"{name}:{of[place]}" for place in places]
    return found


@kernel
def select(params: ConstrainedParams, state: ConstrainedState, instance: Instance, key: Key) -> Decision:
    """Draw from the law, where constraints moved it; else do what the inner policy does."""
    is_moved = _weigh(params, state, instance)
    state.scratch_number[0] = instance.t
    if is_moved:
        law = state.scratch_work.out
        action = draw(law, leader_of(law, instance.available), len(instance.available), uniform(key, _DRAW))
        p = min(law[action], 1.0)
    else:
        decision = protocol.select(params.inner, state.inner, instance, key)
        action = decision.action
        p = decision.propensity
    return Decision(action, p)


@kernel
def mark(params: ConstrainedParams, state: ConstrainedState, instance: Instance, decision: Decision, key: Key) -> None:
    """Let the inner policy take note."""
    protocol.mark(params.inner, state.inner, instance, decision, key)


@kernel
def update(
    params: ConstrainedParams,
    state: ConstrainedState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Let the inner policy learn."""
    protocol.update(params.inner, state.inner, instance, decision, feedback, key)


@kernel
def probability(params: ConstrainedParams, state: ConstrainedState, instance: Instance, action: int) -> float:
    """Return the arm's probability in the law; 0 where it is not available."""
    if not instance.available[action]:
        return 0.0
    _weigh(params, state, instance)
    return min(state.scratch_work.out[action], 1.0)


@kernel
def write_law(params: ConstrainedParams, state: ConstrainedState, instance: Instance, law: Array) -> None:
    """Write the law."""
    _weigh(params, state, instance)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = min(state.scratch_work.out[a], 1.0)


@kernel
def appraise(
    params: ConstrainedParams, state: ConstrainedState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Let the inner policy say what it expects."""
    protocol.appraise(params.inner, state.inner, instance, scores, widths)


@kernel
def attribute(
    params: ConstrainedParams, state: ConstrainedState, instance: Instance, action: int, parts: Array
) -> None:
    """Let the inner policy say why."""
    protocol.attribute(params.inner, state.inner, instance, action, parts)


@kernel
def _weigh(params: ConstrainedParams, state: ConstrainedState, instance: Instance) -> bool:
    """Write the law, and return whether it is another one than the inner policy's."""
    work = state.scratch_work
    n = read_bounds(params.shares, work, instance.available)
    for a in range(len(instance.available)):
        work.law[a] = 0.0
        work.out[a] = 0.0
    protocol.write_law(params.inner, state.inner, instance, work.law)
    return bounded_law(params.shares, work, n)


protocol.register_policy(
    ConstrainedParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    write_law=write_law,
    appraise=appraise,
    attribute=attribute,
)
