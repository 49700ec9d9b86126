"""Writes a dsjson log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from ....vocabulary import Problem
from ...records import Event
from ...spool import Joined
from ..described import check_decision, check_problem, described, original
from ..packed import open_packed
from .events import EPOCH
from .labels import Line, decision_of

COSTS = ("_label_cost", "_original_label_cost")


class Writer:
    """A dsjson log under way, with one line a decision; used in a `with` statement.

    Rewards may come late: lines are written in the end, in the order of the decisions.
    """

    # Fields of `Event`:
    LACKS = frozenset({"available", "detail", "reward_id", "body_hash", "vector", "unit_id", "policy"})
    NEEDS = frozenset({"propensity"})  # of a decision
    FOLLOWS = frozenset({"available"})  # by leaving out the actions that could not be chosen, which counts others anew

    def __init__(self, path: Path, problem: Problem, spec: dict[str, Any]) -> None:
        check_problem(problem, "dsjson")
        self._problem = problem
        self._file = open_packed(path)
        self._joined = Joined()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.writelines(_written(event, reward, self._problem) for event, reward in self._joined)

    def write_events(self, events: Iterable[Event]) -> None:
        """Write decisions, and their rewards."""
        for event in events:
            check_decision(event, "dsjson")
            self._joined.append(event)


def _written(event: Event, reward: float | None, problem: Problem) -> bytes:
    """Return a decision and its reward as a line: the one that it was read from, where nothing else is known now."""
    text = original(event, "dsjson")
    if text is None:
        line = _described(event, reward, problem)
    else:
        line = msgspec.json.decode(text, type=dict[str, Any])
        was = decision_of({key.lower(): value for key, value in line.items()})
        if isinstance(was, Line) and (np.isnan(was.reward) if reward is None else was.reward == reward):
            return text + b"\n"
        line = {key: value for key, value in line.items() if key.lower() not in COSTS}
    cost = {} if reward is None else {"_label_cost": 0.0 - reward}
    return msgspec.json.encode(cost | line) + b"\n"


def _described(event: Event, reward: float | None, problem: Problem) -> dict[str, Any]:
    """Return a decision that was read from something else; actions that could not be chosen are no part of it."""
    assert event.action is not None
    shared, actions, ids = described(event, problem)
    name = event.decision_id or str(event.number)
    there = _available(event, len(actions))
    chosen = there.index(event.action)
    others = [place + 1 for place in range(len(there)) if place != chosen]
    return {
        "_label_probability": event.propensity,
        "_label_Action": chosen + 1,
        "_labelIndex": chosen,
        "o": [] if reward is None else [{"v": reward, "EventId": name, "ActionTaken": False}],
        **({"Timestamp": _timestamp(event.time)} if event.time else {}),
        "Version": "1",
        "EventId": name,
        "a": [chosen + 1, *others],
        "c": shared | {"_multi": [{"_tag": ids[a]} | actions[a] for a in there]},
    }


def _available(event: Event, n_actions: int) -> list[int]:
    """Return the positions of the actions that could be chosen, of those that there were."""
    if event.available is None:
        return list(range(n_actions))
    mask: list[int] = np.flatnonzero(np.unpackbits(np.frombuffer(event.available, np.uint8), count=n_actions)).tolist()
    return mask


def _timestamp(time: int) -> str:
    return (EPOCH + timedelta(microseconds=time)).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
