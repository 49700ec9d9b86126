"""NamedTuples that compiled code reads where they lie: written down once, and an address ever after.

An entry of the loop takes every NamedTuple apart that it is called with: params, a state, an instance and a key take
1 us. A bound one is an integer, which takes .02 us. It is written as numba lays it out: scalars and NamedTuples as C
would, an array as its size and item size, the address of its numbers, its shape and its strides.

>>> from typing import NamedTuple
>>> class Pair(NamedTuple):
...     count: int
...     mean: np.ndarray
>>> pair = Bound(Pair(3, np.array([0.5, 1.0])))
>>> opened(pair).count
3
>>> (ctypes.c_int64 * 4).from_address(pair)[:]  # the count; two addresses that nobody reads; the size
[3, 0, 0, 2]
"""

from __future__ import annotations

import ctypes
from typing import Any, Generic, TypeVar

import numpy as np
from llvmlite import ir
from numba import typeof, types
from numba.extending import (
    NativeValue,
    lower_builtin,
    models,
    register_model,
    type_callable,
    typeof_impl,
    unbox,
)

Value = TypeVar("Value")


class Bound(int, Generic[Value]):
    """A NamedTuple of numbers, arrays and such NamedTuples, and the address at which compiled code finds it.

    The arrays are not copied, and must keep their places: what is written into them is seen on both sides.
    """

    value: Value

    def __new__(cls, value: Value) -> Bound[Value]:
        """Write down where the arrays of `value` lie, and its numbers as they are now."""
        memory = _laid_out(value)
        self = super().__new__(cls, ctypes.addressof(memory))
        self.value, self._memory = value, memory
        return self

    _memory: Any  # lives as long as its address

    def __reduce__(self) -> tuple[type[Bound[Value]], tuple[Value]]:
        """Copy and pickle the value: a copy is written down at an address of its own."""
        return Bound, (self.value,)


def opened(bound: Bound[Value]) -> Value:
    """Return the NamedTuple that is bound."""
    return bound.value


def _laid_out(value: Any) -> Any:
    """Return what compiled code reads, in ctypes."""
    if isinstance(value, np.ndarray):
        words = (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
        return (ctypes.c_int64 * len(words))(*words)
    if isinstance(value, tuple):
        parts = [_laid_out(part) for part in value]
        fields = [(f"_{place}", type(part)) for place, part in enumerate(parts)]
        return type("_Layout", (ctypes.Structure,), {"_fields_": fields})(*parts)
    number = np.asarray(value)
    if number.dtype.kind not in "biuf":
        raise TypeError(f"compiled code reads numbers, arrays and NamedTuples of them, and not {value!r}")
    return np.ctypeslib.as_ctypes_type(number.dtype)(number.item())


class BoundType(types.Type):  # type: ignore[misc]
    """What numba knows of a `Bound`: the type of the NamedTuple."""

    def __init__(self, value: types.Type) -> None:
        self.value = value
        super().__init__(name=f"Bound({value})")


@typeof_impl.register(Bound)
def _typeof_bound(bound: Bound[Any], context: Any) -> BoundType:
    return BoundType(typeof(bound.value))


@register_model(BoundType)
class _BoundModel(models.PrimitiveModel):  # type: ignore[misc]
    """In compiled code it is the address."""

    def __init__(self, manager: Any, kind: BoundType) -> None:
        super().__init__(manager, kind, ir.IntType(64))


@unbox(BoundType)
def _unbox_bound(kind: BoundType, bound: Any, conversion: Any) -> NativeValue:
    return NativeValue(conversion.pyapi.long_as_ulonglong(bound))


@type_callable(opened)
def _type_opened(context: Any) -> Any:
    return lambda bound: bound.value if isinstance(bound, BoundType) else None


@lower_builtin(opened, BoundType)
def _lower_opened(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    model = context.data_model_manager[signature.return_type]
    place = builder.inttoptr(arguments[0], model.get_data_type().as_pointer())
    return model.load_from_data_pointer(builder, place)
