"""Fourier softmax: draw among the actions that may be the best, on features that bend. The default for contexts.

Nothing needs tuning. As in `fourier_ucb`, an oracle predicts a score s_a of each action and its standard error w_a: for
dense contexts ridge regressions on the context and on random Fourier features (`engine/oracles/fourier_root.py`), for
rows of actions one ridge regression, for named features `SparseRows`. The index of an action is
i_a = s_a + alpha w_a, where alpha is just so large that some action promises a reward near the best seen
(`engine/oracles/aspiration.py`). Action a is drawn with probability

    p_a = exp((i_a - max i) / tau) / sum of these,  tau = temperature alpha w_l,  l the action of the highest index.

So an action is drawn about as often as it may be the best: while little is known of the leader tau is large, and as it
is learned the draws come to rest on it. Where rewards come late a policy that takes the highest index repeats itself
until something is learned; this one does not, and its propensities say how often each action could have been taken, so
its log can judge other policies.

Source: LinUCB, Li, Chu, Langford, Schapire 2010, with random Fourier features, Rahimi and Recht 2007; a softmax of the
index in place of its maximum is ours: measured, without a bound (`benchmarks/defaults.py`).
Rewards may have any unit and any origin: they are measured from the first one. Errors with heavy tails are cut, unless
`robust` is false (`engine/oracles/heavy_tails.py`). Ties go to the lowest action.
Propensities: exact, in closed form.
State: the model, its errors and their tails, the first, the best and the lowest reward.
Cost: a prediction and a standard error of all actions per decision, O(K p^2). With dense contexts the number p of
coordinates follows from the numbers of arms in the beginning and of features: 256 up to 121 arms, about 80 with 1,000,
so that K p^2 stays about the same. It is part of the spec; arms that join later have as many.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.growth import padded
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, leader_of, softmax, span_of, work_of
from ...engine.oracles.aspiration import enter, narrow, noise, write_index
from ...engine.oracles.choice import bending_oracle, bends, check_compared, check_second_order
from ...engine.oracles.forgetting import check_half_life
from ...engine.oracles.fourier_root import FourierRoot, bytes_of, check_coordinates, coordinates_for, more_for
from ...engine.oracles.heavy_tails import HeavyTails, check_robust, cut, cuts, heavy_tails, varies
from ...engine.oracles.oracle import fit, predict, predict_one, split, spread, spread_one
from ...engine.problem import check_param, settled
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vectors.constants import of_problem
from ...engine.vocabulary import Array, Constant, Decision, Feedback, Instance, Key, Policy, Problem

_WILD = 10.0  # ranges of the rewards: an error beyond, of a context far from all others, counts as this
_CUT = 2.0  # times wider where errors are cut, as their size is then understated
_TEMPERATURE, _PRIOR = 0.1, 0.3  # up to ten arms with models of their own, and for actions that share one
_NAMED_TEMPERATURE, _NAMED_PRIOR = 0.003, 2.0  # with named features, whose standard errors stay wide as new ones come
_SHARPEST = 1e300  # of what is multiplied with gaps: 0 times infinity is no number


class FourierSoftmaxParams(NamedTuple):
    """Numbers fixed at creation."""

    temperature: float  # > 0, in units of what the leader's index has beyond its prediction; 0 where it follows
    regularisation: float  # precision of the prior, > 0; 0 where that follows from the number of arms
    half_life: float  # in feedbacks; inf where nothing is forgotten
    widest: float  # the most that alpha comes to, in standard deviations
    robust: bool  # whether errors with heavy tails are cut
    coordinates: int  # of a dense context; -1 where that follows from the number of arms, 0 for `FourierRidge`
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class FourierSoftmaxState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `bending_oracle` chose; of rewards less the origin
    temperature: Array  # float64[1] as given, or as it follows
    origin: Array  # float64[1] the first reward
    square: Array  # float64[1] sum of squared errors, each in units of its predictive variance
    count: Array  # float64[1] feedbacks learned
    extremes: Array  # float64[2] the lowest and the best reward, less the origin
    tails: HeavyTails  # of the errors
    scratch_work: Work
    scratch_uniform: UniformBlock


@earlier(coordinates=0, robust=False, widest=3.0, second_order=False, compared=False)
def fourier_softmax(
    temperature: float | None = None,
    regularisation: float | None = None,
    half_life: float | None = None,
    robust: bool = True,
    coordinates: int | None = None,
    widest: float = 1.5,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Draw by a softmax of an optimistic index, on features that bend; nothing needs tuning.

    `temperature`, `regularisation` and `coordinates`, how many numbers a dense context becomes, follow from the
    number of arms where they are left out. `coordinates` is a multiple of 8; 0 stands for those of `FourierRidge`, 256
    in a model of four times the size. With `robust` errors with heavy tails are cut; alpha is at most `widest` standard
    deviations, and twice that while errors are cut.
    """
    params = FourierSoftmaxParams(
        0.0 if temperature is None else check_param("temperature", temperature, low=1e-6, high=1e6),
        0.0 if regularisation is None else check_param("regularisation", regularisation, low=1e-12, high=1e12),
        check_half_life(half_life),
        check_param("widest", widest, low=0.2, high=1e6),
        check_robust(robust),
        -1 if coordinates is None else check_coordinates(coordinates),
        check_second_order(second_order),
        check_compared(compared),
    )

    asked = {
        "temperature": temperature,
        "regularisation": regularisation,
        "half_life": half_life,
        "robust": robust,
        "coordinates": coordinates,
        "widest": widest,
        "second_order": second_order,
        "compared": compared,
    }

    def resolve(problem: Problem) -> Policy:
        return settled(policy, asked, **_found(params, problem))

    policy = Policy(
        "fourier_softmax",
        params,
        init,
        version=(1 if coordinates == 0 and not robust else 2) + second_order + (second_order and compared),
        contexts=("dense", "actions", "named"),
        grow=grow,
        resolve=resolve if None in (temperature, regularisation, coordinates) else None,
        constants=constants,
    )
    return policy


