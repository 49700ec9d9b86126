"""Tables of decisions, one a line, whose columns have names: what each is, and the rows that they make.

What reads the cells - a text of commas, Parquet, lines of JSON - says which columns there are, and gives those that are
wanted. What each column is follows from its name (`roles_of`), or from what a person says of it (`Naming`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from ...errors import InvalidInput, counted
from ...problem import REWARD_MAX
from ...vocabulary import Array, Problem
from ..bad_lines import BadLines
from ..log import no_good_line
from ..rows import Page, Rows, Wanted, part_of
from .beside import BesideColumns
from .cells import (
    MISSING,
    Block,
    Marked,
    floats,
    kept_cells,
    lies_within,
    moments,
    page_of,
    refuse_truths,
    segment_places,
    truths,
    unknown,
)
from .csv_columns import (
    ACTIONS,
    COSTS,
    NUMBERED,
    REWARDS,
    Arms,
    Roles,
    Users,
    are_numbers,
    others_of,
    roles_of,
    units_in,
    users_of,
)
from .named_features import NamedFeatures, told
from .object_features import ObjectFeatures
from .segments import Segments

LABELS_SHOWN = 10
TOGETHER = 4096  # rows of named features that are made at once
UNREADABLE = "\ufffd"  # stands for bytes that are no UTF-8
_REWARD = f"a number from {-REWARD_MAX:g} to {REWARD_MAX:g}, or true and false in the whole column"


class Columnar(Protocol):
    """Lines of which each has a cell for each column."""

    names: list[str]

    def blocks(self, wanted: Sequence[str], numbers: Mapping[str, pa.DataType]) -> Iterator[Block]:
        """Yield the cells of the columns `wanted`, some lines at a time: of `numbers` as numbers, if they can be."""


class Decisions(NamedTuple):
    """A table that was read, with all its decisions: those without a reward have NaN."""

    roles: Roles
    rows: Rows
    waiting: int  # decisions without a reward

    def rewarded(self, path: Path) -> Rows:
        """Return the rows that have a reward; there is at least one."""
        if self.waiting:
            if self.waiting == self.rows.decisions:
                raise InvalidInput(
                    "wrong_format",
                    f"{path} has {counted(self.waiting, 'decision')}, and no reward of any: its rewards are in the "
                    f"column {self.roles.reward!r}, whose cells are all empty{self.rows.bad_lines.told}; name the "
                    "right one",
                )
            self.rows.rewarded = _rewarded
        return self.rows


def read_decisions(table: Columnar, wanted: Wanted, path: Path, form: str, bad_lines: BadLines) -> Decisions:
    """Read all decisions of a table that `path` names; features of users may lie beside it in a file of their own."""
    rows = Rows(bad_lines)
    roles = _roles(table, wanted, path, form)
    plain = wanted.naming.encoder is None and not roles.features
    users = users_of(path, roles) if wanted.contexts and plain else None
    features = _Features(roles, wanted, users, table.names)
    segments, waiting, arms = Segments(rows.segments), 0, None
    optional = [roles.propensity, roles.unit_id, wanted.segment, roles.time if wanted.times else None]
    beside = BesideColumns(wanted.beside, table.names, roles.action, path)
    names = [roles.action, roles.reward, *(name for name in optional if name), *features.names, *beside.names]
    texts = {*(name for name in optional[1:] if name), *beside.names, *features.texts}
    _check_once(names, table, path)
    numbers = {name: kind for name, kind in features.numbers(roles).items() if name not in texts}
    for cells, lines in table.blocks(names, numbers):
        rest = iter(cells[2:])
        score, unit, segment, time = (next(rest) if name else None for name in optional)
        arms = arms or Arms(roles.action, are_numbers(roles.action, cells[0]), wanted.n_arms)
        kept = np.ones(len(lines), np.bool_)
        marked = Marked(lines, kept, bad_lines)
        reward = _rewards(cells[1], roles, marked)
        propensity = _propensities(score, roles, marked)
        others = list(rest)
        context, wrong = features.cells(others[: len(features.names)], len(lines))
        bad_lines.drop("bad_context", wrong, lines, kept)
        bad_lines.reasons |= features.reason
        action = arms.actions(cells[0], marked)
        if not kept.any():
            continue
        context = context if kept.all() else context[kept]
        place = None if segment is None else segment_places(segments, kept_cells(segment, kept))
        page = page_of(action, propensity, reward, context, lines, place, kept)
        if unit is not None:
            page = page._replace(columns=page.columns._replace(unit=units_in(kept_cells(unit, kept))))
        if time is not None:
            page = page._replace(columns=page.columns._replace(time=_times(kept_cells(time, kept))))
        page = beside.on(page, others[len(features.names) :], kept)
        waiting += int(np.isnan(page.columns.reward).sum()) if np.isnan(page.columns.reward.min()) else 0
        for part in features.parts(page):
            rows.append(part)
        rows.decisions += len(page.line)
    if not rows.decisions or arms is None:
        raise no_good_line(path, bad_lines) if bad_lines.count else _no_row(path)
    n_arms, rows.labels, arm = arms.finished()
    found = features.finished([*rows.labels, *map(str, range(len(rows.labels), n_arms))], wanted.dimension)
    rows.problem, rows.example = found.problem, found.example
    rows.finish = _finisher(n_arms, arm, found.contexts)
    taken = {roles.action, roles.reward, roles.time, roles.decision_id, *names}
    rows.beside, rows.features = beside.found, found.called
    rows.notes += _notes(roles, rows.labels, found)
    rows.tell_lowest(arms.smallest, wanted)
    rows.tell_unused([name for name in table.names if name and name not in taken])
    return Decisions(roles, rows, waiting)


class _Contexts(NamedTuple):
    """What the contexts of a table were found to be."""

    problem: Problem
    contexts: Callable[[Array], Any] | None  # makes them of what was kept, where they are not that
    called: list[str]  # of each of their numbers, where somebody knows
    note: str = ""
    example: dict[str, Any] | None = None  # a row as a client writes it


class _Features:
    """The contexts of a table: of columns that are named, of those whose names say so, or of users."""

    def __init__(self, roles: Roles, wanted: Wanted, users: Users | None, columns: list[str]) -> None:
        naming = wanted.naming
        self._users = users
        self._named: NamedFeatures | ObjectFeatures | None = None
        self.names: list[str] = []
        if wanted.contexts and naming.encoder is not None:
            self.names = [*naming.features] or others_of(columns, roles, naming)
            self._named = ObjectFeatures(tuple(self.names), naming.encoder) if self.names else None
        elif wanted.contexts and naming.features:
            self.names = list(naming.features)
            self._named = NamedFeatures(naming.features)
        elif users is not None:
            self.names = [roles.user or ""]
        elif wanted.contexts:
            self.names = [name for name in roles.features if name not in naming.ignored]

    @property
    def texts(self) -> list[str]:
        """Return the columns whose cells are read as text."""
        return [] if self._named is None else self.names

    def parts(self, page: Page) -> Iterator[Page]:
        """Yield the parts of a page that are kept apart: named features take room for each arm."""
        most = TOGETHER if isinstance(self._named, ObjectFeatures) else len(page.line)
        for first in range(0, len(page.line), most):
            yield page if most >= len(page.line) else part_of(page, slice(first, first + most))

    def cells(self, columns: list[pa.Array], n: int) -> tuple[Array, Array]:
        """Return what is kept of n lines, float64[n, ...], and bool[n], which of them cannot be read."""
        if self._named is not None:
            return self._named.cells(columns)
        if self._users is not None:
            places = self._users.places(columns[0])
            return places[:, np.newaxis], places < 0
        context = np.stack([floats(texts) for texts in columns], 1) if columns else np.zeros((n, 0))
        return context, ~np.isfinite(context).all(axis=1)

    @property
    def reason(self) -> dict[str, str]:
        """Return why the first bad context is bad, where that is known."""
        why = "" if self._named is None else self._named.reason
        return {"bad_context": why} if why else {}

    def numbers(self, roles: Roles) -> dict[str, pa.DataType]:
        """Return which columns are numbers, most likely, and of which type."""
        whole = {roles.action: pa.int64()} if roles.action.strip().lower() in NUMBERED else {}
        plain = [] if self._named is not None or self._users is not None else self.names
        return dict.fromkeys((*plain, roles.reward, roles.propensity or roles.reward), pa.float64()) | whole

    def finished(self, arms: list[str], dimension: int | None) -> _Contexts:
        """Return what the contexts are among these arms, when all cells have come."""
        k = len(arms)
        if isinstance(self._named, ObjectFeatures):
            objects = self._named.finished(arms, dimension)
            return _Contexts(objects.problem, objects.contexts, [], objects.told(), objects.example)
        if self._named is not None:
            found, rows = self._named.finished()
            called = [name for each in found for name in each.columns]
            return _Contexts(Problem(k, (len(called),)), rows, called, told(found))
        if self._users is not None:
            users = self._users
            d = users.features.shape[1]
            note = f"contexts are the {counted(d, 'feature')} of users in {users.name}"
            return _Contexts(Problem(k, (d,)), lambda kept: users.features[kept[:, 0].astype(np.int64)], [], note)
        return _Contexts(Problem(k, (len(self.names),)), None, self.names)


def _check_once(names: Sequence[str | None], table: Columnar, path: Path) -> None:
    """Refuse to read one of two columns that have the same name."""
    for name in names:
        if name and table.names.count(name) > 1:
            raise InvalidInput("bad_column", f"{path} has two columns {name!r}: rename one of them")


def _roles(table: Columnar, wanted: Wanted, path: Path, form: str) -> Roles:
    roles = roles_of(table.names, wanted.naming, path)
    if roles is not None:
        _check_features(roles, wanted.naming.features)
    if roles is None:
        raise InvalidInput(
            "wrong_format",
            f"{path} is not {form}: its columns must name an action ({', '.join(ACTIONS)}) and a reward "
            f"({', '.join(REWARDS)}) or a cost ({', '.join(COSTS)}), and has {', '.join(table.names)[:100]!r}; say "
            "which columns they are: --action, --reward (of evaluate, replay and warm-start), or rename them",
        )
    if wanted.segment is not None and wanted.segment not in table.names:
        raise InvalidInput(
            "bad_segment", f"{path} has no column {wanted.segment!r}: it has {', '.join(table.names)[:200]}"
        )
    return roles


def _check_features(roles: Roles, features: tuple[str, ...]) -> None:
    """Refuse as features what is known only afterwards, or is the decision itself."""
    for what, name in (("action", roles.action), ("reward", roles.reward), ("propensity", roles.propensity)):
        if name in features:
            raise InvalidInput(
                "bad_features",
                f"{name!r} is the {what} of the decision, and no feature: a feature is what is known before it is made",
            )


def _rewards(texts: pa.Array, roles: Roles, marked: Marked) -> Array:
    reward = roles.sign * floats(texts)
    reward += 0.0  # -0.0 becomes 0.0
    if lies_within(reward, -REWARD_MAX, REWARD_MAX):
        return reward
    wrong = ~(np.abs(reward) <= REWARD_MAX)
    if (said := truths(texts, np.isnan(reward))) is not None:
        return 0.0 + roles.sign * said
    wrong &= ~unknown(texts, np.isnan(reward))
    marked.drop("bad_reward", wrong, texts, f"{roles.reward!r} is {{}}: it must be {_REWARD}")
    return reward


def _propensities(texts: pa.Array | None, roles: Roles, marked: Marked) -> Array:
    if texts is None:
        return np.full(len(marked.lines), np.nan)
    propensity = floats(texts)
    if lies_within(propensity, np.nextafter(0.0, 1.0), 1.0):
        return propensity
    strange = ~((propensity > 0.0) & (propensity <= 1.0))
    refuse_truths("the column of propensities", texts)
    strange &= ~unknown(texts, np.isnan(propensity))
    marked.drop("bad_propensity", strange, texts, f"{roles.propensity!r} is {{}}: it must be a number in (0, 1]")
    return propensity


def _times(texts: pa.Array) -> Array:
    """Return microseconds since 1970 UTC, int64[n], 0 where a cell is no time in ISO 8601."""
    found = moments(texts.cast(pa.string()))
    return np.where(found == MISSING, 0, found)


def _no_row(path: Path) -> InvalidInput:
    return InvalidInput(
        "wrong_format", f"{path} has columns and not one row: a log has a row for each decision; look at what made it"
    )


def _finisher(n_arms: int, arm: Array | None, contexts: Callable[[Array], Any] | None) -> Callable[[Page], Page]:
    """Return what makes arms of codes, and contexts of what was kept of them."""
    mask = np.ones((1, n_arms), np.bool_)

    def finish(page: Page) -> Page:
        columns = page.columns._replace(available=mask)
        if arm is not None:
            columns = columns._replace(action=arm[columns.action])
        if contexts is not None:
            columns = columns._replace(context=contexts(columns.context))
        return page._replace(columns=columns)

    return finish


def _rewarded(page: Page) -> Page:
    """Return the rows that have a reward."""
    there = ~np.isnan(page.columns.reward)
    return page if there.all() else part_of(page, there)


def _notes(roles: Roles, labels: list[str], found: _Contexts) -> list[str]:
    """Return what a person must know of how a table was read."""
    notes = []
    if labels != [str(arm) for arm in range(len(labels))]:
        shown = ", ".join(f"{arm} = {label}" for arm, label in enumerate(labels[:LABELS_SHOWN]))
        more = ", ..." if len(labels) > LABELS_SHOWN else ""
        notes.append(f"arms are the {counted(len(labels), 'label')} of {roles.action!r} in their order: {shown}{more}")
    if roles.sign < 0.0:
        notes.append(f"rewards are minus {roles.reward!r}")
    if roles.propensity is None:
        notes.append("the log says nothing of propensities: weighted estimates need them")
    if found.note:
        notes.append(found.note)
    if any(UNREADABLE in text for text in (*labels, *found.called)):
        notes.append(f"labels hold letters that are not in UTF-8, which stand as {UNREADABLE}: save the table in UTF-8")
    return notes
