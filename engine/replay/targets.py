"""Targets: whose value is to be told from a log. A policy (`matching.Contender`), the log's own, or one action.

All go through the log page by page, and tell of every row what they would have done and how likely its action is.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..columns import every_mask
from ..errors import InvalidInput
from ..estimate.reward_model import at_action
from ..vocabulary import Array, Change, Columns, Judged
from .matching import NO_PREDICTIONS, NOTHING_BESIDE


class Target(Protocol):
    """What goes through a log, from its first page to its last."""

    def judge(self, page: Columns, predicted: Array = NO_PREDICTIONS, beside: Array = NOTHING_BESIDE) -> Judged:
        """Tell of each of the next n rows what it would have done; `predicted` is float64[n, k], or nothing.

        `beside` is float64[n, m], the cells of columns that targets asked for.
        """
        ...

    @property
    def changes(self) -> list[Change]:
        """The changes of the world that it found so far, by its own clock."""
        ...


class Logged:
    """The policy that made the log. Its law is known at the logged action alone, so that stands for its mean.

    >>> from onearm.engine.columns import empty
    >>> from onearm.engine.vocabulary import Problem
    >>> page = empty(2, Problem(n_arms=2))._replace(propensity=np.array([0.5, 0.25]))
    >>> Logged().judge(page).target
    array([0.5 , 0.25])
    """

    def judge(self, page: Columns, predicted: Array = NO_PREDICTIONS, beside: Array = NOTHING_BESIDE) -> Judged:
        """Return what was logged."""
        return Judged(page.action, page.propensity, at(predicted, page.action))

    @property
    def changes(self) -> list[Change]:
        """Nothing: that is not in the log."""
        return []


class Fixed:
    """One action, whatever comes; where it is not available, the first that is.

    >>> from onearm.engine.columns import empty
    >>> from onearm.engine.vocabulary import Problem
    >>> page = empty(2, Problem(n_arms=2))._replace(action=np.array([0, 1]))
    >>> Fixed(1, 2).judge(page).target
    array([0., 1.])
    """

    def __init__(self, action: int, n_arms: int) -> None:
        """Take the action of this number, from 0. Raises `InvalidInput` where the log has none of it."""
        if not 0 <= action < n_arms:
            raise InvalidInput("bad_target", f"there is no action {action}: the log has those from 0 to {n_arms - 1}")
        self._action = action

    def judge(self, page: Columns, predicted: Array = NO_PREDICTIONS, beside: Array = NOTHING_BESIDE) -> Judged:
        """Return the action, and 1 where the log took it."""
        masks, n = every_mask(page), len(page.kind)
        chosen = np.full(n, self._action)
        there = masks[:, self._action] if self._action < masks.shape[1] else np.zeros(n, np.bool_)
        chosen[~there] = masks[~there].argmax(axis=1)
        return Judged(chosen, (chosen == page.action).astype(np.float64), at(predicted, chosen))

    @property
    def changes(self) -> list[Change]:
        """Nothing: it does not look for them."""
        return []


def at(predicted: Array, action: Array) -> Array:
    """Return what is predicted of each row's action, float64[n]; of no length where nothing is predicted."""
    return at_action(predicted, action) if predicted.shape[1] else np.zeros(0)
