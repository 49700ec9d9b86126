"""Sums of products in eight lanes: `dot`, `four_dots`, `quadratic` and `column_sums`; and `add_scaled`.

A sum of floats has an order, and a compiler may not change it; so one that is added up in sequence can use no vector
instruction. Here the order is eight partial sums, side by side, which it can: `dot` is 4 times as fast, and `quadratic`
reads one triangle only. Numba has no word for that, hence the instructions are built by hand, and the Python functions
add in the same order to the same bits: NumPy multiplies, and Python adds, as NumPy would in an order of its own.
`add_scaled` has no order; a compiler unrolls it for rows far longer than those of a triangle, and adds the rest one by
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ..kernel import INLINED
from ..vocabulary import Array

_WIDTH = 8
_DOUBLE = ir.DoubleType()
_LANES = ir.VectorType(_DOUBLE, _WIDTH)
_INT = ir.IntType(32)


def dot(a: Array, b: Array, n: int) -> float:
    """Return the sum of a[i] b[i], i < n, of two contiguous float64[>= n]."""
    whole, total = n - n % _WIDTH, 0.0
    if whole:  # fewer are multiplied in the time of NumPy's call
        products = (a[:whole] * b[:whole]).tolist()
        total = np.float64(_sum([_in_sequence(products[j::_WIDTH]) for j in range(_WIDTH)]))
    for i in range(whole, n):
        total += a[i] * b[i]
    return total


def four_dots(rows: Array, first: int, b: Array) -> tuple[float, float, float, float]:
    """Return `dot` of rows `first` .. `first` + 3 of a contiguous float64[k, n] and of b, which is read once."""
    s0, s1, s2, s3 = (dot(row, b, len(b)) for row in rows[first : first + 4])
    return s0, s1, s2, s3


def add_scaled(to: Array, a: float, x: Array, n: int) -> None:
    """Add a x[i] to to[i], i < n, of two contiguous float64[>= n] that do not overlap."""
    if n >= _WIDTH:
        to[:n] += a * x[:n]
        return
    for i in range(n):
        to[i] += a * x[i]


def quadratic(form: Array, z: Array) -> float:
    """Return the sum of form[i, j] z[i] z[j] over j <= i, of a contiguous float64[p, p] and float64[p].

    What lies above the diagonal must be 0 (it is read, but for the last p mod 8 columns).
    """
    p = len(z)
    whole = p - p % _WIDTH
    lanes = [0.0] * _WIDTH
    for j in range(0, whole, _WIDTH):
        columns = _columns(form, z, j)
        for k in range(_WIDTH):
            lanes[k] += columns[k] * z[j + k]
    total = _sum(lanes)
    for j in range(whole, p):
        total += _column(form, z, j) * z[j]
    return total


def column_sums(form: Array, z: Array, sums: Array) -> None:
    """Write the sum of form[i, j] z[i] over i >= j into sums[j], of arrays as `quadratic` takes them."""
    p = len(z)
    whole = p - p % _WIDTH
    for j in range(0, whole, _WIDTH):
        sums[j : j + _WIDTH] = _columns(form, z, j)
    for j in range(whole, p):
        sums[j] = _column(form, z, j)


def _columns(form: Array, z: Array, j: int) -> list[float]:
    """Return the sums of eight columns from j on; four rows at once."""
    p = len(z)
    products = z[j:, None] * form[j:, j : j + _WIDTH]
    rest = (p - j) % 4
    fours = products[: p - j - rest].reshape(-1, 4, _WIDTH)
    sums = (fours[:, 0] + fours[:, 1]) + (fours[:, 2] + fours[:, 3])
    return [_in_sequence(column) for column in np.concatenate((sums, products[p - j - rest :])).T.tolist()]


def _column(form: Array, z: Array, j: int) -> float:
    total = 0.0
    for i in range(j, len(z)):
        total += form[i, j] * z[i]
    return total


def _in_sequence(numbers: list[float]) -> float:
    """Return the sum of numbers, added one by one; Python's own `sum` makes up for what it rounds away."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def _sum(lanes: list[float]) -> float:
    a, b, c, d, e, f, g, h = lanes
    return ((a + e) + (c + g)) + ((b + f) + (d + h))


@overload(dot, jit_options=INLINED)
def _dot(a, b, n):
    return lambda a, b, n: _dot_in_lanes(a, b, n)


