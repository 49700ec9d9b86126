"""The Open Bandit Dataset: one CSV file a campaign, one line an impression.

Source: Saito, Aihara, Matsutani, Narita, "Open Bandit Dataset and Pipeline", NeurIPS 2021 (datasets and
benchmarks). `item_id` is the action, `click` the reward, `propensity_score` the propensity; the lines are
sorted by `timestamp`. There are as many arms as `item_context.csv` beside the file has items, or, without it,
as the file has affinities.

A context is that of the pipeline's own reader: a 1 for the category of each `user_feature_0` and so on, in the order of
their texts, of each feature without its first category; an empty cell is none of them. Affinities are no part of it.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv

from ...columns import concat
from ...errors import InvalidInput
from ...features import DIMENSION_MAX
from ...problem import ARMS_MAX, REWARD_MAX
from ...vocabulary import Array, Problem
from ..bad_lines import BadLines
from ..events import Events
from ..log import Log, no_good_line, reading
from ..records import Event
from ..rows import PAGE, Page, Rows, Wanted, part_of
from ..source import STDIN, Source
from .beside import BesideColumns
from .cells import (
    MISSING,
    Block,
    Table,
    coded,
    floats,
    kept_cells,
    moment,
    moments,
    names_in,
    number_text,
    page_of,
    segment_places,
    split,
    wholes,
    written,
)
from .row_lines import LineWriter, described_events, line_texts, with_reward
from .segments import Segments
from .table_rows import events_of_table

FORM = "a CSV file of the Open Bandit Dataset"
COLUMNS = ("timestamp", "item_id", "click", "propensity_score")
NUMBERS = {"item_id": pa.int64(), "click": pa.float64(), "propensity_score": pa.float64()}
USER = "user_feature"
AFFINITY = "user-item_affinity_"
ITEMS = "item_context.csv"
HEADER = ",timestamp,item_id,position,click,propensity_score"


class _Campaign(NamedTuple):
    """A campaign as it stands in its file."""

    table: Table
    rows: Rows
    times: list[Array] | None  # int64[n] of each page, where they are out of order


def read(path: Path) -> Log:
    """Read a campaign, without contexts. Bad lines are counted and named; the others are read."""
    with read_rows(Source(path), Wanted(contexts=False)) as rows:
        return Log(rows.problem, rows=rows.columns(), bad_lines=rows.bad_lines)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read a campaign in the order of its timestamps; one that memory does not hold in the order of its lines."""
    table, rows, times = _read(source, wanted, source.path)
    if times is None:
        return rows
    if not rows.on_disk:
        return _sorted(rows, np.concatenate(times))
    name, place = shlex.quote(str(source.path)), table.names.index("timestamp") + 1
    rows.notes.append(
        "the lines are not in the order of their timestamps, and too many to be sorted in memory: they are taken as "
        "they stand, which matters to policies that learn and to looks over time; sort them by "
        f"(head -n 1 {name}; tail -n +2 {name} | sort -s -t , -k {place},{place}) > sorted.csv"
    )
    return rows


def read_events(source: Source) -> Events:
    """Read a campaign in the order of its lines, each with its time."""
    found: list[Table] = []

    def rows(file: Source) -> Rows:
        campaign = _read(file, Wanted(), source.path)
        found.append(campaign.table)
        return campaign.rows

    events = events_of_table("obd", source, rows, line_texts)
    place = found[0].names.index("timestamp")
    return described_events(
        events, {"header": found[0].header}, lambda line: {"time": moment(split(line, ",")[place].encode())}
    )


def read_items(path: Path, feature: str) -> Array:
    """Return the category of each arm, int64[k], by a feature in `item_context.csv`, or in the one beside `path`.

    Categories are numbered in the order of their texts. Raises `InvalidInput` where an arm has none.
    """
    items = path.with_name(ITEMS)
    with reading(items, "a CSV file of items", pa.ArrowException):
        types = {"item_id": pa.int64(), feature: pa.string()}
        table = csv.read_csv(items, convert_options=csv.ConvertOptions(column_types=types))
        if feature not in table.column_names or "item_id" not in table.column_names:
            known = ", ".join(name for name in table.column_names if name not in ("", "item_id"))
            raise InvalidInput("no_feature", f"{items} has no feature {feature!r} of items: it has {known}")
        text = dict(zip(table.column("item_id").to_pylist(), table.column(feature).to_pylist(), strict=True))
    arms = range(max(text, default=-1) + 1)
    if lost := [arm for arm in arms if not text.get(arm)] or [0][len(arms) :]:
        raise InvalidInput("no_feature", f"{items} says no {feature} of the item {lost[0]}: every arm needs one")
    order = {name: place for place, name in enumerate(sorted(set(text.values())))}
    return np.array([order[text[arm]] for arm in arms], np.int64)


