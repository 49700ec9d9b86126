"""CSV with a header, a decision a line, as MABWiser, Mab2Rec and many others have it.

    user_id,item_id,response,propensity            decision_id,time,action,reward,propensity,x0,x1
    259,255,0,0.25                                 a7,2024-05-01T12:00:00+00:00,2,1.0,0.5,0.1,-3

What a column is goes by its name, whatever its case: the first that is there of `ACTIONS`, of `REWARDS` or `COSTS` (a
cost is minus a reward), of `PROPENSITIES`, of `TIMES`; and all that are called x0, x_1, feature_2, context_3, u4 or so
are the context. Without these, a file `features_user.csv` beside the log gives the features of each `user_id`. Other
columns are for segments and for the way back. A score is no propensity: it is what a recommender thinks of an item.

The cells of `action` or `arm` are numbers of arms, from 0, if they are whole. Others are labels: the arms are then
numbered in the order of the labels, that of numbers where all are numbers; `Rows.labels` has them.

An empty cell is an unknown propensity, or a reward that has not come.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from ...columns import take
from ...contexts import unpack_contexts
from ...errors import InvalidInput
from ...problem import REWARD_MAX
from ...vocabulary import Array, Problem
from ..events import Events
from ..log import BadLines, Log, no_good_line, reading
from ..rows import Page, Rows, Wanted
from ..source import Source
from ..tables import Event
from .cells import (
    MISSING,
    UNKNOWN,
    Table,
    floats,
    kept_cells,
    moment,
    names_in,
    number_text,
    page_of,
    segment_places,
    split,
    unknown,
    written,
)
from .csv_columns import (
    ACTIONS,
    COSTS,
    REWARDS,
    Arms,
    Roles,
    Users,
    are_numbers,
    roles_of,
    users_of,
)
from .row_lines import LineWriter, described_events, line_texts, with_reward
from .segments import Segments
from .table_rows import events_of_table

FORM = "a CSV file of decisions"
IDS = ("decision_id", "unit_id")  # columns that are written where some decision has one
LABELS_SHOWN = 10


def read(path: Path) -> Log:
    """Read a table. Bad lines are counted and named; the others are read."""
    with read_rows(Source(path), Wanted()) as rows:
        return Log(rows.problem, rows=rows.columns(), bad_lines=rows.bad_lines)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the decisions that have a reward, in the order of the lines."""
    _, _, rows, waiting = _read(source, wanted, source.path)
    if waiting:
        if waiting == rows.decisions:
            raise no_good_line(source.path, rows.bad_lines)
        rows.rewarded = _rewarded
    return rows


def read_events(source: Source) -> Events:
    """Read all decisions in the order of the lines, with their times and ids."""
    found: list[_Read] = []

    def rows(file: Source) -> Rows:
        found.append(_read(file, Wanted(), source.path))
        return found[0].rows

    events = events_of_table("csv", source, rows, line_texts)
    table, roles, read_before, _ = found[0]
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
        self._roles = roles_of(self._names)
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


class _Read(NamedTuple):
    """A table that was read, with all its decisions: those without a reward have NaN."""

    table: Table
    roles: Roles
    rows: Rows
    waiting: int  # decisions without a reward


