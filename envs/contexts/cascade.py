"""Cascade: a user looks at a list from above, and leaves with the first article that is worth a click, or tired.

A list has `slots` slots, which are decided one after another: the context, float64[slots], is 1 at the slot and 0
elsewhere, and what is in the list already is not available. Each arm a has an attraction, drawn evenly between `low`
and `high`. Who looks at a slot clicks with that probability, earns 1 and leaves; else the user looks at the next slot
with the probability `patience`. So slots further down are looked at less, and what they earn depends on what stands
above: a list earns the sum over slots i of a_i (1 - a_1) ... (1 - a_{i-1}) patience^(i-1), which is the most where the
most attractive arms stand in their order. Rewards of a list are learned once all of it was decided.

Source: Craswell, Zoeter, Taylor, Ramsey, "An experimental comparison of click position-bias models", WSDM 2008;
Chapelle, Zhang, "A dynamic Bayesian network click model for web search ranking", WWW 2009 (patience).
State: the attractions, and how the list at hand went. Cost: two draws a slot, and O(arms) for the mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.choices import LIST_MAX
from ...engine.draws import uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

_ATTRACTION, _CLICK, _STAY = 2**28, 0, 1  # draws; the first one at the times 0, 1, 2 ... of arms


class CascadeParams(NamedTuple):
    """Numbers fixed at creation."""

    slots: int
    patience: float
    low: float
    high: float


class CascadeState(NamedTuple):
    """The attractions, written once, and the list at hand."""

    attraction: Array  # float64[k]
    best: Array  # float64[1], what the best list earns
    taken: Array  # bool[k], what is in the list
    looking: Array  # bool[1], whether the user looks at the next slot
    reach: Array  # float64[1], how likely that was, by what stands above
    earned: Array  # float64[1], what the slots above earn in the mean
    gap: Array  # float64[1], how much less than the best list the one earns that was finished with the last decision


def cascade(arms: int = 10, slots: int = 3, patience: float = 0.7, low: float = 0.05, high: float = 0.6) -> Environment:
    """Click on the first article of a list that is worth it, and look at the next one with patience."""
    _check_whole("slots", slots, 1, LIST_MAX)
    _check_whole("arms", arms, slots, 100_000)
    lowest = check_param("low", low, low=0.0, high=1.0)
    params = CascadeParams(
        slots,
        check_param("patience", patience, low=0.0, high=1.0),
        lowest,
        check_param("high", high, low=lowest, high=1.0),
    )
    problem = Problem(arms, (slots,))
    return Environment(
        "cascade", params, init, problem, regret_kind="best order, once a list is full", delay_max=slots - 1
    )


def init(params: CascadeParams, problem: Problem, run: np.uint64) -> CascadeState:
    """Draw the attractions, and begin a list."""
    k = problem.n_arms
    drawn = np.array([uniform(Key(run, a), _ATTRACTION) for a in range(k)])
    attraction = params.low + (params.high - params.low) * drawn
    reach, best = 1.0, 0.0
    for a in np.sort(attraction)[::-1][: params.slots].tolist():
        best += reach * a
        reach *= (1.0 - a) * params.patience
    nothing = np.zeros(k, np.bool_), np.ones(1, np.bool_), np.ones(1), np.zeros(1), np.zeros(1)
    return CascadeState(attraction, np.array([best]), *nothing)


@kernel
def observe(params: CascadeParams, state: CascadeState, t: int, context: Array, available: Array, key: Key) -> None:
    """Show the slot, and what is left for it."""
    for j in range(len(context)):
        context[j] = 0.0
    context[t % params.slots] = 1.0
    for a in range(len(available)):
        available[a] = not state.taken[a]


@kernel
def respond(
    params: CascadeParams, state: CascadeState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Look at the slot, where the user came so far; what is earned is told once the list is full."""
    attraction, slot = state.attraction[action], instance.t % params.slots
    clicked = state.looking[0] and uniform(key, _CLICK) < attraction
    state.looking[0] = state.looking[0] and not clicked and uniform(key, _STAY) < params.patience
    state.earned[0] += state.reach[0] * attraction
    state.reach[0] *= (1.0 - attraction) * params.patience
    state.taken[action] = True
    state.gap[0] = 0.0
    if slot == params.slots - 1:
        state.gap[0] = max(state.best[0] - state.earned[0], 0.0)
        state.earned[0] = 0.0
        state.reach[0] = 1.0
        state.looking[0] = True
        for a in range(len(state.taken)):
            state.taken[a] = False
    return (1.0 if clicked else 0.0), params.slots - 1 - slot


@kernel
def regret(params: CascadeParams, state: CascadeState, instance: Instance, action: int) -> float:
    """Return how much less than the best list one earns that is full now; 0 before."""
    return state.gap[0]


def _check_whole(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from {low} to {high}")


register_env(CascadeParams, observe=observe, respond=respond, regret=regret)
