"""What engines of arms and of lists share: a person may say that the world is another one now."""

from __future__ import annotations

from typing import Any

from ....engine.changes.turning import turned
from ....engine.vocabulary import Turn
from ...service.history import ChangeTakenBack, WorldChanged
from ..engine import PolicyEngine
from .decided import ArmDecision


class ChoosingEngine(PolicyEngine[ArmDecision]):
    """One policy that chooses arms, one or a list of them."""

    def world_changed(self, model: int | None = None) -> None:
        """Tell the policy that the world is another one now: it begins anew, or as an earlier `model` of its own.

        `changes` names the models. What is learned later of the decisions so far belongs to the world before.
        """
        self._turn(Turn(self.number, True, model), WorldChanged(self.number, model))

    def false_alarm(self) -> None:
        """Tell the policy that the last of its `changes` was none: it goes on with the model that led before."""
        self._turn(Turn(self.number, False), ChangeTakenBack(self.number))

    def _turn(self, said: Turn, change: Any) -> None:
        """Take up what a person says of the world, and write it down as a change."""
        journal = self._journal
        if journal is not None:
            self._get_ready(journal)
        if journal is not None:
            journal.torn = True
        turned(self.spec.policy, self.state, said)
        if journal is not None:
            journal.changed(change)
