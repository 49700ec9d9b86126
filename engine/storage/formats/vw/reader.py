"""Reads the rewarded decisions of a log in Vowpal Wabbit's text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ....contexts import concat_contexts
from ....errors import InvalidInput
from ....featuriser.pages import EVENTS, FEATURES, Pages, Stretch, Unsure
from ....featuriser.vw_lines import ACTION, LINE, SIZE, empty_runs, read_runs
from ....vocabulary import Array, Columns, Features, Problem
from ...log import no_good_line, reading
from ...rows import Page, Rows, Wanted
from ...source import Source
from ..segments import Segments
from .features import encoded, encoder_of, features_of, segment_of, vw_problem
from .labels import BadEvent, Decision, Text, decision_of
from .texts import blocks_of, pieces_of, runs_in, texts_in

PAGE = 10_000  # events


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions. Bad events are counted and named, by their first line; the others are read.

    A segment is a feature of the shared context, "namespace.feature": its value, or of `feature=value` that.
    """
    rows = Rows()
    try:
        with reading(source.path, "a log of Vowpal Wabbit's text"):
            numbered, blocks = blocks_of(source)
            reader = _Reader(rows, wanted, numbered)
            if numbered or not wanted.contexts or wanted.dimension is not None or wanted.segment is not None:
                reader.read_texts(texts_in(source, numbered, blocks, rows.bad_lines))
            else:
                reader.read_pieces(pieces_of(source, blocks, rows.bad_lines))
        if not rows.decisions:
            raise no_good_line(source.path, rows.bad_lines)
    except InvalidInput:
        rows.close()
        raise
    rows.problem = reader.problem
    k = rows.problem.n_arms
    rows.finish = lambda page: page._replace(columns=_completed(page.columns, k))
    return rows


class _Read(NamedTuple):
    number: int
    decision: Decision
    context: Any  # of one row, None where none is wanted
    segment: Any


