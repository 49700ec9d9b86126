"""Functions of Python as targets: what they are handed of a log, and what they return."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.columns import every_mask
from ...engine.errors import InvalidInput, OnearmError
from ...engine.replay.own_laws import Law
from ...engine.storage.rows import Rows
from ...engine.vocabulary import Array, Columns, Features

BATCH = "batch"  # the one argument of a function that is a target
Function = Callable[..., Any]


@dataclass(frozen=True)
class Batch:
    """Some decisions of a log, n of them among k actions, for which a function returns probabilities, float64[n, k].

    `batch["age"]` is the column of a context that has that name, float64[n].
    """

    context: Array  # float64[n, d], or float64[n, k, d] where each action has features
    available: Array  # bool[n, k], what could be chosen
    features: list[str]  # d names, where the log has them: "age", "country=de"
    labels: list[str]  # of the actions, where the log names them
    number: Array  # int64[n], of each decision, from 0: those count that have a reward and cells that can be read
    row: Array  # int64[n], where each stands in the table, from 0: of several files in all of them, without headers

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.number)

    def __getitem__(self, name: str) -> Array:
        """Return a column of the context, float64[n]."""
        if name not in self.features:
            known = ", ".join(self.features) or "none: name features"
            raise InvalidInput("no_feature", f"there is no number {name!r} in a context: there are {known[:300]}")
        if self.features.count(name) > 1:
            raise InvalidInput(
                "bad_feature", f"two numbers of a context are called {name!r}: rename one of the columns"
            )
        return self.context[..., self.features.index(name)]


def is_batch_function(function: Any) -> bool:
    """Whether something is a function of a batch: it takes one argument that is called so.

    >>> is_batch_function(lambda batch: 0), is_batch_function(lambda alpha=1.0: 0)
    (True, False)
    """
    return callable(function) and [*inspect.signature(function).parameters] == [BATCH]


def law_of(name: str, function: Function, rows: Rows) -> Law:
    """Return the law of a function: what makes a batch of a page, and hands it over."""
    row = rows.table_rows()

    def law(page: Columns, beside: Array) -> Array:
        masks, context = every_mask(page), page.context
        assert not isinstance(context, Features), "features that were not hashed to columns"
        whole = np.broadcast_to(context, (len(masks), *context.shape[1:]))
        batch = Batch(whole, masks, rows.features, rows.labels, page.number, row[page.number])
        try:
            found = function(batch)
            if found is None:
                raise InvalidInput("bad_law", f"{name}(batch) returns nothing: it must return float64[n, k]")
            return _by_labels(name, found, batch.labels)
        except OnearmError:
            raise
        except Exception as error:
            seen = f"{type(error).__name__}: {error}{_line_of(error, function)}"
            raise InvalidInput(
                "bad_function", f"{name}(batch) failed ({seen}): it must return float64[n, k]"
            ) from error

    return law


def _line_of(error: Exception, function: Function) -> str:
    """Return in words in which line of a function's file it failed; nothing where that is unknown, as of C code."""
    file = getattr(getattr(function, "__code__", None), "co_filename", "")
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == file]
    return f", in line {lines[-1]} of {Path(file).name}" if lines and Path(file).is_file() else ""


def _by_labels(name: str, found: Any, labels: list[str]) -> Array:
    """Return probabilities by position, float64[n, k]; those of a table are found by the names of its columns."""
    named = list(getattr(found, "column_names", getattr(found, "columns", ())))
    wanted = labels or [str(action) for action in range(len(named))]
    by_name = {str(column): column for column in named}
    if named and sorted(by_name) == sorted(wanted):
        return np.column_stack([np.asarray(found[by_name[label]], np.float64) for label in wanted])
    if labels and named and named != [*range(len(named))]:  # so pandas calls the columns of an array
        raise InvalidInput(
            "bad_law",
            f"{name} gives the columns {', '.join([*by_name][:10])}, and the actions are {', '.join(labels[:10])}: "
            "call each column as its action, or return an array",
        )
    return np.asarray(found, np.float64)