def _found(params: FourierSoftmaxParams, problem: Problem) -> dict[str, Any]:
    """Return what was left open, as it follows from the number of arms, if each has a model of the context."""
    fits = bends(problem)
    named = params.second_order and problem.context_kind == "named"
    more = more_for(problem.n_arms if fits else 1)
    found: dict[str, Any] = {}
    if params.temperature == 0.0:
        found["temperature"] = round((_NAMED_TEMPERATURE if named else _TEMPERATURE) * more, 3)
    if params.regularisation == 0.0:
        found["regularisation"] = round((_NAMED_PRIOR if named else _PRIOR) * more, 2)
    if params.coordinates < 0 and fits:
        found["coordinates"] = coordinates_for(problem.n_arms, problem.context_shape[0])
    return found


def init(params: FourierSoftmaxParams, problem: Problem) -> FourierSoftmaxState:
    """Return the state before any feedback: uniform."""
    params = params._replace(**_found(params, problem))
    model = bending_oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        coordinates=params.coordinates,
        second_order=params.second_order,
        compared=params.compared,
    )
    numbers = np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(2)
    temperature = np.full(1, params.temperature)
    return FourierSoftmaxState(model, temperature, *numbers, heavy_tails(), work_of(problem.n_arms), uniform_block())


def grow(params: FourierSoftmaxParams, state: FourierSoftmaxState, problem: Problem) -> FourierSoftmaxState:
    """Return the state with new arms, whose models have as many coordinates as those of the others."""
    if isinstance(state.model, FourierRoot):
        ridge = state.model.ridge
        params = params._replace(regularisation=float(ridge.prior[0]), coordinates=ridge.theta.shape[1])
    return padded(state, init(params, problem))


def constants(params: FourierSoftmaxParams, state: FourierSoftmaxState) -> dict[str, Constant]:
    """Tell how many coordinates a dense context becomes, and how much memory the models take once all were played."""
    if not isinstance(state.model, FourierRoot):
        return {}
    n_arms, coordinates = state.model.ridge.theta.shape
    return {
        "coordinates": of_problem(coordinates),
        "model_bytes": of_problem(bytes_of(n_arms, coordinates)),
    }


@kernel
def select(params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(instance.available), uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: FourierSoftmaxParams,
    state: FourierSoftmaxState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward, and how far it was off."""
    work = state.scratch_work
    arm = decision.action
    if state.count[0] == 0.0:
        state.origin[0] = feedback.reward
    only = work.only[: len(instance.available)]
    score = predict_one(state.model, instance.context, arm, only, work.score)
    width = spread_one(state.model, instance.context, arm, only, work.width)
    reward = feedback.reward - state.origin[0]
    if params.robust and varies(state.tails, reward):
        reward = cut(state.tails, reward, score, width)
    most = _WILD * (max(state.extremes[1], reward) - min(state.extremes[0], reward))
    error = min(max(reward - score, -most), most)
    enter(state.square, state.count, state.extremes, reward, error, width)
    if cuts(state.tails):
        narrow(state.square, state.count, state.extremes, state.tails)
    fit(state.model, instance.context, arm, reward, 1.0)


@kernel
def probability(params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law of `select`."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def write_law(params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    _weigh(params, state, instance)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = state.scratch_work.law[a]


@kernel
def foretell(
    params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards."""
    predict(state.model, instance.context, instance.available, scores)
    for a in range(len(instance.available)):
        if instance.available[a]:
            scores[a] += state.origin[0]


@kernel
def appraise(
    params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards and their standard errors, in units of the reward."""
    foretell(params, state, instance, scores, widths)
    spread(state.model, instance.context, instance.available, widths)
    sd = noise(state.square, state.count, state.extremes)
    for a in range(len(instance.available)):
        widths[a] *= sd


@kernel
def attribute(
    params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance, action: int, parts: Array
) -> None:
    """Write what each feature adds to the predicted reward; the origin of rewards counts to the intercept."""
    parts[split(state.model, instance.context, action, parts)] += state.origin[0]


@kernel
def _weigh(params: FourierSoftmaxParams, state: FourierSoftmaxState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    work = state.scratch_work
    available = instance.available
    sd = noise(state.square, state.count, state.extremes)
    widest = params.widest if not cuts(state.tails) else _CUT * params.widest
    index, widths = work.score, work.width
    alpha = write_index(state.model, sd, widest, state.extremes, instance.context, available, index, widths)
    tau = state.temperature[0] * alpha * work.width[leader_of(work.score, available)]
    sharpness = min(1.0 / tau, _SHARPEST) if tau > 0.0 else _SHARPEST
    end = span_of(available, work.law)
    return softmax(work.score[:end], available[:end], sharpness, work.law[:end])


register_policy(
    FourierSoftmaxParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    write_law=write_law,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
