"""Logs as people hand them over: paths, URLs of databases, and tables of any library; and what was read of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ...engine.errors import InvalidInput, counted
from ...engine.storage.rows import Wanted
from ...engine.vocabulary import Array, Columns
from ..console import progress
from ..offline.reading import Handed, Logged, check_naming, handed, place_of
from ..table import Column, Table
from .arguments import columns_of, text_of, whole_of
from .frames import frame_of, library_of
from .page import as_html, as_text
from .spelling import as_arguments

DECISION = ("action", "reward", "propensity")  # columns of every log
SHOWN = 5  # decisions of a log that shows itself


class Frame(Protocol):
    """A table of any library: what has the Arrow PyCapsule interface, as pandas, polars, pyarrow and DuckDB have."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return the table as a stream of Arrow's."""
        ...


Data = str | os.PathLike[str] | Frame  # what a log may be handed over as


@dataclass(frozen=True, repr=False)
class DecisionLog:
    """The decisions of a log that have a reward, in their order: n of them, among k arms."""

    name: str  # what people call it
    arms: list[str]  # the labels of the arms, or their numbers
    columns: Columns = field(compare=False)  # arrays of length n, contexts as rows of numbers
    features: list[str]  # names of the numbers of a context, with their place where a name stands for several columns
    notes: list[str]  # how it was read
    bad_lines: dict[str, int]  # how many lines are left out, by why
    library: str | None = field(default=None, compare=False)  # of which DataFrames are

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.columns.kind)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return columns: action (its label), reward, propensity (NaN where unknown), and the features."""
        rows = self.columns
        found: dict[str, list[Any]] = {
            "action": np.array(self.arms, object)[rows.action].tolist(),
            "reward": rows.reward.tolist(),
            "propensity": rows.propensity.tolist(),
        }
        context = _numbers(rows)
        return found | {name: context[:, j].tolist() for j, name in enumerate(self.features)}

    def to_frame(self) -> Any:
        """Return the same as a DataFrame, of polars or pandas."""
        return frame_of(self.to_dict(), self.library)

    def __repr__(self) -> str:
        """Return the first decisions as text."""
        return as_text([Table(self._title, self._columns())], self._notes)

    def _repr_html_(self) -> str:
        return as_html([Table(self._title, self._columns())], self._notes)

    @property
    def _title(self) -> str:
        mean = self.columns.reward.mean()
        count = f"{counted(len(self), 'decision')} among {counted(len(self.arms), 'arm')}"
        return f"{self.name}: {count}, mean reward {mean:.6g}"

    @property
    def _notes(self) -> list[str]:
        return [*self.notes, *(f"bad lines, {word}: {count}" for word, count in self.bad_lines.items())]

    def _columns(self) -> list[Column]:
        rows = self.columns
        labels = [self.arms[action] for action in rows.action[:SHOWN].tolist()]
        return [
            Column("action", labels, is_number=False),
            Column("reward", [f"{value:.6g}" for value in rows.reward[:SHOWN].tolist()]),
            Column("propensity", [f"{value:.6g}" for value in rows.propensity[:SHOWN].tolist()]),
        ]


def log_of(data: Data, form: str | None = None, experiment: str | None = None) -> Logged:
    """Return a log that was handed over. Raises `InvalidInput` ("bad_data") for what is none."""
    form, experiment = text_of(form, "format"), text_of(experiment, "experiment")
    if isinstance(data, str | os.PathLike):
        with as_arguments(read_log):
            return place_of(os.fspath(data), form, experiment)
    if not hasattr(data, "__arrow_c_stream__"):
        raise InvalidInput(
            "bad_data",
            f"data is of the type {type(data).__name__}: hand over a path, the URL of a database, or a table of "
            "pandas, polars, pyarrow or DuckDB (of a lazy one what collect() returns)",
        )
    if form is not None or experiment is not None:
        raise InvalidInput("no_format", "the table is in memory: format and experiment are for files and databases")
    return handed(data)


def read_log(
    data: Data,
    *,
    features: str | list[str] | tuple[str, ...] = (),
    action: str | None = None,
    reward: str | None = None,
    reward_is: str = "reward",
    propensity: str | None = None,
    time: str | None = None,
    unit: str | None = None,
    format: str | None = None,
    experiment: str | None = None,
    arms: int | None = None,
    dimension: int | None = None,
    context: str = "dense",
    ignore: str | Sequence[str] = (),
    interactions: Sequence[Sequence[str]] | None = None,
    bits: int | None = None,
) -> DecisionLog:
    """Read a log, of any format that `onearm evaluate` reads, into memory.

    Arguments are those of `evaluate`. Named features, as of Vowpal Wabbit's logs, are left out unless `dimension` says
    to how many numbers they are hashed; where each action has features, those of the chosen one count.

    >>> import pandas, onearm
    >>> log = onearm.read_log(pandas.DataFrame({"action": ["a", "b"], "reward": [1, 0], "propensity": [0.5, 0.5]}))
    >>> len(log), log.arms, log.to_dict()["reward"]
    (2, ['a', 'b'], [1.0, 0.0])
    """
    roles = {"action": action, "reward": reward, "propensity": propensity, "time": time, "unit": unit}
    naming = columns_of(roles, features, reward_is, context, ignore, interactions, bits)
    asked = whole_of(dimension, "dimension")
    place = log_of(data, format, experiment)
    with ExitStack() as stack, as_arguments(read_log):
        read = place.here(stack)
        check_naming(read, naming)
        contexts = asked is not None or not (read.is_named or naming.encoder)
        wanted = Wanted(contexts=contexts, dimension=asked, n_arms=whole_of(arms, "arms"), naming=naming)
        with progress("reading", read.size, read.counted) as advance:
            rows = stack.enter_context(read.kept(stack).rows(wanted, advance))
        columns, k = rows.columns(), rows.problem.n_arms
        return DecisionLog(
            place.name,
            [*rows.labels, *map(str, range(len(rows.labels), k))],
            columns,
            _named(rows.features or [f"x{j}" for j in range(_numbers(columns).shape[1])]),
            rows.notes,
            dict(rows.bad_lines.count),
            library_of(data) if isinstance(place, Handed) else None,
        )


def _named(features: list[str]) -> list[str]:
    """Return names of features, no two the same, and none that of another column of a decision.

    >>> _named(["d=x", "action", "d=x"])
    ['d=x', 'action (feature 1)', 'd=x (feature 2)']
    """
    taken, found = {*DECISION}, list[str]()
    for place, name in enumerate(features):
        found.append(f"{name} (feature {place})" if name in taken else name)
        taken.add(name)
    return found


def _numbers(rows: Columns) -> Array:
    """Return contexts, float64[n, d]: of those with a row for each action the row of the one that was chosen."""
    n, context = len(rows.kind), rows.context
    if isinstance(context, tuple):  # named features, which have no number of columns
        return np.zeros((n, 0))
    whole = np.broadcast_to(context, (n, *context.shape[1:]))
    return whole if context.ndim == 2 else whole[np.arange(n), rows.action]
