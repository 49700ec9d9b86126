"""Modules that README and docs named by another name: the old name works for one version more, and says so."""

from __future__ import annotations

import importlib
import sys
import warnings


def moved(old: str, new: str) -> None:
    """Let the module `old`, which calls this, be the module `new`; warn whoever imports it. Removed in 0.3."""
    message = f"{old} is called {new} now: import that; the old name goes with 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=3)  # to who imports the module that calls this
    sys.modules[old] = importlib.import_module(new)
