"""Reads a plain table whose keys have names of its own: see decision_table.py. Needs Arrow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ....errors import InvalidInput
from ...bad_lines import BadLines
from ...rows import Rows, Wanted
from ...source import Source
from ..cells import NO_NUMBERS, Block
from ..decision_table import read_decisions
from .decoding import FORM, decoded

_ONE = {str, int, float, bool, type(None)}  # what stands in a cell: no list, and no object


def read_table(source: Source, blocks: Iterator[bytes], names: list[str], wanted: Wanted, bad_lines: BadLines) -> Rows:
    """Return the rows of a plain table that has keys of these names."""
    table = JsonTable(source, blocks, names, bad_lines)
    return read_decisions(table, wanted, source.path, FORM, bad_lines).rewarded(source.path)


class JsonTable:
    """A plain table whose keys have names of their own: see decision_table.py."""

    def __init__(self, source: Source, blocks: Iterator[bytes], names: list[str], bad_lines: BadLines) -> None:
        self.names = names
        self._source, self._blocks, self._bad_lines = source, blocks, bad_lines

    def blocks(self, wanted: Sequence[str], numbers: Mapping[str, pa.DataType] = NO_NUMBERS) -> Iterator[Block]:
        """Yield the values of the keys `wanted`: numbers as numbers, all else as text."""
        keys = [(f"k{j}", Any, msgspec.field(default=None, name=name)) for j, name in enumerate(dict.fromkeys(wanted))]
        place = {name: f"k{j}" for j, name in enumerate(dict.fromkeys(wanted))}
        decoder: Any = msgspec.json.Decoder(msgspec.defstruct("Cells", keys))
        for page, lines in decoded(self._source, self._blocks, decoder, self._bad_lines, start=1):
            if page:
                columns = [list(map(attrgetter(place[name]), page)) for name in wanted]
                yield Block([self._cells(*column) for column in zip(wanted, columns, strict=True)], lines)

    def _cells(self, name: str, values: list[Any]) -> pa.Array:
        if set(map(type, values)) - _ONE:
            raise InvalidInput(
                "bad_column",
                f"{self._source.path} has lists or objects under {name!r}: a cell must hold a number, a text or a time",
            )
        return _cells_of(values)


def _cells_of(values: list[Any]) -> pa.Array:
    """Return values as numbers, NaN for null, or as texts, empty for null."""
    kinds = set(map(type, values))
    if kinds <= {int, float, type(None)} and not any(type(value) is int and abs(value) >= 2**53 for value in values):
        found = np.array([math.nan if value is None else value for value in values], np.float64)
        return pa.Array.from_buffers(pa.float64(), len(found), [None, pa.py_buffer(found)])
    return pa.array(["" if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
