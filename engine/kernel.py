"""All that knows numba's options: `@kernel`, `@loop`, the registry of kernels, and the disk cache of compiled code.

A *kernel* is a small jitted function over arrays (`select`, `update`, `respond` ...). `register` files a policy's or
an environment's kernels under the class of its params; the generic functions of `engine/protocol.py` find them there
while numba compiles, so a compiled loop calls them directly and still hits the disk cache.

The cache is ours because numba's own goes stale: it watches only the file of the cached function, and silently
returns old code after an edit in the file of a kernel that the function calls. Here the stamp of every cached
function is the digest of all kernel sources, and the digest names the folder.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba import njit, typeof, types
from numba.core.caching import CacheImpl, FunctionCache, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering

from .errors import InvalidInput

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[type, dict[str, Callable[..., Any]]] = {}
OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
SOURCES = ("engine", "policies", "envs")
CACHES_KEPT = 4


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Jit a kernel: no exceptions, no allocation, no globals but constants.

    Its code is put where it is called: loops around it can then be vectorised (a keyed draw costs 2.3 ns instead of 8).
    The code alone is neither emitted nor cached on disk, see `_InlinedLibrary`; called from Python it is compiled once
    more, as a function.
    """
    return function if numba.config.DISABLE_JIT else cast(Callable[P, R], _Kernel(function))


def routine(function: Callable[P, R]) -> Callable[P, R]:
    """Jit a long kernel, beside which a call costs nothing: it is called, and not put where it is called.

    So a solver inside an environment is as fast in the loops of all policies: put there it was up to 14 % slower in
    some, and took seconds of compiling in each. Numba hands `forceinline` down to what a kernel calls, unless told
    otherwise.
    """
    return cast(Callable[P, R], _jitted(function, forceinline=False))


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
        self._jitted = _jitted(function)

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


def is_outside(thing: Any) -> bool:
    """Tell whether a class or function comes from outside the package (a user's policy file, say)."""
    return not thing.__module__.startswith("onearm.")


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


class _Kernel(CPUDispatcher):  # type: ignore[misc]
    """What `@kernel` returns: code for those compiled functions that call it, and for Python a function of its own."""

    def __init__(self, function: Callable[..., Any]) -> None:
        options = OPTIONS | INLINED | {"nopython": True, "boundscheck": None}
        super().__init__(function, targetoptions=options, pipeline_class=options.pop("pipeline_class"))
        self._function = _jitted(function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


def _jitted(function: Callable[..., Any], **options: Any) -> Any:
    dispatcher = njit(**OPTIONS, **options)(function)
    if not numba.config.DISABLE_JIT and not is_outside(function):
        dispatcher._cache = _PackageCache(function)
    return dispatcher


def _holds_outside_class(kind: Any) -> bool:
    """Tell whether a numba type is a NamedTuple from outside the package, or holds one."""
    if isinstance(kind, types.BaseNamedTuple):
        return is_outside(kind.instance_class) or any(map(_holds_outside_class, kind))
    return False


def _file_of(thing: type) -> str:
    return getattr(sys.modules.get(thing.__module__), "__file__", None) or thing.__module__


@functools.cache
def package_root() -> Path:
    """Return the folder that holds this file's folder `engine`."""
    return Path(__file__).resolve().parent.parent


@functools.cache
def source_digest() -> str:
    """Return the sha256 of every kernel source file and of the versions that turn them into code."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version_info[:2]}".encode())
    for room in SOURCES:
        folder = Path(sys.modules[f"onearm.{room}"].__path__[0]) if f"onearm.{room}" in sys.modules else None
        folder = folder or package_root() / room
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


@functools.cache
def cache_folder() -> Path:
    """Return the folder of compiled code for these sources; older ones beyond the newest few are removed."""
    base = os.environ.get("ONEARM_CACHE_DIR") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "onearm"
    )
    folder = Path(base) / source_digest()[:16]
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted((p for p in folder.parent.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
        for stale in others[:-CACHES_KEPT]:
            shutil.rmtree(stale, ignore_errors=True)
    return folder


class _DigestLocator(_CacheLocator):  # type: ignore[misc]
    """Numba's cache locator for our files: stamped by `source_digest`, kept outside the source tree."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return source_digest()

    def get_disambiguator(self) -> str:
        return f"{self._line}-{hashlib.sha256(self._name.encode()).hexdigest()[:8]}"

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _DigestLocator | None:
        return None if is_outside(inspect.unwrap(function)) else cls(function)


class _PackageCache(FunctionCache):  # type: ignore[misc]
    """Numba's disk cache, but for signatures with classes from outside: their kernels are not part of the digest.

    Two processes that save at the same time may give two entries one file, with the code of the later one: what is read
    is taken only where it is for the types that were asked for, and compiled anew otherwise.
    """

    def load_overload(self, signature: Any, context: Any) -> Any:
        if any(map(_holds_outside_class, signature)):
            return None
        found = super().load_overload(signature, context)
        return found if found is None or tuple(found.signature.args) == tuple(signature) else None

    def save_overload(self, signature: Any, data: Any) -> None:
        # Numba saves under the full signature, with the return type, and loads by the types of the arguments.
        if not any(map(_holds_outside_class, getattr(signature, "args", signature))):
            super().save_overload(signature, data)


CacheImpl._locator_classes.insert(0, _DigestLocator)
