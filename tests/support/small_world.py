"""A world so small that every log of one decision can be listed: 2 contexts, 3 actions, 2 rewards.

An estimate of one decision is its term, so the sum over all logs of probability times estimate is what it is on
average, exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from onearm.engine.vocabulary import Array

CONTEXT = np.array([0.3, 0.7])  # how likely each context is
LAW = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])  # of the log, at each context
TARGET = np.array([[0.7, 0.3, 0.0], [0.1, 0.2, 0.7]])  # of the policy that is judged
MEAN = np.array([[0.9, -0.4, 0.25], [0.3, 1.5, -2.0]])  # reward of each action
SPREAD = 0.6  # a reward is as likely this much above its mean as below
TRUTH = float((CONTEXT[:, np.newaxis] * TARGET * MEAN).sum())


class Outcomes(NamedTuple):
    """All that one logged decision can be."""

    probability: Array  # float64[12]
    context: Array  # int64[12]
    action: Array  # int64[12]
    reward: Array  # float64[12]
    propensity: Array  # float64[12]
    target: Array  # float64[12]


def outcomes(law: Array = LAW, target: Array = TARGET) -> Outcomes:
    """Return every outcome of a decision that `law`, float64[2, 3], makes."""
    context, action, sign = (index.ravel() for index in np.indices((2, 3, 2)))
    return Outcomes(
        CONTEXT[context] * law[context, action] / 2,
        context,
        action,
        MEAN[context, action] + SPREAD * (2 * sign - 1),
        law[context, action],
        target[context, action],
    )


def predictions(model: Array, found: Outcomes, target: Array = TARGET) -> tuple[Array, Array]:
    """Return the columns `predicted` and `expected` of a model, float64[2, 3]."""
    return model[found.context, found.action], (target * model).sum(axis=1)[found.context]


def drawn(n: int, seed: int, law: Array = LAW) -> Outcomes:
    """Return n outcomes that were drawn, with their probability left as it is."""
    all_of_them = outcomes(law)
    rows = np.random.default_rng(seed).choice(len(all_of_them.probability), n, p=all_of_them.probability)
    return Outcomes(*(column[rows] for column in all_of_them))
