"""Arrow's arrays as NumPy's, and back."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from ...features import unit_of
from ...vocabulary import Array


def integers(column: pa.Array, fill: int) -> Array:
    """Return int64[n]; null becomes `fill`, and so does what is not whole. From 2^63 on it is something negative."""
    if not pa.types.is_integer(column.type):
        values = floats(column)
        return np.where(values == np.floor(values), values, fill).astype(np.int64)
    return numbers(column.cast(pa.int64(), safe=False), np.int64, fill)


def floats(column: pa.Array) -> Array:
    """Return float64[n]; null becomes NaN, and a whole number beyond 2^53 the nearest one."""
    return numbers(column.cast(pa.float64(), safe=False), np.float64, math.nan)


def numbers(column: pa.Array, dtype: type[np.generic], fill: float) -> Array:
    """Return numbers as they lie in Arrow's memory; null becomes `fill`.

    Arrow's own ways into NumPy import pandas where it is installed, which takes a second.
    """
    data = column.buffers()[1]
    if data is None:
        return np.full(len(column), fill, dtype)
    found = np.frombuffer(data, dtype, len(column), column.offset * np.dtype(dtype).itemsize)
    return np.where(valid(column), found, np.array(fill, dtype)) if column.null_count else found


def booleans(column: pa.Array, fill: bool) -> Array:
    """Return bool[n]; null becomes `fill`."""
    data = column.buffers()[1]
    if data is None:
        return np.full(len(column), fill)
    found = _bits(data, column)
    return np.where(valid(column), found, fill) if column.null_count else found


def valid(column: pa.Array) -> Array:
    """Return which elements are not null, bool[n]."""
    present = column.buffers()[0] if column.null_count else None
    return np.ones(len(column), np.bool_) if present is None else _bits(present, column)


def _bits(data: pa.Buffer, column: pa.Array) -> Array:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].view(np.bool_)


def units(column: pa.Array) -> Array:
    """Return the numbers of units by their ids, uint64[n]; null is nobody."""
    found = column.dictionary_encode()
    known = np.append(np.zeros(1, np.uint64), list(map(unit_of, found.dictionary.to_pylist()))).astype(np.uint64)
    return np.asarray(known[integers(found.indices, fill=-1) + 1])


def values_of(lists: pa.FixedSizeListArray) -> pa.Array:
    """Return all values one behind the other, those of null lists included."""
    size = lists.type.list_size
    return lists.values.slice(lists.offset * size, len(lists) * size)


def fixed(rows: Array, null: Array) -> pa.Array:
    """Return the rows, [n, ...], as lists of one size, null where `null`, bool[n], says so."""
    flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, math.prod(rows.shape[1:]), mask=pa.array(null))


def varying(values: pa.Array, lengths: Array, null: Array) -> pa.Array:
    """Return the values as lists of these lengths, int64[n], null where `null`, bool[n], says so."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(null))


def joined(dtype: type[np.generic], arrays: list[Array]) -> pa.Array:
    """Return arrays, of which there may be none, one behind the other."""
    return pa.array(np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype))
