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

Lines are decoded some MB at a time, and one by one only where a block holds a bad one: 0.3 us a line instead of 1.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, compress
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from ...actions import empty_actions, pack_action, unpack_actions
from ...columns import empty
from ...contexts import (
    actions_in,
    checked_features,
    context_at,
    n_actions,
    pack_context,
    row_slice,
    unpack_contexts,
)
from ...errors import Damaged, InvalidInput
from ...vocabulary import CHANGE, DECIDE, GIVEN, LEARN, Array, Columns, Features, Problem
from ..events import Events
from ..log import (
    ADVICE,
    BadLines,
    Log,
    gathered,
    header_of,
    log_of_events,
    read_header,
    reading,
)
from ..reward_join import EventPage, RewardJoin, Rewards, in_order, rows_of_events
from ..rows import Rows, Wanted
from ..source import Source
from ..tables import Event
from .packed import open_packed
from .segments import is_feature, reads_contexts
from .table_rows import TablePage, events_of_table, rows_of_table

FORM = "a file of JSON lines"
Lines = Iterator[tuple[list[Any], Array]]  # some that could be decoded, with their numbers, int64[n]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last where brackets are too many
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Choice(msgspec.Struct, tag_field="kind", tag="decide", omit_defaults=True, kw_only=True, gc=False):
    """What is read of a decision where its context is not wanted."""

    code: ClassVar[int] = DECIDE
    seq: Natural
    number: Natural
    action: int | list[float]
    propensity: float | None
    available: list[Natural] | None = None


class GivenChoice(Choice, tag="given"):
    """The same of one that someone else made."""

    code: ClassVar[int] = GIVEN


class Decide(msgspec.Struct, tag_field="kind", tag="decide", omit_defaults=True, kw_only=True, gc=False):
    """A decision."""

    code: ClassVar[int] = DECIDE
    seq: Natural
    number: Natural
    action: int | list[float]
    propensity: float | None
    context: list[Any] | None = None
    available: list[Natural] | None = None
    actions: list[str] | None = None  # their ids, by position
    detail: str | None = None  # why, where that was asked for
    decision_id: str | None = None
    sent: str | None = None
    time: int | None = None  # microseconds since 1970 UTC


class Given(Decide, tag="given"):
    """A decision that someone else made, to be learned from."""

    code: ClassVar[int] = GIVEN


class Learn(msgspec.Struct, tag_field="kind", tag="learn", omit_defaults=True, kw_only=True, gc=False):
    """A reward."""

    code: ClassVar[int] = LEARN
    seq: Natural
    number: Natural
    reward: float
    detail: list[float] | None = None
    reward_id: str | None = None
    sent: str | None = None
    time: int | None = None


class Change(msgspec.Struct, tag_field="kind", tag="change", omit_defaults=True, kw_only=True, gc=False):
    """Something that is neither."""

    code: ClassVar[int] = CHANGE
    seq: Natural
    detail: str | None = None
    sent: str | None = None
    time: int | None = None


class BareRow(msgspec.Struct, kw_only=True, gc=False):
    """What is read of a line of a plain table where its context is not wanted."""

    kind: Literal["row"] = "row"
    action: int
    reward: float
    propensity: float | None = None


class Row(BareRow, kw_only=True, gc=False):
    """A line of a plain table: a decision with its reward."""

    context: list[Any] | None = None


class Writer:
    """An export under way; used in a `with` statement.

    `experiment` is what `verify` needs to make the decisions again: {"policy": spec, "seed": text, ...}.
    """

    def __init__(self, path: Path, problem: Problem, experiment: dict[str, Any]) -> None:
        self._problem = problem
        self._encoder = msgspec.json.Encoder()
        self._file = open_packed(path)
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
            return Change(seq=event.seq, detail=event.detail, sent=event.sent, time=event.time or None)
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
                time=event.time or None,
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
            actions=None if event.actions is None else msgspec.json.decode(event.actions),
            detail=event.detail,
            decision_id=event.decision_id,
            sent=event.sent,
            time=event.time or None,
        )