class _Reader:
    """Makes pages of events."""

    def __init__(self, rows: Rows, wanted: Wanted, numbered: bool) -> None:
        self._rows, self._wanted, self._numbered = rows, wanted, numbered
        self._encoder = encoder_of(wanted.dimension, numbered)
        self._segments = Segments(rows.segments)
        self._n_arms = wanted.n_arms or 1 if numbered else 1
        self._nonzeros = 1

    def read(self, text: Text) -> _Read | None:
        """Return what an event says, or None where it is bad."""
        try:
            decision = decision_of(text, self._numbered, self._wanted.n_arms)
            context = segment = None
            if self._wanted.contexts or self._wanted.segment is not None:
                shared, actions, _ = features_of(text, self._numbered)
                if self._wanted.contexts:
                    context = encoded(shared, actions, self._encoder, self._numbered)
                if self._wanted.segment is not None:
                    segment = segment_of(shared, self._wanted.segment)
        except BadEvent as bad:
            bad.tell(self._rows.bad_lines, text.number)
            return None
        return _Read(text.number, decision, context, segment)

    def read_texts(self, texts: Iterable[Text]) -> None:
        """Read events one by one."""
        good = (found for text in texts if (found := self.read(text)) is not None)
        while page := list(islice(good, PAGE)):
            self.append(page)

    def read_pieces(self, pieces: Iterable[tuple[bytes, int]]) -> None:
        """Read action sets with their features, many at once where compiled code is there."""
        pages = Pages(read_runs, empty_runs(min(PAGE, EVENTS)), self._encoder.slots_wanted)
        parts: list[Stretch] = []
        n, features = 0, 0
        for piece, line in pieces:
            for found in pages.read(piece, line) if pages.can_read(piece) else [Unsure(piece, line + 1)]:
                for part in [found] if isinstance(found, Stretch) else self._parts(found):
                    parts.append(part)
                    n += len(part.event)
                    features += len(part.context.index)
                    if n >= PAGE or features >= FEATURES // 2:  # those of one stretch are not copied once more
                        self._append_parts(parts)
                        parts, n, features = [], 0, 0
        if parts:
            self._append_parts(parts)

    def _parts(self, lines: Unsure) -> Iterator[Stretch]:
        """Yield events that are read one by one."""
        for text in runs_in(lines.text, lines.line - 1):
            read = self.read(text)
            if read is not None:
                decision = read.decision
                event = np.zeros((1, 7), np.int64)
                event[0, [LINE, ACTION, SIZE]] = read.number, decision.action, decision.size
                yield Stretch(event, np.array([[decision.reward, decision.propensity]]), read.context)

    def _append_parts(self, parts: list[Stretch]) -> None:
        """Add a page."""
        event = np.concatenate([part.event for part in parts])
        number, action, size = (event[:, column].copy() for column in (LINE, ACTION, SIZE))
        reward, propensity = np.concatenate([part.label for part in parts]).T.copy()
        n, largest = len(number), int(size.max())
        context = concat_contexts([part.context for part in parts])
        self._rows.decisions += n
        self._n_arms = max(self._n_arms, largest)
        self._nonzeros = max(self._nonzeros, int((context.start[:, -1] - context.start[:, 0]).max()))
        same = bool((size == largest).all())
        mask = np.arange(largest + 1) < (size[:1] if same else size)[:, np.newaxis]
        columns = Columns(np.zeros(n, np.int8), number, action, propensity, reward, np.zeros((n, 0)), context, mask)
        self._rows.append(Page(columns, number, np.zeros(n, np.int64)))

    def append(self, page: list[_Read]) -> None:
        """Add a page."""
        n = len(page)
        self._rows.decisions += n
        largest = max(each.decision.size for each in page)
        self._n_arms = max(self._n_arms, largest)
        context: Any = np.zeros((n, 0))
        if self._wanted.contexts:
            context = concat_contexts([each.context for each in page])
            if isinstance(context, Features):
                self._nonzeros = max(self._nonzeros, *(len(each.context.index) for each in page))
        numbers = np.array([each.number for each in page], np.int64)
        place = np.zeros(n, np.int64)
        if self._wanted.segment is not None:
            place = self._segments.places(each.segment for each in page)
        columns = Columns(
            np.zeros(n, np.int8),
            numbers,
            np.array([each.decision.action for each in page], np.int64),
            np.array([each.decision.propensity for each in page]),
            np.array([each.decision.reward for each in page]),
            np.zeros((n, 0)),
            context,
            _masks([each.decision for each in page], largest, self._numbered),
        )
        self._rows.append(Page(columns, numbers, place))

    @property
    def problem(self) -> Problem:
        """Return the problem of all pages so far."""
        return vw_problem(self._n_arms, self._nonzeros, self._encoder, self._numbered, self._wanted.contexts)


def _masks(decisions: list[Decision], k: int, numbered: bool) -> Array:
    """Return which actions could be chosen, bool[n, k + 1], or bool[1, k + 1]; the last stands for all from k on."""
    if all(each.listed is None and (numbered or each.size == k) for each in decisions):
        mask = np.ones((1, k + 1), np.bool_)
        mask[0, k] = numbered
        return mask
    masks = np.zeros((len(decisions), k + 1), np.bool_)
    for mask, each in zip(masks, decisions, strict=True):
        if each.listed is not None:
            mask[list(each.listed)] = True
        else:
            mask[: None if numbered else each.size] = True
    return masks


def _completed(columns: Columns, k: int) -> Columns:
    """Return a page as it is once the whole log was read: with room for k actions."""
    known = columns.available.shape[1] - 1
    mask = np.concatenate([columns.available[:, :known], np.repeat(columns.available[:, known:], k - known, 1)], 1)
    context = columns.context
    if isinstance(context, Features):
        context = context._replace(start=np.pad(context.start, ((0, 0), (0, k - known)), mode="edge"))
    elif context.ndim == 3:
        context = np.pad(context, ((0, 0), (0, k - known), (0, 0)))
    return columns._replace(context=context, available=mask)
