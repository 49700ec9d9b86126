"""Budget: a wrapper that keeps the expected cost of each decision within a limit, by way of the cheapest arm.

Source: a constraint on the law, as in Badanidiyuru, Kleinberg, Slivkins, "Bandits with knapsacks", 2018, but per
decision and not in total. The inner law p costs C = sum p[a] cost[a]. Where C is above the limit the law is mixed with
the cheapest available arm, just enough: p' = (1 - s) p + s cheapest, s = (C - limit) / (C - cost[cheapest]), which
costs the limit. Where even the cheapest available arm is dearer than that it is played for sure, as something must be.
One uniform chooses the branch; in the other the inner policy decides with its own draws.
State: the inner policy's. Cost: the inner policy's, and its law for all K arms (K times the price of one probability).
The inner policy learns with the logged propensity p', which is the law that was drawn from.
Costs belong to arms that are numbered once for all. A floor belongs inside, as budget(floor(...)): around a budget it
would spend again what the budget saved, so the limit would not hold. A policy that never randomises may do so here.
Draws: the wrapper's own is number 2^32 - 2, beside the floor's. One budget is enough: a second one inside is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...engine import protocol
from ...engine.changes.turning import within
from ...engine.draws import uniform
from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import check_param, check_vector, check_wrapped, fitted
from ...engine.vectors.constants import of_inner
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_VERSION = 1  # of the budget's own bits; the inner policy's is added
_DRAW = 2**32 - 2


class BudgetParams(NamedTuple):
    """Numbers fixed at creation, and the inner policy's."""

    cost: Array  # float64[k or more] what one decision for each arm costs
    limit: float  # highest expected cost of a decision, in units of the cost
    inner: Any  # the inner policy's params


class BudgetState(NamedTuple):
    """The inner policy's state."""

    inner: Any


def budget(policy: Policy, cost: list[float], limit: float) -> Policy:
    """Decide as `policy` does, but let a decision cost at most `limit` in expectation.

    `cost` has a number per arm; further ones belong to arms that may join later.
    """
    costs = check_vector("cost", cost, low=-1e100, high=1e100)
    check_param("limit", limit, low=-1e100, high=1e100)
    check_wrapped(policy)
    if "arm" not in policy.actions:
        raise InvalidInput(
            "no_arms",
            f"policy {policy.name!r} decides on arms that stream past, which have no costs of their own: "
            "wrap one that decides on numbered arms",
        )
    if not protocol.has_law(policy.params):
        raise InvalidInput(
            "no_law",
            f"policy {policy.name!r} does not know the probabilities it decides with, and a budget mixes "
            "probabilities: wrap one that does (Thompson sampling: with propensities=true)",
        )
    if "dense" not in policy.contexts:
        raise InvalidInput(
            "no_arms", f"policy {policy.name!r} has no arms numbered once for all, to which costs could belong"
        )
    if _holds_budget(policy.params):
        raise InvalidInput(
            "budget_in_budget", f"policy {policy.name!r} has a budget already: wrap once, with the lower limit"
        )

    def init(params: BudgetParams, problem: Problem) -> BudgetState:
        _check_costs(params, problem)
        return BudgetState(policy.init(params.inner, problem))

    def resolve(problem: Problem) -> Policy:
        inner = fitted(policy, problem)
        spec = {"name": "budget", "params": {"policy": inner.spec, "cost": costs.tolist(), "limit": limit}}
        return dataclasses.replace(budget(inner, cost, limit), spec=spec)

    return Policy(
        "budget",
        BudgetParams(costs, float(limit), policy.params),
        init,
        _VERSION - 1 + policy.version,
        context_length_max=policy.context_length_max,
        grow=_grow(policy),
        resolve=resolve if policy.resolve else None,
        constants=of_inner(policy),
        divides=policy.divides,
        unconstrained="each decision costs at most its limit, which floors and caps would break; take paced_budget, "
        "which pays back what they cost",
        **within(policy),
    )


