"""Eight bytes at once: where a name ends is found in a word of 64 bits, without a branch for each byte.

Numba has no word for an unaligned load or for the first bit that is set, hence these instructions are built by hand,
and the Python functions give the same.

Source: Mycroft 1987, for the bytes of a word that are zero: of those that are told the first one is right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ..kernel import INLINED, kernel
from ..vocabulary import Array

LOW, HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)  # the lowest, and the highest bit of each byte
_1, _8, _64 = np.uint64(1), np.uint64(8), np.uint64(64)


def eight_bytes(data: Array, at: int) -> np.uint64:
    """Return bytes `at` to `at` + 8 of a contiguous uint8[n], the first one lowest; they must be there."""
    return np.uint64(int.from_bytes(data[at : at + 8].tobytes(), "little"))


def first_byte(flags: np.uint64) -> int:
    """Return which byte of a word holds its lowest bit; the word is not 0."""
    return ((int(flags) & -int(flags)).bit_length() - 1) // 8


def fetch(table: Array, row: int) -> None:
    """Let a row of a contiguous table be brought near, as it is read soon."""


code = cast(Callable[[Any], Any], intrinsic)  # whose stub asks the caller for the typing context, too


@overload(eight_bytes, jit_options=INLINED)
def _eight_bytes(data, at):
    return lambda data, at: _loaded(data, at)


@overload(first_byte, jit_options=INLINED)
def _first_byte(flags):
    return lambda flags: _counted(flags) >> 3


@overload(fetch, jit_options=INLINED)
def _fetch(table, row):
    return lambda table, row: _fetched(table, row)


@code
def _loaded(typing: Any, data: Any, at: Any) -> Any:
    assert isinstance(data, types.Array) and data.layout == "C" and data.dtype is types.uint8

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = context.make_array(data)(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(start, [args[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return types.uint64(data, types.intp), build


@code
def _fetched(typing: Any, table: Any, row: Any) -> Any:
    assert isinstance(table, types.Array) and table.layout == "C" and table.ndim == 2

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = context.make_array(table)(context, builder, args[0])
        place = builder.gep(rows.data, [builder.mul(args[1], builder.extract_value(rows.shape, 1))])
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [builder.bitcast(place, byte), word(0), word(3), word(1)])  # to read, to keep, of data
        return context.get_dummy_value()

    return types.void(table, types.intp), build


@code
def _counted(typing: Any, flags: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), build


@kernel
def signed(word: Any) -> int:
    """Return a number with a sign: of one with and one without, numba makes a sum that is a float."""
    found: Any = np.int64(word)
    return found


@kernel
def some_bytes(data: Array, at: int, n: int) -> np.uint64:
    """Return n bytes, 0 to 8, with zeros above them."""
    if at + 8 <= len(data):
        word = eight_bytes(data, at)
        return word if n >= 8 else word & ((_1 << np.uint64(8 * n)) - _1)
    word = np.uint64(0)
    for i in range(n):
        word |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return word


@kernel
def below(word: np.uint64, limit: int) -> np.uint64:
    """Return flags of the bytes that are less than `limit`, at most 128: the first flag is right."""
    return (word - LOW * np.uint64(limit)) & ~word & HIGH


@kernel
def equal(word: np.uint64, letter: int) -> np.uint64:
    """Return flags of the bytes that are a letter: the first flag is right."""
    return below(word ^ LOW * np.uint64(letter), 1)
