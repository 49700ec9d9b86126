"""Modules that README and docs named by another name: the old name works for one version more, and says so."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any


def moved(old: str, new: str) -> None:
    """Let the module `old`, which calls this, be the module `new`; warn whoever imports it. Removed in 0.3."""
    message = f"{old} is called {new} now: import that; the old name goes with 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=3)  # to who imports the module that calls this
    sys.modules[old] = importlib.import_module(new)


def moved_names(old: str, homes: dict[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of the package `old`: it finds a name in its module of `homes`, and warns.

    It serves files of policies and environments from outside, written while `old` was a module. Removed in 0.3.
    """
    found = {name: module for module, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in found:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        message = f"{old}.{name} is in {found[name]} now: import that; the old name goes with 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(found[name]), name)

    return get
