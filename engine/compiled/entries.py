"""What numba compiled, on disk: how an entry is named, kept, and loaded again.

An *entry* is a function compiled for the types of its arguments. Its file is named by a digest of the function's name,
these types, the versions and the processor that it was compiled for, and the stamp of its sources (stamp.py): those
reached from the function's own file, from the module of each class among the types, nested ones included, and from
those of the kernels that are registered under it, as no import leads to these.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import typeof, types
from numba.core import config
from numba.core.caching import NullCache
from numba.core.compiler import compile_result
from numba.core.serialize import dumps

from . import store
from .binding import BoundType
from .libraries import LINKED, Link, LoadedLibrary, Need, RoutineLibrary, add_object, needs_of
from .stamp import VERSIONS, is_outside, stamp

NAMED_TUPLES = (types.NamedTuple, types.NamedUniTuple)  # as numba sees them: of fields of several types, or of one
TUPLES = (*NAMED_TUPLES, types.Tuple, types.UniTuple)

Kernels = Mapping[type, Mapping[str, Callable[..., Any]]]


def without_jit() -> bool:
    """Tell whether kernels are plain Python functions: numba's `NUMBA_DISABLE_JIT`, as it was at the start."""
    return bool(vars(config)["DISABLE_JIT"])


class KeptEntry(NamedTuple):
    """An entry as it is kept."""

    description: Any  # numba's, of the function
    environment: Any  # numba's: what the wrapper for Python makes tuples with
    signature: Any
    code: bytes
    link: Link | None  # of a routine
    needs: dict[str, Need]  # routines that the code calls, by their symbols


class EntryCache(NullCache):  # type: ignore[misc]
    """What a dispatcher asks for the entries of its function, and gives what it compiled.

    A function from outside is never kept, nor is a signature with classes from there: no stamp covers their kernels.
    """

    def __init__(self, function: Callable[..., Any], kernels: Kernels, form: str = "loop") -> None:
        self._function = function
        self._kernels = kernels
        self._form = form  # a routine and a loop of one function are called in different ways
        self._name = re.sub(r"\W", "_", f"{function.__module__.rpartition('.')[2]}_{function.__name__}")

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return what numba compiled for these types of arguments, in this process's context; None if it has to."""
        need = self.need(signature, context)
        body = None if need is None else store.read(*need)
        if need is None or body is None:
            return None
        try:
            return _loaded(pickle.loads(body), need, context)
        except LookupError:  # a routine is gone
            return None
        except Exception as error:  # whatever it holds: compiling helps
            store.warn_of_file(*need, f"{type(error).__name__}: {error}")
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what numba compiled. It gives the full signature here, and asks for the types of the arguments."""
        need = self.need(getattr(signature, "args", signature), compiled.target_context)
        needs = needs_of(compiled.library)
        if need is not None and needs is not None:
            store.write(*need, dumps(_kept(compiled, needs)))

    def need(self, signature: Any, context: Any) -> Need | None:
        """Return the name of an entry, and the digest of all that it is made of; None where it is not to be kept."""
        if is_outside(self._function) or any(map(is_outside, nested_classes(signature))):
            return None
        sources = stamp(self.modules(signature))
        if sources is None:
            return None
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        made_of = [
            self._form,
            name,
            *map(_described, signature),
            VERSIONS,
            str(context.codegen().magic_tuple()),
            sources,
        ]
        return Need(self._name, hashlib.sha256("\n".join(made_of).encode()).hexdigest())

    def modules(self, signature: Any) -> set[str]:
        """Return the modules of the function, of the classes of a signature, and of the kernels filed under these."""
        classes = {*nested_classes(signature)}
        kernels = [kernel for found in classes for kernel in self._kernels.get(found, {}).values()]
        return {thing.__module__ for thing in (self._function, *classes, *kernels)}

    def holds(self, signature: Any, context: Any) -> bool:
        """Tell whether the entry for these types of arguments is on disk."""
        need = self.need(signature, context)
        return need is not None and store.file_of(*need).is_file()


def _kept(compiled: Any, needs: dict[str, Need]) -> tuple[Any, ...]:
    """Return an entry to be written: a plain tuple, as numba's `dumps` takes a class for its code."""
    description = compiled.fndesc
    description.typemap = description.calltypes = None  # large, and of no use once the code is there
    link = getattr(compiled.library, "link", None)
    code = compiled.library._get_compiled_object()
    return tuple(KeptEntry(description, compiled.environment, compiled.signature, code, link, needs))


def _loaded(body: tuple[Any, ...], need: Need, context: Any) -> Any:
    """Return a kept entry as if it was compiled now; raise `LookupError` where a routine that it needs is gone."""
    kept = KeptEntry(*body)
    _link(kept, need, context.codegen())
    if kept.link is None:
        library = LoadedLibrary(context.codegen(), kept.description.qualname)
    else:
        library = RoutineLibrary.loaded(context.codegen(), kept.description.qualname, kept.link)
    return compile_result(
        typing_context=context.typing_context,
        target_context=context,
        entry_point=context.get_executable(library, kept.description, kept.environment),
        signature=kept.signature,
        library=library,
        objectmode=False,
        fndesc=kept.description,
        environment=kept.environment,
        lifted=(),
        reload_init=[],
        referenced_envs=[],
    )


def _link(kept: KeptEntry, need: Need, codegen: Any) -> None:
    """Give this process the code of an entry, after that of the routines that it needs."""
    symbol = kept.link.symbol if kept.link else None
    if symbol in LINKED:
        return
    for wanted, routine in kept.needs.items():
        if wanted not in LINKED:
            body = store.read(*routine)
            if body is None:
                raise LookupError(wanted)
            _link(KeptEntry(*pickle.loads(body)), routine, codegen)
    add_object(codegen, kept.code)
    if symbol is not None:
        LINKED[symbol] = need


def shape_of(value: Any) -> Any:
    """Return what tells a value from those of another numba type, in a tenth of the time that numba takes to type it.

    Values of one shape are of one type; those of several shapes may be.
    """
    if isinstance(value, tuple):
        return type(value), *map(shape_of, value)
    if type(value) is np.ndarray:
        return value.dtype, value.ndim, value.flags.num
    if type(value) is int:
        return int, value.bit_length() > 63  # one of 64 bits has no sign
    if isinstance(value, (float, bool, np.generic)):
        return type(value)
    return typeof(value)


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
