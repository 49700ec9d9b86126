"""Candidates go through a log together: one read of its pages, a thread for each candidate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from ...engine.estimate.blocks import blocks
from ...engine.replay.matching import NO_PREDICTIONS
from ...engine.replay.targets import Target, at
from ...engine.storage.room import room
from ...engine.storage.rows import Page, Rows, part_of
from ...engine.vocabulary import Array, Columns

ROUNDING = 0.005 + 1e-9  # of a number with two decimals
Predict = Callable[[Page], Array]  # what a model expects of every action, float64[n, k]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class ReadBeside:
    """Columns that were read beside the decisions of a log."""

    beside: Any  # of engine/storage/formats/own_columns.py
    place: int  # in `Wanted.beside`

    def names(self, rows: Rows) -> list[str]:
        """Return the columns."""
        return rows.beside[self.place]

    def start(self, rows: Rows) -> int:
        """Return the place of the first of them among the cells of a page."""
        return sum(map(len, rows.beside[: self.place]))


@dataclass(frozen=True)
class Readings:
    """A log as candidates read it. All hold the same rows, read in different ways, and may be the same object."""

    main: Rows  # as models of the reward read it
    each: Sequence[Rows]  # as each candidate reads it
    own: Mapping[str, ReadBeside] = field(default_factory=dict)  # columns of targets, by their labels
    model: ReadBeside | None = None  # columns of predictions

    @cached_property
    def facts(self) -> Facts:
        """What was logged; gathered in one pass."""
        return logged(self.main)


@dataclass(frozen=True)
class Facts:
    """What was logged, n rows."""

    reward: Array  # float64[n]
    propensity: Array  # float64[n]
    action: Array  # int64[n]
    choices: Array  # int64[n], how many actions were available
    segment: Array  # int64[n], place in `Rows.segments`
    unit: Array  # uint64[n], whom each decision was for; of no length where all were for nobody

    @property
    def even(self) -> bool:
        """Whether each action was taken with 1 over how many were available, as far as numbers are rounded."""
        return all(
            np.allclose(self.propensity[some] * self.choices[some], 1.0, rtol=1e-6, atol=0.0)
            for some in blocks(len(self.reward))
        )

    @property
    def drawn_uniformly(self) -> bool:
        """Whether the same is so of propensities that were written with two decimals or more, and so are equal.

        For a bound of weights that is too little: 1 / 0.33 is above 3, and 1 / 0.34 below.
        """
        counts = np.unique(self.choices if self.choices.strides[0] else self.choices[:1])
        for count in counts.tolist():
            some = self.propensity if len(counts) == 1 else self.propensity[self.choices == count]
            least, most = float(some.min()), float(some.max())
            if not (most <= least * (1.0 + 1e-6) and abs(most - 1.0 / count) <= ROUNDING):
                return False
        return True


@dataclass(frozen=True)
class Scores:
    """What one candidate makes of n rows."""

    chosen: Array  # int64[n]
    target: Array  # float64[n], the probability with which it takes the logged action
    predicted: Array  # float64[n], of the logged action by the model; of no length without one
    expected: Array  # float64[n], the mean of the predictions by the candidate's law; of no length without a model


def logged(rows: Rows) -> Facts:
    """Return the columns of a log that do not depend on a candidate."""
    n, start = len(rows), 0
    reward, propensity, action, unit = room(n), room(n), room(n, np.int64), np.zeros(0, np.uint64)
    choices, segment = np.broadcast_to(np.int64(0), n), np.broadcast_to(np.int64(0), n)
    for page in rows.blocks():
        columns, part = page.columns, slice(start, start + len(page.line))
        if len(page.line) == n:
            reward, propensity, action = columns.reward, columns.propensity, columns.action
        else:
            reward[part], propensity[part], action[part] = columns.reward, columns.propensity, columns.action
        choices = _put(choices, part, columns.available.sum(axis=1))
        if rows.segments:
            segment = _put(segment, part, page.segment)
        if columns.unit.any() and not len(unit):
            unit = room(n, np.uint64)  # zeros: NOBODY
        if len(unit):
            unit[part] = columns.unit
        start = part.stop
    return Facts(reward, propensity, action, choices, segment, unit)


def _put(column: Array, part: slice, values: Array) -> Array:
    """Return a column with values, int64[m] or one for all, in a part behind which nothing is yet.

    It stays one number for all rows as long as it can.
    """
    if len(values) == 1 and not column.strides[0] and (not part.start or column[0] == values[0]):
        return np.broadcast_to(values[0], len(column))
    if not column.strides[0]:
        alike, column = column, room(len(column), np.int64)
        column[: part.start] = alike[: part.start]
    column[part] = values
    return column


def judge(
    targets: Sequence[Target],
    log: Readings,
    *,
    predict: Sequence[Predict] = (),
    after: Callable[[Columns], None] = lambda page: None,
    smallest: int | None = None,
    advance: Advance = lambda rows: None,
) -> list[Scores]:
    """Let targets go through a log.

    `predict` holds nothing, or for each target what is expected of the actions of a page of `log.main`; `after` is told
    each page of that one when all are through with it. With `smallest` the first pages are cut to so many rows, and the
    next ones grow, none longer than all before it: for models that know only the past.
    """
    n = len(log.main)
    modelled = n if predict else 0
    found = [Scores(room(n, np.int64), room(n), room(modelled), room(modelled)) for _ in targets]
    distinct = list({id(rows): rows for rows in (log.main, *log.each)}.values())
    places = [next(i for i, rows in enumerate(distinct) if rows is own) for own in log.each]
    start = 0

    def one(i: int, pages: Sequence[Page], predictions: dict[Predict, Array]) -> None:
        first, own = pages[0].columns, pages[places[i]]
        predicted = predictions[predict[i]] if predict else NO_PREDICTIONS
        part = slice(start, start + len(first.kind))
        judged = targets[i].judge(own.columns, predicted, own.beside)
        found[i].chosen[part], found[i].target[part] = judged.chosen, judged.target
        if predict:
            found[i].predicted[part], found[i].expected[part] = at(predicted, first.action), judged.expected

    with ThreadPoolExecutor(max(1, min(len(targets), os.cpu_count() or 1))) as pool:
        for pages in zip(*(_cut(rows.pages(), smallest) for rows in distinct), strict=True):
            first = pages[0]
            predictions = {each: each(first) for each in set(predict)}
            at_once = map if len(targets) == 1 else pool.map  # memory of another thread takes longer
            list(at_once(partial(one, pages=pages, predictions=predictions), range(len(targets))))
            after(first.columns)
            start += len(pages[0].line)
            advance(len(pages[0].line) * len(targets))
    return found


def _cut(pages: Iterator[Page], smallest: int | None) -> Iterator[Page]:
    """Cut pages so that none is longer than all before it together, or than the smallest."""
    before = 0
    for page in pages:
        start, n = 0, len(page.line)
        while start < n:
            end = n if smallest is None else min(n, start + max(smallest, before))
            part = slice(start, end)
            yield part_of(page, part)
            before += end - start
            start = end
