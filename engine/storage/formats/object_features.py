"""The contexts of a table as named features: a JSON object of each row, as clients of a service send them.

    age, country, user.plan        {"age": 31, "country": "de", "user": {"plan": "pro"}}
    31, de, pro

A key is called as its column is; a point in the name makes a namespace (`Encoder.interactions`). A cell is a number or
a text, as most cells of its column are; true and false in a whole column are these; an empty cell is left out. Times
are left out too, for no two moments are the same feature; `told` says so. The arms have their ids as features.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ...errors import InvalidInput, counted
from ...features import Encoder
from ...featuriser.desk import desk
from ...featuriser.fixed import VALUE_MAX
from ...vocabulary import Array, Features, Problem
from .named_features import Feature, FeatureFound, Kind, NamedFeatures

WAITS = 1000  # contexts, for which the compiled encoder is worth waiting for
_LEADING_ZERO = re.compile(rb"\s*0\d")
_TRUTHS = {"true": True, "false": False}


class ObjectFeatures:
    """Takes the cells of columns page by page, as `NamedFeatures` does, and makes objects and contexts of them."""

    def __init__(self, names: tuple[str, ...], encoder: Encoder) -> None:
        _check_spaces(names, encoder)
        self._cells = NamedFeatures(names, SentFeature)
        self._names, self._encoder = names, encoder
        self._too_large = ""  # what is said of the first number that no feature can have
        self._fullest: Array | None = None  # float64[features], of the first rows the one with the fewest empty cells

    @property
    def reason(self) -> str:
        """Why the first row that cannot be read is none."""
        return self._cells.reason or self._too_large

    def cells(self, columns: list[pa.Array]) -> tuple[Array, Array]:
        """Return what is kept of the cells, float64[n, features], and bool[n], whether one of the row is unreadable."""
        kept, wrong = self._cells.cells(columns)
        large = (np.abs(kept) > VALUE_MAX) & (np.array(self._cells.kinds) == "number")
        if large.any():
            row, j = np.argwhere(large)[0].tolist()
            self._too_large = self._too_large or (
                f"the feature {self._names[j]!r} is {kept[row, j]:g} in a line: a number is from {-VALUE_MAX:g} to "
                f"{VALUE_MAX:g}; leave the column out by --ignore where it holds ids"
            )
            wrong = wrong | large.any(axis=1)
        if self._fullest is None and not wrong.all():
            self._fullest = kept[np.argmin(np.isnan(kept).sum(axis=1) + kept.shape[1] * wrong)]
        return kept, wrong

    def finished(self, arms: list[str], dimension: int | None) -> Objects:
        """Return what the features are, when all cells have come; with a `dimension` contexts are rows of numbers."""
        found = self._cells.found
        values = [_values(each, labels) for each, labels in zip(found, self._cells.labels, strict=True)]
        encoder = self._encoder if dimension is None else replace(self._encoder, dimension=dimension)
        fullest = () if self._fullest is None else self._fullest.tolist()
        return Objects(found, values, encoder, [{"id": arm} for arm in arms], fullest)


class Objects(NamedTuple):
    """The rows of a table as objects, and as contexts of named features."""

    found: list[FeatureFound]
    values: list[list[Any] | None]  # of each column what its codes stand for; None where cells are the numbers
    encoder: Encoder
    arms: list[dict[str, Any]]
    fullest: Sequence[float] = ()  # the cells of a row

    @property
    def example(self) -> dict[str, Any]:
        """A row with few empty cells, as clients write it."""
        return self.object_of(self.fullest)

    @property
    def problem(self) -> Problem:
        """The problem of contexts of these features; raises `InvalidInput` where one has more than are allowed."""
        k, encoder = len(self.arms), self.encoder
        if encoder.dimension is not None:
            return Problem(k, (k, encoder.dimension))
        every = [1.0 if values is None else 0.0 if values else math.nan for values in self.values]
        largest = encoder.cells(*encoder.entries(self.object_of(every), self.arms))
        return Problem(k, (k, 1 << encoder.bits), nonzeros=len(largest.value))

    def object_of(self, cells: Sequence[float]) -> dict[str, Any]:
        """Return a row as clients write it; NaN are cells that are empty."""
        made: dict[str, Any] = {}
        for each, values, cell in zip(self.found, self.values, cells, strict=False):
            if each.kind == "time" or cell != cell:
                continue
            value = values[int(cell)] if values is not None else int(cell) if cell.is_integer() else cell
            inside = made
            *spaces, name = each.name.split(".")
            for space in spaces:
                inside = inside.setdefault(space, {})
                if not isinstance(inside, dict):
                    raise _both(space)
            if isinstance(inside.get(name), dict):
                raise _both(name)
            inside[name] = value
        return made

    def contexts(self, cells: Array) -> Any:
        """Return the contexts of n rows, float64[n, k, dimension] or `Features`; takes 15 us each once compiled."""
        slots, _, rows = desk().entries()
        if len(cells) >= WAITS:
            (slots if self.encoder.dimension is None else rows).wait()
        objects = map(self.object_of, cells.tolist())
        if self.encoder.dimension is not None:
            return np.stack([self.encoder.dense(one, self.arms) for one in objects])
        return _together([self.encoder.encode(one, self.arms) for one in objects])

    def told(self) -> str:
        """Say what the features are.

        >>> age, at = FeatureFound("age", "number", 0, 2, ["age"]), FeatureFound("at", "time", 0, 0, [])
        >>> Objects([age, at], [None, None], Encoder(), []).told()
        "contexts are named features: age (number, 2 empty); times are left out: 'at' (--context dense reads them)"
        """
        both = zip(self.found, self.values, strict=True)
        shown = [_shown(each, values) for each, values in both if each.kind != "time"]
        times = [repr(each.name) for each in self.found if each.kind == "time"]
        left = f"; times are left out: {', '.join(times)} (--context dense reads them)" if times else ""
        return f"contexts are named features: {', '.join(shown) or 'none'}{left}"


class SentFeature(Feature):
    """A column as clients send it: a text is a label whatever it says, and so is a number that begins with a 0."""

    def kind_of(self, labels: list[bytes]) -> Kind:
        """Return what most of the different cells can be read as."""
        return "label" if any(map(_LEADING_ZERO.match, labels)) else super().kind_of(labels)

    def is_no_label(self, cell: bytes) -> bool:
        """Tell whether a cell of a column of labels is empty."""
        return not cell.strip()


def _values(feature: FeatureFound, labels: list[str]) -> list[Any] | None:
    """Return what the codes of a column's cells stand for; None where cells are numbers."""
    if feature.kind != "label":
        return None
    truths = [_TRUTHS.get(label.lower()) for label in labels]
    return labels if None in truths else truths


