"""Events on their way into a format: what it cannot hold is refused, or left out and counted."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from ...engine.errors import InvalidInput
from ...engine.storage.records import Event
from ...engine.vocabulary import ACTIVATION, CHANGE, CORRECTED, DECIDE, EARLY, EXTERNAL, LEARN, OUTCOME
from ..log_files import EXPORTS, module_of

WORDS = {  # what a field of an event is to people
    "action": "actions",
    "actions": "ids of actions",
    "available": "which actions were available",
    "context": "contexts",
    "decision_id": "ids of decisions",
    "detail": "what else was revealed, or why something was decided",
    "propensity": "propensities",
    "reward_id": "ids of rewards",
    "sent": "what was sent",
    "time": "times",
    "unit_id": "ids of those whom decisions are for",
    "policy": "which of several policies decided",
    "vector": "vectors",
    "change": "changes of an experiment",
    "outcome": "rewards that were not learned by themselves",
    "activation": "whether decisions were shown",
    "correction": "corrections of rewards",
    "reward": "decisions without a reward",
    "unknown": "decisions of unknown propensity",
}
# Kinds of events that only our exports hold, by what they are.
_BESIDE = {
    CHANGE: "change",
    OUTCOME: "outcome",
    EARLY: "outcome",
    ACTIVATION: "activation",
    CORRECTED: "correction",
}
_REPEATED = frozenset({"context", "propensity", "vector"})  # of a decision, which its reward may have once more


class Copy:
    """Events on their way into a format: how many they are, and what of them is left out.

    What the format lacks is kept where its writer `follows` it, by leaving out actions that could not be chosen, say.
    """

    def __init__(self, form: str, lossy: bool, follows: frozenset[str] = frozenset()) -> None:
        self.count: Counter[str] = Counter()  # "decisions", "rewards", "changes", "outcomes", "activations", ...
        self.left_out: Counter[str] = Counter()  # by what it is in `WORDS`
        self._form, self._lossy = form, lossy
        self._gone: set[int | None] = set()  # decisions that are left out, by number
        writer = module_of(form).Writer
        lacks: frozenset[str] = getattr(writer, "LACKS", frozenset())
        self._lacks = sorted((lacks - follows) & set(WORDS))
        self._needs: frozenset[str] = getattr(writer, "NEEDS", frozenset())

    def fitting(self, events: list[Event]) -> list[Event]:
        """Return events as the format can hold them, and count them."""
        return [fitting for event in events if (fitting := self._fitting(event)) is not None]

    def check_left_out(self, unrewarded: int) -> None:
        """Count the decisions that the format has no place for, as they have no reward."""
        self.count["decisions"] -= unrewarded
        if unrewarded:
            self._leave_out("reward", unrewarded)

    def _fitting(self, event: Event) -> Event | None:
        if event.kind in _BESIDE:
            of = _BESIDE[event.kind]
            if self._form not in EXPORTS:
                self._leave_out(of)
                return None
            self.count[f"{of}s"] += 1
            return event
        if self._lossy and event.kind in (DECIDE, EXTERNAL) and not self._is_whole(event):
            self._leave_out("unknown")
            self._gone.add(event.number)
        if event.number in self._gone:
            return None
        self.count["rewards" if event.kind == LEARN else "decisions"] += 1
        if self._lacks and not self._is_at_home(event):
            for field in self._lacks:
                if getattr(event, field) not in (None, "", 0):
                    if event.kind != LEARN or field not in _REPEATED:
                        self._leave_out(field)
                    nothing: dict[str, Any] = {field: 0 if field == "time" else None}
                    event = event._replace(**nothing)
        return event

    def _is_whole(self, event: Event) -> bool:
        """Whether a decision has what the format needs; where nothing may be left out its writer says what it lacks."""
        given = (getattr(event, field) for field in self._needs)
        return all(value is not None and not math.isnan(value) for value in given)

    def _is_at_home(self, event: Event) -> bool:
        """Whether an event was read from a line of the same format, which then holds everything."""
        if event.sent is None:
            return False
        sent = json.loads(event.sent)
        return isinstance(sent, dict) and sent.get("from") == self._form

    def _leave_out(self, field: str, count: int = 1) -> None:
        if not self._lossy:
            raise InvalidInput(
                "cannot_hold",
                f"{self._form} has no place for {WORDS[field]}, which this log has: write jsonl or parquet, or say "
                "--lossy to leave them out",
            )
        self.left_out[field] += count