def _read(source: Source, wanted: Wanted, beside: Path) -> _Read:
    """Read all decisions; features of users lie beside a file of their own, for what is read may be a copy."""
    bad_lines = BadLines()
    rows = Rows(bad_lines)
    with reading(source.path, FORM, pa.ArrowException):
        table = Table(source, bad_lines)
        roles = roles_of(table.names)
        if roles is None:
            raise InvalidInput(
                "wrong_format",
                f"{source.path} is not {FORM}: its first line must name an action ({', '.join(ACTIONS)}) and a reward "
                f"({', '.join(REWARDS)}) or a cost ({', '.join(COSTS)}), and is {table.header[:100]!r}",
            )
        if wanted.segment is not None and wanted.segment not in table.names:
            raise InvalidInput(
                "bad_segment", f"{source.path} has no column {wanted.segment!r}: it has {', '.join(table.names)[:200]}"
            )
        features = roles.features if wanted.contexts else []
        users = users_of(beside, roles) if wanted.contexts and not features else None
        d = len(features) if users is None else users.features.shape[1]
        segments, waiting, arms = Segments(rows.segments), 0, None
        optional = [roles.propensity, roles.user if users else None, wanted.segment]
        for cells, lines in table.blocks([roles.action, roles.reward, *(name for name in optional if name), *features]):
            rest = iter(cells[2:])
            score, user, segment = (next(rest) if name else None for name in optional)
            arms = arms or Arms(are_numbers(roles.action, cells[0]), wanted.n_arms)
            kept = np.ones(len(lines), np.bool_)
            reward = 0.0 + roles.sign * floats(cells[1])
            wrong = ~(np.abs(reward) <= REWARD_MAX)
            if wrong.any():
                wrong &= ~unknown(cells[1], np.isnan(reward))
                bad_lines.drop("bad_reward", wrong, lines, kept)
            propensity = np.full(len(lines), np.nan) if score is None else floats(score)
            if score is not None and (strange := ~((propensity > 0.0) & (propensity <= 1.0))).any():
                strange &= ~unknown(score, np.isnan(propensity))
                bad_lines.drop("bad_propensity", strange, lines, kept)
            context = np.zeros((len(lines), 0)) if not features else np.stack([floats(texts) for texts in rest], 1)
            bad_lines.drop("bad_context", ~np.isfinite(context).all(axis=1), lines, kept)
            if users is not None:
                assert user is not None
                context = users.places(user)[:, np.newaxis]
                bad_lines.drop("bad_context", context[:, 0] < 0, lines, kept)
            action = arms.actions(cells[0], lines, kept, bad_lines)
            if not kept.any():
                continue
            context = context if kept.all() else context[kept]
            names = None if segment is None else segment_places(segments, kept_cells(segment, kept))
            page = page_of(action, propensity, reward, context, lines, names, kept)
            waiting += int(np.isnan(page.columns.reward).sum())
            rows.append(page)
            rows.decisions += len(page.line)
    if not rows.decisions or arms is None:
        raise no_good_line(source.path, bad_lines)
    n_arms, rows.labels, arm = arms.finished()
    rows.problem = Problem(n_arms, (d,))
    rows.finish = _finisher(n_arms, arm, users)
    rows.notes += _notes(roles, rows.labels, users)
    return _Read(table, roles, rows, waiting)


def _finisher(n_arms: int, arm: Array | None, users: Users | None) -> Any:
    """Return what makes arms of codes, and contexts of users."""
    mask = np.ones((1, n_arms), np.bool_)

    def finish(page: Page) -> Page:
        columns = page.columns._replace(available=mask)
        if arm is not None:
            columns = columns._replace(action=arm[columns.action])
        if users is not None:
            columns = columns._replace(context=users.features[columns.context[:, 0]])
        return page._replace(columns=columns)

    return finish


def _rewarded(page: Page) -> Page:
    """Return the rows that have a reward."""
    there = ~np.isnan(page.columns.reward)
    return page if there.all() else Page(take(page.columns, there), page.line[there], page.segment[there])


def _notes(roles: Roles, labels: list[str], users: Users | None) -> list[str]:
    """Return what a person must know of how a table was read."""
    notes = []
    if labels != [str(arm) for arm in range(len(labels))]:
        shown = ", ".join(f"{arm} = {label}" for arm, label in enumerate(labels[:LABELS_SHOWN]))
        more = ", ..." if len(labels) > LABELS_SHOWN else ""
        notes.append(f"arms are the {len(labels)} labels of {roles.action!r} in their order: {shown}{more}")
    if roles.sign < 0.0:
        notes.append(f"rewards are minus {roles.reward!r}")
    if roles.propensity is None:
        notes.append("the log says nothing of propensities: weighted estimates need them")
    if users is not None:
        notes.append(f"contexts are the {users.features.shape[1]} features of users in {users.name}")
    return notes
