"""How numba writes LLVM code of a function: a kernel is handed tuples whole, and what is assigned once is no memory.

Numba takes tuples apart where a function is called, and puts them together in it, field by field: that was half of
the code of a linear policy, whose states have 300 fields. What is put where it is called needs none of that.

Of what is left, a third were elements of arrays: numba copies the array to memory for each, 30 instructions in all.
Here an element is 15. Ranges are left as they are: written shorter, loops ran up to 6 % slower.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from numba import types
from numba.core import cgutils, ir
from numba.core.analysis import compute_cfg_from_blocks, compute_use_defs
from numba.core.datamodel import PrimitiveModel, register_default
from numba.core.lowering import Lower


class Whole(types.Type):  # type: ignore[misc]
    """An argument that is handed over as one LLVM value."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        super().__init__(f"whole({kind})")


@register_default(Whole)
class _WholeModel(PrimitiveModel):  # type: ignore[misc]
    """What LLVM has for one: what numba has for a variable of its type."""

    def __init__(self, manager: Any, whole: Whole) -> None:
        super().__init__(manager, whole, manager[whole.kind].get_value_type())


class OurLower(Lower):  # type: ignore[misc]
    """Numba's lowering, of what Python calls and of routines."""

    def _find_singly_assigned_variable(self) -> None:
        """Find the variables that are values, as in SSA, and no memory: of those of one assignment, all that can be.

        Numba takes those that are used in one block alone, and copies all others, whole states too, to memory and back.
        """
        super()._find_singly_assigned_variable()
        if self.func_ir.func_id.is_generator:
            return
        times: dict[str, int] = defaultdict(int)
        assigned: dict[str, int] = {}
        for offset, block in self.blocks.items():
            for one in block.find_insts(ir.Assign):
                times[one.target.name] += 1
                assigned[one.target.name] = offset
        used: dict[str, list[int]] = defaultdict(list)
        for offset, names in compute_use_defs(self.blocks).usemap.items():
            for name in names:
                used[name].append(offset)
        dominators = compute_cfg_from_blocks(self.blocks).dominators()
        for name, offset in assigned.items():
            if times[name] == 1 and all(offset < use and offset in dominators[use] for use in used[name]):
                self._singly_assigned_vars.add(name)

    def lower_getitem(self, kind: Any, expression: Any, value: Any, index: Any, signature: Any) -> Any:
        """Read an element of an array, or what else is read so."""
        array, at = signature.args
        if self.context.enable_boundscheck or not _is_element(array, at) or self.typeof(value.name) != array:
            return super().lower_getitem(kind, expression, value, index, signature)
        place = self._place(array, value, at, index)
        found = self.context.unpack_value(self.builder, array.dtype, place, align=None if array.aligned else 1)
        return self.context.cast(self.builder, found, signature.return_type, kind)

    def lower_setitem(self, target: Any, index: Any, value: Any, signature: Any) -> Any:
        """Write an element of an array, or what else is written so."""
        array, at, kind = signature.args
        if self.context.enable_boundscheck or not _is_element(array, at) or self.typeof(target.name) != array:
            return super().lower_setitem(target, index, value, signature)
        given = self.context.cast(self.builder, self.loadvar(value.name), self.typeof(value.name), kind)
        given = self.context.cast(self.builder, given, kind, array.dtype)
        place = self._place(array, target, at, index)
        return self.context.pack_value(self.builder, array.dtype, given, place, align=None if array.aligned else 1)

    def _place(self, array: Any, value: Any, at: Any, index: Any) -> Any:
        """Return the address of an element: negative indices count from the end, and nothing is checked."""
        context, builder, model = self.context, self.builder, self.context.data_model_manager[array]
        given = self.loadvar(value.name)
        data, shape, strides = (
            builder.extract_value(given, model.get_field_position(name)) for name in ("data", "shape", "strides")
        )
        sizes, steps = cgutils.unpack_tuple(builder, shape), cgutils.unpack_tuple(builder, strides)
        places = context.cast(builder, self.loadvar(index.name), self.typeof(index.name), at)
        each = zip(*_indices(builder, at, places), sizes, strict=True)
        inside = [_from_begin(context, builder, *one) for one in each]
        return cgutils.get_item_pointer2(context, builder, data, sizes, steps, array.layout, inside)

    def lower_expr(self, kind: Any, expression: Any) -> Any:
        """Write the code of an expression: a part of a pair, which each iteration of a loop asks for, is one field."""
        if expression.op in ("pair_first", "pair_second"):
            return self.builder.extract_value(self.loadvar(expression.value.name), int(expression.op == "pair_second"))
        return super().lower_expr(kind, expression)


def _is_element(array: Any, at: Any) -> bool:
    """Tell whether an index means one element of an array."""
    kinds = [*at] if isinstance(at, types.BaseTuple) else [at]
    is_whole = isinstance(array, types.Array) and len(kinds) == array.ndim > 0
    return is_whole and all(isinstance(kind, types.Integer) for kind in kinds)


def _indices(builder: Any, at: Any, places: Any) -> tuple[list[Any], list[Any]]:
    """Return the types of an index along each axis, and its LLVM values."""
    if isinstance(at, types.BaseTuple):
        return [*at], cgutils.unpack_tuple(builder, places)
    return [at], [places]


def _from_begin(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
    """Return an index that counts from the begin of its axis."""
    if not kind.signed:
        return context.cast(builder, index, kind, types.uintp)
    index = context.cast(builder, index, kind, types.intp)
    is_behind = builder.icmp_signed("<", index, index.type(0))
    return builder.select(is_behind, builder.add(index, size), index)


class KernelLower(OurLower):
    """The same, of kernels. One that calls itself is called as numba calls it."""

    def __init__(self, context: Any, library: Any, description: Any, func_ir: Any, metadata: Any = None) -> None:
        if not any(isinstance(kind, types.RecursiveCall) for kind in description.typemap.values()):
            description.argtypes = tuple(map(Whole, description.argtypes))
        super().__init__(context, library, description, func_ir, metadata)
