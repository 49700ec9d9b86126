"""DataFrames of what was found: of pandas or polars, whichever a person works with."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ...engine.errors import Unavailable

LIBRARIES = ("polars", "pandas")


def library_of(data: object) -> str | None:
    """Return which of the libraries a table comes from; None for other things."""
    name = type(data).__module__.partition(".")[0]
    return name if name in LIBRARIES else None


def frame_of(columns: Mapping[str, Sequence[Any]], library: str | None) -> Any:
    """Return columns as a DataFrame: of a library, or else of the one that is in use, or else that is installed.

    Raises `Unavailable` ("no_frames") where there is none.
    """
    for name in [library] if library else [*(name for name in LIBRARIES if name in sys.modules), *LIBRARIES]:
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            return importlib.import_module(name).DataFrame(dict(columns))
    raise Unavailable("no_frames", "neither polars nor pandas is installed: install one, or take to_dict()")


def columns_of(rows: Sequence[Mapping[str, Any]], left_out: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Return rows, which have the same keys or lack some, as columns; what is missing is None.

    >>> columns_of([{"a": 1}, {"a": 2, "b": 3}])
    {'a': [1, 2], 'b': [None, 3]}
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in left_out]
    return {name: [row.get(name) for row in rows] for name in names}
