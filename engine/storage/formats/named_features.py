"""The context of a decision, out of columns that have names: numbers, labels and times become rows of numbers.

    a number     one column: itself
    a label      a column for each that there is, 1 where it stands; of more than 64 labels, 64 columns that they share
                 by their hash
    a time       days since the first one; sine and cosine of the hour of the day; and a column for each day of the week
    missing      one column more, 1 where the cell is empty, where any is; the others of its feature are 0 then

What a feature is, its first cells tell that are not empty: a number if half of them can be read as numbers, a time if
half of them can be read in ISO 8601, a label otherwise. A cell of a number or a time that holds something else breaks
its line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from ...errors import InvalidInput, as_seen, counted
from ...features import DIMENSION_MAX, feature_number
from ...vocabulary import Array
from .cells import MISSING, UNKNOWN, coded, floats, moments

LABELS_MAX = 64
_LOOKED_AT = 1000  # cells that tell what a feature is
_DAY = 86_400e6  # microseconds
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LOOK_ALIKE = {  # labels that look like what they are not: what is said of them
    re.compile(r"\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b.*"): "no times: these are in ISO 8601, as 2026-01-31T12:00",
    re.compile(r"[-+\s]*[€$£¥]?\s*\d[\d\s']*(?:[.,]\d{3})*(?:[.,]\d+)?\s*(?:%|[€$£¥]|[A-Z]{3})?\s*"): (
        "no numbers: these are written as 1234.5"
    ),
}
_THURSDAY = 3  # 1970-01-01, Monday being 0

Kind = Literal["number", "label", "time"]


class FeatureFound(NamedTuple):
    """What a feature was found to be."""

    name: str
    kind: Kind
    labels: int  # how many labels there are, 0 of numbers and times
    missing: int  # cells that are empty
    columns: list[str]  # what each of the numbers is that it takes of a row
    is_not: str = ""  # what its labels look like, and are not


class NamedFeatures:
    """Takes the cells of features page by page; `finished` says how many columns they make, and makes them.

    A page keeps one float64 for each cell: the number, the place of the label, microseconds of the time; NaN where it
    is missing.
    """

    def __init__(self, names: tuple[str, ...], feature: type[Feature] | None = None) -> None:
        self._features = [(feature or Feature)(name) for name in names]
        self.reason = ""  # why the first row that cannot be read is none

    def cells(self, columns: list[pa.Array]) -> tuple[Array, Array]:
        """Return float64[n, features], and bool[n], whether a cell of the row cannot be read."""
        read = [feature.cells(column) for feature, column in zip(self._features, columns, strict=True)]
        if not self.reason:
            seen = zip(self._features, columns, (wrong for _, wrong in read), strict=True)
            self.reason = next((f.why(column[w.argmax()].as_py()) for f, column, w in seen if w.any()), "")
        return np.stack([values for values, _ in read], 1), np.any([wrong for _, wrong in read], axis=0)

    @property
    def found(self) -> list[FeatureFound]:
        """What the features are, when all cells have come."""
        return [feature.found() for feature in self._features]

    @property
    def kinds(self) -> list[Kind | None]:
        """What the features are so far; None where no cell has told it yet."""
        return [feature.kind for feature in self._features]

    @property
    def labels(self) -> list[list[str]]:
        """The labels of each feature, in the order of their codes; none of numbers and times."""
        return [feature.labels() for feature in self._features]

    def finished(self) -> tuple[list[FeatureFound], Callable[[Array], Array]]:
        """Return what the features are, and what makes float64[n, d] of float64[n, features]."""
        found = self.found
        d = sum(len(each.columns) for each in found)
        if d > DIMENSION_MAX:
            widest = max(found, key=lambda each: len(each.columns))
            raise InvalidInput(
                "too_many_features",
                f"the features make {d} numbers of each row, {len(widest.columns)} of them {widest.name!r}: at most "
                f"{DIMENSION_MAX} are allowed; name fewer features",
            )
        ends = np.cumsum([len(each.columns) for each in found]).tolist()

        def rows(cells: Array) -> Array:
            made = np.zeros((len(cells), d))
            for j, feature in enumerate(self._features):
                feature.write(cells[:, j], made[:, ends[j] - len(found[j].columns) : ends[j]])
            return made

        return found, rows


class Feature:
    """One feature, as its cells come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind: Kind | None = None
        self._missing, self._is_not = 0, ""
        self._code: dict[bytes, int] = {}
        self._first = math.inf  # microseconds of the earliest time

    def cells(self, texts: pa.Array) -> tuple[Array, Array]:
        """Return the values of the cells, float64[n], NaN for missing ones, and bool[n], which cannot be read."""
        labels, place = coded(texts)
        empty = np.array([label.strip().lower() in UNKNOWN for label in labels], np.bool_)
        if self.kind is None and not empty[place].all():
            there = [label for label, none in zip(labels, empty, strict=True) if not none]
            self.kind = self.kind_of(there)
            self._is_not = _not_said_by(there) if self.kind == "label" else ""
        if self.kind == "label":
            empty = np.array([self.is_no_label(label) for label in labels], np.bool_)
        missing = empty[place]
        self._missing += int(missing.sum())
        if self.kind is None:
            return np.full(len(missing), np.nan), np.zeros(len(missing), np.bool_)
        if self.kind == "label":
            codes = [
                -1 if none else self._code.setdefault(label.strip(), len(self._code))
                for label, none in zip(labels, empty, strict=True)
            ]
            values = np.array(codes, np.float64)[place]
            values[missing] = np.nan
            return values, np.zeros(len(missing), np.bool_)
        if self.kind == "number":
            values = np.where(missing, np.nan, floats(texts))
            return values, ~missing & ~np.isfinite(values)
        whole = moments(texts)
        values = np.where(missing | (whole == MISSING), np.nan, whole.astype(np.float64))
        self._first = min(self._first, float(np.nanmin(values, initial=math.inf)))
        return values, ~missing & np.isnan(values)

    def kind_of(self, labels: list[bytes]) -> Kind:
        """Return what most of the different cells, of which none is missing, can be read as."""
        return _kind_of(labels)

    def is_no_label(self, cell: bytes) -> bool:
        """Tell whether a cell of a column of labels is empty."""
        return cell.strip().lower() in UNKNOWN

    def why(self, cell: object) -> str:
        """Say why a cell cannot be read."""
        return f"the feature {self.name!r} is {as_seen(cell)} in a line, and a {self.kind} in most: mend or empty it"

    def found(self) -> FeatureFound:
        """Return what it is, when all cells have come."""
        kind = self.kind or "label"
        names = {"number": [self.name], "time": self._names_of_time(), "label": self._names_of_labels()}[kind]
        missing = [f"{self.name} missing"] if self._missing else []
        return FeatureFound(self.name, kind, len(self._code), self._missing, [*names, *missing], self._is_not)

    def labels(self) -> list[str]:
        """Return its labels, in the order in which they came."""
        return [label.decode("utf-8", "replace") for label in self._code]

    def _names_of_time(self) -> list[str]:
        return [f"{self.name} {part}" for part in ("days", "hour sine", "hour cosine", *_WEEKDAYS)]

    def _names_of_labels(self) -> list[str]:
        if len(self._code) > LABELS_MAX:
            return [f"{self.name} hash {place}" for place in range(LABELS_MAX)]
        return [f"{self.name}={label.decode('utf-8', 'replace')}" for label in sorted(self._code)]

    def write(self, values: Array, made: Array) -> None:
        """Write the columns of a page, float64[n, columns], which are 0."""
        there = ~np.isnan(values)
        if self._missing:
            made[:, -1] = ~there
        rows, known = np.flatnonzero(there), values[there]
        if self.kind == "number":
            made[rows, 0] = known
        elif self.kind == "time":
            days = known / _DAY
            made[rows, 0] = days - math.floor(self._first / _DAY)
            angle = 2.0 * np.pi * (days - np.floor(days))
            made[rows, 1], made[rows, 2] = np.sin(angle), np.cos(angle)
            made[rows, 3 + (np.floor(days).astype(np.int64) + _THURSDAY) % len(_WEEKDAYS)] = 1.0
        elif self.kind == "label":
            made[rows, self._columns_of_labels()[known.astype(np.int64)]] = 1.0

    def _columns_of_labels(self) -> Array:
        """Return the column of each label by its code, int64[labels]: in the order of the labels, or by their hash."""
        labels = list(self._code)
        if len(labels) > LABELS_MAX:
            texts = [label.decode("utf-8", "replace") for label in labels]
            return np.array([feature_number("", f"{self.name}={text}") % LABELS_MAX for text in texts], np.int64)
        column = np.empty(len(labels), np.int64)
        column[sorted(range(len(labels)), key=labels.__getitem__)] = np.arange(len(labels))
        return column


