"""Paced budget: the most reward for a mean cost of at most `limit`, by a price on cost that follows what was spent.

Source: Slivkins, Sankararaman, Foster, "Contextual bandits with packing and covering constraints: a modular Lagrangian
approach via regression", COLT 2023. The policy inside learns, and foretells the reward s of each action; the law is
SquareCB's of s / sd - price c / limit, with c the action's cost and sd the root mean square of the errors of s:
p = 1 / (k + gamma_n (best - it)) for all but the best, who takes the rest, and gamma_n = gamma sqrt(1 + n) after n
feedbacks. The price is their dual variable (`engine/laws/spending.py`): 0 while no more is spent than the limit.
Departs from the paper: the price follows what was really spent, and not what is expected; no horizon need be known.
Unlike `budget` it pays for a dear action now and then where that earns more than the cheap one loses meanwhile, and the
limit holds on average and not for each decision: n decisions in a row spend at most (n + overdraft) limit.
What is spent counts when it is decided, by the cost that is listed, and is corrected where the feedback tells what it
was: the first number of its detail. With `horizon` so many decisions spend at most horizon limit in total, by costs as
expected; what was saved so far is spread over those that are left, and then the cheapest action is taken.
State: the account, costs as they have been, the errors, the inner policy's. Of all that the last `window` count.
Cost: the inner policy's prediction of all actions for a decision and for a feedback, its learning, and O(K).
Draws: one, number 2^32 - 3. It decides in place of the policy inside, whose own law and draws are not asked for; so a
floor or budget inside is refused. A floor around it is paid for as well: what that spends raises the price.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...engine import protocol
from ...engine.changes.turning import within
from ...engine.draws import uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import padded
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, inverse_gap, span_of, work_of
from ...engine.laws.spending import (
    Account,
    ActionCosts,
    arm_costs,
    charge,
    correct,
    empty_account,
    expected_cost,
    learn_cost,
    listed_cost,
    price_of,
)
from ...engine.oracles.residuals import Residuals, add_residual, residual_sd, residuals
from ...engine.problem import HORIZON_MAX, check_param, check_vector, check_wrapped, fitted
from ...engine.vectors.constants import of_inner
from ...engine.vocabulary import Array, Constant, ContextKind, Decision, Feedback, Instance, Key, Policy, Problem

_VERSION = 1  # of the wrapper's own bits; the inner policy's is added
_DRAW = 2**32 - 3
_PLACES = 2**20  # of features of an action
_INSTEAD = "wrap one that does, like squarecb, fourier_softmax or linucb (with contexts or without)"


class PacedBudgetParams(NamedTuple):
    """Numbers fixed at creation, and the inner policy's."""

    cost: Array  # float64[k or more] what one decision for each arm costs, >= 0; of no length where a feature tells
    place: int  # of the feature that tells the cost of an action; -1 where arms have theirs
    limit: float  # > 0, highest mean cost of a decision
    horizon: float  # of the total, in decisions; inf where there is none
    window: float  # > 1, how many decisions count
    gamma: float  # > 0, how soon gaps count: in units of 1 / sd, before any feedback
    inner: Any  # the inner policy's params

    @property
    def decides_itself(self) -> bool:
        """Say that it asks what it wraps for predictions alone: `protocol.has_law`, `protocol.marks`."""
        return True


class PacedBudgetState(NamedTuple):
    """Arrays that `mark` and `update` write, the inner policy's state, and working space."""

    account: Account
    costs: Any  # `ArmCosts` or `ActionCosts`
    errors: Residuals
    inner: Any
    scratch_work: Work
    scratch_payable: Array  # bool[k]


def paced_budget(
    policy: Policy,
    limit: float,
    cost: list[float] | None,
    cost_feature: int | None = None,
    horizon: int | None = None,
    window: int = 1000,
    gamma: float = 10.0,
) -> Policy:
    """Earn what can be earned while decisions cost at most `limit` on average.

    `cost` has a number per arm; further ones belong to arms that may join later. Where actions come with the call it is
    None, and `cost_feature` says which number of their features is the cost. With `horizon` so many decisions share a
    total of horizon times limit.
    """
    params = PacedBudgetParams(
        np.zeros(0) if cost is None else check_vector("cost", cost, low=0.0, high=1e100),
        -1 if cost_feature is None else _whole("cost_feature", cost_feature, 0, _PLACES - 1),
        check_param("limit", limit, low=1e-100, high=1e100),
        math.inf if horizon is None else float(_whole("horizon", horizon, 1, HORIZON_MAX)),
        float(_whole("window", window, 2, HORIZON_MAX)),
        check_param("gamma", gamma, low=0.0, high=1e100, low_open=True),
        _inner_params(policy),
    )
    if (cost is None) == (cost_feature is None):
        raise InvalidInput(
            "bad_param",
            "what decisions cost is said either by cost, a number per arm, or by cost_feature, where actions come with "
            "the call: give one of them, and null for cost with the other",
        )
    contexts: ContextKind = "dense" if cost is not None else "actions"
    if contexts not in policy.contexts:
        raise InvalidInput("policy_does_not_fit", f"policy {policy.name!r} {_LACKS[contexts]}")

    def resolve(problem: Problem) -> Policy:
        inner = fitted(policy, problem)
        given = {"limit": limit, "cost": cost, "cost_feature": cost_feature, "horizon": horizon}
        given |= {"window": window, "gamma": gamma}
        spec = {"name": "paced_budget", "params": {"policy": inner.spec, **given}}
        made = paced_budget(inner, limit, cost, cost_feature, horizon, window, gamma)
        return dataclasses.replace(made, spec=spec)

    init = _init(policy)
    return Policy(
        "paced_budget",
        params,
        init,
        _VERSION - 1 + policy.version,
        contexts=(contexts,),
        context_length_max=policy.context_length_max,
        grow=_grow(policy, init),
        resolve=resolve if policy.resolve else None,
        constants=_constants(policy),
        divides=policy.divides,
        unconstrained=None if horizon is None else "its total pays for no floor once it is spent; leave horizon out",
        **within(policy),
    )


