"""What turns functions into compiled code, `@kernel`, `@routine` and `@loop`, and the registry of kernels.

A *kernel* is a small jitted function over arrays (`select`, `update`, `respond` ...). `register` files a policy's or
an environment's kernels under the class of its params; the generic functions of `engine/protocol.py` find them there
while numba compiles, so a compiled loop calls them directly and still hits the disk cache.

The cache is ours (engine/compiled/) because numba's own goes stale: it watches only the file of the cached function,
and silently returns old code after an edit in the file of a kernel that the function calls.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import typeof, types

from .compiled.entries import INLINED, InlinedKernel, jitted
from .compiled.stamp import is_outside, package_root, source_digest
from .compiled.store import CacheWarning
from .errors import InvalidInput

__all__ = [
    "INLINED",
    "KERNELS",
    "CacheWarning",
    "Loop",
    "is_outside",
    "kernel",
    "kernel_of",
    "loop",
    "package_root",
    "register",
    "routine",
    "source_digest",
]

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[type, dict[str, Callable[..., Any]]] = {}


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Jit a kernel: no exceptions, no allocation, no globals but constants.

    Its code is put where it is called: loops around it can then be vectorised (a keyed draw costs 2.3 ns instead of 8).
    The code alone is neither emitted nor cached on disk, see `_InlinedLibrary`; called from Python it is compiled once
    more, as a function.
    """
    return function if numba.config.DISABLE_JIT else cast(Callable[P, R], InlinedKernel(function, KERNELS))


def routine(function: Callable[P, R]) -> Callable[P, R]:
    """Jit a long kernel, beside which a call costs nothing: it is called, and not put where it is called.

    So a solver inside an environment is as fast in the loops of all policies: put there it was up to 14 % slower in
    some, and took seconds of compiling in each. Numba hands `forceinline` down to what a kernel calls, unless told
    otherwise.
    """
    return cast(Callable[P, R], jitted(function, KERNELS, forceinline=False))


class Loop:
    """A jitted function that runs kernels, specialised for each combination of params and state classes.

    `Loop.compiled(*args)` returns the entry for the types of `args`, compiling or loading it if need be. Calling that
    entry skips numba's dispatch (0.6 us a call with NamedTuples instead of 2.7 us) and with it the check of types:
    another class or dtype, or an array that is not contiguous, gives wrong numbers without a word.
    A combination in which a class comes from outside the package is never cached on disk.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.python = function
        self._jitted = jitted(function, KERNELS)

    def compiled(self, *args: Any) -> Callable[..., Any]:
        """Return the entry compiled for the types of `args`; with the JIT disabled, the Python function itself."""
        if numba.config.DISABLE_JIT:
            return self.python
        signature = tuple(typeof(arg) for arg in args)
        if signature not in self._jitted.overloads:
            self._jitted.compile(signature)
        return cast(Callable[..., Any], self._jitted.overloads[signature].entry_point)

    def __call__(self, *args: Any) -> Any:
        """Compile for these arguments if need be, and run."""
        return self.compiled(*args)(*args)

    @property
    def compilations(self) -> int:
        """How many specialisations this process compiled instead of loading them from the cache."""
        if numba.config.DISABLE_JIT:
            return 0
        return sum(self._jitted.stats.cache_misses.values())


def loop(function: Callable[..., Any]) -> Loop:
    """Turn a function over (params, state, ...) into a `Loop`."""
    return Loop(function)


def register(params_class: type, **kernels: Callable[..., Any]) -> None:
    """File the kernels of a policy or an environment under the class of its params. Write-once.

    Raises `InvalidInput` where the name of the class is taken: numba tells classes apart by their qualified name, so
    two of one name would run each other's kernels without a word.
    """
    for known in KERNELS:
        if known.__qualname__ == params_class.__qualname__:
            raise InvalidInput(
                "class_name_taken",
                f"the class name {params_class.__qualname__!r} of {_file_of(params_class)} is taken by "
                f"{_file_of(known)}: names of params classes are unique; rename yours",
            )
    KERNELS[params_class] = kernels


def kernel_of(params: Any, name: str) -> Callable[..., Any] | None:
    """Return the kernel `name` of a numba type (while compiling) or of a params value (in Python)."""
    params_class = params.instance_class if isinstance(params, types.BaseNamedTuple) else type(params)
    return KERNELS.get(params_class, {}).get(name)


def _file_of(thing: type) -> str:
    return getattr(sys.modules.get(thing.__module__), "__file__", None) or thing.__module__
