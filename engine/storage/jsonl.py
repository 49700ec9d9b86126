"""JSON lines: our own export, which people can read and `verify` can check, and plain tables of decisions.

An export begins with a header, {"onearm": 1, "problem": {...}, "experiment": {...}}, and goes on with one
event a line:

    {"kind": "decide", "seq": 1, "number": 0, "action": 2, "propensity": 0.25, "context": [0.5, -1.0]}
    {"kind": "learn", "seq": 2, "number": 0, "reward": 1.0}
    {"kind": "change", "seq": 3, "detail": "..."}
    {"kind": "given", "seq": 4, "number": 1, "action": 0, "propensity": 0.5}

A context with a row for each action is a list of those rows; one of named features a list of 1 + k lists, the shared
row first, of slot, value, slot, value ... A propensity of null is unknown; `available` lists the arms (of action sets:
the positions) that could be chosen, and is left out where all could. Where arms stream, an action is a list, [what,
slot, pulls], and a learn line has a `detail`, [pulls done, arm read]: `engine/actions.py`.

A plain table has one decision a line, {"action": 2, "reward": 1.0}, with propensity and context if they are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np

from onearm.engine.actions import empty_actions, unpack_actions
from onearm.engine.columns import empty
from onearm.engine.contexts import (
    actions_in,
    checked_features,
    context_at,
    n_actions,
    row_slice,
    take_contexts,
    unpack_contexts,
)
from onearm.engine.errors import Damaged
from onearm.engine.storage.log import (
    BadLines,
    Log,
    gathered,
    header_of,
    log_of_events,
    log_of_table,
    read_header,
    reading,
)
from onearm.engine.vocabulary import CHANGE, DECIDE, GIVEN, LEARN, Array, Columns, Features, Problem

if TYPE_CHECKING:
    from onearm.engine.storage.sql import Event

PAGE = 10_000  # lines

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Decide(msgspec.Struct, tag_field="kind", tag="decide", omit_defaults=True, kw_only=True):
    """A decision."""

    seq: Natural
    number: Natural
    action: int | list[float]
    propensity: float | None
    context: list[Any] | None = None
    available: list[Natural] | None = None
    decision_id: str | None = None
    sent: str | None = None
    time: int | None = None  # microseconds since 1970 UTC


class Given(Decide, tag="given"):
    """A decision that someone else made, to be learned from."""


class Learn(msgspec.Struct, tag_field="kind", tag="learn", omit_defaults=True, kw_only=True):
    """A reward."""

    seq: Natural
    number: Natural
    reward: float
    detail: list[float] | None = None
    reward_id: str | None = None
    sent: str | None = None
    time: int | None = None


class Change(msgspec.Struct, tag_field="kind", tag="change", omit_defaults=True, kw_only=True):
    """Something that is neither."""

    seq: Natural
    detail: str | None = None
    sent: str | None = None
    time: int | None = None


class Row(msgspec.Struct, kw_only=True):
    """A line of a plain table: a decision with its reward."""

    kind: Literal["row"] = "row"
    action: int
    reward: float
    propensity: float | None = None
    context: list[Any] | None = None


class Writer:
    """An export under way; used in a `with` statement.

    `experiment` is what `verify` needs to make the decisions again: {"policy": spec, "seed": text, ...}.
    """

    def __init__(self, path: Path, problem: Problem, experiment: dict[str, Any]) -> None:
        self._problem = problem
        self._encoder = msgspec.json.Encoder()
        self._file = path.open("wb")
        self._file.write(self._encoder.encode(header_of(problem, experiment)) + b"\n")
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
                lines.append(Learn(seq=self._seq, number=number, reward=reward, detail=detail or None))
                continue
            mask = columns.available[min(row, len(columns.available) - 1)] if masked else None
            lines.append(
                Decide(
                    seq=self._seq,
                    number=number,
                    action=action,
                    propensity=propensity,
                    context=_as_list(context_at(columns.context, row)) if has_context else None,
                    available=None if mask is None or mask.all() else np.flatnonzero(mask).tolist(),
                )
            )
        self._file.write(self._encoder.encode_lines(lines))

    def write_events(self, events: Iterable[Event]) -> None:
        """Write rows of the database."""
        self._file.write(self._encoder.encode_lines([self._line(event) for event in events]))

    def _line(self, event: Event) -> Decide | Learn | Change:
        if event.kind == CHANGE:
            return Change(seq=event.seq, detail=event.detail, sent=event.sent, time=event.time)
        assert event.number is not None
        if event.kind == LEARN:
            assert event.reward is not None
            return Learn(
                seq=event.seq,
                number=event.number,
                reward=event.reward,
                detail=None if event.detail is None else msgspec.json.decode(event.detail),
                reward_id=event.reward_id or None,
                sent=event.sent,
                time=event.time,
            )
        context, k = None, self._problem.n_choices
        if event.context is not None:
            context = _as_list(context_at(unpack_contexts([event.context], self._problem), 0))
            k = int(n_actions([event.context], self._problem)[0])
        mask = None
        if event.available is not None:
            mask = np.unpackbits(np.frombuffer(event.available, np.uint8), count=k)
        return (Given if event.kind == GIVEN else Decide)(
            seq=event.seq,
            number=event.number,
            action=unpack_actions([event.vector], [event.action], self._problem)[0].tolist(),
            propensity=event.propensity,
            context=context,
            available=None if mask is None else np.flatnonzero(mask).tolist(),
            decision_id=event.decision_id,
            sent=event.sent,
            time=event.time,
        )


def read(path: Path) -> Log:
    """Read an export, or a plain table of decisions. Bad lines are counted and named; the others are read."""
    bad_lines = BadLines()
    with reading(path, "a file of JSON lines"), path.open("rb") as file:
        if _is_header(header := file.readline()):
            problem, spec = read_header(path, header)
            lines = _decoded(file, msgspec.json.Decoder(Decide | Given | Learn | Change), bad_lines, start=2)
            pages = [_events(page, problem, bad_lines) for page in _pages(lines)]
            return log_of_events(problem, spec, pages, bad_lines)
        file.seek(0)
        table = _pages(_decoded(file, msgspec.json.Decoder(Row), bad_lines, start=1))
        return log_of_table(path, list(_rows(table, bad_lines)), bad_lines)


def _is_header(line: bytes) -> bool:
    try:
        header = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(header, dict) and "onearm" in header


def _decoded(
    file: IO[bytes], decoder: msgspec.json.Decoder[Any], bad_lines: BadLines, start: int
) -> Iterator[tuple[int, Any]]:
    """Yield the lines that can be decoded, each with its number; count the others."""
    for number, line in enumerate(file, start):
        try:
            yield number, decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if line.strip():
                bad_lines.add(_kind_of(error, complete=line.endswith(b"\n")), number)


def _kind_of(error: Exception, *, complete: bool) -> str:
    """Name what is wrong with a line."""
    if not isinstance(error, msgspec.ValidationError):
        return "not_json" if complete else "truncated"
    text = str(error)
    if "missing required field" in text:
        return "unknown_kind" if "`kind`" in text else "missing_field"
    return "unknown_kind" if "$.kind" in text else "wrong_type"


def _pages(lines: Iterator[tuple[int, Any]]) -> Iterator[list[tuple[int, Any]]]:
    while page := list(islice(lines, PAGE)):
        yield page


def _events(page: list[tuple[int, Any]], problem: Problem, bad_lines: BadLines) -> tuple[Columns, Array]:
    """Return the DECIDE, GIVEN and LEARN lines of a page, with their numbers."""
    good: list[tuple[int, Any]] = []
    contexts: list[Any] = []  # of one row each, of DECIDE lines
    source: list[int] = []  # for each good line its place among these
    masks: list[Array | None] = []
    for number, line in page:
        if isinstance(line, Change):
            continue
        if isinstance(line, Decide):
            context = _context_of(line.context, problem)
            if context is None:
                bad_lines.add("bad_context", number)
                continue
            mask = None
            if line.available is not None:
                mask = np.zeros(actions_in(context, problem), np.bool_)
                if not line.available or max(line.available) >= len(mask):
                    bad_lines.add("bad_available", number)
                    continue
                mask[line.available] = True
            masks.append(mask)
            source.append(len(contexts))
            contexts.append(context)
        else:
            source.append(0)  # any will do: the decision's is filled in
        good.append((number, line))
    context, available = gathered(contexts, masks, problem)
    _, lines = zip(*good, strict=True) if good else ((), ())
    columns = Columns(
        np.array([_kind(line) for line in lines], np.int8),
        np.array([line.number for line in lines], np.int64),
        _actions([line.action if isinstance(line, Decide) else None for line in lines], problem),
        np.array([_or_nan(line.propensity) if isinstance(line, Decide) else math.nan for line in lines]),
        np.array([line.reward if isinstance(line, Learn) else math.nan for line in lines]),
        np.array([_detail_of(line, problem) for line in lines]).reshape(len(lines), problem.detail_length),
        take_contexts(context, np.array(source, np.int64)),
        available if len(available) == 1 else available[source],
    )
    return columns, np.array([number for number, _ in good], np.int64)


def _actions(actions: list[Any], problem: Problem) -> Array:
    """Return actions as they stand in lines, None counting as 0; what is none of this problem becomes -1 or NaN."""
    found = empty_actions(len(actions), problem)
    if problem.action_kind == "vector":
        for row, action in zip(found, actions, strict=True):
            fits = isinstance(action, list) and len(action) == len(row)
            row[:] = 0.0 if action is None else action if fits else math.nan
        return found
    rows = found[:, np.newaxis] if found.ndim == 1 else found
    for row, action in zip(rows, actions, strict=True):
        numbers = action if isinstance(action, list) else [action or 0] * (len(row) if action is None else 1)
        row[:] = [_in_range(number) for number in numbers] if len(numbers) == len(row) else -1
    return found


def _detail_of(line: Decide | Learn, problem: Problem) -> list[float]:
    """Return the detail of a line, NaN where there is none of this problem's length."""
    detail = line.detail or [] if isinstance(line, Learn) else []
    return detail if len(detail) == problem.detail_length else [math.nan] * problem.detail_length


