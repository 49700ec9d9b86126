"""What code on disk was really made of, noted while numba compiles, and whether its stamp covers that.

Every entry that any test compiles is looked at: `watch` is called where the tests begin.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onearm.engine.compiled import entries, stamp
from onearm.engine.compiled.dispatchers import _Compiler, _RoutineCompiler
from onearm.engine.compiled.entries import EntryCache
from onearm.engine.compiled.libraries import Library, RoutineLibrary

MADE_OF: dict[Any, set[Path]] = {}  # files of the functions in a library, those that it calls included


def watch() -> None:
    """From now on refuse to keep code that is made of a file which its stamp leaves out."""
    finalize, save, load = Library.finalize, EntryCache.save_overload, entries._loaded
    for compiler in (_Compiler, _RoutineCompiler):
        compiler.library = _noted(compiler.library)  # type: ignore[method-assign]

    def finalized(self: Any) -> None:
        below = {self}
        left = [self]
        while left:
            new = set(left.pop()._linking_libraries) - below
            below |= new
            left.extend(new)
        MADE_OF[self] = {file for one in below for file in MADE_OF.get(one, ())}
        finalize(self)

    def loaded(body: tuple[Any, ...], need: Any, context: Any) -> Any:
        found = load(body, need, context)
        if isinstance(found.library, RoutineLibrary):
            MADE_OF[found.library] = {Path(str(sys.modules[found.fndesc.modname].__file__))}
        return found

    def checked(self: Any, signature: Any, compiled: Any) -> None:
        if self.need(compiled.signature.args, compiled.target_context) is not None:
            missing = files_in(compiled.library) - set(stamp.reached(self.modules(compiled.signature.args)))
            assert not missing, f"{self._name} is made of {missing}, which its stamp does not cover"
        save(self, signature, compiled)

    Library.finalize = finalized  # type: ignore[method-assign]
    EntryCache.save_overload = checked  # type: ignore[method-assign]
    entries._loaded = loaded


def _noted(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what makes the library of a function, and notes the function's file."""

    def library(compiler: Any) -> Any:
        made = make(compiler)
        MADE_OF[made] = {Path(compiler.state.func_id.filename)}
        return made

    return library


def files_in(library: Any) -> set[Path]:
    """Return the package's files that the code of a library was made of."""
    return {file for file in MADE_OF[library] if stamp.ROOT in file.parents}
