"""Rewarded decisions of a log, one row each, page by page: what evaluation and replay read.

A file is read once, a page at a time; its pages are kept in memory, and in a temporary file once they are more than
`memory` bytes. So a log of any size is gone through as often as it takes, in bounded memory, by `Rows.pages`.
A format is a module of this folder with `read_rows(source, wanted) -> Rows`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from ..columns import concat, empty, take
from ..features import Encoder
from ..vocabulary import Array, Columns, Features, Problem
from .bad_lines import BadLines
from .room import room

MEMORY = 1 << 28  # bytes of pages that are kept in memory
PAGE = 1 << 16  # rows of a page, about: readers choose what suits them
UNUSED_SHOWN = 20  # columns that a note names


@dataclass(frozen=True)
class Naming:
    """Which columns of a table are what, where a person says it; None: what their names say."""

    action: str | None = None
    reward: str | None = None
    propensity: str | None = None
    time: str | None = None
    unit: str | None = None  # whom a decision is for
    is_cost: bool = False  # whether the reward is minus what stands there
    features: tuple[str, ...] = ()  # of the context; () for those that are called x0, x1, ...
    ignored: tuple[str, ...] = ()  # not of the context
    encoder: Encoder | None = None  # of contexts of named features, which are all other columns; None: of numbers

    @property
    def named(self) -> list[str]:
        """Return all columns that a person named."""
        roles = (self.action, self.reward, self.propensity, self.time, self.unit)
        return [*(name for name in roles if name is not None), *self.features, *self.ignored]

    @property
    def reads_times(self) -> bool:
        """Whether events of a table are to say when they were: a person named the column, or all columns count."""
        return self.time is not None or self.encoder is not None


PLAIN = Naming()  # all by their usual names


class Beside(Protocol):
    """What is read of a table beside its decisions, for a target or a model that a person brings."""

    def names(self, columns: list[str], action: str, path: object) -> list[str]:
        """Return which of the columns are read; `action` is the one of what was chosen.

        Raises `InvalidInput` where those that it needs are not there.
        """
        ...

    def cells(self, columns: Sequence[Any], lines: Array) -> Array:
        """Return float64[n, m] of columns of n cells; raises `InvalidInput` where a cell breaks a rule."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a log: readers leave out what is not, and are faster for it."""

    contexts: bool = True
    dimension: int | None = None  # named features become rows of so many numbers; None: `Features`
    n_arms: int | None = None  # where the log itself does not say how many there are; None: the largest action shows it
    segment: str | None = None  # the column, key or feature whose value names the segment of a row
    naming: Naming = PLAIN  # of a table
    law: bool = False  # of dsjson: whether pages have, beside, the probabilities of all actions
    times: bool = False  # whether it counts when decisions were made; logs of events say it anyway
    beside: tuple[Beside, ...] = ()  # of a table


class Page(NamedTuple):
    """Some rows of a log."""

    columns: Columns  # kind DECIDE, with the reward filled in
    line: Array  # int64[n], where each stands in the file, from 1; in Parquet lines are rows
    segment: Array  # int64[n], place in `Rows.segments`; 0 without segments
    beside: Array = np.zeros((0, 0))  # float64[n, m], the cells of `Wanted.beside`; of no length where nothing is


@dataclass(eq=False, repr=False)
class Told:
    """What a log tells beside its rows."""

    problem: Problem = field(init=False)
    bad_lines: BadLines = field(default_factory=BadLines)
    segments: list[str] = field(default_factory=list)  # what `Page.segment` counts
    decisions: int = 0  # in the log, rewarded or not, bad lines not counted
    unobserved: int = 0  # rows whose reward is a default, as nobody observed one
    ratios_only: bool = False  # whether weights must be divided by their sum, as all are too small alike
    first_line: int = 1  # of decisions: 2 below a header
    labels: list[str] = field(default_factory=list)  # what the log calls each arm, where it names them
    beside: list[list[str]] = field(default_factory=list)  # the columns of each of `Wanted.beside`
    law: Array | None = None  # int64[k], where the probability of each arm lies in `Page.beside`
    features: list[str] = field(default_factory=list)  # of the numbers of a context, where columns were named
    example: dict[str, Any] | None = None  # a row as a client writes it, where columns are named features
    notes: list[str] = field(default_factory=list)  # what a person must know of the log, in words
    unused: list[str] = field(default_factory=list)  # columns of a table that were not read

    @property
    def told(self) -> Told:
        """Return this alone, without the rows."""
        found = Told()
        found.tell(self)
        return found

    def tell(self, other: Told) -> None:
        """Tell all that another one tells."""
        for each in fields(Told):
            setattr(self, each.name, getattr(other, each.name))


