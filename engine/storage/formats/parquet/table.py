"""Reads a plain table of decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ....columns import empty
from ....errors import InvalidInput
from ....vocabulary import Problem
from ...log import BadLines
from ...rows import Naming, Rows, Wanted
from ...source import Source
from ..cells import Block
from ..decision_table import read_decisions
from ..segments import is_feature, reads_contexts
from ..table_rows import TablePage, rows_of_table
from .arrays import floats, integers
from .file import FORM, batches, opened


def read_table(source: Source, file: pq.ParquetFile, wanted: Wanted, bad_lines: BadLines) -> Rows:
    """Return the rows of a plain table."""
    if wanted.naming != Naming() or not {"action", "reward"} <= set(file.schema_arrow.names):
        return read_decisions(ParquetTable(source, file), wanted, source.path, FORM, bad_lines).rewarded(source.path)
    names = ["action", "reward", "propensity", *(["context"] if reads_contexts(wanted) else [])]
    columns = [name for name in names if name in ("action", "reward") or name in file.schema_arrow.names]
    segment = None if wanted.segment is None or is_feature(wanted.segment) else wanted.segment
    columns += [] if segment is None or segment in columns else [segment]
    pages = _table_pages(batches(source, file, columns), bad_lines, segment)
    return rows_of_table(source.path, pages, bad_lines, wanted)


class ParquetTable:
    """A plain table whose columns have names of their own: see decision_table.py."""

    def __init__(self, source: Source, file: pq.ParquetFile) -> None:
        self.names: list[str] = list(file.schema_arrow.names)
        self._source, self._file = source, file

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """Yield the cells of the columns `wanted`: numbers as numbers, all else as text."""
        for batch, before in batches(self._source, self._file, list(dict.fromkeys(wanted))):
            cells = [_cells(self._source, name, batch.column(name)) for name in wanted]
            yield Block(cells, np.arange(before + 1, before + batch.num_rows + 1))


def _cells(source: Source, name: str, column: pa.Array) -> pa.Array:
    """Return a column as numbers, NaN for null, or as texts, empty for null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_nested(kind):
        raise InvalidInput(
            "bad_column",
            f"{source.path} has the column {name!r} of the type {kind}: a cell must hold a number, a text or a time",
        )
    if pa.types.is_integer(kind) and not column.null_count:
        return column
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = np.ascontiguousarray(floats(column))
        return pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", "UTC"))
    try:
        return column.cast(pa.string()).fill_null("")
    except pa.ArrowInvalid:
        raise InvalidInput(
            "bad_column", f"{source.path} has the column {name!r} of bytes that are no text in UTF-8"
        ) from None


def _table_pages(
    some: Iterable[tuple[pa.RecordBatch, int]], bad_lines: BadLines, segment: str | None
) -> Iterator[TablePage]:
    """Yield the rows of a plain table; the first context fixes the length of all."""
    length: int | None = None
    for batch, before in some:
        lines = np.arange(before + 1, before + batch.num_rows + 1)
        context = np.zeros((len(lines), 0))
        if "context" in batch.schema.names and batch.num_rows:
            lengths = integers(pc.call_function("list_value_length", [batch.column("context")]), fill=0)
            length = int(lengths[0]) if length is None else length
            if not (same := lengths == length).all():
                bad_lines.add("bad_context", *lines[~same].tolist())
                lines, batch = lines[same], batch.filter(pa.array(same))
            context = floats(batch.column("context").flatten()).reshape(len(lines), length)
        columns = empty(len(lines), Problem(1))._replace(context=np.array(context))
        columns.action[:] = integers(batch.column("action"), fill=-1)
        columns.reward[:] = floats(batch.column("reward"))
        if "propensity" in batch.schema.names:
            columns.propensity[:] = floats(batch.column("propensity"))
        yield TablePage(columns, lines, None if segment is None else batch.column(segment).to_pylist())


def table_lines(source: Source) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a plain table, each with its number."""
    with opened(source) as file:
        for batch, before in batches(source, file, file.schema_arrow.names):
            yield from enumerate(batch.to_pylist(), before + 1)
