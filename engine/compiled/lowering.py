"""How numba writes LLVM code of a function: a kernel is handed tuples whole, and what is assigned once is no memory.

Numba takes tuples apart where a function is called, and puts them together in it, field by field: that was half of
the code of a linear policy, whose states have 300 fields. What is put where it is called needs none of that.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from numba import types
from numba.core import ir
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


class KernelLower(OurLower):
    """The same, of kernels. One that calls itself is called as numba calls it."""

    def __init__(self, context: Any, library: Any, description: Any, func_ir: Any, metadata: Any = None) -> None:
        if not any(isinstance(kind, types.RecursiveCall) for kind in description.typemap.values()):
            description.argtypes = tuple(map(Whole, description.argtypes))
        super().__init__(context, library, description, func_ir, metadata)
