"""Tables as lines of text, a decision and its reward on each: how they become events, and events lines again.

The line of a table is kept in `Event.sent`, and its header in the spec: so a way back gives the same lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from ...errors import InvalidInput
from ...vocabulary import DECIDE, EXTERNAL, LEARN, Problem
from ..events import Events
from ..numerals import number_in
from ..records import Event
from ..source import Source
from ..spool import Joined
from .packed import open_packed
from .texts import bytes_of, text_of


def line_texts(source: Source) -> Iterator[tuple[int, str]]:
    """Yield every line with its number, without its newline."""
    for number, line in source.lines():
        yield number, text_of(line.removesuffix(b"\n"))


def described_events(events: Events, spec: dict[str, Any], known_of: Callable[[str], dict[str, Any]]) -> Events:
    """Return events with what else their lines say, {"time", "decision_id"}; NaN is no reward. Adds to the spec."""

    def rows() -> Iterator[Event]:
        seq = 0
        known: dict[str, Any] = {}
        for event in events.rows:
            if event.kind == LEARN and event.reward != event.reward:
                continue
            seq += 1
            if event.kind == EXTERNAL:
                assert event.sent is not None
                known = known_of(json.loads(event.sent)["line"])
                yield event._replace(seq=seq, **known)
            else:
                yield event._replace(seq=seq, time=known.get("time", 0))

    return replace(events, rows=rows(), spec=events.spec | spec)


class LineWriter:
    """Writes one line a decision, with the sum of its rewards, once all of them are known: in the end.

    To be used in a `with` statement. A decision without a reward is left out where the format has no place for it.
    """

    form: ClassVar[str]
    LACKS: ClassVar[frozenset[str]]  # fields of `Event` that the format has no place for

    def __init__(self, path: Path, problem: Problem, spec: dict[str, Any]) -> None:
        if problem.action_kind != "arm" or problem.layout != "dense":
            raise InvalidInput(
                "cannot_hold",
                f"{self.form} holds arms that are numbered once for all, and rows of numbers as contexts: this log "
                f"is of {problem.action_kind}s with {problem.layout} contexts; write jsonl or parquet",
            )
        self.unrewarded = 0  # decisions that were left out
        self._problem, self._spec = problem, spec if spec.get("from") == self.form else {}
        self._joined = Joined()
        self._file = open_packed(path)

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._file.close()

    def write_events(self, events: Iterable[Event]) -> None:
        """Take events, behind those taken before. Raises `InvalidInput` where one of them cannot be held."""
        for event in events:
            if event.kind in (DECIDE, EXTERNAL):
                self.check(event)
            self._joined.append(event)

    def check(self, event: Event) -> None:
        """Raise `InvalidInput` where a decision cannot be held."""

    def header(self) -> str | None:
        """Return the first line, where there is one."""
        return None

    def line(self, event: Event, reward: float | None, row: int) -> str | None:
        """Return the line of a decision, the row-th from 0, or None where there is no place for it."""
        raise NotImplementedError

    def original(self, event: Event) -> str | None:
        """Return the line that an event was read from, where it was one of this format."""
        if event.sent is None or not self._spec:
            return None
        sent = json.loads(event.sent)
        is_line = isinstance(sent, dict) and sent.get("from") == self.form and isinstance(sent.get("line"), str)
        return sent["line"] if is_line else None

    def _finish(self) -> None:
        if (header := self.header()) is not None:
            self._file.write(bytes_of(header) + b"\n")
        for row, (event, reward) in enumerate(self._joined):
            line = self.line(event, reward, row)
            if line is None:
                self.unrewarded += 1
            else:
                self._file.write(bytes_of(line) + b"\n")


def with_reward(
    line: str, cells: list[str], place: int, reward: float, text: str, join: Callable[[list[str]], str]
) -> str:
    """Return a line whose reward is this one: as it stands where it says so, else with another cell `place`."""
    same = place < len(cells) and number_in(cells[place]) == reward
    return line if same else join([*cells[:place], text, *cells[place + 1 :]])