_LACKS: dict[ContextKind, str] = {
    "dense": "has no arms numbered once for all, to which costs could belong: say cost_feature in place of cost",
    "actions": "reads no features of actions, among which a cost could be: say cost in place of cost_feature",
}


def _inner_params(policy: Any) -> Any:
    """Return the params of a policy that can be wrapped; refuse another one."""
    check_wrapped(policy, "squarecb")
    if "arm" not in policy.actions:
        raise InvalidInput(
            "no_arms", f"policy {policy.name!r} does not choose among arms: wrap one that does, like squarecb"
        )
    if hasattr(policy.params, "inner") and policy.name != "adaptive":
        raise InvalidInput(
            "wrapper_in_paced_budget",
            f"policy {policy.name!r} keeps a promise on probabilities, and paced_budget decides in place of what it "
            "wraps: wrap the policy inside, and put a floor around",
        )
    if not (policy.foretells and protocol.explains(policy.params)):
        raise InvalidInput(
            "no_prediction",
            f"policy {policy.name!r} does not foretell the reward of each action, from which paced_budget takes the "
            f"price of its cost: {_INSTEAD}; or take budget, which asks for probabilities alone",
        )
    return policy.params


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from {low} to {high}")
    return value


def _init(policy: Policy) -> Callable[[PacedBudgetParams, Problem], PacedBudgetState]:
    def init(params: PacedBudgetParams, problem: Problem) -> PacedBudgetState:
        k = problem.n_arms
        _check_costs(params, problem)
        return PacedBudgetState(
            account=empty_account(),
            costs=arm_costs(params.cost[:k]) if params.place < 0 else ActionCosts(np.full(1, params.place, np.int64)),
            errors=residuals(),
            inner=policy.init(params.inner, problem),
            scratch_work=work_of(k),
            scratch_payable=np.zeros(k, np.bool_),
        )

    return init


def _check_costs(params: PacedBudgetParams, problem: Problem) -> None:
    """Refuse costs that are missing, and a limit that no arm keeps to."""
    k, numbers = problem.n_arms, problem.context_shape[-1]
    if params.place >= numbers and params.place >= 0:
        raise InvalidInput(
            "bad_cost",
            f"cost_feature is {params.place} and actions have {numbers} features: they are counted from 0",
        )
    if params.place >= 0:
        return
    if k > len(params.cost):
        raise InvalidInput("bad_cost", f"cost has {len(params.cost)} numbers and there are {k} arms: give one per arm")
    if params.limit < (least := params.cost[:k].min()):
        raise InvalidInput(
            "budget_too_low",
            f"limit is {params.limit:g} and the cheapest arm costs {least:g}: no law stays within it; "
            "take a limit from there on",
        )


def _grow(
    policy: Policy, init: Callable[[PacedBudgetParams, Problem], PacedBudgetState]
) -> Callable[[PacedBudgetParams, PacedBudgetState, Problem], PacedBudgetState] | None:
    """Return how the state grows, where the inner policy's does: by as many arms as have a cost."""
    inner = policy.grow
    if inner is None:
        return None

    def grow(params: PacedBudgetParams, state: PacedBudgetState, problem: Problem) -> PacedBudgetState:
        return init(params, problem)._replace(
            account=state.account,
            costs=padded(state.costs, init(params, problem).costs),
            errors=state.errors,
            inner=inner(params.inner, state.inner, problem),
        )

    return grow


def _constants(policy: Policy) -> Callable[[PacedBudgetParams, PacedBudgetState], dict[str, Constant]]:
    """Return what tells the price and the account, and the constants of the policy inside."""
    inner = of_inner(policy)

    def constants(params: PacedBudgetParams, state: PacedBudgetState) -> dict[str, Constant]:
        told = {} if inner is None else inner(params, state)
        account = state.account
        price = price_of(account) * residual_sd(state.errors) / params.limit
        return told | {
            "price": Constant(float(price), "estimate"),  # in units of the reward, of one unit of cost
            "overdraft": Constant(float(account.overdraft[0] * params.limit), "estimate"),
            "spent": Constant(float(account.spent[0]), "estimate"),
        }

    return constants