def read(path: Path) -> Log:
    """Read an export, or a plain table of decisions. Bad lines are counted and named; the others are read."""
    bad_lines, source = BadLines(), Source(path)
    with reading(path, FORM):
        header, blocks = _opened(source)
        if header is None:
            with _table(source, blocks, Wanted(), bad_lines) as rows:
                return Log(rows.problem, rows=rows.columns(), bad_lines=bad_lines)
        problem, spec = read_header(path, header)
        pages = _pages(source, blocks, problem, bad_lines)
        return log_of_events(problem, spec, [in_order(page, problem) for page, _, _ in pages], bad_lines)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions of an export, or of a plain table; contexts that are not wanted are not checked.

    A segment is a feature of a dense context, "context[3]", or a key of a plain table.
    """
    bad_lines = BadLines()
    with reading(source.path, FORM):
        header, blocks = _opened(source)
        if header is None:
            return _table(source, blocks, wanted, bad_lines)
        problem, _ = read_header(source.path, header)
        kinds: Any = Decide | Given
        if problem.context_kind == "dense" and not wanted.contexts and wanted.segment is None:
            problem = replace(problem, context_shape=(0,))
        if problem.context_shape == (0,):
            kinds = Choice | GivenChoice
        pages = _pages(source, blocks, problem, bad_lines, kinds)
        return rows_of_events(source.path, problem, (page for page, _, _ in pages), bad_lines, wanted)


def read_events(source: Source) -> Events:
    """Read all that an export says, or the lines of a plain table as decisions of others, each with its reward."""
    bad_lines = BadLines()
    with reading(source.path, FORM):
        header, blocks = _opened(source)
        if header is None:
            return events_of_table("jsonl", source, lambda again: read_rows(again, Wanted()), _table_lines, blocks)
        problem, spec = read_header(source.path, header)
    return Events(problem, _good_events(source, blocks, problem, bad_lines), spec, bad_lines)


def _good_events(source: Source, blocks: Iterator[bytes], problem: Problem, bad_lines: BadLines) -> Iterator[Event]:
    join = RewardJoin(problem, bad_lines)
    with reading(source.path, FORM):
        for page, lines, numbers in _pages(source, blocks, problem, bad_lines):
            decided, _, learned = join.add(page)
            good = {*page.line[decided].tolist(), *page.rewards.line[learned].tolist()}
            for line, number in zip(lines, numbers.tolist(), strict=True):
                if number in good or isinstance(line, Change):
                    yield _event(line, problem)


def _event(line: Decide | Learn | Change, problem: Problem) -> Event:
    """Return what a line says as a row of the database."""
    event = Event(0, line.seq, line.code, sent=line.sent, time=line.time or 0)
    if isinstance(line, Change):
        return event._replace(detail=line.detail)
    if isinstance(line, Learn):
        detail = None if line.detail is None else json.dumps(line.detail)
        return event._replace(number=line.number, reward=line.reward, detail=detail, reward_id=line.reward_id or "")
    context = _context_of(line.context, problem)
    action = _actions([line.action], problem)[0]
    mask = None if line.available is None else np.isin(np.arange(actions_in(context, problem)), line.available)
    return event._replace(
        number=line.number,
        action=int(action) if problem.is_numbered else None,
        vector=None if problem.is_numbered else pack_action(action),
        propensity=line.propensity,
        context=None if problem.context_shape == (0,) else pack_context(context_at(context, 0), problem),
        available=None if mask is None else np.packbits(mask).tobytes(),
        detail=line.detail,
        decision_id=line.decision_id,
        actions=None if line.actions is None else msgspec.json.encode(line.actions).decode(),
    )


def _opened(source: Source) -> tuple[bytes | None, Iterator[bytes]]:
    """Return the header, None where there is none, and what follows it in blocks of whole lines."""
    blocks = source.blocks()
    first = next(blocks, None)
    if first is None:
        raise InvalidInput("empty_file", f"{source.path} is empty: {ADVICE}")
    header, _, rest = first.partition(b"\n")
    if _is_header(header):
        return header, chain([rest] if rest else [], blocks)
    return None, chain([first], blocks)


def _is_header(line: bytes) -> bool:
    try:
        header = msgspec.json.decode(line)
    except UNREADABLE:
        return False
    return isinstance(header, dict) and "onearm" in header


def _pages(
    source: Source, blocks: Iterator[bytes], problem: Problem, bad_lines: BadLines, kinds: Any = Decide | Given
) -> Iterator[tuple[EventPage, list[Any], Array]]:
    """Yield the events of an export page by page, and the lines that they are from with their numbers."""
    decoder = msgspec.json.Decoder(kinds | Learn | Change)
    for lines, numbers in _decoded(source, blocks, decoder, bad_lines, start=2):
        yield _page(lines, numbers, problem, bad_lines), lines, numbers


def _decoded(
    source: Source, blocks: Iterator[bytes], decoder: msgspec.json.Decoder[Any], bad_lines: BadLines, start: int
) -> Lines:
    """Yield the lines that can be decoded, each with its number; count the others."""
    for block in blocks:
        n = block.count(b"\n") + (not block.endswith(b"\n"))
        try:
            lines = decoder.decode_lines(block)
        except UNREADABLE:
            lines = []
        if len(lines) == n:  # else there are empty ones, or two in one
            yield lines, np.arange(start, start + n)
        else:
            yield _one_by_one(block, decoder, bad_lines, start)
        start += n
    if source.broken is not None:
        bad_lines.add("truncated", start)


def _one_by_one(
    block: bytes, decoder: msgspec.json.Decoder[Any], bad_lines: BadLines, start: int
) -> tuple[list[Any], Array]:
    lines, numbers = [], []
    for number, line in enumerate(io.BytesIO(block), start):
        try:
            lines.append(decoder.decode(line))
            numbers.append(number)
        except UNREADABLE as error:
            if line.strip():
                bad_lines.add(_kind_of(error, complete=line.endswith(b"\n")), number)
    return lines, np.array(numbers, np.int64)


def _kind_of(error: Exception, *, complete: bool) -> str:
    """Name what is wrong with a line."""
    if not isinstance(error, msgspec.ValidationError):
        return "not_json" if complete else "truncated"
    text = str(error)
    if "missing required field" in text:
        return "unknown_kind" if "`kind`" in text else "missing_field"
    return "unknown_kind" if "$.kind" in text else "wrong_type"


def _page(lines: list[Any], numbers: Array, problem: Problem, bad_lines: BadLines) -> EventPage:
    """Return the DECIDE, GIVEN and LEARN lines of a page."""
    code = np.fromiter(map(attrgetter("code"), lines), np.int8, len(lines))
    decides, learns = (code == DECIDE) | (code == GIVEN), code == LEARN
    learned = list(compress(lines, learns.tolist()))
    rewards = Rewards(
        _numbers(learned, "number"),
        np.array(list(map(attrgetter("reward"), learned)), np.float64),
        np.array([_detail_of(line, problem) for line in learned]).reshape(len(learned), problem.detail_length)
        if problem.detail_length
        else np.zeros((len(learned), 0)),
        numbers[learns],
    )
    decided, code, numbers = list(compress(lines, decides.tolist())), code[decides], numbers[decides]
    context, available, good = _contexts(decided, numbers, problem, bad_lines)
    if not good.all():
        decided, code, numbers = list(compress(decided, good.tolist())), code[good], numbers[good]
    n = len(decided)
    columns = Columns(
        code,
        _numbers(decided, "number"),
        _actions(list(map(attrgetter("action"), decided)), problem),
        np.array(list(map(attrgetter("propensity"), decided)), np.float64),
        np.full(n, np.nan),
        np.full((n, problem.detail_length), np.nan),
        context,
        available,
    )
    return EventPage(columns, numbers, rewards)


def _numbers(lines: list[Any], field: str) -> Array:
    return np.fromiter(map(attrgetter(field), lines), np.int64, len(lines))


def _contexts(lines: list[Any], numbers: Array, problem: Problem, bad_lines: BadLines) -> tuple[Any, Array, Array]:
    """Return the contexts and masks of the decisions that have good ones, and which those are, bool[n]."""
    listed = list(map(attrgetter("available"), lines))
    good = np.ones(len(lines), np.bool_)
    if problem.context_kind == "dense" and listed.count(None) == len(lines):
        shape = (len(lines), *problem.context_shape)
        context = np.zeros(shape) if shape[1:] == (0,) else _array([line.context for line in lines])
        if context is not None and context.shape == shape:
            return context, np.ones((1, problem.n_choices), np.bool_), good
    contexts: list[Any] = []  # of one row each
    masks: list[Array | None] = []
    for row, (line, number) in enumerate(zip(lines, numbers.tolist(), strict=True)):
        context = _context_of(None if problem.context_shape == (0,) else line.context, problem)
        if context is None:
            bad_lines.add("bad_context", number)
            good[row] = False
            continue
        mask = None
        if line.available is not None:
            mask = np.zeros(actions_in(context, problem), np.bool_)
            if not line.available or max(line.available) >= len(mask):
                bad_lines.add("bad_available", number)
                good[row] = False
                continue
            mask[line.available] = True
        masks.append(mask)
        contexts.append(context)
    context, available = gathered(contexts, masks, problem)
    return context, available, good


def _actions(actions: list[Any], problem: Problem) -> Array:
    """Return actions as they stand in lines; what is none of this problem becomes -1 or NaN."""
    dtype = np.float64 if problem.action_kind == "vector" else np.int64
    if problem.is_numbered or dtype is np.float64:
        found = _array(actions, dtype)
        if found is not None and found.shape == empty_actions(len(actions), problem).shape:
            return found
    found = empty_actions(len(actions), problem)
    rows = found[:, np.newaxis] if found.ndim == 1 else found
    for row, action in zip(rows, actions, strict=True):
        numbers = action if isinstance(action, list) else [action]
        fits = len(numbers) == len(row) and isinstance(action, list) == (found.ndim == 2)
        if dtype is np.float64:
            row[:] = numbers if fits else math.nan
        else:
            row[:] = [_in_range(number) for number in numbers] if fits else -1
    return found


def _array(values: list[Any], dtype: Any = np.float64) -> Array | None:
    """Return an array of equally long lists, or None where they are none."""
    try:
        return np.array(values, dtype)
    except (TypeError, ValueError, OverflowError):
        return None


def _detail_of(line: Learn, problem: Problem) -> list[float]:
    """Return the detail of a line, NaN where there is none of this problem's length."""
    detail = line.detail or []
    return detail if len(detail) == problem.detail_length else [math.nan] * problem.detail_length


