"""Policies that believe the best world of a set: UCRL2 and its kin, which differ in the set alone.

The set of each pair lies around what was counted, and is written by a kernel `describe` of the class of `widths`: to
file one (`kernel.register`), and to make the policy by `hopeful`, is all that such a policy is. Its state is that of a
`Planner` (`replanning.py`), or begins with the same fields. A plan of the best world in all sets is followed until some
pair was learned twice as often as when it was begun.
Cost: of `describe`, and of sweeps over the sets (`balls.py`), at most 1e6 multiply-adds in one update.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..growth import by_padding
from ..kernel import KERNELS, generic, kernel
from ..problem import check_param
from ..protocol import register_policy
from ..rewards import UNIT
from ..vocabulary import Decision, Feedback, Instance, Key, Policy, Problem, RewardRange
from .counts import learn
from .learned import learned_by_plan
from .of_states import of_states
from .planning import DESCRIBING, WORK, sweep
from .replanning import appraise_planned, begin_epoch, described, is_due, planned_probability, take_planned

FACTOR = 2.0  # by which a count grows until the next plan


class HopefulParams(NamedTuple):
    """Numbers fixed at creation."""

    widths: Any  # what the sets are made of; its class says how they are written
    rewards: RewardRange = UNIT  # what is learned are parts of it


@generic
def describe(widths: Any, state: Any, s: int) -> int:
    """Write the largest rewards of a state's actions, and the sets around their laws. Return the work."""
    made: int = KERNELS[type(widths)]["describe"](widths, state, s)
    return made


def hopeful(name: str, widths: Any, init: Callable[[Any, Problem], Any]) -> Policy:
    """Return the policy of that name, whose `init` makes room for its sets."""
    return of_states(name, HopefulParams(widths), init, grow=by_padding(init), learned=learned_by_plan)


def check_delta(delta: float) -> float:
    """Return the probability with which the true world may lie outside of the set."""
    return check_param("delta", delta, low=0.0, high=1.0, low_open=True, high_open=True)


@kernel
def update(
    params: HopefulParams, state: Any, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Count the transition, and go on with a plan where one is due or not finished."""
    seen, plan, model = state.seen, state.plan, state.model
    s, a = learn(seen, instance, decision, feedback, params.rewards)
    if s >= 0 and is_due(state.epoch, seen, plan, s, a, FACTOR):
        begin_epoch(state.epoch, seen, plan, model, 1.0 / math.sqrt(seen.learned[0]), math.inf)
    work = WORK
    while plan.stage[0] == DESCRIBING and work > 0:
        work -= describe(params.widths, state, plan.at[0])
        described(seen, plan, model)
    sweep(plan, model, work)


register_policy(
    HopefulParams,
    select=take_planned,
    update=update,
    probability=planned_probability,
    appraise=appraise_planned,
)