class Writer(LineWriter):
    """A campaign under way; used in a `with` statement. The position of what was never in one is 1."""

    form: ClassVar[str] = "obd"
    LACKS: ClassVar[frozenset[str]] = frozenset(
        {"context", "available", "detail", "decision_id", "reward_id", "actions", "vector", "unit_id", "policy"}
    )

    def __init__(self, path: Path, problem: Problem, spec: dict[str, Any]) -> None:
        super().__init__(path, problem, spec)
        self._header = str(self._spec.get("header", HEADER))
        self._names = names_in(self._header, ",")

    def check(self, event: Event) -> None:
        """Refuse a decision of unknown propensity."""
        if event.propensity is None or not event.propensity > 0.0:
            raise InvalidInput(
                "cannot_hold",
                f"decision {event.number} has no propensity, and a line of the Open Bandit Dataset must: write csv",
            )

    def header(self) -> str:
        """Return the names of the columns."""
        return self._header

    def line(self, event: Event, reward: float | None, row: int) -> str | None:
        """Return the line of an impression; there is no place for one whose click is unknown."""
        if reward is None:
            return None
        line = self.original(event)
        if line is not None:
            return with_reward(
                line, split(line, ","), self._names.index("click"), reward, number_text(reward), ",".join
            )
        assert event.propensity is not None
        known = {
            "": str(row),
            "timestamp": written(event.time),
            "item_id": str(event.action),
            "position": "1",
            "click": number_text(reward),
            "propensity_score": number_text(event.propensity),
        }
        return ",".join(known.get(name, "") for name in self._names)


def _read(source: Source, wanted: Wanted, beside: Path) -> _Campaign:
    """Return the rows in the order of the lines, and their times where these are not in order.

    Items lie beside a file of their own, for what is read may be a copy.
    """
    bad_lines = BadLines()
    rows = Rows(bad_lines)
    with reading(source.path, FORM, pa.ArrowException):
        table = Table(source, bad_lines, delimiter=",")
        names = table.names
        if missing := [name for name in COLUMNS if name not in names]:
            raise InvalidInput(
                "wrong_format",
                f"{source.path} has no column {missing[0]!r}: a campaign of the Open Bandit Dataset has "
                f"{', '.join(COLUMNS)}",
            )
        if wanted.segment is not None and wanted.segment not in names:
            raise InvalidInput("bad_segment", f"{source.path} has no column {wanted.segment!r}: it has {_some(names)}")
        segment = [] if wanted.segment is None else [wanted.segment]
        own = BesideColumns(wanted.beside, names, "item_id", source.path)
        users = _Categories([name for name in names if name.startswith(USER)] if wanted.contexts else [])
        n_arms = _n_arms(beside, names) or wanted.n_arms
        segments, in_order, largest = Segments(rows.segments), True, 0
        times: list[Array] = []
        numbers = {name: kind for name, kind in NUMBERS.items() if name not in (*segment, *own.names)}
        for block in table.blocks([*COLUMNS, *segment, *users.names, *own.names], numbers):
            page, time = _page(block, users, own, segments if segment else None, n_arms or ARMS_MAX, bad_lines)
            if not len(time):
                continue
            follows = not times or time[0] >= times[-1][-1]
            in_order = in_order and follows and bool((np.diff(time) >= 0).all())
            times = [time] if rows.on_disk else [*times, time]
            largest = max(largest, int(page.columns.action.max()))
            rows.append(page)
            rows.decisions += len(time)
    if not rows.decisions:
        raise no_good_line(source.path, bad_lines)
    n_arms = n_arms or largest + 1
    rows.beside, rows.first_line = own.found, 2
    context = users.contexts()
    mask = np.ones((1, n_arms), np.bool_)
    rows.problem = Problem(n_arms, (users.dimension,))
    rows.finish = lambda page: page._replace(
        columns=page.columns._replace(context=context(page.columns.context), available=mask)
    )
    return _Campaign(table, rows, None if in_order else times)


