"""Plans with policy sweeps: after each sweep over all actions several over the greedy policy's alone.

Most sweeps of a plan (`planning.py`) change no decision where what is far takes long to be heard of. So once a sweep
has changed none, the next 6 follow the actions that were best, which takes a part of the work (modified policy
iteration: Puterman, "Markov decision processes", 1994, section 8.7). While decisions change all sweeps are over all
actions: sweeps over a policy that is poor would only lead away. A plan is finished by a sweep over all actions, by the
rule of `sweep`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .optimum import TAU
from .planning import SWEEPING, Model, Plan, begin_sweep, end_sweep, greedy, sweep_state
from .transitions import effort, outlook

POLICY_SWEEPS = 6  # for one sweep over all actions


class PolicySweeps(NamedTuple):
    """Which sweep comes next."""

    action: Array  # int64[S] the best at the last sweep over all actions
    left: Array  # int64[1] how many sweeps over these are left
    changed: Array  # bool[1] whether this sweep over all actions found another action in a state


def policy_sweeps(states: int) -> PolicySweeps:
    """Return what is known before any sweep, of a world of S states."""
    return PolicySweeps(np.zeros(states, np.int64), np.zeros(1, np.int64), np.zeros(1, np.bool_))


@routine
def sweep_with_policy(plan: Plan, model: Model, by: PolicySweeps, work: int) -> int:
    """Do what `sweep` does, with policy sweeps between; where a plan begins, `left` must be 0."""
    states = len(model.reward)
    while plan.stage[0] == SWEEPING and work > 0:
        s = plan.at[0]
        if s == 0:
            work -= begin_sweep(plan, model)
        if by.left[0] == 0:
            work -= sweep_state(plan, model, s)
            a = greedy(plan.found[s], model.open[s])
            if a != by.action[s]:
                by.action[s] = a
                by.changed[0] = True
        else:
            a = by.action[s]
            mean = outlook(model.laws, s, a, plan.value)
            plan.later[s] = model.reward[s, a] + TAU * mean + (1.0 - TAU) * plan.value[s]
            work -= effort(model.laws, s, a) + 2
        plan.at[0] += 1
        if plan.at[0] == states:
            if by.left[0] == 0:
                end_sweep(plan, model)
                by.left[0] = 0 if by.changed[0] else POLICY_SWEEPS
                by.changed[0] = False
            else:
                _end_policy_sweep(plan, states)
                by.left[0] -= 1
    return max(work, 0)


@kernel
def _end_policy_sweep(plan: Plan, states: int) -> None:
    """Cut what is above the span, and shift the values to a minimum of 0."""
    low = math.inf
    for s in range(states):
        low = min(low, plan.later[s])
    cut = low + plan.span[0] / TAU
    for s in range(states):
        plan.value[s] = min(plan.later[s], cut) - low
    plan.at[0] = 0