@kernel
def select(params: PacedBudgetParams, state: PacedBudgetState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(instance.available), uniform(key, _DRAW))
    return Decision(action, law[action])


@kernel
def mark(params: PacedBudgetParams, state: PacedBudgetState, instance: Instance, decision: Decision, key: Key) -> None:
    """Charge what the action is said to cost, and let the inner policy take note."""
    cost = listed_cost(state.costs, instance, decision.action)
    charge(state.account, cost, _allowed(params, state.account), params.limit, 1.0 - 1.0 / params.window)
    protocol.mark(params.inner, state.inner, instance, decision, key)


@kernel
def update(
    params: PacedBudgetParams,
    state: PacedBudgetState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn how far the prediction was off, the cost where it is told, and let the inner policy learn the reward."""
    work = state.scratch_work
    protocol.foretell(params.inner, state.inner, instance, work.score, work.width)
    error = feedback.reward - float(work.score[decision.action])
    if not math.isnan(error):
        add_residual(state.errors, error, 1.0 - 1.0 / params.window)
    if len(feedback.detail) > 0 and not math.isnan(feedback.detail[0]):
        cost = max(feedback.detail[0], 0.0)
        correct(state.account, cost - listed_cost(state.costs, instance, decision.action), params.limit)
        learn_cost(state.costs, decision.action, cost, params.window)
    protocol.update(params.inner, state.inner, instance, decision, feedback, key)


@kernel
def probability(params: PacedBudgetParams, state: PacedBudgetState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law of `select`; 0 where it is not available."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def foretell(
    params: PacedBudgetParams, state: PacedBudgetState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Let the inner policy say what it expects."""
    protocol.foretell(params.inner, state.inner, instance, scores, widths)


@kernel
def appraise(
    params: PacedBudgetParams, state: PacedBudgetState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Let the inner policy say what it expects, and how sure it is."""
    protocol.appraise(params.inner, state.inner, instance, scores, widths)


@kernel
def attribute(
    params: PacedBudgetParams, state: PacedBudgetState, instance: Instance, action: int, parts: Array
) -> None:
    """Let the inner policy say why."""
    protocol.attribute(params.inner, state.inner, instance, action, parts)


@kernel
def _weigh(params: PacedBudgetParams, state: PacedBudgetState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    work = state.scratch_work
    protocol.foretell(params.inner, state.inner, instance, work.score, work.width)
    end = span_of(instance.available, work.law)
    payable = state.scratch_payable
    _write_payable(params, state, instance, payable)
    sd = residual_sd(state.errors)
    unit = 1.0 / sd if sd > 0.0 else 0.0
    price = price_of(state.account) / params.limit
    best = _best_known(work.score, payable)
    for a in range(end):
        if payable[a]:
            # Of an action that was never learned no more is known than that it may be as good as the best one.
            score = best if math.isnan(work.score[a]) else work.score[a]
            work.score[a] = (score - best) * unit - price * expected_cost(state.costs, instance, a)
    gamma = params.gamma * math.sqrt(1.0 + state.errors.weight[0])
    return inverse_gap(work.score[:end], payable[:end], gamma, work.law[:end])


@kernel
def _best_known(scores: Array, available: Array) -> float:
    """Return the highest score of the available actions; 0 where none has one."""
    best = -math.inf
    for a in range(len(available)):
        if available[a] and scores[a] > best:
            best = scores[a]
    return best if best > -math.inf else 0.0


@kernel
def _allowed(params: PacedBudgetParams, account: Account) -> float:
    """Return what the next decision may cost: the limit, or what is left for each decision of the horizon."""
    if params.horizon == math.inf:
        return params.limit
    left = params.horizon - account.decisions[0]
    return max(params.limit * params.horizon - account.spent[0], 0.0) / left if left > 0.0 else 0.0


@kernel
def _write_payable(params: PacedBudgetParams, state: PacedBudgetState, instance: Instance, payable: Array) -> None:
    """Write which actions the rest of the total pays for, if the cheapest one is taken ever after."""
    least = math.inf
    cheapest = -1
    for a in range(len(instance.available)):
        payable[a] = instance.available[a]
        if instance.available[a]:
            cost = expected_cost(state.costs, instance, a)
            if cost < least:
                least = cost
                cheapest = a
    if params.horizon == math.inf:
        return
    later = max(params.horizon - state.account.decisions[0] - 1.0, 0.0)
    rest = params.limit * params.horizon - state.account.spent[0] - later * least
    for a in range(len(instance.available)):
        if payable[a] and a != cheapest and expected_cost(state.costs, instance, a) > rest:
            payable[a] = False


protocol.register_policy(
    PacedBudgetParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
