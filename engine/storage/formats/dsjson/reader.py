"""Reads the rewarded decisions of a dsjson log."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ....contexts import concat_contexts
from ....errors import InvalidInput, counted
from ....features import Encoder
from ....featuriser.dsjson_lines import (
    KEPT,
    PROPENSITY,
    RELABELLED,
    REWARD,
    UNOBSERVED,
    empty_lines,
    read_lines,
)
from ....featuriser.pages import EVENTS, Pages, Stretch
from ....featuriser.vw_lines import ACTION, LINE, SIZE
from ....vocabulary import Array, Columns, Features, Problem
from ...log import Log, no_good_line, reading
from ...rows import Page, Rows, Wanted
from ...source import Source
from ..segments import Segments
from .blocks import Labels, joined, labels_of, n_lines, pieces, usual
from .labels import Line, line_of
from .laws import laws_of
from .shares import Shares

BISECT = 32  # lines; so few are read one by one where one of them is bad


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions. Bad lines are counted and named; the others are read.

    Contexts are named features, or rows of numbers where `wanted` has a dimension. A segment is a key of the line, or
    a feature of the shared context: "namespace.feature".
    """
    return _read(source, wanted, Encoder(dimension=wanted.dimension))


def read(path: Path, encoder: Encoder | None = None) -> Log:
    """Read a log at once, with the features that `encoder` makes."""
    with _read(Source(path), Wanted(), encoder or Encoder()) as rows:
        if not len(rows):
            raise no_good_line(path, rows.bad_lines)
        return Log(rows.problem, rows=rows.columns(), bad_lines=rows.bad_lines)


def _read(source: Source, wanted: Wanted, encoder: Encoder) -> Rows:
    reader = _Reader(wanted, encoder)
    try:
        with reading(source.path, "a dsjson log"):
            for block in source.blocks(share=2):  # more at a time takes a tenth longer
                reader.read(block)
        if source.broken is not None:
            reader.bad_lines.add("truncated", reader.lines + 1)
        if not reader.rows.decisions:
            raise no_good_line(source.path, reader.bad_lines)
        return reader.finished()
    except InvalidInput:
        reader.rows.close()
        raise


