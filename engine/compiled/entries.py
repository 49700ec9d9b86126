"""Numba's side of compiled code: how kernels are inlined, and how an entry is kept on disk and loaded again.

All that knows numba's internals is here. An *entry* is a function compiled for the types of its arguments. Its file is
named by a digest of the function's name, these types, the versions and the processor that it was compiled for, and the
stamp of its sources (stamp.py): those reached from the function's own file, from the module of each class among the
types, nested ones included, and from those of the kernels that are registered under it, as no import leads to these.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from numba import njit, types
from numba.core import config
from numba.core.caching import NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, CompileResult, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.serialize import dumps
from numba.core.typed_passes import NativeLowering

from . import store
from .binding import BoundType
from .stamp import VERSIONS, is_outside, stamp

OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
NAMED_TUPLES = (types.NamedTuple, types.NamedUniTuple)  # as numba sees them: of fields of several types, or of one
TUPLES = (*NAMED_TUPLES, types.Tuple, types.UniTuple)

Kernels = Mapping[type, Mapping[str, Callable[..., Any]]]


def without_jit() -> bool:
    """Tell whether kernels are plain Python functions: numba's `NUMBA_DISABLE_JIT`, as it was at the start."""
    return bool(vars(config)["DISABLE_JIT"])


def jitted(function: Callable[..., Any], kernels: Kernels) -> Any:
    """Return numba's dispatcher of a function, which keeps what it compiles on disk unless the function is outside."""
    dispatcher: Any = njit(**OPTIONS)(function)
    if not without_jit() and not is_outside(function):
        dispatcher._cache = EntryCache(function, kernels)
    return dispatcher


class EntryCache(NullCache):  # type: ignore[misc]
    """What a dispatcher asks for the entries of its function, and gives what it compiled.

    A signature with classes from outside is never kept: no stamp covers their kernels.
    """

    def __init__(self, function: Callable[..., Any], kernels: Kernels) -> None:
        self._function = function
        self._kernels = kernels
        self._name = re.sub(r"\W", "_", f"{function.__module__.rpartition('.')[2]}_{function.__name__}")

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return what numba compiled for these types of arguments, in this process's context; None if it has to."""
        key = self.key(signature, context)
        body = None if key is None else store.read(self._name, key)
        if key is None or body is None:
            return None
        try:
            return CompileResult._rebuild(context, *pickle.loads(body))
        except Exception as error:  # whatever it holds: compiling helps
            store.warn_of_file(self._name, key, f"{type(error).__name__}: {error}")
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what numba compiled. It gives the full signature here, and asks for the types of the arguments."""
        key = self.key(getattr(signature, "args", signature), compiled.target_context)
        if key is not None:
            store.write(self._name, key, dumps(compiled._reduce()))

    def key(self, signature: Any, context: Any) -> str | None:
        """Return the digest of all that an entry is made of; None where it is not to be kept."""
        if any(map(is_outside, nested_classes(signature))):
            return None
        sources = stamp(self.modules(signature))
        if sources is None:
            return None
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        made_of = [name, *map(_described, signature), VERSIONS, str(context.codegen().magic_tuple()), sources]
        return hashlib.sha256("\n".join(made_of).encode()).hexdigest()

    def modules(self, signature: Any) -> set[str]:
        """Return the modules of the function, of the classes of a signature, and of the kernels filed under these."""
        classes = {*nested_classes(signature)}
        kernels = [kernel for found in classes for kernel in self._kernels.get(found, {}).values()]
        return {thing.__module__ for thing in (self._function, *classes, *kernels)}

    def holds(self, signature: Any, context: Any) -> bool:
        """Tell whether the entry for these types of arguments is on disk."""
        key = self.key(signature, context)
        return key is not None and store.file_of(self._name, key).is_file()


def nested_classes(signature: Any) -> Iterator[Any]:
    """Yield the NamedTuple classes among the types of arguments, nested ones included."""
    for kind in signature:
        yield from _classes(kind)


def _classes(kind: Any) -> Iterator[Any]:
    """Yield the NamedTuple classes of a numba type, nested ones included."""
    if isinstance(kind, NAMED_TUPLES):
        yield kind.instance_class
    if isinstance(kind, TUPLES):
        for inner in kind:
            yield from _classes(inner)
    if isinstance(kind, BoundType):
        yield from _classes(kind.value)


def _described(kind: Any) -> str:
    """Return what tells a numba type from all others: two classes of one name have different modules."""
    if isinstance(kind, TUPLES):
        named = getattr(kind, "instance_class", tuple)
        return f"{named.__module__}.{named.__qualname__}({', '.join(map(_described, kind))})"
    if isinstance(kind, BoundType):
        return f"Bound({_described(kind.value)})"
    return str(kind)


class _InlinedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is only ever put into other code, and emitted there.

    Numba would emit each kernel too, with a wrapper for Python that holds the kernel and all below it once more: a
    quarter of the time that compiling a loop took. It is optimised alone all the same: with the cheap pass only,
    compiling took half as long, but ucb1 22.7 ns a decision instead of 18.3.
    """

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    @property
    def codegen(self) -> _InlinedLibrary:
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Numba writes the address of a function's environment into what was emitted: here nothing was."""


@register_pass(mutates_CFG=True, analysis_only=False)
class _InlinedLowering(NativeLowering):  # type: ignore[misc]
    """Numba's lowering, into an `_InlinedLibrary`."""

    _name = "inlined_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _InlinedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().run_pass(state)


class _InlinedCompiler(CompilerBase):  # type: ignore[misc]
    """Numba's compiler, with `_InlinedLowering` for its lowering."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(_InlinedLowering if one is NativeLowering else one, text) for one, text in passes.passes]
        passes.finalize()
        return [passes]


# For kernels, and for what finds them: a call would push every field of a state.
INLINED = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _InlinedCompiler,
}


class InlinedKernel(CPUDispatcher):  # type: ignore[misc]
    """What `@kernel` returns: code for those compiled functions that call it, and for Python the Python function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        options = OPTIONS | INLINED | {"nopython": True, "boundscheck": None}
        super().__init__(function, targetoptions=options, pipeline_class=options.pop("pipeline_class"))

    def __call__(self, *args: Any) -> Any:
        """Run it as Python."""
        return self.py_func(*args)


class Routine(CPUDispatcher):  # type: ignore[misc]
    """What `@routine` returns: a function that compiled functions call, and for Python the Python function."""

    def __init__(self, function: Callable[..., Any], kernels: Kernels) -> None:
        options = OPTIONS | {"nopython": True, "boundscheck": None, "forceinline": False}
        super().__init__(function, targetoptions=options)
        if not is_outside(function):
            self._cache = EntryCache(function, kernels)

    def __call__(self, *args: Any) -> Any:
        """Run it as Python."""
        return self.py_func(*args)
