"""Rows that were read file by file, as those of one log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...engine.errors import InvalidInput, counted
from ...engine.storage.bad_lines import BadLines
from ...engine.storage.rows import Page, Rows, Told
from ...engine.vocabulary import Array
from .judging import Facts

NOTES = 5  # of single files, that are told


@dataclass(frozen=True)
class FileTold:
    """What a file tells, without its rows."""

    file: str
    told: Told
    count: int  # of rows
    drawn: tuple[Array, Array] | None


class Joined(Rows):
    """The rows of several files, or what these tell, where the rows themselves are somewhere else."""

    def __init__(self, files: Sequence[FileTold]) -> None:
        """Raises `InvalidInput` where two files are not of one problem."""
        super().__init__()
        self.tell(_told(files))
        self._count = sum(each.count for each in files)
        parts = [each.drawn for each in files if each.drawn is not None]
        self._drawn = parts if len(parts) == len(files) else []

    def places(self, told: Told) -> Array:
        """Return where the segments of a file stand among those of all, int64[s]."""
        return np.array([self.segments.index(name) for name in told.segments] or [0])

    def keep(self, chosen: Callable[[Page], Array]) -> None:
        """Leave out what is not chosen; which of all decisions these are is then unknown."""
        super().keep(chosen)
        self._drawn = []

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


def told_of(rows: Rows, file: str) -> FileTold:
    """Return what is known of a file beside its rows."""
    return FileTold(file, rows.told, len(rows), rows.drawn())


def join(each: Sequence[tuple[str, Rows]]) -> Rows:
    """Return the rows of files as those of one log, in their order."""
    files = [told_of(rows, file) for file, rows in each]
    whole, before = Joined(files), 0
    for (_, rows), about in zip(each, files, strict=True):
        places = whole.places(about.told)
        for page in rows.pages():
            whole.append(page._replace(segment=places[page.segment]), before)
        before += about.told.decisions + about.told.bad_lines.count.total()
    return whole


def join_facts(whole: Joined, files: Sequence[FileTold], facts: Sequence[Facts]) -> Facts:
    """Return what was logged in all files."""
    n = len(whole)
    units = any(len(each.unit) for each in facts)
    columns = {
        name: np.concatenate([getattr(each, name) for each in facts], dtype=kind)
        for name, kind in (("reward", float), ("propensity", float), ("action", np.int64), ("choices", np.int64))
    }
    segment = np.concatenate([whole.places(about.told)[each.segment] for about, each in zip(files, facts, strict=True)])
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


def _told(files: Sequence[FileTold]) -> Told:
    """Return what the files tell together: what is counted is added up, and the rest is what the first one tells."""
    told = [each.told for each in files]
    _check_alike(files)
    whole = told[0].told
    whole.bad_lines = _bad_lines(files)
    whole.decisions = sum(each.decisions for each in told)
    whole.unobserved = sum(each.unobserved for each in told)
    whole.ratios_only = any(each.ratios_only for each in told)
    whole.segments = list(dict.fromkeys(name for each in told for name in each.segments))
    whole.notes = _notes(files)
    return whole


def _check_alike(files: Sequence[FileTold]) -> None:
    """Refuse files that are not of one log."""
    first = files[0].told
    for file in files[1:]:
        other, both = file.told, f"{file.file} {{}} {files[0].file}"
        if other.labels != first.labels:
            rule = "write numbers of arms, or exports of ours, which name them"
            said = f"{both.format('names its arms otherwise than')}: {rule}"
        elif other.problem.n_arms != first.problem.n_arms:
            rule = "say --arms, where tables do not say it themselves"
            n_arms = counted(other.problem.n_arms, "arm")
            said = f"{file.file} has {n_arms}, and {files[0].file} has {first.problem.n_arms}: {rule}"
        elif replace(other.problem, horizon=None) != replace(first.problem, horizon=None):
            said = f"{both.format('is of another problem than')}: one log has the same arms and contexts"
        elif (other.features, other.beside) != (first.features, first.beside):
            said = f"{both.format('is read by other columns than')}: the tables of one log have the same columns"
        else:
            continue
        raise InvalidInput("other_file", said)


def _bad_lines(files: Sequence[FileTold]) -> BadLines:
    """Return the bad lines of all files; of several the first line of a kind is told with the name of its file."""
    if len(files) == 1:
        return files[0].told.bad_lines
    whole = BadLines()
    for each in files:
        bad = each.told.bad_lines
        for kind, count in bad.count.items():
            lines, reason = bad.lines[kind], bad.reasons.get(kind)
            whole.count[kind] += count
            whole.lines.setdefault(kind, lines)
            told_first = f"these are of {Path(each.file).name}" + ("" if reason is None else f": {reason}")
            whole.reasons.setdefault(kind, told_first)
    return whole


def _notes(files: Sequence[FileTold]) -> list[str]:
    """Return what all files say alike, and of what each says for itself the first few."""
    alike = [note for note in files[0].told.notes if all(note in each.told.notes for each in files)]
    own = [f"{Path(each.file).name}: {note}" for each in files for note in each.told.notes if note not in alike]
    more = [f"{len(own) - NOTES} further notes of single files"] if len(own) > NOTES else []
    return [*alike, *own[:NOTES], *more]
