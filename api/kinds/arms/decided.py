"""Decisions on arms as people hold them: one, and many that were made together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ....engine.storage.records import Event
from ....engine.vocabulary import Array
from ...experiment.explanation_schemas import Ranked
from ..decided import Decided, DecidedMany


class ArmDecision(Decided, frozen=True, eq=False, gc=False):
    """A decision as a person wants it: the arm's id, its number, the propensity, and the decision's number."""

    number: int
    action_id: str
    action: int
    propensity: float

    @property
    def chosen(self) -> int:
        """The arm."""
        return self.action

    @property
    def ranking(self) -> list[Ranked]:
        """What could be chosen with its `action_id` and `probability`, the likeliest first; empty where nobody asked.

        The probability is None where the policy does not know it.
        """
        return list(self._ranking)


def arm_decision(event: Event, labels: Sequence[str], carried: dict[str, Any]) -> ArmDecision:
    """Return the decision of an event of the log, with the ids of its actions and what it carries."""
    assert event.number is not None and event.action is not None, "this chose an arm"
    propensity = math.nan if event.propensity is None else event.propensity
    return ArmDecision(event.number, labels[event.action], event.action, propensity, **carried)


class ArmDecisions(DecidedMany, frozen=True, eq=False, gc=False):
    """Decisions that were made together, a row each, or some of them: `batch[rows]`."""

    number: Array  # int64[n]
    action: Array  # int64[n], the arms
    propensity: Array  # float64[n]
    _labels: Sequence[Sequence[str]]  # the ids of what could be chosen: for each of all rows, or one for all

    @property
    def action_id(self) -> list[str]:
        """The ids of the actions."""
        return [self._label(row, arm) for row, arm in zip(self._rows.tolist(), self.action.tolist(), strict=True)]

    def one(self, row: int) -> ArmDecision:
        """Return row `row` of all that were made together."""
        rows, arm = self._columns, int(self._columns.action[row])
        number, propensity = int(rows.number[row]), float(rows.propensity[row])
        return ArmDecision(number, self._label(row, arm), arm, propensity, **self.carried(row))

    def _label(self, row: int, arm: int) -> str:
        return self._labels[min(row, len(self._labels) - 1)][arm]