class Rows(Told):
    """The rows of a log, in their order; `close` frees what they hold. To be used in a `with` statement.

    A reader appends pages and sets `problem` in the end; `finish` is what it has yet to do to a page when that is read
    again, as when a reward came later than its decision. Pages may have decisions without a reward: `rewarded` leaves
    them out. Numbers of decisions count rows.
    """

    def __init__(self, bad_lines: BadLines | None = None, *, memory: int | None = None) -> None:
        super().__init__(bad_lines or BadLines())
        self.finish: Callable[[Page], Page] = lambda page: page
        self.rewarded: Callable[[Page], Page] = lambda page: page  # the rows of a page that have a reward
        self.longest: int | None = None  # rows of a page of `pages`, where the reader appends larger ones
        self._memory = MEMORY if memory is None else memory
        self._used = 0
        self._pages: list[Page | list[_Kept]] = []
        self._before: list[int] = []  # of each page the rows of tables before its own
        self._file: IO[bytes] | None = None
        self._count: int | None = None  # of rows, once it was asked for

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def append(self, page: Page, before: int = 0) -> None:
        """Add a page behind those that are there; its table has so many rows of others `before` it."""
        self._before.append(before)
        arrays = _arrays(page)
        self._used += sum(array.nbytes for array in arrays)
        if self._used <= self._memory:
            self._pages.append(page)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the rows
        self._pages.append([_keep(self._file, array) for array in arrays])

    def __len__(self) -> int:
        """Return the number of rows."""
        if self._count is None:
            self._count = sum(len(page.line) for page in map(self.rewarded, self.all_pages()))
        return self._count

    @property
    def on_disk(self) -> bool:
        """Whether some of the pages lie in a temporary file."""
        return self._file is not None

    def pages(self) -> Iterator[Page]:
        """Yield the pages that hold a row, from the first on; may be called again."""
        number = 0
        for block in self.blocks():
            size = self.longest or len(block.line)
            for start in range(0, len(block.line), size):
                page = block if size >= len(block.line) else part_of(block, slice(start, start + size))
                numbers = np.arange(number, number + len(page.line))
                yield page._replace(columns=page.columns._replace(number=numbers))
                number += len(page.line)

    def blocks(self) -> Iterator[Page]:
        """Yield the same rows as they were appended, not numbered anew: for what has no use for small pages."""
        return (page for page in map(self.rewarded, self.all_pages()) if len(page.line))

    def table_rows(self) -> Array:
        """Return where each row stands in the table, int64[n], from 0: of several, in all of them one after another."""
        pages = zip(map(self.rewarded, self.all_pages()), self._before, strict=True)
        lines = [page.line + (before - self.first_line) for page, before in pages]
        return np.concatenate([np.zeros(0, np.int64), *lines])

    def drawn(self) -> tuple[Array, Array] | None:
        """Return actions, int64[m], and propensities, float64[m], of all decisions, rewarded or not.

        None where the reader kept the rewarded ones alone.
        """
        if not self._pages:
            return None
        action, propensity, first = room(self.decisions, np.int64), room(self.decisions), 0
        for page in self.all_pages():
            last = first + len(page.line)
            if last > self.decisions:
                return None
            action[first:last], propensity[first:last], first = page.columns.action, page.columns.propensity, last
        return (action, propensity) if first == self.decisions else None

    def laws(self) -> tuple[Array, Array] | None:
        """Return actions, int64[m], and the probabilities of all of them, float64[m, k], of all decisions.

        None where the log does not say them, or the reader kept the rewarded decisions alone.
        """
        places = self.law
        if places is None:
            return None
        parts = [(page.columns.action, page.beside[:, places]) for page in self.all_pages()]
        if not parts or sum(len(action) for action, _ in parts) != self.decisions:
            return None
        action, law = map(np.concatenate, zip(*parts, strict=True))
        return action, law / law.sum(axis=1, keepdims=True)

    def keep(self, chosen: Callable[[Page], Array]) -> None:
        """Leave out the decisions, rewarded or not, that `chosen` does not choose: it is told a page, and says bool[n].

        Decisions are counted anew, of which a reader that kept the rewarded ones alone knows these.
        """
        finish = self.finish

        def kept(page: Page) -> Page:
            whole = finish(page)
            return part_of(whole, chosen(whole))

        self.finish, self._count = kept, None
        self.decisions = sum(len(page.line) for page in self.all_pages())

    def all_pages(self) -> Iterator[Page]:
        """Yield the pages with all their decisions, those without a reward too."""
        for kept in self._pages:
            yield self.finish(kept if isinstance(kept, Page) else _page(self._file, kept))

    def columns(self) -> Columns:
        """Return all rows at once, in memory."""
        return concat([page.columns for page in self.pages()] or [empty(0, self.problem)])

    def tell_unused(self, names: Sequence[str]) -> None:
        """Note which columns of a table were not read."""
        self.unused = list(names)
        if self.unused:
            more = f" and {len(names) - UNUSED_SHOWN} more" if len(names) > UNUSED_SHOWN else ""
            self.notes.append(f"columns that were not read: {', '.join(self.unused[:UNUSED_SHOWN])}{more}")

    def tell_lowest(self, lowest: int, wanted: Wanted) -> None:
        """Note where no row has the first arms of a table that numbers them, and nobody said how many there are."""
        if lowest > 0 and wanted.n_arms is None:
            self.notes.append(
                f"no row has an action below {lowest}, and the arms are 0 to {self.problem.n_arms - 1}: if they are "
                "numbered from 1, or are ids, call their column action_id"
            )

    def close(self) -> None:
        """Forget the pages."""
        self._pages.clear()
        self._before.clear()
        if self._file is not None:
            self._file.close()


