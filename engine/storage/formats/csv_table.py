"""CSV with a header, a decision a line, as MABWiser, Mab2Rec and many others have it.

    user_id,item_id,response,propensity            decision_id,time,action,reward,propensity,x0,x1
    259,255,0,0.25                                 a7,2024-05-01T12:00:00+00:00,2,1.0,0.5,0.1,-3

What a column is goes by its name, whatever its case: the first that is there of `ACTIONS`, of `REWARDS` or `COSTS` (a
cost is minus a reward), of `PROPENSITIES`, of `TIMES`; and all that are called x0, x_1, feature_2, context_3, u4 or so
are the context. Without these, a file `features_user.csv` beside the log gives the features of each `user_id`. Other
columns are for segments, for features that a person names (`Naming`), and for the way back. A score is no propensity:
it is what a recommender thinks of an item.

The cells of `action` or `arm` are numbers of arms, from 0, if they are whole. Others are labels: the arms are then
numbered in the order of the labels, that of numbers where all are numbers; `Rows.labels` has them.

An empty cell is an unknown propensity, or a reward that has not come.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ...contexts import unpack_contexts
from ...vocabulary import Problem
from ..bad_lines import BadLines
from ..events import Events
from ..log import Log, reading
from ..records import Event
from ..rows import PLAIN, Naming, Rows, Wanted
from ..source import Source
from .cells import (
    MISSING,
    UNKNOWN,
    Table,
    moment,
    names_in,
    number_text,
    split,
    written,
)
from .csv_columns import roles_of
from .decision_table import Decisions, read_decisions
from .row_lines import LineWriter, described_events, line_texts, with_reward
from .table_rows import events_of_table

FORM = "a CSV file of decisions"
IDS = ("decision_id", "unit_id")  # columns that are written where some decision has one


def read(path: Path) -> Log:
    """Read a table. Bad lines are counted and named; the others are read."""
    with read_rows(Source(path), Wanted()) as rows:
        return Log(rows.problem, rows=rows.columns(), bad_lines=rows.bad_lines)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the decisions that have a reward, in the order of the lines."""
    return _read(source, wanted, source.path)[1].rewarded(source.path)


def read_events(source: Source, naming: Naming = PLAIN) -> Events:
    """Read all decisions in the order of the lines, with their times and ids."""
    found: list[tuple[Table, Decisions]] = []

    def rows(file: Source) -> Rows:
        found.append(_read(file, Wanted(naming=naming), source.path))
        return found[0][1].rows

    events = events_of_table("csv", source, rows, line_texts)
    table, (roles, read_before, _) = found[0]
    spec = {"header": table.header, "delimiter": table.delimiter, "labels": read_before.labels}

    def known(line: str) -> dict[str, Any]:
        cells = dict(zip(table.names, split(line.removesuffix("\r"), table.delimiter), strict=False))
        time = moment(cells.get(roles.time or "", "").encode("utf-8", "replace"))
        return {
            "time": 0 if time == MISSING else time,
            "decision_id": cells.get(roles.decision_id or "", "") or None,
            "unit_id": cells.get(roles.unit_id or "", "") or None,
        }

    return described_events(events, spec, known)


class Writer(LineWriter):
    """A table under way; used in a `with` statement. Its columns are those of `spec` where that is of a CSV log."""

    form: ClassVar[str] = "csv"
    LACKS: ClassVar[frozenset[str]] = frozenset({"available", "detail", "reward_id", "actions", "vector", "policy"})

    def __init__(self, path: Path, problem: Problem, spec: dict[str, Any]) -> None:
        super().__init__(path, problem, spec)
        self._delimiter = str(self._spec.get("delimiter", ","))
        self._labels = list(self._spec.get("labels", []))
        self._known = set[str]()  # which of time, propensity and the ids some decision has

    def check(self, event: Event) -> None:
        """Note which columns there must be."""
        self._known |= {"time"} if event.time else set()
        self._known |= {name for name in IDS if getattr(event, name) is not None}
        self._known |= set() if event.propensity is None else {"propensity"}

    def header(self) -> str:
        """Return the names of the columns."""
        found = self._spec.get("header")
        if found is None:
            names = (*IDS, "time", "action", "reward", "propensity")
            optional = {*IDS, "time", "propensity"} - self._known
            features = [f"x{j}" for j in range(self._problem.context_shape[0])]
            found = self._joined_cells([*(name for name in names if name not in optional), *features])
        self._names = names_in(found, self._delimiter)
        self._roles = roles_of(self._names, Naming(), "the table")
        assert self._roles is not None, "a header that was written or read before"
        return str(found)

    def line(self, event: Event, reward: float | None, row: int) -> str:
        """Return the line of a decision; its reward is empty where none came."""
        roles = self._roles
        assert roles is not None
        text = "" if reward is None else number_text(0.0 + roles.sign * reward)
        line, place = self.original(event), self._names.index(roles.reward)
        if line is not None:
            ending = "\r" if line.endswith("\r") else ""
            cells = split(line.removesuffix("\r"), self._delimiter)
            if reward is None and cells[place].strip().lower().encode() in UNKNOWN:
                return line
            value = np.nan if reward is None else roles.sign * reward
            return with_reward(line, cells, place, value, text, lambda cells: self._joined_cells(cells) + ending)
        assert event.action is not None
        known = {
            roles.action: self._labels[event.action] if self._labels else str(event.action),
            roles.reward: text,
            roles.propensity: "" if event.propensity is None else number_text(event.propensity),
            roles.time: written(event.time) if event.time else "",
            roles.decision_id: event.decision_id or "",
            roles.unit_id: event.unit_id or "",
        }
        context = unpack_contexts([event.context], self._problem)[0].tolist()
        known |= dict(zip(roles.features, map(number_text, context), strict=False))
        return self._joined_cells([known.get(name, "") for name in self._names])

    def _joined_cells(self, cells: Sequence[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator="").writerow(cells)
        return text.getvalue()


def _read(source: Source, wanted: Wanted, beside: Path) -> tuple[Table, Decisions]:
    """Read all decisions; features of users lie beside a file of their own, for what is read may be a copy."""
    bad_lines = BadLines()
    with reading(source.path, FORM, pa.ArrowException):
        table = Table(source, bad_lines)
        found = read_decisions(table, wanted, beside, FORM, bad_lines)
    found.rows.first_line = 2
    return table, found