def _table(source: Source, blocks: Iterator[bytes], wanted: Wanted, bad_lines: BadLines) -> Rows:
    """Return the rows of a plain table."""
    contexts = reads_contexts(wanted)
    kind: Any = Row if contexts else BareRow
    name = None if is_feature(wanted.segment) else wanted.segment
    if name is not None and name not in kind.__struct_fields__:
        field = ("segment", Any, msgspec.field(default=None, name=name))
        kind, name = msgspec.defstruct("SegmentRow", [field], bases=(kind,), kw_only=True), "segment"
    lines = _decoded(source, blocks, msgspec.json.Decoder(kind), bad_lines, start=1)
    return rows_of_table(source.path, _table_pages(lines, bad_lines, name, contexts), bad_lines, wanted)


def _table_pages(lines: Lines, bad_lines: BadLines, segment: str | None, contexts: bool) -> Iterator[TablePage]:
    """Yield the lines of a plain table page by page; the first line's context fixes the shape of all."""
    shape: tuple[int, ...] | None = None if contexts else (0,)
    for page, numbers in lines:
        if not page:
            continue
        context = _array([line.context or [] for line in page]) if contexts else np.zeros((len(page), 0))
        if context is None or context.ndim > 3 or context.shape[1:] != (context.shape[1:] if shape is None else shape):
            found = []
            for line in page:
                found.append(_context(line.context or [], shape))
                shape = found[-1].shape if shape is None and found[-1] is not None else shape
            good = np.array([each is not None for each in found], np.bool_)
            bad_lines.add("bad_context", *numbers[~good].tolist())
            page, numbers = list(compress(page, good.tolist())), numbers[good]
            if not page:
                continue
            context = np.array([each for each in found if each is not None])
        shape = context.shape[1:]
        columns = empty(len(page), Problem(1))._replace(context=context)
        columns = columns._replace(
            action=_actions(list(map(attrgetter("action"), page)), Problem(1)),
            propensity=np.array(list(map(attrgetter("propensity"), page)), np.float64),
            reward=np.array(list(map(attrgetter("reward"), page)), np.float64),
        )
        yield TablePage(columns, numbers, None if segment is None else list(map(attrgetter(segment), page)))


def _table_lines(source: Source) -> Iterator[tuple[int, Any]]:
    """Yield the lines of a plain table, each with its number."""
    for number, line in source.lines():
        if line.strip():
            yield number, msgspec.Raw(line.strip())


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
    if shape is None:
        return context if context.ndim in (1, 2) else None
    return context if context.shape == shape else None


def _in_range(action: float) -> int:
    """Return an int64; what is not whole or does not fit becomes -1, which no arm is."""
    return int(action) if 0 <= action < 2**63 and action == int(action) else -1
