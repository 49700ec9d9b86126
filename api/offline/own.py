"""Targets that people bring: columns of the log, a table beside it, shares of the log, or a function of Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.columns import every_mask
from ...engine.errors import InvalidInput, OnearmError
from ...engine.replay.own_laws import OwnLaw
from ...engine.replay.targets import Target
from ...engine.storage.arrow import format_module
from ...engine.storage.rows import Beside, Rows
from ...engine.vocabulary import Array, Columns, Features
from .judging import ReadBeside

BATCH = "batch"  # the one argument of a function that is a target
COLUMNS = {"column": "Chance", "columns": "Chances", "frequency": "Positions", "table": "Keyed"}  # classes by the word
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
    row: Array  # int64[n], where each stands in the table, from 0; in a file without its header

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


@dataclass(frozen=True)
class Own:
    """A target of one's own."""

    kind: str  # a word of `COLUMNS`, or "function"
    what: str  # a column, a pattern of columns, a file; of a function its name
    function: Function | None = None

    def beside(self) -> Beside:
        """Return what reads its columns of a table; a function has none."""
        module = format_module("own_columns", f"the target {self.kind}:{self.what}")
        made: Beside = getattr(module, COLUMNS[self.kind])(Path(self.what) if self.kind == "table" else self.what)
        return made

    def target(self, rows: Rows, found: ReadBeside | None, seed: int) -> Target:
        """Return it at the beginning of a log, of which its columns were read."""
        if self.function is not None:
            return OwnLaw(self.what, _law_of(self.what, self.function, rows), seed)
        assert found is not None, "columns that were not read"
        made: Target = found.beside.target(found.names(rows), found.start(rows), rows, seed)
        return made


def own(text: str) -> Own | None:
    """Return the target of one's own that a person named, None where it is something else.

    >>> own("column:p_new"), own("uniform")
    (Own(kind='column', what='p_new', function=None), None)
    """
    word, _, what = text.partition(":")
    if word not in COLUMNS:
        return None
    if not what:
        raise InvalidInput(
            "bad_target", f"{text!r} names nothing: say column:NAME, columns:p_*, table:FILE, frequency:NAME"
        )
    return Own(word, what)


def is_batch_function(function: Any) -> bool:
    """Whether something is a function of a batch: it takes one argument that is called so.

    >>> is_batch_function(lambda batch: 0), is_batch_function(lambda alpha=1.0: 0)
    (True, False)
    """
    return callable(function) and [*inspect.signature(function).parameters] == [BATCH]


def _law_of(name: str, function: Function, rows: Rows) -> Callable[[Columns, Array], Array]:
    row = np.concatenate([np.zeros(0, np.int64), *(page.line for page in rows.pages())]) - rows.first_line

    def law(page: Columns, beside: Array) -> Array:
        masks, context = every_mask(page), page.context
        assert not isinstance(context, Features), "features that were not hashed to columns"
        whole = np.broadcast_to(context, (len(masks), *context.shape[1:]))
        batch = Batch(whole, masks, rows.features, rows.labels, page.number, row[page.number])
        try:
            return np.asarray(function(batch), np.float64)
        except OnearmError:
            raise
        except Exception as error:
            raise InvalidInput(
                "bad_function", f"{name}(batch) failed ({type(error).__name__}: {error}): it must return float64[n, k]"
            ) from error

    return law
