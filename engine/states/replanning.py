"""Epochs: policies that follow a plan, and make the next one once they have learned enough more.

What such policies have in common: a state with `seen` (`counts.py`), `plan` and `model` (`planning.py`) and `epoch`, by
which the kernels below serve all of them. What is their own is how they describe the model, state by state:

    s, a = learn(seen, ...)
    if s >= 0 and is_due(state.epoch, seen, plan, s, a, factor):
        begin_epoch(state.epoch, seen, plan, model, eps, span)
    work = WORK
    while plan.stage[0] == DESCRIBING and work > 0:
        work -= describe(..., plan.at[0])           # write rewards and laws of all actions of this state
        described(seen, plan, model)
    sweep(plan, model, work)

So a plan is made in `update`, the fold of a log makes it again, and no update does more than `WORK` multiply-adds.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import kernel
from ..rewards import reward_at, width_at
from ..vocabulary import Array, Decision, Instance, Key, Problem
from .counts import Experience, experience, mean_following, mean_reward_of
from .planning import DESCRIBING, IDLE, SWEEPING, SWEEPS_MAX, Model, Plan, begin, greedy, no_plan
from .transitions import transitions


class Epoch(NamedTuple):
    """What was learned when the plan at hand, or the one that is being made, was begun."""

    visits: Array  # int64[S, A] how often each pair was learned
    learned: Array  # int64[1] of all


class Planner(NamedTuple):
    """All that policies keep that need nothing beside a plan: their state."""

    seen: Experience
    plan: Plan
    model: Model
    epoch: Epoch


def planner(problem: Problem, laws: Any) -> Planner:
    """Return a state before any feedback, of a problem with states, to plan over such laws of the next state."""
    seen = experience(problem)
    return Planner(seen, no_plan(*seen.visits.shape), no_model(problem, laws), no_epoch(problem))


def no_epoch(problem: Problem) -> Epoch:
    """Return the epoch before any feedback, of a problem with states."""
    assert problem.states is not None
    return Epoch(np.zeros((problem.states, problem.n_arms), np.int64), np.zeros(1, np.int64))


def no_model(problem: Problem, laws: Any = None) -> Model:
    """Return a model to be written, of a problem with states: of single laws of the next state, or of sets."""
    assert problem.states is not None
    states, n_arms = problem.states, problem.n_arms
    pairs = (states, n_arms)
    found = transitions(states, n_arms) if laws is None else laws
    return Model(np.zeros(pairs), np.ones(pairs, np.bool_), np.zeros(states), found)


@kernel
def is_due(epoch: Epoch, seen: Experience, plan: Plan, s: int, a: int, factor: float) -> bool:
    """Tell whether a new plan is due, once a pair was learned.

    So it is where nothing is being planned, and the pair was learned `factor` times as often as at the last plan, and
    at least once more.
    """
    before = epoch.visits[s, a]
    return plan.stage[0] == IDLE and seen.visits[s, a] - before >= max(1.0, (factor - 1.0) * before)


@kernel
def begin_epoch(epoch: Epoch, seen: Experience, plan: Plan, model: Model, eps: float, span: float) -> None:
    """Begin a plan: note the counts, and write where units begin. Next the model is described, state by state.

    Sweeps will end at `eps`, and no bias has a larger span than `span`, inf for any.
    """
    states, n_arms = seen.visits.shape
    for s in range(states):
        for a in range(n_arms):
            epoch.visits[s, a] = seen.visits[s, a]
    epoch.learned[0] = seen.learned[0]
    write_begin(seen, model.begin)
    begin(plan, eps, span, SWEEPS_MAX)
    plan.stage[0] = DESCRIBING


@kernel
def write_begin(seen: Experience, begin: Array) -> None:
    """Write how likely units begin in each state, float64[S]: all 0 where none has ended.

    Where units began is counted; units that ended, of none of which the beginning is known, may have begun in any state
    that was met.
    """
    begun, met = 0, 0
    for s in range(len(begin)):
        begun += seen.begun[s]
        met += seen.met[s]
    for s in range(len(begin)):
        begin[s] = 0.0
        if seen.ended[0]:
            begin[s] = seen.begun[s] / begun if begun > 0 else (1.0 / met if seen.met[s] else 0.0)


@kernel
def described(seen: Experience, plan: Plan, model: Model) -> None:
    """Go on to the next state, after the laws and rewards of one were written; after the last one sweeps begin."""
    s = plan.at[0]
    for a in range(seen.open.shape[1]):
        model.open[s, a] = seen.open[s, a]
    plan.at[0] += 1
    if plan.at[0] == len(seen.met):
        plan.at[0] = 0
        plan.stage[0] = SWEEPING


@kernel
def take_planned(params: Any, state: Any, instance: Instance, key: Key) -> Decision:
    """Take the best available action of the plan at hand: a `select`."""
    return Decision(greedy(state.plan.q[int(instance.context[0])], instance.available), 1.0)


@kernel
def planned_probability(params: Any, state: Any, instance: Instance, action: int) -> float:
    """Return 1 for the action that the plan takes, else 0: a `probability`."""
    return 1.0 if action == greedy(state.plan.q[int(instance.context[0])], instance.available) else 0.0


@kernel
def appraise_planned(params: Any, state: Any, instance: Instance, scores: Array, widths: Array) -> None:
    """Write what each action is worth by the counts alone, and how much more the plan believes: an `appraise`.

    The first is r + P h - h(s), of mean rewards and shares, with the plan's h: the gain, less what is lost by choosing
    the action once. NaN for both where it was never learned in this state.
    """
    s = int(instance.context[0])
    seen, plan = state.seen, state.plan
    for a in range(len(instance.available)):
        scores[a] = math.nan
        widths[a] = math.nan
        if instance.available[a] and seen.visits[s, a] > 0:
            worth = mean_reward_of(seen, s, a) + mean_following(seen, s, a, plan.bias) - plan.bias[s]
            believed = plan.q[s, a] + plan.gain[0] - plan.bias[s]
            scores[a] = reward_at(params.rewards, worth)
            widths[a] = width_at(params.rewards, max(believed - worth, 0.0))
