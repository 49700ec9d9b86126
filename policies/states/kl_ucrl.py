"""KL-UCRL: follow the best policy of the best world that is plausible, in KL balls around what was counted.

Source: Filippi, Cappe, Garivier, "Optimism in reinforcement learning and Kullback-Leibler divergence", 2010: laws of
the next state with KL(counted, law) <= C / n, C = S (B + ln(B + 1 / ln T) (1 + 1 / (B + 1 / ln T))),
B = ln(2 e S^2 A ln T / delta); rewards up to r + sqrt(ln(4 S A ln T / delta) / 1.99 / n); a new plan when some pair's
count has doubled. Regret O(D S sqrt(A T ln(ln T / delta))) with a probability of 1 - delta, D the diameter. T is the
horizon, or where none is known what was learned so far: then no bound is proved. Rewards in [0, 1], or as parts of the
range that is declared.
Departs from the paper: sweeps begin at the values of the plan before, with the aperiodic transform; where units end,
that is one more state of the balls.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the sets
(`engine/states/balls.py`).
Propensities: 1, as nothing is drawn.
Cost: O(A) per decision. A feedback O(1), or where a plan is due sweeps of some 10 logarithms for each
transition that was seen, at most what 2e6 multiply-adds take in one update: the rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.elementary import log
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT
from ...engine.states.balls import kl_balls
from ...engine.states.counts import Experience, learn, mean_reward_of, write_shares
from ...engine.states.learned import learned_by_plan
from ...engine.states.planning import DESCRIBING, WORK, Model, Plan, sweep
from ...engine.states.replanning import (
    Epoch,
    appraise_planned,
    begin_epoch,
    described,
    is_due,
    planned_probability,
    planner,
    take_planned,
)
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange

FACTOR = 2.0  # by which a count grows until the next plan


class KlUcrlParams(NamedTuple):
    """Numbers fixed at creation."""

    delta: float  # probability with which the true world may lie outside of the set, in (0, 1)
    rewards: RewardRange = UNIT  # what is learned are parts of it


class KlUcrlState(NamedTuple):
    """Arrays that `update` writes; the horizon never changes."""

    seen: Experience
    plan: Plan
    model: Model
    epoch: Epoch
    horizon: Array  # int64[1] decisions in all, 0 if unknown


def kl_ucrl(delta: float = 0.05) -> Policy:
    """Follow the best policy of the best world in KL balls around what was counted."""
    params = KlUcrlParams(check_param("delta", delta, low=0.0, high=1.0, low_open=True))
    return Policy(
        "kl_ucrl",
        params,
        init,
        contexts=("states",),
        feedbacks=("transition",),
        grow=by_padding(init),
        foretells=False,
        deterministic=True,
        learned=learned_by_plan,
    )


def init(params: KlUcrlParams, problem: Problem) -> KlUcrlState:
    """Return the state before any feedback."""
    own = planner(problem, kl_balls(problem.states or 0, problem.n_arms))
    return KlUcrlState(*own, horizon=np.array([problem.horizon or 0], np.int64))


@kernel
def update(
    params: KlUcrlParams, state: KlUcrlState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
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
def _describe(params: KlUcrlParams, state: KlUcrlState, s: int) -> int:
    """Write the largest rewards of a state's actions, and the balls around their laws. Return the work."""
    seen, model = state.seen, state.model
    states, n_arms = seen.visits.shape
    log_time = log(max(float(state.horizon[0] if state.horizon[0] > 0 else state.epoch.learned[0]), 3.0))
    pairs = states * n_arms / params.delta * log_time
    outcomes = states + (1 if seen.ended[0] else 0)
    b = log(2.0 * math.e * outcomes * pairs)
    inner = b + 1.0 / log_time
    radius = outcomes * (b + log(inner) * (1.0 + 1.0 / inner))
    width = math.sqrt(log(4.0 * pairs) / 1.99)
    work = 8 * n_arms
    for a in range(n_arms):
        model.reward[s, a] = 1.0
        n = seen.visits[s, a]
        if n > 0:
            model.reward[s, a] = min(mean_reward_of(seen, s, a) + width / math.sqrt(n), 1.0)
            model.laws.radius[s, a] = radius / n
        work += write_shares(model.laws.centre, seen, s, a)
    return work


register_policy(
    KlUcrlParams,
    select=take_planned,
    update=update,
    probability=planned_probability,
    appraise=appraise_planned,
)
