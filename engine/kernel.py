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
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import typeof
from numba.core.errors import NumbaError

from .compiled.background import BACKGROUND
from .compiled.complaint import complaint
from .compiled.dispatchers import INLINED, InlinedKernel, Routine, jitted, resolve
from .compiled.entries import NAMED_TUPLES, nested_classes, shape_of, without_jit
from .compiled.stamp import is_outside, package_root, source_digest
from .compiled.store import CacheWarning
from .compiled.tiers import Entry, Order, interpreted
from .compiled.waiting import WAITING
from .errors import InvalidInput

__all__ = [
    "INLINED",
    "KERNELS",
    "CacheWarning",
    "Entry",
    "Loop",
    "generic",
    "is_outside",
    "kernel",
    "kernel_beside",
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
    So it is compiled again in every loop, which is right for what is small, or runs for less than some 50 ns. Alone it
    is neither emitted nor kept on disk. Where Python calls a kernel it runs as Python: what is to be compiled has a
    loop around it.
    """
    return function if without_jit() else cast(Callable[P, R], InlinedKernel(function))


def kernel_beside(python: Callable[P, R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Jit a kernel, as `kernel` does, for which Python runs the function `python`: the same bits, far cheaper there."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        return python if without_jit() else cast(Callable[P, R], InlinedKernel(function, python))

    return decorated


def routine(function: Callable[P, R]) -> Callable[P, R]:
    """Jit a large kernel, beside which a call costs nothing: it is called, and not put where it is called.

    It is compiled once for the types of its arguments, and kept on disk by itself, for all loops of all policies. A
    call hands over only what the routine uses (`compiled/libraries.py`): linucb runs as fast with `ridge.learn` called,
    52 words, and 10 % slower where its predictions are called too. So a solver inside an environment is as fast in the
    loops of all policies; put there it was up to 14 % slower in some. Where Python calls it, it runs as Python, as a
    kernel does.
    """
    return function if without_jit() else cast(Callable[P, R], Routine(function, KERNELS))


class Loop:
    """A jitted function that runs kernels, specialised for each combination of params and state classes.

    `Loop.compiled(*args)` returns the code for the types of `args`, compiling or loading it if need be. Calling that
    skips numba's dispatch (0.6 us a call with NamedTuples instead of 2.7 us) and with it the check of types: another
    class or dtype, or an array that is not contiguous, gives wrong numbers without a word.
    `Loop.entry(*args)` never waits: it runs as Python until the code is there, which another process compiles. A
    combination in which a class comes from outside the package has no such first tier, and is never cached on disk.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.python = function
        self._jitted = jitted(function, KERNELS, self.compiled)
        self._interpreted = interpreted(function)
        self._entries: dict[Any, Entry] = {}
        self._shaped: dict[Any, Entry] = {}  # the same, found in a tenth of the time
        self._codes: dict[Any, Callable[..., Any]] = {}  # of `compiled`, found so

    def compiled(self, *args: Any) -> Callable[..., Any]:
        """Return the code compiled for the types of `args`; with the JIT disabled, the Python function itself."""
        if without_jit():
            return self.python
        shape = shape_of(args)
        if (known := self._codes.get(shape)) is None:
            known = self._codes[shape] = self._compiled(tuple(map(typeof, args)))
        return known

    def _compiled(self, signature: Any) -> Callable[..., Any]:
        """Return the code for a signature as soon as it is there."""
        entry = self._entries.get(signature)
        if not self.holds(signature):
            WAITING.tell(self.name(signature))
        if entry is None:
            return self.code(signature)
        entry.wait()
        return entry.call

    def entry(self, *args: Any) -> Entry:
        """Return what answers at once for arguments of these types: compiled where that is at hand, or as Python."""
        if without_jit():
            return Entry(self, (), self.python, compiled=True)
        shape = shape_of(args)
        if (known := self._shaped.get(shape)) is None:
            known = self._shaped[shape] = self._entry(tuple(map(typeof, args)))
        return known

    def _entry(self, signature: Any) -> Entry:
        """Return the entry for a signature, of which there is one."""
        if (known := self._entries.get(signature)) is not None:
            return known
        if self.holds(signature) or self._is_outside(signature):
            return self._entries.setdefault(signature, Entry(self, signature, self.code(signature), compiled=True))
        fresh = Entry(self, signature, self._interpreted, compiled=False)
        entry = self._entries.setdefault(signature, fresh)
        if entry is fresh:
            BACKGROUND.ask(entry)
        return entry

    def __call__(self, *args: Any) -> Any:
        """Compile for these arguments if need be, and run."""
        return self._jitted(*args)

    def now(self, *args: Any) -> Any:
        """Run, on the tier that is at hand."""
        return self.entry(*args)(*args)

    def hasten(self, entry: Entry) -> None:
        """Compile an entry now; where that has begun, wait for it."""
        BACKGROUND.take(entry)
        entry.finish()

    def code(self, signature: Any) -> Callable[..., Any]:
        """Return the code for the types of a signature: of this process, from disk, or compiled now."""
        if signature not in self._jitted.overloads:
            try:
                self._jitted.compile(signature)
            except NumbaError as error:
                raise self._refused(signature, error) from None
        return cast(Callable[..., Any], self._jitted.overloads[signature].entry_point)

    def _refused(self, signature: Any, error: NumbaError) -> Exception:
        """Return what is raised where a signature does not compile: what somebody can mend in a file from outside."""
        outside = {found for found in nested_classes(signature) if is_outside(found)}
        if not outside:
            return error
        why = complaint(str(error), [Path(_file_of(found)) for found in outside])
        return InvalidInput("cannot_compile", f"the kernels of {self.name(signature)} do not compile: {why}; mend them")

    def holds(self, signature: Any) -> bool:
        """Tell whether the code for a signature is compiled in this process, or on disk."""
        if signature in self._jitted.overloads:
            return True
        return not self._is_outside(signature) and self._jitted._cache.holds(signature, self._jitted.targetctx)

    def name(self, signature: Any) -> str:
        """Return the name of the function, and that of the policy or environment whose kernels it runs first."""
        of = next((Path(_file_of(found)).stem for found in nested_classes(signature) if found in KERNELS), "")
        return f"{self.python.__name__}({of})"

    def order(self, signature: Any) -> Order:
        """Return what another process must know to compile for a signature."""
        modules = sorted(self._jitted._cache.modules(signature))
        return Order(f"{self.python.__module__}:{self.python.__name__}", modules, signature)

    def _is_outside(self, signature: Any) -> bool:
        """Tell whether this function, or a class of a signature, comes from outside the package."""
        return is_outside(self.python) or any(map(is_outside, nested_classes(signature)))

    @property
    def compilations(self) -> int:
        """How many specialisations this process compiled instead of loading them from the cache."""
        if without_jit():
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
    params_class = params.instance_class if isinstance(params, NAMED_TUPLES) else type(params)
    return KERNELS.get(params_class, {}).get(name)


def generic(function: Callable[P, R]) -> Callable[P, R]:
    """Let compiled code that calls a function call the kernel of that name, of the class of the first argument.

    So nothing is looked up at run time. The function itself does the same in Python.
    """
    if not without_jit():
        resolve(function, lambda params: kernel_of(params, function.__name__))
    return function


def _file_of(thing: type) -> str:
    return getattr(sys.modules.get(thing.__module__), "__file__", None) or thing.__module__