class _Reader:
    """Reads blocks of lines into rows."""

    def __init__(self, wanted: Wanted, encoder: Encoder) -> None:
        self.rows = Rows()
        self.bad_lines = self.rows.bad_lines
        self.lines = 0  # read so far
        self._wanted, self._encoder = wanted, encoder
        self._segments = Segments(self.rows.segments)
        self._segment_seen = False
        self._n_arms, self._nonzeros = 1, 1
        self._relabelled = 0
        self._block, self._first = b"", 1  # that is being read, and the number of its first line
        self._shares = Shares()
        self._pages = None
        if wanted.contexts and wanted.segment is None and encoder.dimension is None:
            self._pages = Pages(read_lines, empty_lines(EVENTS), encoder.slots_wanted)

    def read(self, block: bytes) -> None:
        """Read some lines, which follow those that were read before."""
        self._block, self._first = block, self.lines + 1
        if self._pages is not None and self._pages.can_read(block):
            self._read_pages(self._pages, block)
        elif self._wanted.contexts or self._wanted.segment is not None:
            labels, contexts, segments = self._one_by_one(block)
            self._append(labels, concat_contexts(contexts) if contexts else None, segments)
        else:
            parts = [labels for piece in pieces(block) for labels in self._at_once(piece)]
            self._append(joined(parts), None, [])

    def _read_pages(self, pages: Pages, block: bytes) -> None:
        """Read some lines with their features at once, and one by one those that are not as usual."""
        parts, contexts = [], []
        for found in pages.read(block, self.lines):
            if isinstance(found, Stretch):
                event, label, context = found
                self.lines = int(event[-1, LINE])
                kept, unobserved, relabelled = label[:, KEPT], label[:, UNOBSERVED] > 0, label[:, RELABELLED] > 0
                columns = label[:, PROPENSITY], kept, label[:, REWARD], event[:, SIZE], unobserved, relabelled
                parts.append(Labels(event[:, ACTION], *columns, event[:, LINE]))
                contexts.append(context)
            else:
                self.lines = found.line - 1
                labels, some, _ = self._one_by_one(found.text)
                parts.append(labels)
                contexts += some
        self.lines = pages.lines
        if contexts:
            self._append(joined(parts), concat_contexts(contexts), [])

    def _at_once(self, block: bytes) -> list[Labels]:
        """Return lines without their contexts; where one of them is not as usual, the others still are."""
        n = n_lines(block)
        labels = usual(block, n, self.lines + 1, self.bad_lines)
        if labels is not None:
            self.lines += n
            return [labels]
        middle = block.find(b"\n", len(block) // 2) + 1
        if middle in (0, len(block)) or n <= BISECT:
            return [self._one_by_one(block)[0]]
        return [*self._at_once(block[:middle]), *self._at_once(block[middle:])]

    def _one_by_one(self, block: bytes) -> tuple[Labels, list[Any], list[Any]]:
        """Return the labels of rewarded decisions, and as many contexts and segments, where these are wanted."""
        found: list[Line] = []
        numbers: list[int] = []
        contexts: list[Any] = []
        segments: list[Any] = []
        for text in io.BytesIO(block):
            self.lines += 1
            line = line_of(text, self.lines, self.bad_lines)
            if line is None:
                continue
            event, decision = line
            if self._wanted.contexts:
                try:
                    context = _encoded(event["c"], self._encoder)
                except InvalidInput:
                    self.bad_lines.add("bad_features", self.lines)
                    continue
            if np.isnan(decision.reward):
                self.rows.decisions += 1
                continue
            if self._wanted.contexts:
                contexts.append(context)
            if self._wanted.segment is not None:
                segments.append(_segment(event, self._wanted.segment))
            found.append(decision)
            numbers.append(self.lines)
        return labels_of(found, numbers), contexts, segments

    def _append(self, labels: Labels, contexts: Any, segments: list[Any]) -> None:
        """Add a page of rewarded decisions."""
        n = len(labels.number)
        if not n:
            return
        self.rows.decisions += n
        self.rows.unobserved += int(np.count_nonzero(labels.unobserved))
        self._relabelled += int(np.count_nonzero(labels.relabelled))
        self._n_arms = max(self._n_arms, int(labels.size.max()))
        self._shares.add(labels.propensity, labels.kept)
        context: Any = np.zeros((n, 0)) if contexts is None else contexts
        available = labels.size[:, np.newaxis] > np.arange(labels.size.max())
        available = available[:1] if available.all() else available
        if isinstance(context, Features):
            self._nonzeros = max(self._nonzeros, int((context.start[:, -1] - context.start[:, 0]).max()))
        place = np.zeros(n, np.int64)
        if segments:
            self._segment_seen |= any(value is not None for value in segments)
            place = self._segments.places(segments)
        columns = Columns(
            np.zeros(n, np.int8),
            labels.number,
            labels.action,
            labels.propensity * labels.kept,
            labels.reward,
            np.zeros((n, 0)),
            context,
            available,
        )
        page = Page(columns, labels.number, place)
        if self._wanted.law:
            page = page._replace(beside=laws_of(self._block, self._first, labels))
        self.rows.append(page)

    def finished(self) -> Rows:
        """Return the rows, with what is known at the end of the log only."""
        if self._wanted.segment is not None and len(self.rows.segments) and not self._segment_seen:
            raise InvalidInput(
                "bad_segment",
                f"the segment is {self._wanted.segment!r}: no line has it; name a key of the lines, or a feature of "
                "their shared context as namespace.feature",
            )
        k, factor = self._n_arms, self._shares.factor
        self.rows.problem = self._problem()
        self.rows.finish = lambda page: page._replace(
            columns=_completed(page.columns, k, factor), beside=_widened(page.beside, k)
        )
        self.rows.law = np.arange(k) if self._wanted.law else None
        self.rows.notes += self._notes()
        return self.rows

    def _notes(self) -> Iterator[str]:
        if n := self.rows.unobserved:
            of = f"{n:,} of {self.rows.decisions:,}"
            yield f"decisions without an outcome: {of}; their reward is the default of the joiner"
        if self._relabelled:
            yield (
                f"lines with labels for learning (apprentice mode): {self._relabelled:,}; rewards are the observed "
                "ones, of _original_label_cost"
            )
        if n := self.bad_lines.count["dangling_reward"]:
            yield f"left out: {counted(n, 'reward')} without a decision"
        if self._shares.differ:
            yield (
                f"{1 - self._shares.most:g} to {1 - self._shares.least:g} of the events were dropped (pdrop): each row "
                "counts for those like it"
            )
            if self._shares.factor < self._shares.mean:
                self.rows.ratios_only = True
                yield (
                    "these shares are so different that only estimates that divide by the sum of weights are right; "
                    "match, dm and the log's own value are of the events that were kept"
                )

    def _problem(self) -> Problem:
        """Return the problem of the largest action set."""
        k = self._n_arms
        if not self._wanted.contexts:
            return Problem(k)
        if self._encoder.dimension is not None:
            return Problem(k, (k, self._encoder.dimension))
        return Problem(k, (k, 1 << self._encoder.bits), nonzeros=self._nonzeros)


def _encoded(context: dict[str, Any], encoder: Encoder) -> Any:
    """Return the features of a line as one row of contexts."""
    actions = context["_multi"]
    if encoder.dimension is not None:
        return encoder.dense(context, actions)[np.newaxis]
    found = encoder.encode(context, actions)
    return found._replace(start=found.start[np.newaxis])


def _segment(event: dict[str, Any], name: str) -> Any:
    """Return the value of a key of the line, or of a feature of its context; None where it has none."""
    value = event.get(name.lower())
    if value is None:
        found: list[Any] = [event["c"]]
        for part in name.split("."):
            inner = [each[part] for each in found if isinstance(each, dict) and part in each]
            found = [each for part in inner for each in (part if isinstance(part, list) else [part])]
        value = found[0] if found else None
    return None if isinstance(value, dict | list) else value


def _widened(law: Array, k: int) -> Array:
    """Return laws of fewer actions as those of k; nothing stays nothing."""
    return np.pad(law, ((0, 0), (0, k - law.shape[1]))) if len(law) else law


def _completed(columns: Columns, k: int, factor: float) -> Columns:
    """Return a page as it is once the whole log was read: with room for k actions, and with its propensities."""
    more = k - columns.available.shape[1]
    context, available = columns.context, columns.available
    if more:
        available = np.pad(available, ((0, 0), (0, more)))
        if isinstance(context, Features):
            context = context._replace(start=np.pad(context.start, ((0, 0), (0, more)), mode="edge"))
        elif context.ndim == 3:
            context = np.pad(context, ((0, 0), (0, more), (0, 0)))
    return columns._replace(propensity=columns.propensity * factor, context=context, available=available)
