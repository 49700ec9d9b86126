"""What a model can be asked. Each function finds the kernel of the model's class, as `engine/protocol.py` does.

A model is a NamedTuple of arrays that lies inside a policy's state: `fit`, `note` and `settle` write it in place, the
others only read it (and write its `scratch_*` arrays). Contexts are whatever the problem has: float64[d], float64[k, p]
or `Features`. Several models of one class can be stacked along a new first axis: `engine.protocol.row_of` gives the
i-th.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..kernel import KERNELS, generic, kernel, register
from ..vocabulary import Array


@generic
def predict(model: Any, context: Any, available: Array, scores: Array) -> None:
    """Write the predicted reward of each available action into `scores`, float64[k]; of others it means nothing."""
    KERNELS[type(model)]["predict"](model, context, available, scores)


@generic
def spread(model: Any, context: Any, available: Array, widths: Array) -> None:
    """Write the standard error of each available action's prediction, in units of the noise, into float64[k].

    For ridge regression sqrt(x' A^-1 x), with A the Gram matrix and the prior. Never negative, never NaN.
    """
    KERNELS[type(model)]["spread"](model, context, available, widths)


@generic
def fit(model: Any, context: Any, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one action; `weight` > 0 counts it so many times. Writes `model` in place.

    Return how far the prediction was off before: reward - prediction. Models that count what is awaited
    (`awaiting.py`) take a reward that was learned out again, with a weight of -1.
    """
    return KERNELS[type(model)]["fit"](model, context, action, reward, weight)


@generic
def split(model: Any, context: Any, action: int, parts: Array) -> int:
    """Write what each feature adds to the prediction for `action` into `parts`; they sum to the predicted reward.

    parts[j] belongs to feature j of the context (of the action's row; with `Features` to the shared entries in their
    order, then to the action's own), the one after the last feature to the intercept, whose place is returned; further
    ones become 0.
    """
    return KERNELS[type(model)]["split"](model, context, action, parts)


@generic
def note(model: Any, context: Any, action: int, number: int) -> None:
    """Count a decision whose feedback has not come, by its number; most models do not."""
    KERNELS[type(model)]["note"](model, context, action, number)


@generic
def settle(model: Any, number: int) -> None:
    """Count a decision as awaited no longer, for its feedback is what `fit` learns next."""
    KERNELS[type(model)]["settle"](model, number)


@generic
def prior_shares(model: Any, context: Any, available: Array, shares: Array) -> None:
    """Write by how much each available action's prediction would rise if the prior expected 1 more, into float64[k].

    By 1 where nothing is known of an action in such a context, by next to nothing where much is. Models without a prior
    write 0, and so do those that bend: what they expect is the lowest reward.
    """
    KERNELS[type(model)]["prior_shares"](model, context, available, shares)


@generic
def mean_level(model: Any) -> float:
    """Return what actions pay in the mean context, on average over them; 0 before any feedback.

    0 as well of models that tell no `prior_shares`.
    """
    return KERNELS[type(model)]["mean_level"](model)


@generic
def origin_of(model: Any) -> float:
    """Return what predictions are relative to: the reward that a score of 0 stands for.

    Nothing is compared with it added, as differences would be rounded; whoever tells a prediction adds it. The parts
    of `split` have it already.
    """
    return KERNELS[type(model)]["origin_of"](model)


@generic
def learned_of(model: Any, reward: float) -> float:
    """Return a reward as `fit` has just learned it, to compare with predictions: itself, or less the origin and cut."""
    return KERNELS[type(model)]["learned_of"](model, reward)


@generic
def forget(model: Any) -> None:
    """Put a regression over the coordinates of a model that bends back to what it was before any feedback."""
    KERNELS[type(model)]["forget"](model)


@kernel
def expect(model: Any, context: Any, available: Array, scores: Array) -> None:
    """Write the reward that each available action is expected to pay, the origin included, into float64[k]."""
    predict(model, context, available, scores)
    origin = origin_of(model)
    for a in range(len(available)):
        if available[a]:
            scores[a] += origin


@kernel
def predict_one(model: Any, context: Any, action: int, only: Array, scores: Array) -> float:
    """Return the predicted reward of one action; `only` bool[k] is all False, and `scores` float64[k] is written."""
    only[action] = True
    predict(model, context, only, scores)
    only[action] = False
    return scores[action]


@kernel
def spread_one(model: Any, context: Any, action: int, only: Array, widths: Array) -> float:
    """Return the standard error of one action's prediction; `only` and `widths` are as in `predict_one`."""
    only[action] = True
    spread(model, context, only, widths)
    only[action] = False
    return widths[action]


def register_model(
    model_class: type,
    *,
    predict: Callable[..., None],
    spread: Callable[..., None],
    fit: Callable[..., float],
    split: Callable[..., int],
    note: Callable[..., None] | None = None,
    settle: Callable[..., None] | None = None,
    prior_shares: Callable[..., None] | None = None,
    mean_level: Callable[..., float] | None = None,
    origin_of: Callable[..., float] | None = None,
    learned_of: Callable[..., float] | None = None,
    **others: Callable[..., Any],
) -> None:
    """File a model's kernels under its class, whose name is unique in the package; `others` are those of few models."""
    register(
        model_class,
        predict=predict,
        spread=spread,
        fit=fit,
        split=split,
        note=note or _note_nothing,
        settle=settle or _settle_nothing,
        prior_shares=prior_shares or _no_prior,
        mean_level=mean_level or _nothing,
        origin_of=origin_of or _nothing,
        learned_of=learned_of or _as_given,
        **others,
    )


@kernel
def _note_nothing(model: Any, context: Any, action: int, number: int) -> None:
    pass


@kernel
def _settle_nothing(model: Any, number: int) -> None:
    pass


@kernel
def _no_prior(model: Any, context: Any, available: Array, shares: Array) -> None:
    for a in range(len(available)):
        shares[a] = 0.0


@kernel
def _nothing(model: Any) -> float:
    return 0.0


@kernel
def _as_given(model: Any, reward: float) -> float:
    return reward
