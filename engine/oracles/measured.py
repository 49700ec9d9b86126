"""A model whose standard errors are in units of the reward: those of another, times the size of its errors.

`spread` of a model is in units of the noise, which nobody knows. Here it is multiplied with the root mean square of the
errors that the model made so far (`residuals.py`), so rewards times 1000 make widths 1000 times wider. Before any error
there is no unit, and all predictions are the same: widths are then as the model has them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import protocol
from ..kernel import kernel
from ..vocabulary import Array
from . import oracle
from .forgetting import kept, let_shares_shrink
from .oracle import register_model
from .residuals import Residuals, add_residual, residual_sd, residuals


class Measured(NamedTuple):
    """A model, and the errors that it made."""

    model: Any
    errors: Residuals
    keep: Array  # float64[1] what one more feedback leaves of the weight of the others, in (0, 1]


def measured(model: Any, half_life: float) -> Measured:
    """Return a model that measures its errors, before any feedback; after `half_life` of these one counts half."""
    return Measured(model, residuals(), np.array([kept(half_life)]))


@kernel
def predict(model: Measured, context: Any, available: Array, scores: Array) -> None:
    """Write the predictions."""
    oracle.predict(model.model, context, available, scores)


@kernel
def spread(model: Measured, context: Any, available: Array, widths: Array) -> None:
    """Write the standard errors of the predictions, in units of the reward."""
    oracle.spread(model.model, context, available, widths)
    sd = residual_sd(model.errors)
    for a in range(len(available)):
        if available[a] and sd > 0.0:
            widths[a] *= sd


@kernel
def fit(model: Measured, context: Any, action: int, reward: float, weight: float) -> float:
    """Learn one reward; return how far the prediction was off."""
    error = oracle.fit(model.model, context, action, reward, weight)
    add_residual(model.errors, error, model.keep[0])
    return error


@kernel
def split(model: Measured, context: Any, action: int, parts: Array) -> int:
    """Write what each feature adds to the predicted reward."""
    return oracle.split(model.model, context, action, parts)


@kernel
def origin_of(model: Measured) -> float:
    """Return the origin of the model."""
    return oracle.origin_of(model.model)


@kernel
def learned_of(model: Measured, reward: float) -> float:
    """Return the newest reward as the model learned it."""
    return oracle.learned_of(model.model, reward)


@kernel
def note(model: Measured, context: Any, action: int, number: int) -> None:
    """Let the model count a decision that is awaited."""
    oracle.note(model.model, context, action, number)


@kernel
def settle(model: Measured, number: int) -> None:
    """Let the model count it as awaited no longer."""
    oracle.settle(model.model, number)


@kernel
def decay(model: Measured, half_life: float) -> None:
    """Change the half-life of the model, and of its errors."""
    let_shares_shrink(model, half_life)
    protocol.decay(model.model, half_life)


register_model(
    Measured,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    origin_of=origin_of,
    learned_of=learned_of,
    note=note,
    settle=settle,
    decay=decay,
)
