"""Reports, curves and lists as rows, and as DataFrames where pandas is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...engine.errors import InvalidInput

if TYPE_CHECKING:
    import pandas

ROWS = ("arms", "queries", "spans", "policies", "experiments")  # what has a row each, by the field of an answer


def as_rows(told: Any) -> list[dict[str, Any]]:
    """Return the rows of a report (an arm or a query each), a curve, a lineup, or a list of answers, as dicts."""
    given: Any = msgspec.to_builtins(told)
    if isinstance(given, list):
        return given
    for name in ROWS:
        if isinstance(found := given.get(name), list):
            return found
    return [given]


def as_frame(told: Any) -> pandas.DataFrame:
    """Return the same as a DataFrame; columns that hold objects are flat, as in `value.low`."""
    try:
        import pandas
    except ImportError:
        raise InvalidInput(
            "no_pandas", "pandas is not installed: install it, or take as_rows, which returns dicts"
        ) from None
    return pandas.json_normalize(as_rows(told))