def _shown(feature: FeatureFound, values: list[Any] | None) -> str:
    if values == []:
        return f"{feature.name} (empty)"
    what = feature.kind if values is None else counted(len(values), "label")
    if values and isinstance(values[0], bool):
        what = "true or false"
    return f"{feature.name} ({what}{f', {feature.missing} empty' if feature.missing else ''})"


def _together(rows: list[Features]) -> Features:
    """Return n contexts as one; memory holds them one behind the other."""
    before = np.cumsum([0, *(len(row.index) for row in rows[:-1])])
    return Features(
        np.stack([row.start for row in rows]) + before[:, np.newaxis],
        np.concatenate([row.index for row in rows]),
        np.concatenate([row.value for row in rows]),
    )


def _check_spaces(names: tuple[str, ...], encoder: Encoder) -> None:
    """Refuse interactions of namespaces that no column is of."""
    known = {""}
    for parts in (name.split(".") for name in names):
        known |= {".".join(parts[:n]) for n in range(1, len(parts))}
    asked = [space for spaces in encoder.interactions or () for space in spaces]
    if missing := [space for space in asked if space not in known]:
        raise InvalidInput(
            "bad_interactions",
            f"there is no namespace {missing[0]!r}: there are {', '.join(map(repr, sorted(known)))}; a column "
            "user.age is of the namespace user, and one without a point of that without a name",
        )


def _both(space: str) -> InvalidInput:
    return InvalidInput(
        "bad_features",
        f"{space!r} is a column, and others make it a namespace by names such as '{space}.x': rename one of them, or "
        "leave one out by --ignore",
    )
