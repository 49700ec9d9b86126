"""Reads an export, or a plain table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np

from ....actions import pack_action
from ....contexts import actions_in, context_at, pack_context
from ....features import units_of
from ....vocabulary import CHANGE, CORRECTED, DECIDE, EXTERNAL, LEARN, Array, Columns, Problem
from ...arm_labels import arm_labels
from ...bad_lines import BadLines
from ...corrections import Corrected as Correctives
from ...events import Events
from ...joined_form import extent_of
from ...log import Log, begins_of, gathered, log_of_events, read_header, reading, say_what_came_next
from ...records import Event
from ...reward_join import EventPage, RewardJoin, Rewards, in_order, join_of, rows_of_events
from ...rows import PLAIN, Naming, Rows, Wanted
from ...source import Source
from ...windows import CLOSINGS, with_beside
from ..table_rows import events_of_table
from .apart import lines_apart
from .beside import event_of
from .decoding import FORM, Lines, decoded, opened
from .lines import (
    BESIDE,
    Choice,
    Decide,
    External,
    ExternalChoice,
    Learn,
)
from .table import read_table, table_lines
from .values import actions_of, array_of, context_of, detail_of, numbers_of

KINDS = (Choice, ExternalChoice, Decide, External, Learn, *get_args(BESIDE))
CODES: dict[type[Any], int] = {kind: kind.code for kind in KINDS}  # half the time of asking each line for its own


def read(path: Path) -> Log:
    """Read an export, or a plain table of decisions. Bad lines are counted and named; the others are read."""
    bad_lines, source = BadLines(), Source(path)
    with reading(path, FORM):
        header, blocks = opened(source)
        if header is None:
            with read_table(source, blocks, Wanted(), bad_lines) as rows:
                return Log(rows.problem, rows=rows.columns(), bad_lines=bad_lines)
        problem, spec = read_header(path, header)
        pages, changes, corrected = [], list[tuple[int, str]](), []
        for page, lines, numbers in _events(source, header, blocks, problem, bad_lines):
            pages.append(in_order(page, problem))
            corrected.append(page.corrected)
            changes += _changes(lines, numbers, _codes(lines))
        begins, before = begins_of(header), 1 if extent_of(header) is None else 0
        return log_of_events(problem, spec, pages, changes, corrected, bad_lines, header_lines=before, begins=begins)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions of an export, or of a plain table; contexts that are not wanted are not checked.

    A segment is a feature of a dense context, "context[3]", or a key of a plain table.
    """
    bad_lines = BadLines()
    with reading(source.path, FORM):
        header, blocks = opened(source)
        if header is None:
            return read_table(source, blocks, wanted, bad_lines)
        problem, spec = read_header(source.path, header)
        kinds: Any = Decide | External
        if problem.layout == "dense" and not wanted.contexts and wanted.segment is None:
            problem = replace(problem, context_shape=(0,))
        if problem.context_shape == (0,):
            kinds = Choice | ExternalChoice
        changes: list[str] = []

        def pages() -> Iterator[EventPage]:
            for lines, numbers in _lines(source, blocks, bad_lines, kinds):
                code = _codes(lines)
                changes.extend(detail for _, detail in _changes(lines, numbers, code))
                yield _page(lines, numbers, code, problem, bad_lines)

        join = join_of(header, problem, bad_lines)
        rows = rows_of_events(source.path, problem, pages(), join, bad_lines, wanted)
        rows.labels = arm_labels(spec, changes, problem)
        return rows


def read_events(source: Source, naming: Naming = PLAIN) -> Events:
    """Read all that an export says, or the lines of a plain table as decisions of others, each with its reward."""
    bad_lines = BadLines()
    with reading(source.path, FORM):
        header, blocks = opened(source)
        if header is None:
            rows = partial(read_rows, wanted=Wanted(naming=naming, times=naming.reads_times))
            return events_of_table("jsonl", source, rows, table_lines, blocks, naming.unit)
        problem, spec = read_header(source.path, header)
    events = _good_events(source, header, blocks, problem, bad_lines)
    return Events(problem, events, spec, bad_lines, begins_of(header))


def _good_events(
    source: Source, header: bytes, blocks: Iterator[bytes], problem: Problem, bad_lines: BadLines
) -> Iterator[Event]:
    join = RewardJoin(problem, bad_lines)
    with reading(source.path, FORM):
        for page, lines, numbers in _events(source, header, blocks, problem, bad_lines):
            good = join.add(page).lines(page)
            for line, number in zip(lines, numbers.tolist(), strict=True):
                if number in good or (isinstance(line, BESIDE) and line.code != CORRECTED):
                    yield _event(line, problem)


def _event(line: Decide | Learn | BESIDE, problem: Problem) -> Event:
    """Return what a line says as a row of the database."""
    if isinstance(line, BESIDE):
        return event_of(line)
    event = Event(0, line.seq, line.code, sent=line.sent, time=line.time or 0)
    if isinstance(line, Learn):
        if line.closed is not None:
            said = with_beside(CLOSINGS[line.closed], line.detail or [])
            return event._replace(number=line.number, reward=line.reward, detail=said)
        detail = None if line.detail is None else json.dumps(line.detail)
        return event._replace(number=line.number, reward=line.reward, detail=detail, reward_id=line.reward_id or "")
    context = context_of(line.context, problem)
    action = actions_of([line.action], problem)[0]
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
        unit_id=line.unit_id,
        policy=line.policy,
        actions=None if line.actions is None else msgspec.json.encode(line.actions).decode(),
    )