def _kind_of(labels: list[bytes]) -> Kind:
    """Return what most of the different cells, of which none is missing, can be read as."""
    texts = pa.array(labels[:_LOOKED_AT], pa.binary()).cast(pa.string(), safe=False)
    if np.isfinite(floats(texts)).mean() >= 0.5:
        return "number"
    return "time" if (moments(texts) != MISSING).mean() >= 0.5 else "label"


def _not_said_by(labels: list[bytes]) -> str:
    """Return what labels, of which there is one, all look like and are not; nothing where they look like labels.

    >>> _not_said_by([b"1,5", b"2,25"]), _not_said_by([b"1,5", b"Q2"])
    ('no numbers: these are written as 1234.5', '')
    """
    texts = [label.decode("utf-8", "replace") for label in labels]
    return next((said for form, said in _LOOK_ALIKE.items() if all(map(form.fullmatch, texts))), "")


def told(found: list[FeatureFound]) -> str:
    """Say what the features are.

    >>> at, de, age, missing = "country=at", "country=de", "age", "age missing"
    >>> told([FeatureFound("country", "label", 2, 0, [at, de]), FeatureFound("age", "number", 0, 12, [age, missing])])
    'contexts are 4 numbers: country (2 labels), age (number, 12 missing)'
    """

    def one(each: FeatureFound) -> str:
        what = counted(each.labels, "label") if each.kind == "label" else each.kind
        what += f", and {each.is_not}" if each.is_not else ""
        if each.labels > LABELS_MAX:
            what += f", hashed to {LABELS_MAX} numbers"
        return f"{each.name} ({what}{f', {each.missing} missing' if each.missing else ''})"

    return f"contexts are {counted(sum(len(each.columns) for each in found), 'number')}: {', '.join(map(one, found))}"


def refuse_unknown(names: tuple[str, ...], known: list[str], path: object) -> None:
    """Refuse features that are no columns."""
    for name in names:
        if name not in known:
            raise InvalidInput("bad_features", f"{path} has no column {name!r}: it has {', '.join(known)[:300]}")
