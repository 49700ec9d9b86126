"""Reads a plain table of decisions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, compress
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from ....columns import empty
from ....vocabulary import Problem
from ...arrow import format_module
from ...bad_lines import BadLines
from ...rows import Rows, Wanted
from ...source import Source
from ..plain_columns import CONTEXT, DECISION, has_lists, is_bare, unused_of
from ..segments import is_feature, reads_contexts
from ..table_rows import TablePage, rows_of_table
from .decoding import Lines, decoded
from .lines import UNREADABLE, BareRow, Row
from .values import actions_of, array_of, numbers_of, shaped

_LOOKED_AT = 100  # lines that tell which keys there are


def read_table(source: Source, blocks: Iterator[bytes], wanted: Wanted, bad_lines: BadLines) -> Rows:
    """Return the rows of a plain table."""
    first = next(blocks, b"")
    blocks, values = chain([first], blocks), _values_in(first)
    if not {*wanted.naming.named} <= {*values}:
        values = _values_in(first, None)
    names = list(values)
    bare = is_bare(names, wanted.naming) and not isinstance(values["action"], str)
    times = wanted.times and not set(names) <= set(DECISION)
    if names and (wanted.beside or (bare and times) or not (bare or has_lists(names, wanted.naming))):
        by_name = format_module("jsonl.named_table", "a table whose keys have names of its own")
        named: Rows = by_name.read_table(source, blocks, names, wanted, bad_lines)
        return named
    contexts = reads_contexts(wanted)
    kind: Any = Row if contexts else BareRow
    name = None if is_feature(wanted.segment) else wanted.segment
    if name is not None and name not in kind.__struct_fields__:
        field = ("segment", Any, msgspec.field(default=None, name=name))
        kind, name = msgspec.defstruct("SegmentRow", [field], bases=(kind,), kw_only=True), "segment"
    lines = decoded(source, blocks, msgspec.json.Decoder(kind), bad_lines, start=1)
    pages = _table_pages(lines, bad_lines, name, contexts)
    taken = (*DECISION, *([CONTEXT] if contexts else []), wanted.segment)
    return rows_of_table(source.path, pages, bad_lines, wanted, unused_of(names, taken))


def _values_in(block: bytes, most: int | None = _LOOKED_AT) -> dict[str, Any]:
    """Return the keys of the first lines, in the order in which they come, each with its first value."""
    values: dict[str, Any] = {}
    for line in block.splitlines()[:most]:
        try:
            values = msgspec.json.decode(line, type=dict[str, Any]) | values
        except UNREADABLE:
            continue
    return values


def _table_pages(lines: Lines, bad_lines: BadLines, segment: str | None, contexts: bool) -> Iterator[TablePage]:
    """Yield the lines of a plain table page by page; the first line's context fixes the shape of all."""
    shape: tuple[int, ...] | None = None if contexts else (0,)
    for page, numbers in lines:
        if not page:
            continue
        context = array_of([line.context or [] for line in page]) if contexts else np.zeros((len(page), 0))
        if context is None or context.ndim > 3 or context.shape[1:] != (context.shape[1:] if shape is None else shape):
            found = []
            for line in page:
                found.append(shaped(line.context or [], shape))
                shape = found[-1].shape if shape is None and found[-1] is not None else shape
            good = np.array([each is not None for each in found], np.bool_)
            bad_lines.add("bad_context", *numbers[~good].tolist())
            page, numbers = list(compress(page, good.tolist())), numbers[good]
            if not page:
                continue
            context = np.array([each for each in found if each is not None])
        shape = context.shape[1:]
        columns = empty(len(page), Problem(1))._replace(context=context)
        columns = columns._replace(
            action=actions_of([line.action for line in page], Problem(1)),
            propensity=numbers_of([line.propensity for line in page], np.float64),
            reward=numbers_of([line.reward for line in page], np.float64),
        )
        yield TablePage(columns, numbers, None if segment is None else list(map(attrgetter(segment), page)))


def table_lines(source: Source) -> Iterator[tuple[int, Any]]:
    """Yield the lines of a plain table, each with its number."""
    for number, line in source.lines():
        if said := line.strip():
            yield number, msgspec.Raw(said)
