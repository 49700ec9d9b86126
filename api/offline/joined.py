"""Rows that were read file by file, as those of one log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.storage.log import BadLines
from ...engine.storage.rows import Page, Rows
from ...engine.vocabulary import Array, Problem
from .judging import Facts

NOTES = 5  # of single files, that are told


@dataclass(frozen=True)
class Told:
    """What a file tells beside its rows."""

    file: str
    problem: Problem
    count: int  # of rows
    decisions: int
    unobserved: int
    ratios_only: bool
    bad_lines: BadLines
    segments: list[str]
    labels: list[str]
    notes: list[str]
    unused: list[str]
    drawn: tuple[Array, Array] | None


class Joined(Rows):
    """The rows of several files, or what these tell, where the rows themselves are somewhere else."""

    def __init__(self, told: Sequence[Told]) -> None:
        """Raises `InvalidInput` where two files are not of one problem."""
        super().__init__(_bad_lines(told))
        self.problem = _problem(told)
        self.decisions = sum(each.decisions for each in told)
        self.unobserved = sum(each.unobserved for each in told)
        self.ratios_only = any(each.ratios_only for each in told)
        self.segments = list(dict.fromkeys(name for each in told for name in each.segments))
        self.labels = told[0].labels
        self.notes = _notes(told)
        self.unused = told[0].unused
        self._count = sum(each.count for each in told)
        parts = [each.drawn for each in told if each.drawn is not None]
        self._drawn = parts if len(parts) == len(told) else []

    def places(self, told: Told) -> Array:
        """Return where the segments of a file stand among those of all, int64[s]."""
        return np.array([self.segments.index(name) for name in told.segments] or [0])

    def drawn(self) -> tuple[Array, Array] | None:
        """Return actions and propensities of all decisions, where every file has kept them."""
        if not self._drawn:
            return None
        action, propensity = zip(*self._drawn, strict=True)
        return np.concatenate(action, dtype=np.int64), np.concatenate(propensity)

    def all_pages(self) -> Iterator[Page]:
        """Yield the pages, which must be here."""
        assert self._pages or not self._count, "the rows were read somewhere else"
        return super().all_pages()


def told_of(rows: Rows, file: str) -> Told:
    """Return what is known of a file beside its rows."""
    return Told(
        file,
        rows.problem,
        len(rows),
        rows.decisions,
        rows.unobserved,
        rows.ratios_only,
        rows.bad_lines,
        rows.segments,
        rows.labels,
        rows.notes,
        rows.unused,
        rows.drawn(),
    )


def join(each: Sequence[tuple[str, Rows]]) -> Rows:
    """Return the rows of files as those of one log, in their order."""
    told = [told_of(rows, file) for file, rows in each]
    whole = Joined(told)
    for (_, rows), about in zip(each, told, strict=True):
        places = whole.places(about)
        for page in rows.pages():
            whole.append(page._replace(segment=places[page.segment]))
    return whole


def join_facts(whole: Joined, told: Sequence[Told], facts: Sequence[Facts]) -> Facts:
    """Return what was logged in all files."""
    n = len(whole)
    units = any(len(each.unit) for each in facts)
    columns = {
        name: np.concatenate([getattr(each, name) for each in facts], dtype=kind)
        for name, kind in (("reward", float), ("propensity", float), ("action", np.int64), ("choices", np.int64))
    }
    segment = np.concatenate([whole.places(about)[each.segment] for about, each in zip(told, facts, strict=True)])
    unit = np.concatenate([each.unit if len(each.unit) else np.zeros(len(each.reward), np.uint64) for each in facts])
    assert len(columns["reward"]) == n, "files told of other rows than they gave"
    return Facts(**columns, segment=segment, unit=unit if units else np.zeros(0, np.uint64))


def narrow(whole: Array) -> Array:
    """Return whole numbers, int64[n], in as few bytes as hold them: most are below 128, and all of them travel.

    >>> narrow(np.array([0, 3])).dtype, narrow(np.array([0, 300])).dtype
    (dtype('int8'), dtype('int16'))
    """
    if not len(whole):
        return whole
    kinds = (np.int8, np.int16, np.int32, np.int64)
    fits = (np.iinfo(kind).min <= whole.min() and whole.max() <= np.iinfo(kind).max for kind in kinds)
    return whole.astype(next(kind for kind, enough in zip(kinds, fits, strict=True) if enough))


def _problem(told: Sequence[Told]) -> Problem:
    first = told[0]
    for other in told[1:]:
        arms, others = first.problem.n_arms, other.problem.n_arms
        if other.labels != first.labels:
            rule = "write numbers of arms, or exports of ours, which name them"
            said = f"{other.file} names its arms otherwise than {first.file}: {rule}"
        elif arms != others:
            rule = "say --arms, where tables do not say it themselves"
            said = f"{other.file} has {others} arms, and {first.file} has {arms}: {rule}"
        elif replace(other.problem, horizon=None) != replace(first.problem, horizon=None):
            said = f"{other.file} is of another problem than {first.file}: one log has the same arms and contexts"
        else:
            continue
        raise InvalidInput("other_file", said)
    return first.problem


def _bad_lines(told: Sequence[Told]) -> BadLines:
    """Return the bad lines of all files; of several the first line of a kind is told with the name of its file."""
    if len(told) == 1:
        return told[0].bad_lines
    whole = BadLines()
    for each in told:
        for kind, count in each.bad_lines.count.items():
            lines, reason = each.bad_lines.lines[kind], each.bad_lines.reasons.get(kind)
            whole.count[kind] += count
            whole.lines.setdefault(kind, lines)
            told_first = f"these are of {Path(each.file).name}" + ("" if reason is None else f": {reason}")
            whole.reasons.setdefault(kind, told_first)
    return whole


def _notes(told: Sequence[Told]) -> list[str]:
    """Return what all files say alike, and of what each says for itself the first few."""
    alike = [note for note in told[0].notes if all(note in each.notes for each in told)]
    own = [f"{Path(each.file).name}: {note}" for each in told for note in each.notes if note not in alike]
    more = [f"{len(own) - NOTES} further notes of single files"] if len(own) > NOTES else []
    return [*alike, *own[:NOTES], *more]
