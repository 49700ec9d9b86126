"""Replay text as Li et al. 2011 made it common: a line is the arm, its reward, and the features, parted by blanks.

    2 0 5 0 0 37 6 0 0 0 0 25

Arms may be numbered from 0 or from 1: from 1 where no line has the arm 0, which `Rows.notes` then says. There are as
many arms as the largest number shows, unless `Wanted` says how many. Nothing is said of propensities, so they are
unknown: matching needs none, but that arms were drawn uniformly.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ...contexts import unpack_contexts
from ...errors import InvalidInput
from ...problem import ARMS_MAX, REWARD_MAX
from ...vocabulary import Array, Problem
from ..bad_lines import BadLines
from ..events import Events
from ..log import Log, no_good_line, reading
from ..records import Event
from ..rows import Page, Rows, Wanted
from ..source import Source
from .cells import Table, floats, number_text, page_of, wholes
from .row_lines import LineWriter, described_events, line_texts, with_reward
from .segments import Segments, feature_of
from .table_rows import events_of_table

FORM = "replay text, a line being an arm, a reward and features"
BLANKS = re.compile(rb"[ \t]+")
ENDS = re.compile(rb"^ | (?=\r?$)", re.MULTILINE)


def read(path: Path) -> Log:
    """Read a log. Bad lines are counted and named; the others are read."""
    with read_rows(Source(path), Wanted()) as rows:
        return Log(rows.problem, rows=rows.columns(), bad_lines=rows.bad_lines)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read a log in the order of its lines."""
    bad_lines = BadLines()
    rows = Rows(bad_lines)
    with reading(source.path, FORM, pa.ArrowException):
        table = Table.headless(source, bad_lines, " ")
        d = len(table.names) - 2
        if d < 0:
            raise InvalidInput("wrong_format", f"{source.path} is not {FORM}: its lines have {d + 2} cells")
        segments = Segments(rows.segments)
        feature = None if wanted.segment is None else feature_of(wanted.segment, Problem(1, (d,)))
        features = table.names[2:] if wanted.contexts else [] if feature is None else [str(feature + 2)]
        place = feature if wanted.contexts else 0
        most = ARMS_MAX if wanted.n_arms is None else wanted.n_arms + 1  # one more: they may be numbered from 1
        smallest, largest = most, 0
        for cells, lines in table.blocks([*table.names[:2], *features], tidy=_tidy):
            action, reward = wholes(cells[0]), floats(cells[1])
            kept = np.ones(len(lines), np.bool_)
            bad_lines.drop("bad_action", (action < 0) | (action >= most), lines, kept)
            bad_lines.drop("bad_reward", ~(np.abs(reward) <= REWARD_MAX), lines, kept)
            context = np.stack([floats(texts) for texts in cells[2:]], 1) if features else np.zeros((len(lines), 0))
            bad_lines.drop("bad_context", ~np.isfinite(context).all(axis=1), lines, kept)
            if not kept.any():
                continue
            context = context if kept.all() else context[kept]
            segment = None if feature is None else segments.places_of_numbers(context[:, place])
            context = context if wanted.contexts else np.zeros((len(context), 0))
            page = page_of(action, np.full(len(lines), np.nan), reward, context, lines, segment, kept)
            smallest = min(smallest, int(page.columns.action.min()))
            largest = max(largest, int(page.columns.action.max()))
            rows.append(page)
            rows.decisions += len(page.line)
    if not rows.decisions:
        raise no_good_line(source.path, bad_lines)
    first = min(smallest, 1)
    n_arms = wanted.n_arms or largest - first + 1
    if largest - first >= n_arms:
        raise InvalidInput(
            "bad_arms", f"{source.path} has the arms 0 to {largest}, more than {n_arms}: say how many there are"
        )
    if first:
        rows.notes.append("arms are numbered from 1 in the log: arm 0 here is 1 there")
    rows.notes.append("the log says nothing of propensities: matching takes them to be equal, weights need them")
    rows.problem = Problem(n_arms, (d if wanted.contexts else 0,))
    rows.finish = _from(first, n_arms)
    return rows


def read_events(source: Source) -> Events:
    """Read a log in the order of its lines."""
    first: list[int] = []

    def rows(file: Source) -> Rows:
        found = read_rows(file, Wanted())
        first.append(len(found.notes) - 1)  # the arms' first number: one note more says that it is 1
        return found

    events = events_of_table("li", source, rows, line_texts)
    return described_events(events, {"first": first[0]}, lambda line: {})


class Writer(LineWriter):
    """A log under way; used in a `with` statement."""

    form: ClassVar[str] = "li"
    LACKS: ClassVar[frozenset[str]] = frozenset(
        {"propensity", "available", "detail", "decision_id", "reward_id", "time", "actions", "vector", "unit_id"}
    ) | {"policy"}

    def line(self, event: Event, reward: float | None, row: int) -> str | None:
        """Return the line of a decision; there is no place for one without a reward."""
        if reward is None:
            return None
        line = self.original(event)
        if line is not None:
            return with_reward(line, line.split(), 1, reward, number_text(reward), " ".join)
        assert event.action is not None
        context = unpack_contexts([event.context], self._problem)[0].tolist()
        arm = event.action + int(self._spec.get("first", 0))
        return " ".join([str(arm), number_text(reward), *map(number_text, context)])


def _tidy(block: bytes) -> bytes:
    """Return the lines with one blank between cells, and none around them."""
    if b"\t" in block or b"  " in block or b" \n" in block or b"\n " in block or b" \r" in block or block[:1] == b" ":
        block = ENDS.sub(b"", BLANKS.sub(b" ", block))
    return block


def _from(first: int, n_arms: int) -> Any:
    """Return what numbers the arms of a page from 0."""
    mask: Array = np.ones((1, n_arms), np.bool_)

    def finish(page: Page) -> Page:
        return page._replace(columns=page.columns._replace(action=page.columns.action - first, available=mask))

    return finish
