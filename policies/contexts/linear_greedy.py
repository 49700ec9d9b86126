"""Linear epsilon-greedy: play what an oracle expects most of, and with probability epsilon any action.

Source: Langford and Zhang, "The epoch-greedy algorithm for contextual multi-armed bandits", NIPS 2007, with a constant
share of exploration, as Vowpal Wabbit has it; ties go to the lowest. Epsilon does not shrink, so regret grows linearly
by epsilon times the mean gap; with epsilon = 0 nothing is explored but by chance, and the regret has no bound.
Rewards may have any unit and any origin: they are measured from the first one, or from `origin`
(`engine/oracles/relative.py`).
State: the model (ridge on dense contexts and on rows of actions, `SparseRows` on named features).
Cost: a prediction of all actions and O(K) per decision; one fit per feedback.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, greedy, work_of
from ...engine.oracles.choice import check_compared, check_second_order, oracle
from ...engine.oracles.forgetting import check_half_life
from ...engine.oracles.oracle import expect, fit, predict, split, spread
from ...engine.oracles.relative import check_origin, version_of
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class LinearGreedyParams(NamedTuple):
    """Numbers fixed at creation."""

    epsilon: float  # probability of a uniform draw, in [0, 1]
    regularisation: float
    half_life: float  # in feedbacks; inf where nothing is forgotten
    origin: float  # what rewards are measured from; NaN where it is the first of them
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class LinearGreedyState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose
    scratch_work: Work
    scratch_uniform: UniformBlock


@earlier(origin=0.0, second_order=False, compared=False)
def linear_greedy(
    epsilon: float = 0.05,
    regularisation: float = 0.2,
    half_life: float | None = None,
    origin: float | None = None,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Play the action of the highest predicted reward, and with probability `epsilon` any available one."""
    params = LinearGreedyParams(
        check_param("epsilon", epsilon, low=0.0, high=1.0),
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        check_half_life(half_life),
        check_origin(origin),
        check_second_order(second_order),
        check_compared(compared),
    )
    return Policy(
        "linear_greedy",
        params,
        init,
        version=version_of(origin, second_order, compared),
        contexts=("dense", "actions", "named"),
        grow=by_padding(init),
        deterministic=params.epsilon == 0.0,
    )


def init(params: LinearGreedyParams, problem: Problem) -> LinearGreedyState:
    """Return the state before any feedback."""
    model = oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        origin=params.origin,
        second_order=params.second_order,
        compared=params.compared,
    )
    return LinearGreedyState(model, work_of(problem.n_arms), uniform_block())


@kernel
def select(params: LinearGreedyParams, state: LinearGreedyState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(instance.available), uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: LinearGreedyParams,
    state: LinearGreedyState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward."""
    fit(state.model, instance.context, decision.action, feedback.reward, 1.0)


@kernel
def probability(params: LinearGreedyParams, state: LinearGreedyState, instance: Instance, action: int) -> float:
    """Return epsilon / k, plus 1 - epsilon for the leader, over the k available actions."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: LinearGreedyParams, state: LinearGreedyState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def foretell(
    params: LinearGreedyParams, state: LinearGreedyState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(
    params: LinearGreedyParams, state: LinearGreedyState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards and their standard errors, in units of the noise."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)


@kernel
def attribute(
    params: LinearGreedyParams, state: LinearGreedyState, instance: Instance, action: int, parts: Array
) -> None:
    """Write what each feature adds to the predicted reward."""
    split(state.model, instance.context, action, parts)


@kernel
def _weigh(params: LinearGreedyParams, state: LinearGreedyState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    score = state.scratch_work.score
    predict(state.model, instance.context, instance.available, score)
    return greedy(score, instance.available, params.epsilon, state.scratch_work.law)


register_policy(
    LinearGreedyParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
