"""Columns of a log that hold what a target does, or what a model predicts: read beside the decisions, and checked.

A column's cells are checked where they are read, before anything is estimated: messages say the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import InvalidInput, NotFound
from ...replay.own_laws import SUM_TOLERANCE, OwnChance, OwnLaw
from ...replay.targets import Target
from ...vocabulary import Array
from ..bad_lines import BadLines
from ..log import reading
from ..rows import Rows
from ..source import Source
from .arrow_batches import cells_of
from .cells import Table, coded, floats, refuse_truths
from .csv_columns import PROPENSITIES
from .keys import key_of, keys_of


class Chance:
    """`column:p_new`: the probability with which a target takes the logged action."""

    def __init__(self, name: str) -> None:
        self._name = name

    def names(self, columns: list[str], action: str, path: object) -> list[str]:
        """Return the column."""
        return [_there(self._name, columns, path)]

    def cells(self, columns: Sequence[pa.Array], lines: Array) -> Array:
        """Return the probabilities, float64[n, 1]."""
        refuse_truths(f"the column {self._name!r}", columns[0])
        chance = floats(columns[0])[:, np.newaxis]
        _check_chances([self._name], chance, lines)
        return chance

    def target(self, names: list[str], start: int, rows: Rows, seed: int) -> Target:
        """Return the target, of the cells from place `start` on."""
        return OwnChance(start)


class Chances:
    """`columns:p_*`: the probability with which a target takes each action, whose label stands for the star."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def names(self, columns: list[str], action: str, path: object) -> list[str]:
        """Return the columns."""
        return _matching(self._pattern, columns, path)

    def cells(self, columns: Sequence[pa.Array], lines: Array) -> Array:
        """Return the probabilities, float64[n, k]."""
        chances = np.stack([floats(column) for column in columns], 1)
        _check_chances([self._pattern], chances, lines)
        return chances

    def target(self, names: list[str], start: int, rows: Rows, seed: int) -> Target:
        """Return the target, of the cells from place `start` on."""
        order, others = _of_arms(self._pattern, names, rows)
        for page in rows.pages():
            self._check_sums(page.beside[:, start : start + len(names)].sum(axis=1), page.line)
        places, beyond = start + order, start + np.array(others, np.int64)
        if len(beyond) and any((page.beside[:, beyond] > 0.0).any() for page in rows.pages()):
            raise InvalidInput(
                "unknown_arm",
                f"{self._pattern} gives a probability to {names[others[0]]}, an action that this log never took: what "
                "that earns it cannot tell",
            )
        return OwnLaw(f"columns:{self._pattern}", lambda page, beside: beside[:, places], seed)

    def _check_sums(self, total: Array, lines: Array) -> None:
        if (wrong := np.abs(total - 1.0) > SUM_TOLERANCE).any():
            row = int(wrong.argmax())
            raise InvalidInput(
                "bad_law",
                f"the probabilities {self._pattern} of line {lines[row]} add up to {total[row]:.6g}: they must make 1",
            )


class LoggedLaw(Chances):
    """`--law p_*`: the probabilities by which the log drew, of each action, whose label stands for the star."""

    def places(self, names: list[str], start: int, rows: Rows) -> Array:
        """Return where the probability of each arm lies among the cells, int64[k].

        Raises `InvalidInput` where that of a logged action is not its propensity, or another action may be drawn.
        """
        order, others = _of_arms(self._pattern, names, rows)
        places, beyond = start + order, start + np.array(others, np.int64)
        for page in rows.all_pages():
            own = page.beside[np.arange(len(page.line)), places[page.columns.action]]
            logged = page.columns.propensity
            wrong = ~np.isnan(logged) & ~(np.abs(own - logged) <= SUM_TOLERANCE * logged)
            if wrong.any():
                row = int(wrong.argmax())
                raise InvalidInput(
                    "bad_law",
                    f"{self._pattern} gives the action of line {page.line[row]} {own[row]:.6g}, and its propensity is "
                    f"{logged[row]:.6g}: they must be the same",
                )
            if len(beyond) and (page.beside[:, beyond] > 0.0).any():
                raise InvalidInput(
                    "unknown_arm",
                    f"{self._pattern} gives a probability to {names[others[0]]}, an action that this log never took: "
                    "leave out --law",
                )
        return places


