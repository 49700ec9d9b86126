"""Writes an export, in the form of events and in the joined one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec
import numpy as np

from ....actions import unpack_actions
from ....contexts import context_at, n_actions, unpack_contexts
from ....vocabulary import BESIDE, EXTERNAL, LEARN, Columns, Problem
from ...joined_form import Extent, JoinedRow, joined_header
from ...log import header_of
from ...records import Event
from ...windows import beside_in, why_closed
from ..packed import open_packed
from .beside import line_of
from .lines import BESIDE as LINES
from .lines import Decide, External, Learn, Learned
from .values import as_list


class _Export:
    """An export under way: what both forms have in common."""

    def __init__(self, file: Path | IO[bytes], problem: Problem, header: dict[str, Any]) -> None:
        self._problem = problem
        self._encoder = msgspec.json.Encoder()
        self._file = open_packed(file) if isinstance(file, Path) else file
        self._file.write(self._encoder.encode(header) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def line(self, event: Event) -> Decide | Learn | LINES:
        """Return the line of a row of the database."""
        if event.kind in BESIDE:
            return line_of(event)
        assert event.number is not None
        if event.kind == LEARN:
            assert event.reward is not None
            closed, detail = why_closed(event), beside_in(event.detail)
            if closed is None and event.detail is not None:
                detail = msgspec.json.decode(event.detail)
            return Learn(
                seq=event.seq,
                number=event.number,
                reward=event.reward,
                detail=detail,
                closed=closed,
                reward_id=event.reward_id or None,
                sent=event.sent,
                time=event.time or None,
            )
        context, k = None, self._problem.n_choices
        if event.context is not None:
            context = as_list(context_at(unpack_contexts([event.context], self._problem), 0))
            k = int(n_actions([event.context], self._problem)[0])
        mask = None
        if event.available is not None:
            mask = np.unpackbits(np.frombuffer(event.available, np.uint8), count=k)
        return (External if event.kind == EXTERNAL else Decide)(
            seq=event.seq,
            number=event.number,
            action=unpack_actions([event.vector], [event.action], self._problem)[0].tolist(),
            propensity=event.propensity,
            context=context,
            available=None if mask is None else np.flatnonzero(mask).tolist(),
            actions=None if event.actions is None else msgspec.json.decode(event.actions),
            detail=event.detail,
            decision_id=event.decision_id,
            unit_id=event.unit_id,
            policy=event.policy,
            sent=event.sent,
            time=event.time or None,
        )


class Writer(_Export):
    """An export under way, in a file that is open already or not; used in a `with` statement.

    `experiment` is what `verify` needs to make the decisions again: {"policy": spec, "seed": text, ...}. `begins` is
    the seq of the base behind which the log begins, 0 without one.
    """

    def __init__(self, file: Path | IO[bytes], problem: Problem, experiment: dict[str, Any], begins: int = 0) -> None:
        super().__init__(file, problem, header_of(problem, experiment, begins))
        self._seq = 0

    def write(self, columns: Columns) -> None:
        """Write events that have no ids and no time, as a simulation's, behind those written before."""
        self._file.write(self._encoder.encode_lines(self._lines(columns)))

    def write_events(self, events: Iterable[Event]) -> None:
        """Write rows of the database."""
        self._file.write(self._encoder.encode_lines([self.line(event) for event in events]))

    def _lines(self, columns: Columns) -> list[Decide | Learn]:
        """Return the lines of events that have no ids and no time."""
        has_context = self._problem.context_shape != (0,)
        masked = not columns.available.all()
        seqs = range(self._seq + 1, self._seq + len(columns.kind) + 1)
        self._seq += len(columns.kind)
        lines: list[Decide | Learn] = []
        for row, (seq, kind, number, action, propensity, reward, detail) in enumerate(
            zip(seqs, *(column.tolist() for column in columns[:6]), strict=True)
        ):
            if kind == LEARN:
                lines.append(Learn(seq=seq, number=number, reward=reward, detail=_told(detail)))
                continue
            mask = columns.available[min(row, len(columns.available) - 1)] if masked else None
            lines.append(
                Decide(
                    seq=seq,
                    number=number,
                    action=action,
                    propensity=propensity,
                    context=as_list(context_at(columns.context, row)) if has_context else None,
                    available=None if mask is None or mask.all() else np.flatnonzero(mask).tolist(),
                )
            )
        return lines


class JoinedWriter(_Export):
    """An export in the joined form under way; used in a `with` statement."""

    def __init__(self, file: Path | IO[bytes], problem: Problem, experiment: dict[str, Any], extent: Extent) -> None:
        super().__init__(file, problem, joined_header(problem, experiment, extent))

    def write_rows(self, rows: Iterable[JoinedRow]) -> None:
        """Write rows of the log of a database."""
        lines = []
        for row in rows:
            line = self.line(row.event)
            if row.learned is not None:
                learned = self.line(row.learned)
                assert isinstance(line, Decide) and isinstance(learned, Learn)
                line.reward, line.learned = row.reward, _learned(learned, row.is_final)
            lines.append(line)
        self._file.write(self._encoder.encode_lines(lines))


def _learned(line: Learn, is_final: bool) -> Learned:
    """Return what was learned as the line of its decision says it, which says the reward where that `is_final`."""
    return Learned(
        seq=line.seq,
        reward=None if is_final else line.reward,
        detail=line.detail,
        reward_id=line.reward_id,
        closed=line.closed,
        sent=line.sent,
        time=line.time,
    )


def _told(detail: list[float]) -> list[float] | None:
    """Return a detail, None where nothing was told."""
    return None if all(map(math.isnan, detail)) else detail
