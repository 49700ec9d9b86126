"""Writes an export."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec
import numpy as np

from ....actions import unpack_actions
from ....contexts import context_at, n_actions, unpack_contexts
from ....vocabulary import BESIDE, EXTERNAL, LEARN, Columns, Problem
from ...log import header_of
from ...tables import Event
from ...windows import beside_in, why_closed
from ..packed import open_packed
from .beside import line_of
from .lines import BESIDE as LINES
from .lines import Decide, External, Learn
from .values import as_list


class Writer:
    """An export under way; used in a `with` statement.

    `experiment` is what `verify` needs to make the decisions again: {"policy": spec, "seed": text, ...}. `begins` is
    the seq of the base behind which the log begins, 0 without one.
    """

    def __init__(self, path: Path, problem: Problem, experiment: dict[str, Any], begins: int = 0) -> None:
        self._begin(open_packed(path), problem, experiment, begins)

    @classmethod
    def onto(cls, file: IO[bytes], problem: Problem, experiment: dict[str, Any], begins: int = 0) -> Writer:
        """Write to what is open already."""
        writer = cls.__new__(cls)
        writer._begin(file, problem, experiment, begins)
        return writer

    def _begin(self, file: IO[bytes], problem: Problem, experiment: dict[str, Any], begins: int) -> None:
        self._problem = problem
        self._encoder = msgspec.json.Encoder()
        self._file = file
        self._file.write(self._encoder.encode(header_of(problem, experiment, begins)) + b"\n")
        self._seq = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, columns: Columns) -> None:
        """Write events that have no ids and no time, as a simulation's, behind those written before."""
        has_context = self._problem.context_shape != (0,)
        masked = not columns.available.all()
        lines: list[Decide | Learn] = []
        for row, (kind, number, action, propensity, reward, detail) in enumerate(
            zip(*(column.tolist() for column in columns[:6]), strict=True)
        ):
            self._seq += 1
            if kind == LEARN:
                lines.append(Learn(seq=self._seq, number=number, reward=reward, detail=_told(detail)))
                continue
            mask = columns.available[min(row, len(columns.available) - 1)] if masked else None
            lines.append(
                Decide(
                    seq=self._seq,
                    number=number,
                    action=action,
                    propensity=propensity,
                    context=as_list(context_at(columns.context, row)) if has_context else None,
                    available=None if mask is None or mask.all() else np.flatnonzero(mask).tolist(),
                )
            )
        self._file.write(self._encoder.encode_lines(lines))

    def write_events(self, events: Iterable[Event]) -> None:
        """Write rows of the database."""
        self._file.write(self._encoder.encode_lines([self.line(event) for event in events]))

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


def _told(detail: list[float]) -> list[float] | None:
    """Return a detail, None where nothing was told."""
    return None if all(map(math.isnan, detail)) else detail