class Predictions:
    """`--model columns:q_*`: the reward that a model predicts of each action, whose label stands for the star."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def names(self, columns: list[str], action: str, path: object) -> list[str]:
        """Return the columns."""
        return _matching(self._pattern, columns, path)

    def cells(self, columns: Sequence[pa.Array], lines: Array) -> Array:
        """Return the predictions, float64[n, k]."""
        found = np.stack([floats(column) for column in columns], 1)
        if (wrong := ~np.isfinite(found).all(axis=1)).any():
            raise InvalidInput(
                "bad_prediction",
                f"{self._pattern} of line {lines[int(wrong.argmax())]} is no finite number: a model predicts one of "
                "each action",
            )
        return found

    def places(self, names: list[str], start: int, rows: Rows) -> Array:
        """Return where the prediction of each arm lies among the cells, int64[k]."""
        return start + _of_arms(self._pattern, names, rows)[0]


class Positions:
    """`frequency:position`: a target that takes actions as often as this log took them, at each position."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._code: dict[bytes, int] = {}

    def names(self, columns: list[str], action: str, path: object) -> list[str]:
        """Return the column."""
        return [_there(self._name, columns, path)]

    def cells(self, columns: Sequence[pa.Array], lines: Array) -> Array:
        """Return the number of the position, float64[n, 1], as they are met."""
        labels, place = coded(columns[0])
        codes = [self._code.setdefault(label.strip(), len(self._code)) for label in labels]
        return np.array(codes, np.float64)[place][:, np.newaxis]

    def target(self, names: list[str], start: int, rows: Rows, seed: int) -> Target:
        """Return the target, of the cells from place `start` on."""
        count = np.zeros((len(self._code), rows.problem.n_arms))
        for page in rows.pages():
            np.add.at(count, (page.beside[:, start].astype(np.int64), page.columns.action), 1.0)
        shares = count / np.maximum(count.sum(axis=1, keepdims=True), 1.0)
        return OwnLaw(f"frequency:{self._name}", lambda page, beside: shares[beside[:, start].astype(np.int64)], seed)


class Keyed:
    """`table:new_policy.parquet`: probabilities in a table of its own, found by columns that it shares with the log.

    It has a line for each key, with the probability of the action that was logged there; or, where it has the log's
    column of actions too, a line for each key and action, with the probability of that one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        table, score = _table(path)
        self._columns = {name: column for name, column in table.items() if name != score}
        self._chance = floats(table[score])
        _check_chances([score], self._chance[:, np.newaxis], np.arange(len(self._chance)) + 1)
        self._keys: list[str] = []  # the columns that it shares with the log
        self._place: dict[tuple[bytes, ...], int] = {}
        self._law: dict[tuple[int, bytes], float] | None = None

    def names(self, columns: list[str], action: str, path: object) -> list[str]:
        """Return the columns that are the key."""
        keys = [name for name in self._columns if name in columns and name != action]
        if not keys:
            raise InvalidInput(
                "no_key",
                f"{self._path} shares no column with {path} but that of actions: it needs a key, as an id of decisions",
            )
        self._keys = keys
        lines = list(zip(*(keys_of(name, self._columns[name]) for name in keys), strict=True))
        self._place = {key: place for place, key in enumerate(dict.fromkeys(lines))}
        if action in self._columns:
            actions = keys_of(action, self._columns[action])
            pairs = [(self._place[key], label) for key, label in zip(lines, actions, strict=True)]
            self._check_once(len(set(pairs)) == len(pairs), f"{', '.join(keys)} and {action}")
            self._law = dict(zip(pairs, self._chance.tolist(), strict=True))
        else:
            self._check_once(len(self._place) == len(lines), ", ".join(keys))
        return keys

    def cells(self, columns: Sequence[pa.Array], lines: Array) -> Array:
        """Return the line of the table's key, float64[n, 1], or the probability, where it has one for each key."""
        found = list(zip(*map(keys_of, self._keys, columns), strict=True))
        places = np.array([self._place.get(key, -1) for key in found], np.int64)
        if (places < 0).any():
            row = int((places < 0).argmax())
            shown = ", ".join(text.decode("utf-8", "replace") or "an empty cell" for text in found[row])
            raise InvalidInput(
                "no_key", f"{self._path} has no line for {shown[:80]}, which is line {lines[row]} of the log: add one"
            )
        return (places.astype(np.float64) if self._law is not None else self._chance[places])[:, np.newaxis]

    def target(self, names: list[str], start: int, rows: Rows, seed: int) -> Target:
        """Return the target, of the cells from place `start` on."""
        if self._law is None:
            return OwnChance(start)
        arm = {key_of(label.encode()): place for place, label in enumerate(_labels(rows))}
        law = np.zeros((len(self._place), rows.problem.n_arms))
        for (place, label), chance in self._law.items():
            if label in arm:
                law[place, arm[label]] = chance
            elif chance > 0.0:
                raise InvalidInput(
                    "unknown_arm",
                    f"{self._path} gives a probability to {label.decode('utf-8', 'replace')!r}, an action that this "
                    "log never took: what that earns it cannot tell",
                )
        return OwnLaw(f"table:{self._path}", lambda page, beside: law[beside[:, start].astype(np.int64)], seed)

    def _check_once(self, is_once: bool, what: str) -> None:
        if not is_once:
            raise InvalidInput(
                "repeated_key", f"{self._path} has several lines for the same {what}: each must be there once"
            )