@overload(four_dots, jit_options=INLINED)
def _four_dots(rows, first, b):
    return lambda rows, first, b: _four_dots_in_lanes(rows, first, b)


@overload(add_scaled, jit_options=INLINED)
def _add_scaled(to, a, x, n):
    return lambda to, a, x, n: _add_scaled_in_lanes(to, a, x, n)


@overload(quadratic, jit_options=INLINED)
def _quadratic(form, z):
    return lambda form, z: _quadratic_in_lanes(form, z)


@overload(column_sums, jit_options=INLINED)
def _column_sums(form, z, sums):
    return lambda form, z, sums: _column_sums_in_lanes(form, z, sums)


code = cast(Callable[[Any], Any], intrinsic)  # whose stub asks the caller for the typing context, too


@code
def _dot_in_lanes(typing: Any, a: Any, b: Any, n: Any) -> Any:
    _check_contiguous(a, b)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x = _data(context, builder, a, args[0])
        y = _data(context, builder, b, args[1])

        return _dots(builder, [x], y, args[2])[0]

    return types.float64(a, b, types.intp), build


@code
def _four_dots_in_lanes(typing: Any, rows: Any, first: Any, b: Any) -> Any:
    _check_contiguous(rows, b)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, y = _data(context, builder, rows, args[0]), _data(context, builder, b, args[2])
        n = builder.extract_value(context.make_array(b)(context, builder, args[2]).shape, 0)
        starts = [builder.gep(x, [builder.mul(builder.add(args[1], n.type(row)), n)]) for row in range(4)]
        return context.make_tuple(builder, signature.return_type, _dots(builder, starts, y, n))

    return types.UniTuple(types.float64, 4)(rows, types.intp, b), build


@code
def _add_scaled_in_lanes(typing: Any, to: Any, a: Any, x: Any, n: Any) -> Any:
    _check_contiguous(to, x)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        y, z, stop = _data(context, builder, to, args[0]), _data(context, builder, x, args[2]), args[3]
        start = stop.type(0)
        for width in (8, 4, 2, 1):  # each of the narrow ones at most once
            end = builder.and_(stop, stop.type(-width))
            factor = _broadcast(builder, args[1], width)
            with _steps(builder, start, end, width) as i:
                term = builder.fmul(factor, _load(builder, z, i, width))
                _store(builder, builder.fadd(_load(builder, y, i, width), term), y, i)
            start = end
        return context.get_dummy_value()

    return types.void(to, types.float64, x, types.intp), build


@code
def _quadratic_in_lanes(typing: Any, form: Any, z: Any) -> Any:
    _check_contiguous(form, z)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        triangle = _Triangle(context, builder, form, z, args)
        lanes = _Sum(builder, _LANES)
        with _steps(builder, triangle.p.type(0), triangle.whole, _WIDTH) as j:
            lanes.add(builder.fmul(triangle.columns(j), _load(builder, triangle.z, j)))
        total = _Sum(builder, _DOUBLE, _sum_lanes(builder, lanes.value()))
        with _steps(builder, triangle.whole, triangle.p, 1) as j:
            total.add(builder.fmul(triangle.column(j), _item(builder, triangle.z, j)))
        return total.value()

    return types.float64(form, z), build


@code
def _column_sums_in_lanes(typing: Any, form: Any, z: Any, sums: Any) -> Any:
    _check_contiguous(form, z, sums)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        triangle = _Triangle(context, builder, form, z, args)
        to = _data(context, builder, sums, args[2])
        with _steps(builder, triangle.p.type(0), triangle.whole, _WIDTH) as j:
            _store(builder, triangle.columns(j), to, j)
        with _steps(builder, triangle.whole, triangle.p, 1) as j:
            builder.store(triangle.column(j), builder.gep(to, [j]))
        return context.get_dummy_value()

    return types.void(form, z, sums), build


