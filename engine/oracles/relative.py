"""A model of rewards less the first one, which expects of what it does not know what actions pay on average.

Rewards of 1,000,000.25 and 1,000,000.5 are learned as 0 and 0.25. So an offset of all rewards changes no prediction's
bits, as long as their differences are exact, and differences of predictions are as exact as they come. Policies compare
relative predictions only; whoever tells one adds `origin_of`.

A ridge regression draws predictions towards 0 where it knows little. The first reward is no better a guess there than
another, and may be far off. So they are drawn towards a level that is learned, the mean of the actions' intercepts.
What a level adds to a prediction is known in closed form (`ridge.prior_share`): nothing is fitted anew when it moves.

Errors with heavy tails are cut (`heavy_tails.py`), unless the origin is given, or little is known of an action.

>>> from onearm.engine.oracles.arm_mean import arm_mean
>>> from onearm.engine.vocabulary import Problem
>>> model, scores = relative(arm_mean(Problem(n_arms=2)), math.nan, 2), np.zeros(2)
>>> errors = [float(fit(model, np.zeros(0), 1, reward, 1.0)) for reward in (100.0, 103.0)]
>>> predict(model, np.zeros(0), np.ones(2, np.bool_), scores)
>>> (errors, float(origin_of(model)), scores.round(9).tolist())
([0.0, 3.0], 100.0, [1.5, 1.5])
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import kernel
from ..problem import REWARD_MAX, check_param
from ..vocabulary import Array
from . import oracle
from .heavy_tails import HeavyTails, cut, heavy_tails, varies
from .oracle import register_model

_UNKNOWN = 0.5  # share of the level in a prediction: of an action with more, what is off is no noise


class Relative(NamedTuple):
    """A model, and what its rewards are measured from."""

    model: Any  # of rewards less the origin
    origin: Array  # float64[1] the first reward, or what was given; 0 before
    known: Array  # bool[1] whether there is one
    moves: Array  # bool[1] whether the level is learned; else it is the origin that was given
    learned: Array  # float64[1] the newest reward, as it was learned
    tails: HeavyTails  # of errors, where the origin is learned
    level: Array  # float64[1] what is expected of what is not known, less the origin
    scratch_share: Array  # float64[k]
    scratch_only: Array  # bool[k], all False between calls


def check_origin(origin: float | None) -> float:
    """Return what rewards are measured from: what is given, or for None NaN, which stands for the first of them."""
    return math.nan if origin is None else check_param("origin", origin, low=-REWARD_MAX, high=REWARD_MAX)


def version_of(origin: float | None, second_order: bool = False, compared: bool = False) -> int:
    """Return the version of a policy with this origin: 1 for 0, with which it decides as it did without one, else 2.

    It is one more where named features are learned by a second-order rule, which came later, and one more where that
    compares words, which came later still.
    """
    return (1 if origin == 0.0 else 2) + second_order + (second_order and compared)


def relative(model: Any, origin: float, k: int) -> Any:
    """Return a model for up to k actions of rewards less an origin, before any feedback; the model itself for 0.

    NaN takes the first reward for it, and lets the level be learned. An origin that is given is also the level.
    """
    if origin == 0.0:
        return model
    given = not math.isnan(origin)
    return Relative(
        model=model,
        origin=np.array([origin if given else 0.0]),
        known=np.array([given]),
        moves=np.array([not given]),
        learned=np.zeros(1),
        tails=heavy_tails(),
        level=np.zeros(1),
        scratch_share=np.zeros(k),
        scratch_only=np.zeros(k, np.bool_),
    )


@kernel
def predict(model: Relative, context: Any, available: Array, scores: Array) -> None:
    """Write how much more than the origin each available action is predicted to pay."""
    oracle.predict(model.model, context, available, scores)
    if model.level[0] != 0.0:
        share = model.scratch_share
        oracle.prior_shares(model.model, context, available, share)
        for a in range(len(available)):
            if available[a]:
                scores[a] += model.level[0] * share[a]


@kernel
def spread(model: Relative, context: Any, available: Array, widths: Array) -> None:
    """Write the standard errors of the predictions, in units of the noise."""
    oracle.spread(model.model, context, available, widths)


@kernel
def fit(model: Relative, context: Any, action: int, reward: float, weight: float) -> float:
    """Learn one reward less the origin, which the first one becomes; return how far the prediction was off, cut."""
    if not model.known[0]:
        model.origin[0] = reward
        model.known[0] = True
    share = _share(model, context, action)
    raised = model.level[0] * share
    learned = reward - model.origin[0]
    if model.moves[0] and varies(model.tails, learned) and share < _UNKNOWN:
        score = oracle.predict_one(model.model, context, action, model.scratch_only, model.scratch_share)
        learned = cut(model.tails, learned, score + raised, 0.0)
    model.learned[0] = learned
    error = oracle.fit(model.model, context, action, learned, weight) - raised
    if model.moves[0]:
        model.level[0] = oracle.mean_level(model.model)
    return error


@kernel
def split(model: Relative, context: Any, action: int, parts: Array) -> int:
    """Write what each feature adds to the predicted reward itself: origin and level count to the intercept."""
    raised = model.level[0] * _share(model, context, action)
    place = oracle.split(model.model, context, action, parts)
    parts[place] += model.origin[0] + raised
    return place


@kernel
def origin_of(model: Relative) -> float:
    """Return the origin."""
    return model.origin[0]


@kernel
def learned_of(model: Relative, reward: float) -> float:
    """Return the newest reward as it was learned: less the origin, and cut."""
    return model.learned[0]


@kernel
def _share(model: Relative, context: Any, action: int) -> float:
    """Return the share of the level in the prediction of one action: 1 where nothing is known, 0 where all is."""
    if not model.moves[0]:
        return 0.0
    model.scratch_only[action] = True
    oracle.prior_shares(model.model, context, model.scratch_only, model.scratch_share)
    model.scratch_only[action] = False
    return model.scratch_share[action]


register_model(
    Relative,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    origin_of=origin_of,
    learned_of=learned_of,
)
