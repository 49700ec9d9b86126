"""Writes a log in Vowpal Wabbit's text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from ....features import entries_of
from ....vocabulary import Problem
from ...records import Event
from ...spool import Joined
from .. import vw_text
from ..described import check_decision, check_problem, described, original
from ..packed import open_packed
from .labels import Text, decision_of


class Writer:
    """A log in Vowpal Wabbit's text under way; used in a `with` statement.

    Problems with a context for each action become action sets, others numbered arms. Rewards may come late: events are
    written in the end, in the order of the decisions, and those without a reward are left out.
    """

    NEEDS = frozenset({"propensity"})  # of a decision
    LACKS = frozenset({"time", "detail", "reward_id", "body_hash", "vector", "unit_id", "policy"})  # fields of `Event`

    def __init__(self, path: Path, problem: Problem, spec: dict[str, Any]) -> None:
        check_problem(problem, "vw")
        self.unrewarded = 0  # decisions that were left out
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
                end = "\n" if self._problem.layout == "dense" else "\n\n"
                for event, reward in self._joined:
                    if reward is None:
                        self.unrewarded += 1
                        continue
                    self._file.write((_written(event, reward, self._problem) + end).encode())

    def write_events(self, events: Iterable[Event]) -> None:
        """Write decisions, and their rewards."""
        for event in events:
            check_decision(event, "vw")
            self._joined.append(event)


def _written(event: Event, reward: float, problem: Problem) -> str:
    """Return a decision and its reward as text: that which it was read from, where nothing else is known now."""
    numbered = problem.layout == "dense"
    sent = original(event, "vw")
    if sent is not None:
        text: str = msgspec.json.decode(sent, type=str)
        if decision_of(Text(1, text.encode().split(b"\n")), numbered, None).reward == reward:
            return text
    assert event.action is not None
    shared, actions, ids = described(event, problem)
    label = f":{0.0 - reward!r}:{event.propensity!r} "
    tag = f"'{vw_text.word(event.decision_id)} " if event.decision_id else ""
    if numbered:
        named = [entry for entry, row in zip(*entries_of(shared, actions), strict=True) if row == 0]
        arms = "".join(f"{a + 1} " for a in _available(event, problem) if a != event.action)
        return f"{event.action + 1}{label}{arms}{tag}{vw_text.written(vw_text.spaces_of(named))}"
    rows: list[list[tuple[str, str, float]]] = [[] for _ in range(len(actions) + 1)]
    for entry, row in zip(*entries_of(shared, actions), strict=True):
        rows[row].append(entry)
    common, *own = (vw_text.written(vw_text.spaces_of(row)) for row in rows)
    lines = [f"shared {tag}{common}"] if tag or rows[0] else []
    for a, (name, features) in enumerate(zip(ids, own, strict=True)):
        lines.append(f"{f'0{label}' if a == event.action else ''}'{vw_text.word(name)} {features}")
    return "\n".join(lines)


def _available(event: Event, problem: Problem) -> list[int]:
    """Return the arms that could be chosen, none where all could."""
    if event.available is None:
        return []
    mask = np.unpackbits(np.frombuffer(event.available, np.uint8), count=problem.n_arms)
    return [int(a) for a in np.flatnonzero(mask)]