def _kind(line: Decide | Learn) -> int:
    if isinstance(line, Given):
        return GIVEN
    return DECIDE if isinstance(line, Decide) else LEARN


def _rows(pages: Iterator[list[tuple[int, Any]]], bad_lines: BadLines) -> Iterator[tuple[Columns, Array]]:
    """Yield the lines of a plain table page by page; the first line's context fixes the shape of all."""
    shape: tuple[int, ...] | None = None
    for page in pages:
        good: list[tuple[int, Row, Array]] = []
        for number, line in page:
            context = _context(line.context or [], shape)
            if context is None:
                bad_lines.add("bad_context", number)
                continue
            shape = context.shape
            good.append((number, line, context))
        if shape is None or not good:
            continue
        columns = empty(len(good), Problem(1, shape))
        columns.action[:] = [_in_range(line.action) for _, line, _ in good]
        columns.propensity[:] = [_or_nan(line.propensity) for _, line, _ in good]
        columns.reward[:] = [line.reward for _, line, _ in good]
        columns.context[:] = [context for _, _, context in good]
        yield columns, np.array([number for number, _, _ in good], np.int64)


def _context_of(values: list[Any] | None, problem: Problem) -> Any:
    """Return a context of this problem as one row of contexts, or None where it is none."""
    if problem.context_kind == "named":
        try:
            rows = [np.array(row, np.float64) for row in values or []]
            start = np.cumsum([0, *(len(row) // 2 for row in rows)])
            whole = np.concatenate([np.zeros(0), *rows])
            index = whole[::2].astype(np.int64)
            if any(row.ndim != 1 or len(row) % 2 for row in rows) or (index != whole[::2]).any() or (index < 0).any():
                return None
            return checked_features(start, index.astype(np.uint32), whole[1::2].copy(), problem)
        except (TypeError, ValueError, OverflowError, Damaged):
            return None
    shape = problem.context_shape
    if problem.context_kind == "actions":
        if not values or len(values) > problem.n_arms:
            return None
        shape = (len(values), shape[1])
    context = _context(values, shape) if shape != (0,) else np.zeros(0)
    return None if context is None else context[np.newaxis]


def _as_list(context: Any) -> list[Any]:
    """Return a context as it stands in a line."""
    if not isinstance(context, Features):
        return list(context.tolist())
    pairs = [context.index.tolist(), context.value.tolist()]
    rows = (row_slice(context, row) for row in range(len(context.start) - 1))
    return [[number for pair in zip(*(part[row] for part in pairs), strict=True) for number in pair] for row in rows]


def _context(values: list[Any] | None, shape: tuple[int, ...] | None) -> Array | None:
    """Return the context as float64 of this shape (of any, without one), or None where it is not of it."""
    try:
        context = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return context if shape is None and context.ndim else context if context.shape == shape else None


def _in_range(action: float) -> int:
    """Return an int64; what is not whole or does not fit becomes -1, which no arm is."""
    return int(action) if 0 <= action < 2**63 and action == int(action) else -1


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