def _events(
    source: Source, header: bytes, blocks: Iterator[bytes], problem: Problem, bad_lines: BadLines
) -> Iterator[tuple[EventPage, list[Any], Array]]:
    """Yield the events of an export of either form page by page, and the lines that they are from.

    With these come their numbers, in the joined form the seqs of the events.
    """
    lines, extent = _lines(source, blocks, bad_lines, Decide | External), extent_of(header)
    if extent is not None:
        bad_lines.place, lines = "event", lines_apart(lines, extent, bad_lines)
    for some, numbers in lines:
        yield _page(some, numbers, _codes(some), problem, bad_lines), some, numbers


def _lines(source: Source, blocks: Iterator[bytes], bad_lines: BadLines, decisions: Any) -> Lines:
    """Yield the lines of an export, and their numbers."""
    return decoded(source, blocks, msgspec.json.Decoder(decisions | Learn | BESIDE), bad_lines, start=2)


def _codes(lines: list[Any]) -> Array:
    """Return what each line is, int8[n]: DECIDE, LEARN ..."""
    return np.fromiter(map(CODES.__getitem__, map(type, lines)), np.int8, len(lines))


def _page(lines: list[Any], numbers: Array, code: Array, problem: Problem, bad_lines: BadLines) -> EventPage:
    """Return the DECIDE, EXTERNAL, LEARN and CORRECTED lines of a page, by the codes of all, int8[n]."""
    decides, learns = (code == DECIDE) | (code == EXTERNAL), code == LEARN
    learned = list(compress(lines, learns.tolist()))
    if problem.states is not None:
        tells = np.array([len(line.detail or ()) == 1 for line in learned], np.bool_)
        closed = np.array([line.closed is not None for line in learned], np.bool_)
        whole = say_what_came_next(tells, closed, numbers[learns], bad_lines)
        learned = list(compress(learned, whole.tolist()))
        learns[learns] = whole
    rewards = Rewards(
        numbers_of([line.number for line in learned], np.int64),
        numbers_of([line.reward for line in learned], np.float64),
        np.array([detail_of(line, problem) for line in learned]).reshape(len(learned), problem.detail_length)
        if problem.detail_length
        else np.zeros((len(learned), 0)),
        numbers[learns],
    )
    others = code == CORRECTED
    told = list(compress(lines, others.tolist()))
    corrected = Correctives(
        numbers_of([line.number for line in told], np.int64),
        numbers_of([line.reward for line in told], np.float64),
        numbers[others],
    )
    decided, code, numbers = list(compress(lines, decides.tolist())), code[decides], numbers[decides]
    context, available, good = _contexts(decided, numbers, problem, bad_lines)
    if not good.all():
        decided, code, numbers = list(compress(decided, good.tolist())), code[good], numbers[good]
    n = len(decided)
    columns = Columns(
        code,
        numbers_of([line.number for line in decided], np.int64),
        actions_of([line.action for line in decided], problem),
        numbers_of([line.propensity for line in decided], np.float64),
        numbers_of([line.reward for line in decided], np.float64),  # in the form of events there is none
        np.full((n, problem.detail_length), np.nan),
        context,
        available,
        units_of([line.unit_id for line in decided]),
        _times(decided),
    )
    return EventPage(columns, numbers, rewards, corrected)


def _changes(lines: list[Any], numbers: Array, code: Array) -> list[tuple[int, str]]:
    """Return the lines that are neither decisions nor rewards, each with its number."""
    return [(int(numbers[row]), lines[row].detail or "") for row in np.flatnonzero(code == CHANGE).tolist()]


def _times(lines: list[Any]) -> Array:
    """Return when decisions were made, int64[n], or int64[1], 0, where no line says it."""
    times = [line.time for line in lines]
    if times.count(None) == len(times):
        return np.zeros(1, np.int64)
    return np.fromiter((time or 0 for time in times), np.int64, len(times))


def _contexts(lines: list[Any], numbers: Array, problem: Problem, bad_lines: BadLines) -> tuple[Any, Array, Array]:
    """Return the contexts and masks of the decisions that have good ones, and which those are, bool[n]."""
    listed = [line.available for line in lines]
    good = np.ones(len(lines), np.bool_)
    if problem.layout == "dense" and listed.count(None) == len(lines):
        shape = (len(lines), *problem.context_shape)
        context = np.zeros(shape) if shape[1:] == (0,) else array_of([line.context for line in lines])
        if context is not None and context.shape == shape:
            return context, np.ones((1, problem.n_choices), np.bool_), good
    contexts: list[Any] = []  # of one row each
    masks: list[Array | None] = []
    for row, (line, number) in enumerate(zip(lines, numbers.tolist(), strict=True)):
        context = context_of(None if problem.context_shape == (0,) else line.context, problem)
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