def _there(name: str, columns: list[str], path: object) -> str:
    if name not in columns:
        raise InvalidInput("bad_column", f"{path} has no column {name!r}: it has {', '.join(columns)[:300]}")
    return name


def _matching(pattern: str, columns: list[str], path: object) -> list[str]:
    """Return the columns of a pattern with one star, in the order of their names: alike in all files of a log."""
    before, star, after = pattern.partition("*")
    if not star or "*" in after:
        raise InvalidInput(
            "bad_pattern", f"{pattern!r} has no star for the action: say columns:p_* for p_mug, p_hat, ..."
        )
    long = len(before) + len(after)
    found = [name for name in columns if name.startswith(before) and name.endswith(after) and len(name) > long]
    if not found:
        raise InvalidInput("bad_column", f"{path} has no column {pattern!r}: it has {', '.join(columns)[:300]}")
    return sorted(found)


def _labels(rows: Rows) -> list[str]:
    """Return what columns call each arm: its label, or its number."""
    return [*rows.labels, *map(str, range(len(rows.labels), rows.problem.n_arms))]


def _of_arms(pattern: str, names: list[str], rows: Rows) -> tuple[Array, list[int]]:
    """Return which of the columns is whose, int64[k], and those of actions that the log has not."""
    before, _, after = pattern.partition("*")
    called = [name[len(before) : len(name) - len(after)] for name in names]
    labels = _labels(rows)
    if missing := [label for label in labels if label not in called]:
        raise InvalidInput(
            "bad_column",
            f"there is no column {before}{missing[0]}{after}: {pattern} needs one for each of {len(labels)} actions",
        )
    return np.array([called.index(label) for label in labels]), [i for i, of in enumerate(called) if of not in labels]


def _check_chances(names: list[str], chances: Array, lines: Array) -> None:
    wrong = ~((chances >= 0.0) & (chances <= 1.0))
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        seen = "missing or no number" if np.isnan(chances[row, column]) else f"{chances[row, column]:.6g}"
        raise InvalidInput(
            "bad_law", f"a probability {names[0]} of line {lines[row]} is {seen}: probabilities must be in [0, 1]"
        )


def _table(path: Path) -> tuple[dict[str, pa.Array], str]:
    """Return the columns of a file of CSV or Parquet, as text or numbers, and which of them is a probability."""
    if not path.is_file():
        raise NotFound("no_file", f"there is no file {path}: name a table of Parquet or CSV")
    with reading(path, "a table of Parquet or CSV", pa.ArrowException):
        bad_lines, source = BadLines(), Source(path)
        if source.ending == ".parquet":
            whole = pq.ParquetFile(path).read()
            columns = {name: cells_of(path, name, whole[name].combine_chunks()) for name in whole.column_names}
        else:
            table = Table(source, bad_lines)
            blocks = [cells for cells, _ in table.blocks(table.names)]
            none = pa.array([], pa.string())
            columns = {
                name: pa.concat_arrays([none, *(cells[j] for cells in blocks)]) for j, name in enumerate(table.names)
            }
    if bad_lines.count:
        raise InvalidInput("bad_lines", f"{path} has lines that cannot be read ({dict(bad_lines.lines)}): mend them")
    scores = [name for name in columns if name.strip().lower() in PROPENSITIES]
    if not scores:
        raise InvalidInput(
            "wrong_format", f"{path} has no column of probabilities: call it {PROPENSITIES[0]} or probability"
        )
    if len(scores) > 1:
        raise InvalidInput(
            "wrong_format",
            f"{path} has several columns of probabilities, {', '.join(scores)}: keep the one of the target, and leave "
            "out the logged one",
        )
    if not len(columns[scores[0]]):
        raise InvalidInput("no_lines", f"{path} has no lines: it needs one for each key of the log")
    return columns, scores[0]