def _check_costs(params: BudgetParams, problem: Problem) -> None:
    if problem.n_arms > len(params.cost):
        raise InvalidInput(
            "bad_cost", f"cost has {len(params.cost)} numbers and there are {problem.n_arms} arms: give one per arm"
        )
    least = params.cost[: problem.n_arms].min()
    if params.limit < least:
        raise InvalidInput(
            "budget_too_low",
            f"limit is {params.limit:g} and the cheapest arm costs {least:g}: no law stays within it; "
            "take a limit from there on",
        )


def _grow(policy: Policy) -> Callable[[BudgetParams, BudgetState, Problem], BudgetState] | None:
    """Return how the state grows, where the inner policy's does: by as many arms as have a cost."""
    inner = policy.grow
    if inner is None:
        return None

    def grow(params: BudgetParams, state: BudgetState, problem: Problem) -> BudgetState:
        _check_costs(params, problem)
        return BudgetState(inner(params.inner, state.inner, problem))

    return grow


def _holds_budget(params: Any) -> bool:
    return isinstance(params, BudgetParams) or (isinstance(params, tuple) and any(map(_holds_budget, params)))


@kernel
def select(params: BudgetParams, state: BudgetState, instance: Instance, key: Key) -> Decision:
    """Take the cheapest arm with the probability that the limit asks for, else what the inner policy takes."""
    cheapest = _cheapest(params, instance)
    share = _share_of_cheapest(params, state, instance, cheapest)
    if uniform(key, _DRAW) < share:
        arm = cheapest
        p = protocol.probability(params.inner, state.inner, instance, arm)
    else:
        decision = protocol.select(params.inner, state.inner, instance, key)
        arm = decision.action
        p = decision.propensity
    return Decision(arm, _mix(share, p, arm == cheapest))


@kernel
def mark(params: BudgetParams, state: BudgetState, instance: Instance, decision: Decision, key: Key) -> None:
    """Let the inner policy take note."""
    protocol.mark(params.inner, state.inner, instance, decision, key)


@kernel
def update(
    params: BudgetParams,
    state: BudgetState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Let the inner policy learn."""
    protocol.update(params.inner, state.inner, instance, decision, feedback, key)


@kernel
def probability(params: BudgetParams, state: BudgetState, instance: Instance, action: int) -> float:
    """Return the arm's probability in the mixture; 0 where it is not available."""
    if not instance.available[action]:
        return 0.0
    cheapest = _cheapest(params, instance)
    share = _share_of_cheapest(params, state, instance, cheapest)
    p = protocol.probability(params.inner, state.inner, instance, action)
    return _mix(share, p, action == cheapest)


@kernel
def appraise(params: BudgetParams, state: BudgetState, instance: Instance, scores: Array, widths: Array) -> None:
    """Let the inner policy say what it expects."""
    protocol.appraise(params.inner, state.inner, instance, scores, widths)


@kernel
def attribute(params: BudgetParams, state: BudgetState, instance: Instance, action: int, parts: Array) -> None:
    """Let the inner policy say why."""
    protocol.attribute(params.inner, state.inner, instance, action, parts)


@kernel
def _cheapest(params: BudgetParams, instance: Instance) -> int:
    """Return the lowest of the cheapest available arms."""
    least = np.inf
    cheapest = -1
    for a in range(len(instance.available)):
        if instance.available[a] and params.cost[a] < least:
            least = params.cost[a]
            cheapest = a
    return cheapest


@kernel
def _share_of_cheapest(params: BudgetParams, state: BudgetState, instance: Instance, cheapest: int) -> float:
    """Return s, in [0, 1]. Costs are counted from the cheapest arm's, so that none is negative."""
    least = params.cost[cheapest]
    spare = params.limit - least
    if spare < 0.0:
        return 1.0
    extra = 0.0
    for a in range(len(instance.available)):
        if instance.available[a]:
            extra += protocol.probability(params.inner, state.inner, instance, a) * (params.cost[a] - least)
    return (extra - spare) / extra if extra > spare else 0.0


@kernel
def _mix(share: float, p: float, is_cheapest: bool) -> float:
    """Return (1 - share) p, and share more for the cheapest arm; rounding may not lead beyond 1."""
    return min((1.0 - share) * p + (share if is_cheapest else 0.0), 1.0)


protocol.register_policy(
    BudgetParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    appraise=appraise,
    attribute=attribute,
)
