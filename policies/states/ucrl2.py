"""UCRL2: follow the best policy of the best world that is plausible, in L1 balls around what was counted.

Source: Jaksch, Ortner, Auer, "Near-optimal regret bounds for reinforcement learning", JMLR 2010, figure 1: rewards up
to r + sqrt(7 ln(2 S A t / delta) / (2 n)), laws of the next state within sqrt(14 S ln(2 A t / delta) / n) of the
counted ones; a new plan when some pair's count has doubled. Regret O(D S sqrt(A T ln(T / delta))) with a probability of
1 - delta, D the diameter. Rewards in [0, 1], or as parts of the range that is declared.
Departs from the paper: sweeps begin at the values of the plan before, with the aperiodic transform; where units end,
that is one more state of the balls.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the sets
(`engine/states/balls.py`).
Propensities: 1, as nothing is drawn.
Cost: O(A) per decision. A feedback O(1), or where a plan is due sweeps of O(S) for each pair, at most 2e6
multiply-adds in one update: the rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...engine.elementary import log
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT
from ...engine.states.balls import l1_balls
from ...engine.states.counts import learn, mean_reward_of, write_shares
from ...engine.states.learned import learned_by_plan
from ...engine.states.planning import DESCRIBING, WORK, sweep
from ...engine.states.replanning import (
    Planner,
    appraise_planned,
    begin_epoch,
    described,
    is_due,
    planned_probability,
    planner,
    take_planned,
)
from ...engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem, RewardRange

FACTOR = 2.0  # by which a count grows until the next plan


class Ucrl2Params(NamedTuple):
    """Numbers fixed at creation."""

    delta: float  # probability with which the true world may lie outside of the set, in (0, 1)
    rewards: RewardRange = UNIT  # what is learned are parts of it


def ucrl2(delta: float = 0.05) -> Policy:
    """Follow the best policy of the best world in L1 balls around what was counted."""
    params = Ucrl2Params(check_param("delta", delta, low=0.0, high=1.0, low_open=True))
    return Policy(
        "ucrl2",
        params,
        init,
        contexts=("states",),
        feedbacks=("transition",),
        grow=by_padding(init),
        foretells=False,
        deterministic=True,
        learned=learned_by_plan,
    )


def init(params: Ucrl2Params, problem: Problem) -> Planner:
    """Return the state before any feedback."""
    return planner(problem, l1_balls(problem.states or 0, problem.n_arms))


@kernel
def update(
    params: Ucrl2Params, state: Planner, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Count the transition, and go on with a plan where one is due or not finished."""
    seen, plan, model = state.seen, state.plan, state.model
    s, a = learn(seen, instance, decision, feedback, params.rewards)
    if s >= 0 and is_due(state.epoch, seen, plan, s, a, FACTOR):
        begin_epoch(state.epoch, seen, plan, model, 1.0 / math.sqrt(seen.learned[0]), math.inf)
    work = WORK
    while plan.stage[0] == DESCRIBING and work > 0:
        work -= _describe(params, state, plan.at[0])
        described(seen, plan, model)
    sweep(plan, model, work)


@kernel
def _describe(params: Ucrl2Params, state: Planner, s: int) -> int:
    """Write the largest rewards of a state's actions, and the balls around their laws. Return the work."""
    seen, model = state.seen, state.model
    states, n_arms = seen.visits.shape
    t = float(state.epoch.learned[0])
    log_pairs = log(2.0 * states * n_arms * t / params.delta)
    log_arms = log(2.0 * n_arms * t / params.delta)
    outcomes = states + (1 if seen.ended[0] else 0)
    work = 8 * n_arms
    for a in range(n_arms):
        model.reward[s, a] = 1.0
        n = seen.visits[s, a]
        if n > 0:
            model.reward[s, a] = min(mean_reward_of(seen, s, a) + math.sqrt(3.5 * log_pairs / n), 1.0)
            model.laws.radius[s, a] = math.sqrt(14.0 * outcomes * log_arms / n)
        work += write_shares(model.laws.centre, seen, s, a)
    return work


register_policy(
    Ucrl2Params,
    select=take_planned,
    update=update,
    probability=planned_probability,
    appraise=appraise_planned,
)
