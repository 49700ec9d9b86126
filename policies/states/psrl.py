"""PSRL: follow the best policy of a world that is drawn from what is believed of it, and draw another now and then.

Source: Osband, Russo, Van Roy, "(More) efficient reinforcement learning via posterior sampling", NeurIPS 2013; without
episodes, as here: Ouyang, Gagrani, Nayyar, Jain, "Learning unknown Markov decision processes: a Thompson sampling
approach" (TSDE), NeurIPS 2017. The mean reward of a pair of a state and an action is drawn from
Beta(1 + sum r, 1 + N - sum r), the law of the next state from Dirichlet(prior + counts), over all states. The best
policy of that world is followed until some pair was learned twice as often as when it was drawn, and with `tsde` also
until one transition more was learned than while the last world was followed. With `prior` 1 it is what is published;
with "1/S", 1 by the number of states, a pair's imagined visits are one in all, and that learns far faster.
Departs from the papers: that is the default. Where units end, that is one more state. Rewards in [0, 1], or as parts of
the range that is declared; what is no 0 and no 1 counts as a coin that shows 1 so often, so that known rewards are
believed to vary more than they do.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the world.
Propensities: 1, as nothing is drawn in a decision: a world is drawn when a reward is learned, by the key of the
decision that it belongs to.
Cost: O(A) per decision. A feedback O(1), or where a plan is due S + 2 draws for each pair, and some 5 to 60 sweeps of
S^2 A multiply-adds: at most 1e6 in one update, a draw counted as 75. The rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import beta, log_of_gamma
from ...engine.elementary import exp
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import by_padding
from ...engine.kernel import kernel, routine
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT
from ...engine.states.counts import Experience, experience, learn
from ...engine.states.learned import learned_by_plan
from ...engine.states.of_states import of_states
from ...engine.states.planning import DESCRIBING, IDLE, WORK, Model, Plan, no_plan, sweep
from ...engine.states.replanning import (
    Epoch,
    appraise_planned,
    begin_epoch,
    described,
    is_due,
    no_epoch,
    no_model,
    planned_probability,
    take_planned,
)
from ...engine.states.transitions import append, clear
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange

FACTOR = 2.0  # by which a count grows until the next world
WORK_OF_DRAW = 75  # multiply-adds that take as long as one draw
_DRAW = 2**30  # index of the first draw of a world: far from those that `select` of any policy makes


class PsrlParams(NamedTuple):
    """Numbers fixed at creation."""

    prior: float  # visits imagined to lead to each state, > 0; NaN for 1 by the number of states
    tsde: bool  # whether a world is followed for one transition more than the last one, at most
    rewards: RewardRange = UNIT  # what is learned are parts of it


class PsrlState(NamedTuple):
    """Arrays that `update` writes."""

    seen: Experience
    plan: Plan
    model: Model  # the world that is drawn
    epoch: Epoch
    drawn: Array  # int64[1] how many actions of the state at hand have their laws
    length: Array  # int64[1] transitions that were learned while the last world was followed


def psrl(prior: float | str = "1/S", tsde: bool = False) -> Policy:
    """Follow the best policy of a world drawn from what is believed, until a count has doubled.

    `prior` is how many visits are imagined to have led from each pair to each state, or "1/S": one to all together.
    """
    if isinstance(prior, str) and prior != "1/S":
        raise InvalidInput("bad_param", f"prior is {as_seen(prior)}: it must be a number above 0, or '1/S'")
    if not isinstance(tsde, bool):
        raise InvalidInput("bad_param", f"tsde is {as_seen(tsde)}: it must be true or false")
    imagined = math.nan if isinstance(prior, str) else check_param("prior", prior, low=1e-6, high=1e6)
    return of_states("psrl", PsrlParams(imagined, tsde), init, grow=by_padding(init), learned=learned_by_plan)


def init(params: PsrlParams, problem: Problem) -> PsrlState:
    """Return the state before any feedback."""
    seen = experience(problem)
    plan = no_plan(*seen.visits.shape)
    model, epoch = no_model(problem), no_epoch(problem)
    return PsrlState(seen, plan, model, epoch, np.zeros(1, np.int64), np.zeros(1, np.int64))


@kernel
def update(
    params: PsrlParams, state: PsrlState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Count the transition, and go on with a world and its plan where one is due or not finished."""
    seen, plan, model = state.seen, state.plan, state.model
    s, a = learn(seen, instance, decision, feedback, params.rewards)
    if s >= 0 and (is_due(state.epoch, seen, plan, s, a, FACTOR) or (params.tsde and _is_over(state))):
        state.length[0] = seen.learned[0] - state.epoch.learned[0]
        begin_epoch(state.epoch, seen, plan, model, max(1e-4, 0.1 / math.sqrt(seen.learned[0])), math.inf)
        state.drawn[0] = 0
    work = WORK
    while plan.stage[0] == DESCRIBING and work > 0:
        work -= _draw_pair(params, state, plan.at[0], state.drawn[0], key)
        state.drawn[0] += 1
        if state.drawn[0] == seen.visits.shape[1]:
            state.drawn[0] = 0
            described(seen, plan, model)
    sweep(plan, model, work)


@kernel
def _is_over(state: PsrlState) -> bool:
    """Tell whether more transitions were learned in this epoch than in the last one."""
    return state.plan.stage[0] == IDLE and state.seen.learned[0] - state.epoch.learned[0] > state.length[0]


@routine
def _draw_pair(params: PsrlParams, state: PsrlState, s: int, a: int, key: Key) -> int:
    """Draw the mean reward of a pair, and the law of its next state. Return the work."""
    seen, laws = state.seen, state.model.laws
    states, n_arms = seen.visits.shape
    outcomes = states + (1 if seen.ended[0] else 0)
    prior = 1.0 / states if math.isnan(params.prior) else params.prior
    first = _DRAW + (s * n_arms + a) * (states + 2)
    total = seen.total[s, a]
    state.model.reward[s, a] = beta(key, first, 1.0 + total, 1.0 + seen.visits[s, a] - total)
    most = -math.inf
    for after in range(outcomes):
        drawn = log_of_gamma(key, first + 1 + after, prior + seen.following[s, a, after])
        laws.chance[s, a, after] = drawn
        most = max(most, drawn)
    whole = 0.0
    for after in range(outcomes):
        laws.chance[s, a, after] = exp(laws.chance[s, a, after] - most)
        whole += laws.chance[s, a, after]
    clear(laws, s, a)
    for after in range(outcomes):
        chance = laws.chance[s, a, after] / whole
        if chance > 0.0:
            append(laws, s, a, after, chance)
    return WORK_OF_DRAW * (outcomes + 2)


register_policy(
    PsrlParams,
    select=take_planned,
    update=update,
    probability=planned_probability,
    appraise=appraise_planned,
)
