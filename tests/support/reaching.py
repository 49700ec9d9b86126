"""Which functions a compiled function may call, read off its code: without compiling, for all policies in a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from onearm.engine.kernel import KERNELS, Loop, is_outside


def functions(start: Callable[..., Any], classes: set[type]) -> set[FunctionType]:
    """Return the package's functions that `start` may reach, where the params and states are of these classes.

    The kernels of every class are reached: a generic function calls one of them.
    """
    found: set[FunctionType] = set()
    left = [start, *(kernel for one in classes for kernel in KERNELS.get(one, {}).values())]
    while left:
        function = _python(left.pop())
        if function is not None and function not in found:
            found.add(function)
            left.extend(_named_in(function))
    return found


def file_of(function: FunctionType) -> str:
    """Return the file that a function of the package stands in."""
    return str(sys.modules[function.__module__].__file__)


def _python(thing: Any) -> FunctionType | None:
    """Return the Python function behind a kernel, a routine, a loop or a function; None for anything else."""
    thing = thing.python if isinstance(thing, Loop) else getattr(thing, "py_func", thing)
    return thing if isinstance(thing, FunctionType) and not is_outside(thing) else None


def _named_in(function: FunctionType) -> Iterator[Any]:
    """Yield what the names in a function stand for, those of modules it names included."""
    names = set(_names(function.__code__))
    named = [function.__globals__[name] for name in names if name in function.__globals__]
    yield from named
    for module in named:
        if isinstance(module, ModuleType):
            yield from (getattr(module, name) for name in names if hasattr(module, name))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
