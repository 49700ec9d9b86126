"""What needs Arrow, which does not come with the package itself: tables in columns, and one way of packing."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import InvalidInput, installing


def needing_arrow(module: str, what: str) -> Any:
    """Import a module that may need Arrow, for `what`.

    Raises `InvalidInput` ("no_arrow") where it is needed and missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise InvalidInput(
            "no_arrow", f"{what} needs the package pyarrow, which is not installed: {installing('logs')}"
        ) from None


def format_module(name: str, what: str) -> Any:
    """Import a module of `formats` by its name there, for `what` is to be read or written."""
    return needing_arrow(f"onearm.engine.storage.formats.{name}", what)