def part_of(page: Page, rows: Array | slice) -> Page:
    """Return some rows of a page, by an index, a mask or a slice."""
    beside = page.beside[rows] if len(page.beside) else page.beside
    return Page(take(page.columns, rows), page.line[rows], page.segment[rows], beside)


class _Kept(NamedTuple):
    """An array in the temporary file."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def _arrays(page: Page) -> list[Array]:
    *fields, context, available, unit, time = page.columns
    contexts = list(context) if isinstance(context, Features) else [context]
    return [*fields, available, unit, time, page.line, page.segment, page.beside, *contexts]


def _page(file: IO[bytes] | None, kept: list[_Kept]) -> Page:
    assert file is not None
    arrays = [_read(file, each) for each in kept]
    fields, shared, (line, segment, beside), contexts = arrays[:6], arrays[6:9], arrays[9:12], arrays[12:]
    context = contexts[0] if len(contexts) == 1 else Features._make(contexts)
    return Page(Columns._make([*fields, context, *shared]), line, segment, beside)


def _keep(file: IO[bytes], array: Array) -> _Kept:
    offset = file.seek(0, 2)
    file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return _Kept(offset, array.dtype, array.shape)


def _read(file: IO[bytes], kept: _Kept) -> Array:
    found = np.empty(kept.shape, kept.dtype)
    if found.size:
        file.seek(kept.offset)
        assert file.readinto(found.data.cast("B")) == found.nbytes  # type: ignore[attr-defined]
    return found
