"""Targets whose probabilities people bring themselves: of the logged action alone, or of every action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..columns import every_mask
from ..draws import EVALUATION, run_key, uniform
from ..errors import InvalidInput
from ..problem import check_seed
from ..vocabulary import Array, Change, Columns, Judged, Key
from .matching import NO_PREDICTIONS, NOTHING_BESIDE
from .targets import at

SUM_TOLERANCE = 1e-4  # of probabilities, which may be rounded to four digits
UNTOLD = -1  # what a target chooses of which nobody says it
Law = Callable[[Columns, Array], Array]  # of a page, and of the cells beside it: float64[n, k]


class OwnChance:
    """A target of which the probability of the logged action is known, and of two actions the other one's.

    >>> from onearm.engine.columns import empty
    >>> from onearm.engine.vocabulary import Problem
    >>> page = empty(2, Problem(n_arms=3))._replace(propensity=np.array([0.5, 0.25]))
    >>> OwnChance(0).judge(page, beside=np.array([[0.5], [1.0]])).target
    array([0.5, 1. ])
    """

    def __init__(self, place: int) -> None:
        """Take the column `place` of the cells beside a page."""
        self._place = place

    def judge(self, page: Columns, predicted: Array = NO_PREDICTIONS, beside: Array = NOTHING_BESIDE) -> Judged:
        """Return the probability; what is expected is the prediction weighted by it over the logged one."""
        chance = np.ascontiguousarray(beside[:, self._place])
        expected, masks = at(predicted, page.action), every_mask(page)
        if len(expected) and masks.shape[1] == 2 and masks.all():
            expected = chance * expected + (1.0 - chance) * at(predicted, 1 - page.action)
        elif len(expected):
            expected = chance / page.propensity * expected
        return Judged(np.full(len(page.kind), UNTOLD), chance, expected)

    @property
    def changes(self) -> list[Change]:
        """Nothing: it does not look for them."""
        return []


class OwnLaw:
    """A target of which the probability of every action is known.

    >>> from onearm.engine.columns import empty
    >>> from onearm.engine.vocabulary import Problem
    >>> page = empty(2, Problem(n_arms=2))._replace(action=np.array([0, 1]))
    >>> OwnLaw("mine", lambda page, beside: np.array([[0.25, 0.75]] * 2), 0).judge(page).target
    array([0.25, 0.75])
    """

    def __init__(self, name: str, law: Law, seed: int) -> None:
        """Take what gives the law of every row, float64[n, k]; `name` is what people call it."""
        self._name, self._law = name, law
        self._run = run_key(check_seed(seed), 0, EVALUATION)

    def judge(self, page: Columns, predicted: Array = NO_PREDICTIONS, beside: Array = NOTHING_BESIDE) -> Judged:
        """Return what it draws, how likely it takes the logged action, and the mean of the predictions.

        Raises `InvalidInput` ("bad_law") where probabilities are outside of [0, 1], do not add up to 1, or are those of
        actions that could not be chosen.
        """
        law, n = self._law(page, beside), len(page.kind)
        _check(self._name, law, every_mask(page), page)
        draw = uniform(Key(self._run, cast(Any, page.number)), 0) * law.sum(axis=1)
        chosen = np.minimum((np.cumsum(law, axis=1) <= draw[:, np.newaxis]).sum(axis=1), law.shape[1] - 1)
        expected = (law * predicted[:, : law.shape[1]]).sum(axis=1) if predicted.shape[1] else np.zeros(0)
        return Judged(chosen, law[np.arange(n), page.action], expected)

    @property
    def changes(self) -> list[Change]:
        """Nothing: it does not look for them."""
        return []


def _check(name: str, law: Array, masks: Array, page: Columns) -> None:
    if law.shape != masks.shape:
        raise InvalidInput(
            "bad_law",
            f"{name} gives probabilities of the shape {law.shape} for {masks.shape[0]} decisions among "
            f"{masks.shape[1]} actions: they must be float64[n, k], a row a decision and a column an action",
        )
    outside = ~((law >= 0.0) & (law <= 1.0)).all(axis=1)
    for wrong, what in (
        (outside, "must be in [0, 1]"),
        (np.abs(law.sum(axis=1) - 1.0) > SUM_TOLERANCE, "must add up to 1"),
        ((law * ~masks).sum(axis=1) > SUM_TOLERANCE, "must be 0 of actions that could not be chosen"),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            said = ", ".join(f"{value:.4g}" for value in law[row, :10])
            raise InvalidInput(
                "bad_law", f"{name} gives the probabilities {said} for decision {int(page.number[row])}: they {what}"
            )