class _Triangle:
    """The columns of a lower triangle, times z."""

    def __init__(self, context: Any, builder: Any, form: Any, z: Any, args: Any) -> None:
        self._builder = builder
        self._form = _data(context, builder, form, args[0])
        self.z = _data(context, builder, z, args[1])
        self.p = builder.extract_value(context.make_array(z)(context, builder, args[1]).shape, 0)
        self.whole = _whole(builder, self.p)

    def columns(self, j: Any) -> Any:
        """Build what `_columns` does."""
        builder, p = self._builder, self.p
        columns = _Sum(builder, _LANES)
        quads = builder.sub(p, builder.urem(builder.sub(p, j), p.type(4)))
        with _steps(builder, j, quads, 4) as i:
            a, b, c, d = (self._term(builder.add(i, p.type(row)), j) for row in range(4))
            columns.add(builder.fadd(builder.fadd(a, b), builder.fadd(c, d)))
        with _steps(builder, quads, p, 1) as i:
            columns.add(self._term(i, j))
        return columns.value()

    def column(self, j: Any) -> Any:
        """Build what `_column` does."""
        builder = self._builder
        total = _Sum(builder, _DOUBLE)
        with _steps(builder, j, self.p, 1) as i:
            total.add(builder.fmul(_item(builder, self._form, self._at(i, j)), _item(builder, self.z, i)))
        return total.value()

    def _term(self, i: Any, j: Any) -> Any:
        """Return z[i] form[i, j .. j + 7]."""
        builder = self._builder
        return builder.fmul(_broadcast(builder, _item(builder, self.z, i)), _load(builder, self._form, self._at(i, j)))

    def _at(self, i: Any, j: Any) -> Any:
        return self._builder.add(self._builder.mul(i, self.p), j)


class _Sum:
    """A running sum in a variable of the function that is built."""

    def __init__(self, builder: Any, kind: Any, start: Any = None) -> None:
        self._builder = builder
        self._place = cgutils.alloca_once(builder, kind)
        builder.store(kind(None) if start is None else start, self._place)

    def add(self, term: Any) -> None:
        self._builder.store(self._builder.fadd(self.value(), term), self._place)

    def value(self) -> Any:
        return self._builder.load(self._place)


def _dots(builder: Any, rows: list[Any], b: Any, n: Any) -> list[Any]:
    """Build what `dot` does, of several rows side by side."""
    whole = _whole(builder, n)
    lanes = [_Sum(builder, _LANES) for _ in rows]
    with _steps(builder, n.type(0), whole, _WIDTH) as i:
        factor = _load(builder, b, i)
        for sums, row in zip(lanes, rows, strict=True):
            sums.add(builder.fmul(_load(builder, row, i), factor))
    totals = [_Sum(builder, _DOUBLE, _sum_lanes(builder, sums.value())) for sums in lanes]
    with _steps(builder, whole, n, 1) as i:
        factor = _item(builder, b, i)
        for total, row in zip(totals, rows, strict=True):
            total.add(builder.fmul(_item(builder, row, i), factor))
    return [total.value() for total in totals]


@contextmanager
def _steps(builder: Any, start: Any, stop: Any, step: int) -> Iterator[Any]:
    """Build a loop `for i in range(start, stop, step)` around what is built within."""
    with cgutils.for_range_slice(builder, start, stop, start.type(step), start.type) as (i, _):
        yield i


def _check_contiguous(*arrays: Any) -> None:
    assert all(array.layout == "C" and array.dtype == types.float64 for array in arrays)


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value).data


def _whole(builder: Any, n: Any) -> Any:
    return builder.and_(n, n.type(-_WIDTH))


def _item(builder: Any, data: Any, i: Any) -> Any:
    return builder.load(builder.gep(data, [i]))


def _load(builder: Any, data: Any, i: Any, width: int = _WIDTH) -> Any:
    return builder.load(_place(builder, data, i, ir.VectorType(_DOUBLE, width)), align=8)


def _store(builder: Any, value: Any, data: Any, i: Any) -> None:
    builder.store(value, _place(builder, data, i, value.type), align=8)


def _place(builder: Any, data: Any, i: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(data, [i]), kind.as_pointer())


def _broadcast(builder: Any, value: Any, width: int = _WIDTH) -> Any:
    one = builder.insert_element(ir.Constant(ir.VectorType(_DOUBLE, width), ir.Undefined), value, _INT(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT, width), [0] * width))


def _sum_lanes(builder: Any, lanes: Any) -> Any:
    for half in (4, 2, 1):
        low, high = (
            builder.shuffle_vector(
                lanes, lanes, ir.Constant(ir.VectorType(_INT, half), list(range(start, start + half)))
            )
            for start in (0, half)
        )
        lanes = builder.fadd(low, high)
    return builder.extract_element(lanes, _INT(0))
