"""Tables of decisions that come in Arrow's batches: of a Parquet file, or of a table in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...columns import empty
from ...errors import InvalidInput
from ...vocabulary import Problem
from ..bad_lines import BadLines
from ..rows import Rows, Wanted
from .arrow_arrays import floats, integers
from .cells import NO_NUMBERS, Block
from .decision_table import read_decisions
from .plain_columns import CONTEXT, DECISION, has_lists, unused_of
from .segments import is_feature, reads_contexts
from .table_rows import TablePage, rows_of_table

_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
Batch = tuple[pa.RecordBatch, int]  # some rows, and how many there are before them


class Batched(Protocol):
    """A table in batches."""

    path: Path  # what people call it: of a table in memory no file
    form: str  # what it is, as in "a Parquet file"
    names: list[str]  # of its columns

    def batches(self, wanted: list[str]) -> Iterator[Batch]:
        """Yield some columns, in their order."""


def read_batches(table: Batched, wanted: Wanted, bad_lines: BadLines) -> Rows:
    """Return the rows of a table that have a reward."""
    names = table.names
    if wanted.beside or not has_lists(names, wanted.naming):
        return read_decisions(_Cells(table), wanted, table.path, table.form, bad_lines).rewarded(table.path)
    columns = [name for name in (*DECISION, *([CONTEXT] if reads_contexts(wanted) else [])) if name in names]
    segment = None if wanted.segment is None or is_feature(wanted.segment) else wanted.segment
    columns += [] if segment is None or segment in columns else [segment]
    pages = _plain_pages(table.path, table.batches(columns), bad_lines, segment)
    return rows_of_table(table.path, pages, bad_lines, wanted, unused_of(names, columns))


class _Cells:
    """A table whose columns have names of their own: see decision_table.py."""

    def __init__(self, table: Batched) -> None:
        self.names = table.names
        self._table = table

    def blocks(self, wanted: Sequence[str], numbers: Mapping[str, pa.DataType] = NO_NUMBERS) -> Iterator[Block]:
        """Yield the cells of the columns `wanted`: numbers as numbers, all else as text."""
        for batch, before in self._table.batches(list(dict.fromkeys(wanted))):
            cells = [cells_of(self._table.path, name, batch.column(name)) for name in wanted]
            yield Block(cells, np.arange(before + 1, before + batch.num_rows + 1))


def cells_of(path: Path, name: str, column: pa.Array) -> pa.Array:
    """Return a column as numbers, NaN for null, or as texts, empty for null."""
    if pa.types.is_dictionary(column.type):
        column = _undone(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        raise InvalidInput(
            "bad_column",
            f"{path} has the column {name!r} of the type {kind}, which is a span of time: make it a number of the unit "
            "that counts, as of seconds",
        )
    if pa.types.is_nested(kind):
        raise InvalidInput(
            "bad_column",
            f"{path} has the column {name!r} of the type {kind}: a cell must hold a number, a text or a time",
        )
    if pa.types.is_integer(kind) and not column.null_count:
        return column
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = np.ascontiguousarray(floats(column))
        return pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", "UTC"), safe=False)  # of nanoseconds the last three digits go
    try:
        return column.cast(pa.string()).fill_null("")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InvalidInput("bad_column", f"{path} has the column {name!r} of bytes that are no text in UTF-8") from None


def _undone(column: pa.DictionaryArray) -> pa.Array:
    """Return the values of a column that keeps each once; Arrow cannot take them of views, as polars has."""
    values = column.dictionary
    if pa.types.is_string_view(values.type):
        column = pa.DictionaryArray.from_arrays(column.indices, values.cast(pa.string()))
    return column.dictionary_decode()


def _plain_pages(path: Path, some: Iterable[Batch], bad_lines: BadLines, segment: str | None) -> Iterator[TablePage]:
    """Yield the rows of a plain table; the first context fixes the length of all."""
    length: int | None = None
    for batch, before in some:
        lines = np.arange(before + 1, before + batch.num_rows + 1)
        context = np.zeros((len(lines), 0))
        if CONTEXT in batch.schema.names and batch.num_rows:
            _check_lists(path, batch.column(CONTEXT).type)
            lengths = integers(pc.call_function("list_value_length", [batch.column(CONTEXT)]), fill=0)
            length = int(lengths[0]) if length is None else length
            if not (same := lengths == length).all():
                bad_lines.add("bad_context", *lines[~same].tolist())
                lines, batch = lines[same], batch.filter(pa.array(same))
            context = floats(batch.column(CONTEXT).flatten()).reshape(len(lines), length)
        columns = empty(len(lines), Problem(1))._replace(context=np.array(context))
        columns.action[:] = integers(batch.column("action"), fill=-1)
        columns.reward[:] = floats(batch.column("reward"))
        if "propensity" in batch.schema.names:
            columns.propensity[:] = floats(batch.column("propensity"))
        yield TablePage(columns, lines, None if segment is None else batch.column(segment).to_pylist())


def _check_lists(path: Path, kind: pa.DataType) -> None:
    """Refuse contexts that are no lists of numbers."""
    is_list = any(check(kind) for check in _LISTS)
    if not is_list or not any(check(kind.value_type) for check in _NUMBERS):
        raise InvalidInput(
            "bad_column",
            f"{path} has the column {CONTEXT!r} of the type {str(kind)[:80]}: a context is a list of numbers; say by "
            "features which columns are the context",
        )
