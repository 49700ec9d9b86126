"""An experiment whose arms come once: offer them, ask what to pull, tell what it gave, and commit."""

from __future__ import annotations

from typing import Any

from ....engine.errors import Conflict, InvalidInput, as_seen
from ...http.schemas import Experiment
from ...kinds.streams.bodies import Offered, StreamDecision
from ...kinds.streams.queue_schemas import Recommended
from ..decided import Pull
from .deciding import AsyncDeciding, asking
from .experiment import name_of


class AsyncStream(AsyncDeciding):
    """A stream of arms, of which a few are kept."""

    _asked: Pull | None = None  # what `tell` is about where it names the arm alone

    async def offer(self, arm: str | dict[str, Any]) -> Offered:
        """Let an arm wait to be read: its id, or an object with its id and more."""
        body = {"id": arm} if isinstance(arm, str) else arm
        if not isinstance(body, dict):
            raise InvalidInput("bad_body", f"the arm is {as_seen(arm)}: it must be an id, or an object with its id")
        return await self._connection.ask("POST", f"{self._path}/arms", Offered, body)

    async def close(self) -> Experiment:
        """Say that no more arms will come."""
        return await self._connection.ask("POST", f"{self._path}/arms:close", Experiment)

    async def ask(self, *, decision_id: str | None = None) -> Pull:
        """Return which arm to pull and how often: `arm, n = stream.ask()`. `evicted` of it names those that left.

        Raises `Conflict` ("nothing_to_pull", "horizon_reached") where there is nothing to pull.
        """
        _, body = asking(decision_id)
        made = await self._decided(StreamDecision, body)
        self._asked = Pull(made.arm_id, made.pulls, made.decision_id, made)
        return self._asked

    async def tell(self, arm: str | Pull, total: float, n: int) -> None:
        """Tell the sum of the rewards of n pulls, at most as many as were asked for: of the last pull, or of any."""
        pull = self._asked if isinstance(arm, str) else arm
        if pull is None or (isinstance(arm, str) and pull.arm_id != arm):
            raise Conflict(
                "not_asked", f"{as_seen(arm)} was pulled, but not asked for last: tell about what `ask` said"
            )
        await self._rewarded(name_of(pull), {"value": total, "pulls": n})

    async def recommend(self) -> Recommended:
        """Return the arm that a commit would choose now; this changes nothing."""
        return await self._connection.ask("GET", f"{self._path}/recommendation", Recommended)

    async def commit(self) -> Recommended:
        """Keep to the arm that is recommended now: no other is read or pulled from then on."""
        return await self._connection.ask("POST", f"{self._path}:commit", Recommended)
