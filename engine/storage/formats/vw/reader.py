"""Reads the rewarded decisions of a log in Vowpal Wabbit's text."""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ....contexts import concat_contexts
from ....errors import InvalidInput
from ....vocabulary import Array, Columns, Features, Problem
from ...log import no_good_line, reading
from ...rows import Page, Rows, Wanted
from ...source import Source
from ..segments import Segments
from .features import encoded, encoder_of, features_of, segment_of, vw_problem
from .labels import BadEvent, Decision, Text, decision_of
from .texts import texts_of

PAGE = 10_000  # events


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions. Bad events are counted and named, by their first line; the others are read.

    A segment is a feature of the shared context, "namespace.feature": its value, or of `feature=value` that.
    """
    rows = Rows()
    try:
        with reading(source.path, "a log of Vowpal Wabbit's text"):
            numbered, texts = texts_of(source, rows.bad_lines)
            reader = _Reader(rows, wanted, numbered)
            good = (found for text in texts if (found := reader.read(text)) is not None)
            while page := list(islice(good, PAGE)):
                reader.append(page)
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
            self._rows.bad_lines.add(str(bad), text.number)
            return None
        return _Read(text.number, decision, context, segment)

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
