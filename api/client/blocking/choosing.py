"""An experiment that chooses arms, one or a list of them: arms that join, what is shown later, and another world."""

from __future__ import annotations

from typing import Any

from ...http.schemas import ArmStatus, World
from ...http.window_schemas import Activated
from ..bodies import given
from .deciding import Deciding
from .experiment import Named


class Choosing(Deciding):
    """What decisions on arms and lists share."""

    def activate(self, decision: Named, action_id: str | None = None, propensity: float | None = None) -> Activated:
        """Say that a deferred decision is shown now, or which other action is in its place."""
        body = given(action_id=action_id, propensity=propensity)
        return self._connection.ask("POST", f"{self._of(decision)}:activate", Activated, body)

    def add_arm(self, arm: str | dict[str, Any]) -> ArmStatus:
        """Let an arm join, or one that was retired take part again: its id, or an object with its id and more."""
        body = {"id": arm} if isinstance(arm, str) else arm
        return self._connection.ask("POST", f"{self._path}/arms", ArmStatus, body)

    def world_changed(self, model: int | None = None) -> None:
        """Tell the policy that the world is another one now; as the engine's."""
        number = self._changes() + 1
        self._connection.ask("POST", f"{self._path}/world", World, given(change="known", model=model, number=number))

    def false_alarm(self) -> None:
        """Tell the policy that the last change of the world was none; as the engine's."""
        body = {"change": "false", "number": self._changes()}
        self._connection.ask("POST", f"{self._path}/world", World, body)

    def _changes(self) -> int:
        """Return the number of the last change of the world, 0 where there was none."""
        changes = (self.diagnostics()).changes
        return changes[-1].number if changes else 0
