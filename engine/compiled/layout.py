"""Where the arrays of NamedTuples lie: rows of them all at once, their addresses, and bytes that are copied there.

Spelled out field by field, numba types, lowers and optimises an indexing or a loop nest for each array, some 80
instructions of LLVM. Built here a row is 6 of them and an address is 3; what is done with addresses is one loop for
all arrays.

>>> from typing import NamedTuple
>>> class Pair(NamedTuple):
...     count: np.ndarray
...     mean: np.ndarray
>>> pair = Pair(np.array([3, 4]), np.array([0.5, 1.0, 1.5]))
>>> address, size = np.zeros((2, 2), np.int64)
>>> lay_out(pair, address, size)
>>> size.tolist()
[16, 24]
>>> copy_bytes(address[1], address[1] + 16, 8)
>>> pair.mean.tolist()
[1.5, 1.0, 1.5]
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from .entries import NAMED_TUPLES

_BYTE = ir.IntType(8)
Array = np.ndarray[Any, Any]


def lay_out(state: Any, address: Array, size: Array) -> None:
    """Write where each array of a NamedTuple begins, and its bytes: int64[m] each, in the order of the fields.

    Nested ones included; fields whose names begin with `scratch_` are left out. The arrays are contiguous.
    """
    for i, array in enumerate(kept_arrays(state)):
        address[i] = array.ctypes.data
        size[i] = array.nbytes


def copy_bytes(target: int | np.int64, source: int | np.int64, n: int) -> None:
    """Write n bytes from one address on to another. They may overlap."""
    ctypes.memmove(int(target), int(source), int(n))


def kept_arrays(state: Any) -> Iterator[Array]:
    """Yield the arrays of a NamedTuple that `lay_out` writes down."""
    for name, part in zip(state._fields, state, strict=True):
        if not name.startswith("scratch_"):
            yield from kept_arrays(part) if isinstance(part, tuple) else [part]


def build_rows(row_of: Callable[[Any, int], Any]) -> None:
    """Let compiled code that calls `row_of(states, i)` get a NamedTuple of row i of all arrays, i >= 0."""

    @type_callable(row_of)
    def typed(context: Any) -> Any:
        return lambda states, i: (
            _row_type(states) if isinstance(states, NAMED_TUPLES) and isinstance(i, types.Integer) else None
        )

    @lower_builtin(row_of, types.BaseNamedTuple, types.Integer)
    def lowered(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        states, i = signature.args
        place = context.cast(builder, arguments[1], i, types.intp)
        return _row(context, builder, states, signature.return_type, arguments[0], place)


def _row_type(kind: Any) -> Any:
    if isinstance(kind, NAMED_TUPLES):
        return types.BaseTuple.from_types([_row_type(part) for part in kind], kind.instance_class)
    return kind.copy(ndim=kind.ndim - 1) if kind.ndim > 1 else kind.dtype


def _row(context: Any, builder: Any, kind: Any, row: Any, value: Any, i: Any) -> Any:
    if isinstance(kind, NAMED_TUPLES):
        parts = [
            _row(context, builder, part, of, builder.extract_value(value, f), i)
            for f, (part, of) in enumerate(zip(kind, row, strict=True))
        ]
        return context.make_tuple(builder, row, parts)
    array = context.make_array(kind)(context, builder, value)
    shape, strides = (cgutils.unpack_tuple(builder, part) for part in (array.shape, array.strides))
    start = cgutils.pointer_add(builder, array.data, builder.mul(i, strides[0]), array.data.type)
    if kind.ndim == 1:
        return context.unpack_value(builder, kind.dtype, start)
    from numba.np.arrayobj import make_view

    return make_view(context, builder, kind, array, row, start, shape[1:], strides[1:])._getvalue()


@type_callable(lay_out)
def _type_lay_out(context: Any) -> Any:
    return lambda state, address, size: types.none if isinstance(state, NAMED_TUPLES) else None


@lower_builtin(lay_out, types.BaseNamedTuple, types.Array, types.Array)
def _lower_lay_out(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    address, size = (
        context.make_array(kind)(context, builder, value).data
        for kind, value in zip(signature.args[1:], arguments[1:], strict=True)
    )
    for i, (kind, value) in enumerate(_kept(builder, signature.args[0], arguments[0])):
        array = context.make_array(kind)(context, builder, value)
        place = [context.get_constant(types.intp, i)]
        builder.store(builder.ptrtoint(array.data, cgutils.intp_t), builder.gep(address, place))
        builder.store(builder.mul(array.nitems, array.itemsize), builder.gep(size, place))
    return context.get_dummy_value()


def _kept(builder: Any, kind: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the types and values of the arrays that `lay_out` writes down."""
    for f, (name, part) in enumerate(zip(kind.instance_class._fields, kind, strict=True)):
        if not name.startswith("scratch_"):
            inside = builder.extract_value(value, f)
            yield from _kept(builder, part, inside) if isinstance(part, NAMED_TUPLES) else [(part, inside)]


@type_callable(copy_bytes)
def _type_copy_bytes(context: Any) -> Any:
    return lambda target, source, n: types.none


@lower_builtin(copy_bytes, types.Integer, types.Integer, types.Integer)
def _lower_copy_bytes(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    target, source, n = (
        context.cast(builder, value, kind, types.intp) for value, kind in zip(arguments, signature.args, strict=True)
    )
    pointers = (builder.inttoptr(address, _BYTE.as_pointer()) for address in (target, source))
    cgutils.raw_memmove(builder, *pointers, n, 1)
    return context.get_dummy_value()
