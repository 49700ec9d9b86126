"""An experiment that decides: its calls, one by one or gathered, and its rewards, at once or through the queue."""

from __future__ import annotations

import uuid
from typing import Any

from ....engine.errors import Unavailable
from ...experiment.ids import check_id
from ...http.schemas import Rewarded
from ..bodies import Told, encode, given, read_item
from ..decided import Shown
from ..reward_queue import RewardQueue
from .batches import Batches
from .connection import Connection, decision_path
from .experiment import Remote

ALONE_BYTES = 100_000  # a larger body is not gathered: it saves nothing, and one that is refused would refuse others


class Deciding(Remote):
    """What the kinds share that decide over one route."""

    def __init__(
        self, connection: Connection, name: str, queue: RewardQueue | None, batch_s: float | None, away_s: float
    ) -> None:
        super().__init__(connection, name, queue, batch_s, away_s)
        self._batches = Batches(connection, self._path, batch_s or 0.0)

    def _decided(self, kind: type[Told], body: bytes, seconds: float | None = None) -> Told:
        """Return the answer to the body of a decision, which has its id; after `seconds` it is given up."""
        if self._batch_s is None or seconds is not None or len(body) > ALONE_BYTES:
            return self._connection.ask("POST", f"{self._path}/decisions", kind, body, seconds=seconds)
        try:
            return read_item(kind, self._batches.decisions.ask(body))
        except Unavailable:  # of this one alone, as its lot was tried until it was answered
            return self._connection.ask("POST", f"{self._path}/decisions", kind, body)

    def _decided_together(self, kind: type[Told], bodies: list[bytes]) -> list[Told]:
        """Return the answers to bodies of decisions; raises what the first of them is refused for."""
        answers = self._batches.decide(bodies)
        made = []
        for body, answer in zip(bodies, answers, strict=True):
            try:
                made.append(read_item(kind, answer))
            except Unavailable:
                made.append(self._connection.ask("POST", f"{self._path}/decisions", kind, body))
        return made

    def _rewarded(self, decision_id: str, reward: dict[str, Any]) -> None:
        """Tell a reward, or let it wait in the queue."""
        if self._queue is not None:
            self._put(decision_id, reward, None)
            return
        item = b"" if self._batch_s is None else encode({"decision_id": decision_id, **reward})
        if self._batch_s is None or len(item) > ALONE_BYTES:
            self._rewarded_alone(decision_id, reward)
            return
        try:
            read_item(Rewarded, self._batches.rewards.ask(item))
        except Unavailable:
            self._rewarded_alone(decision_id, reward)

    def _put(self, decision_id: str, reward: dict[str, Any], shown: Shown | None) -> None:
        """Let a reward wait in the queue, with what was shown while the service was away."""
        assert self._queue is not None
        self._queue.put(self.name, decision_id, encode({"decision_id": decision_id, **reward}), shown)

    def _rewarded_alone(self, decision_id: str, reward: dict[str, Any]) -> None:
        self._connection.ask("POST", f"{decision_path(self._path, decision_id)}/reward", Rewarded, reward)

    def _rewarded_together(self, rewards: list[tuple[str, dict[str, Any]]]) -> None:
        """Tell rewards of decisions, or let them wait in the queue; raises what the first of them is refused for."""
        items = [encode({"decision_id": decision_id, **reward}) for decision_id, reward in rewards]
        if self._queue is not None:
            for (decision_id, _), item in zip(rewards, items, strict=True):
                self._queue.put(self.name, decision_id, item)
            return
        answers = self._batches.reward(items)
        for (decision_id, reward), answer in zip(rewards, answers, strict=True):
            try:
                read_item(Rewarded, answer)
            except Unavailable:
                self._rewarded_alone(decision_id, reward)


def new_id() -> str:
    """Return an id for a decision: with it a call that is tried again is the same call."""
    return uuid.uuid4().hex


def asking(decision_id: str | None, **fields: Any) -> tuple[str, bytes]:
    """Return the id of a decision and its body; the same bytes are sent however often it is tried.

    Raises `InvalidInput` where that is no id.
    """
    name = new_id() if decision_id is None else check_id("decision_id", decision_id)
    return name, encode({"decision_id": name, **given(**fields)})


def nothing() -> None:
    """Return what telling returns, where nothing is sent yet."""
