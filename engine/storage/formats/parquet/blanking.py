"""An export in which some decisions say nothing of anybody any more: their rows stay, with what counts of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...windows import SAID, SHOWN, TAKEN

KEPT = ("seq", "kind", "number", "action", "propensity", "reward", "time")  # of a blank row; a point goes, an arm stays


def blanked(source: Path, onto: IO[bytes], numbers: Collection[int]) -> bool:
    """Copy an export with the rows of decisions of these numbers blank; return whether there was any.

    Cost: a row group in memory at a time.
    """
    wanted = pa.array(sorted(numbers), pa.int64())
    found = False
    with pq.ParquetFile(source) as file, pq.ParquetWriter(onto, file.schema_arrow) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            blank = pc.fill_null(pc.is_in(table["number"], wanted), False)
            if pc.any(blank).as_py():
                found = True
                table = _blank(table, blank)
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    return found


def tells(source: Path, numbers: Collection[int]) -> bool:
    """Tell whether rows of decisions of these numbers say more than what counts of them. Cost: as `blanked`."""
    wanted = pa.array(sorted(numbers), pa.int64())
    with pq.ParquetFile(source) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            rows = table.filter(pc.fill_null(pc.is_in(table["number"], wanted), False))
            if rows.num_rows and not _blank(rows, pa.chunked_array([pa.repeat(True, rows.num_rows)])).equals(rows):
                return True
    return False


def _blank(table: pa.Table, blank: pa.ChunkedArray) -> pa.Table:
    """Return a table with nothing but what counts in rows that are to be blank."""
    said = None
    if "detail" in table.schema.names:
        told = table["detail"]
        said = pc.is_in(told, pa.array(SAID))
        for begin in (TAKEN, SHOWN):
            said = pc.or_(said, pc.fill_null(pc.starts_with(told, begin), False))
    for place, field in enumerate(table.schema):
        if field.name in KEPT and pa.types.is_primitive(field.type):
            continue
        gone = pc.and_not(blank, said) if field.name == "detail" else blank
        table = table.set_column(place, field, pc.if_else(gone, pa.scalar(None, field.type), table[field.name]))
    return table
