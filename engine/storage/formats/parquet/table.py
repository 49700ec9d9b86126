"""A plain table of decisions, as it lies in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...source import Source
from ..arrow_batches import Batch
from .file import BLOCK, FEW, FORM, batches, opened


class FileTable:
    """An open file as a table in batches: see arrow_batches.py."""

    form = FORM

    def __init__(self, source: Source, file: pq.ParquetFile) -> None:
        self.path = source.path
        self.names: list[str] = list(file.schema_arrow.names)
        self._source, self._file = source, file

    def batches(self, wanted: list[str]) -> Iterator[Batch]:
        """Yield some columns, in their order."""
        kinds = [self._file.schema_arrow.field(name).type for name in wanted if name in self.names]
        small = len(wanted) <= FEW and all(map(pa.types.is_primitive, kinds))  # lists and texts may be long
        return batches(self._source, self._file, wanted, BLOCK if small else None)


def table_lines(source: Source) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a plain table, each with its number."""
    with opened(source) as file:
        for batch, before in batches(source, file, file.schema_arrow.names):
            yield from enumerate(batch.to_pylist(), before + 1)
