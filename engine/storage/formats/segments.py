"""The segments of a log's rows: each row belongs to one, named by the text of a column or a feature.

>>> found = Segments([])
>>> found.places(["men", "women", "men"]).tolist(), found.names
([0, 1, 0], ['men', 'women'])
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...errors import InvalidInput, as_seen
from ...vocabulary import Array, Problem
from ..rows import Wanted

SEGMENTS_MAX = 1000
_FEATURE = re.compile(r"context\[(\d{1,9})\]")


class Segments:
    """Names of segments, in the order in which they were met; `names` is filled, as `Rows.segments` wants it."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._place: dict[Any, int] = {}

    def places(self, values: Iterable[Any]) -> Array:
        """Return int64[n], the place in `names` of n values: text, numbers, True, False or None."""
        return np.array([self._place_of(value) for value in values], np.int64)

    def places_of_numbers(self, values: Array) -> Array:
        """Return the same of float64[n]."""
        known, inverse = np.unique(values, return_inverse=True)
        return self.places(known.tolist())[inverse]

    def _place_of(self, value: Any) -> int:
        name = _text(value)
        if name not in self._place:
            if len(self.names) == SEGMENTS_MAX:
                raise InvalidInput(
                    "too_many_segments",
                    f"there are more than {SEGMENTS_MAX} segments, {name!r} among them: name a column of few values",
                )
            self._place[name] = len(self.names)
            self.names.append(name)
        return self._place[name]


def is_feature(segment: str | None) -> bool:
    """Whether a segment is named as a feature of a context is."""
    return segment is not None and _FEATURE.fullmatch(segment) is not None


def reads_contexts(wanted: Wanted) -> bool:
    """Whether contexts have to be read, be it for a segment only."""
    return wanted.contexts or is_feature(wanted.segment)


def feature_of(segment: str, problem: Problem) -> int:
    """Return which feature of a dense context names the segments: 3 of "context[3]"."""
    if problem.layout == "named":
        raise InvalidInput(
            "bad_segment",
            f"the segment is {as_seen(segment)}: this export has named features, and segments by them need its "
            "database: onearm evaluate URL --experiment NAME --segment FEATURE",
        )
    found = _FEATURE.fullmatch(segment)
    if found is None or problem.layout != "dense":
        raise InvalidInput(
            "bad_segment",
            f"the segment is {as_seen(segment)}: of this log it can be a feature of a dense context, such as "
            "context[0]",
        )
    if (feature := int(found[1])) >= problem.context_shape[0]:
        raise InvalidInput(
            "bad_segment",
            f"the segment is {as_seen(segment)}: a context of this log has {problem.context_shape[0]} features",
        )
    return feature


def _text(value: Any) -> str:
    """Return the name of a value: whole numbers without a point, and nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