def _page(
    block: Block, users: _Categories, beside: BesideColumns, segments: Segments | None, n_arms: int, bad_lines: BadLines
) -> tuple[Page, Array]:
    """Return the good lines of a block, with codes for contexts, and their times."""
    time, item, click, score = block.cells[: len(COLUMNS)]
    others = block.cells[len(COLUMNS) :]
    times, action, reward, propensity = moments(time), wholes(item), floats(click), floats(score)
    lines, kept = block.line, np.ones(len(block.line), np.bool_)
    bad_lines.drop("bad_action", (action < 0) | (action >= n_arms), lines, kept)
    bad_lines.drop("bad_propensity", ~((propensity > 0.0) & (propensity <= 1.0)), lines, kept)
    bad_lines.drop("bad_reward", ~(np.abs(reward) <= REWARD_MAX), lines, kept)
    bad_lines.drop("bad_timestamp", times == MISSING, lines, kept)
    others, own = others[: len(others) - len(beside.names)], others[len(others) - len(beside.names) :]
    others = [kept_cells(texts, kept) for texts in others]
    segment = None if segments is None else segment_places(segments, others.pop(0))
    codes = users.codes(others, int(kept.sum()))
    page = beside.on(page_of(action, propensity, reward, codes, lines, segment, kept), own, kept)
    return page, times if kept.all() else times[kept]


class _Categories:
    """The categories of some features, numbered as they are met, and then in their order."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._code: list[dict[bytes, int]] = [{} for _ in names]

    def codes(self, features: list[pa.Array], n: int) -> Array:
        """Return the code of each category, int32[n, features]."""
        found = np.zeros((n, len(features)), np.int32)
        for j, (code, texts) in enumerate(zip(self._code, features, strict=True)):
            names, place = coded(texts)
            found[:, j] = np.array([code.setdefault(name, len(code)) for name in names], np.int32)[place]
        if self.dimension > DIMENSION_MAX:
            raise InvalidInput(
                "too_many_categories",
                f"{', '.join(self.names)} have more than {DIMENSION_MAX} categories together: policies that read "
                "contexts cannot be run on this log",
            )
        return found

    @property
    def dimension(self) -> int:
        """Return the numbers of a context: the categories of each feature, without the first."""
        return sum(max(len(code) - (b"" in code) - 1, 0) for code in self._code)

    def contexts(self) -> Any:
        """Return what makes contexts, float64[n, dimension], of codes, once all categories are known."""
        places, before = [], 0
        for code in self._code:
            ordered = sorted(name for name in code if name)
            rank = {name: before + place - 1 for place, name in enumerate(ordered) if place}
            places.append(np.array([rank.get(name, -1) for name in code], np.int64))
            before += max(len(ordered) - 1, 0)

        def contexts(codes: Array) -> Array:
            found = np.zeros((len(codes), before))
            for j, place in enumerate(places):
                column = place[codes[:, j]]
                there = np.flatnonzero(column >= 0)
                found[there, column[there]] = 1.0
            return found

        return contexts


def _sorted(rows: Rows, time: Array) -> Rows:
    """Return the rows in the order of their times, int64[n]; those of one moment stay as they are."""
    found = Rows(rows.bad_lines)
    found.segments, found.decisions, found.problem = rows.segments, rows.decisions, rows.problem
    found.beside = rows.beside
    finish, rows.finish = rows.finish, lambda page: page  # what is kept are codes
    found.finish = finish
    pages = list(rows.pages())
    columns = concat([page.columns for page in pages])
    line, segment, beside = (
        np.concatenate(parts) for parts in zip(*((page.line, page.segment, page.beside) for page in pages), strict=True)
    )
    whole = Page(columns, line, segment, beside)
    order = np.argsort(time, kind="stable")
    rows.close()
    for start in range(0, len(order), PAGE):
        found.append(part_of(whole, order[start : start + PAGE]))
    return found


def _n_arms(path: Path, names: list[str]) -> int:
    """Return the number of arms, 0 where nothing but the log itself shows it."""
    items = path.with_name(ITEMS)
    if items.is_file() and path != STDIN:
        table = csv.read_csv(items, convert_options=csv.ConvertOptions(include_columns=["item_id"]))
        return int(max(table.column("item_id").to_pylist())) + 1
    return sum(name.startswith(AFFINITY) for name in names)


def _some(names: list[str]) -> str:
    return ", ".join([name for name in names if name][:12]) + (", ..." if len(names) > 13 else "")
