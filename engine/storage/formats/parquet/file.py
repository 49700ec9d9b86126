"""An open Parquet file: its header, its columns, and its rows in batches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ....errors import InvalidInput
from ...log import ADVICE, read_header, reading
from ...source import STDIN, Source
from .schema import schema

FORM = "a Parquet file"
PAGE = 1 << 17  # rows
BLOCK = 1 << 20  # rows of a few columns of numbers, which are read at once
FEW = 8  # columns


@contextmanager
def opened(source: Source) -> Iterator[pq.ParquetFile]:
    """Open a file; standard input and what is packed are written to a temporary file before."""
    with ExitStack() as held:
        held.enter_context(reading(source.path, FORM, pa.ArrowException, UnicodeDecodeError))
        if source.path == STDIN or source.packing is not None:
            whole = held.enter_context(tempfile.TemporaryFile())
            for part in source.parts():
                whole.write(part)
            whole.seek(0)
            yield held.enter_context(pq.ParquetFile(whole))
        else:
            yield held.enter_context(pq.ParquetFile(source.path, memory_map=True))


def header_in(file: pq.ParquetFile) -> bytes | None:
    """Return the header of an export, None where the file is a plain table."""
    header: bytes | None = (file.schema_arrow.metadata or {}).get(b"onearm")
    return header


def header_of(path: Path) -> bytes | None:
    """Return the same of the file of a path, of which no more is read than that."""
    with reading(path, FORM, pa.ArrowException):
        header: bytes | None = (pq.read_schema(path).metadata or {}).get(b"onearm")
    return header


def batches(
    source: Source, file: pq.ParquetFile, wanted: list[str], rows: int | None = None
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield the columns `wanted` in batches of at most so many rows, by default a page's, each with those before it."""
    _check_columns(source.path, file.schema_arrow, wanted)
    before, total, size = 0, file.metadata.num_rows, source.size if source.packing is None else None
    for batch in file.iter_batches(rows or PAGE, columns=wanted, use_threads=False):
        yield batch, before
        if size is not None:  # what is packed, and standard input, told it when it was unpacked
            source.progress(size * (before + batch.num_rows) // total - size * before // total)
        before += batch.num_rows


def _check_columns(path: Path, found: pa.Schema, wanted: list[str]) -> None:
    """Check that columns are there, and that those of an export are of its types as far as these are nested."""
    if missing := [name for name in wanted if name not in found.names]:
        raise InvalidInput("wrong_format", f"{path} has no column {missing[0]!r}: {ADVICE}")
    header = (found.metadata or {}).get(b"onearm")
    if header is None:
        return
    for field in schema(*read_header(path, header)):
        if field.name in wanted and pa.types.is_nested(field.type):
            kind = found.field(field.name).type
            if not kind.equals(field.type):
                raise InvalidInput(
                    "wrong_format",
                    f"{path} has the column {field.name!r} of the type {kind}: in an export it is {field.type}",
                )


def holds(file: pq.ParquetFile, name: str) -> bool:
    """Tell by its statistics whether a list column holds anything: reading null lists is slow."""
    leaves = [i for i in range(len(file.schema)) if file.schema.column(i).path.split(".")[0] == name]
    for group in range(file.num_row_groups if leaves else 0):
        # Reading a row first raises where the metadata is damaged; asking for statistics ends the process.
        next(file.iter_batches(1, row_groups=[group], columns=[name], use_threads=False), None)
        for leaf in map(file.metadata.row_group(group).column, leaves):
            known = leaf.statistics
            if known is None or not known.has_null_count or known.null_count < leaf.num_values:
                return True
    return False
