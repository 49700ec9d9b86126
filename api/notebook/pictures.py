"""What draws results, where matplotlib is installed; it is loaded for the first one."""

from __future__ import annotations

import importlib
from typing import Any

from ...engine.errors import Unavailable, installing


def pictures() -> Any:
    """Return the module `plots`; raises `Unavailable` ("no_matplotlib") where it cannot be loaded."""
    try:
        return importlib.import_module("onearm.api.notebook.plots")
    except ImportError:
        raise Unavailable(
            "no_matplotlib", f"plots need matplotlib, which is not installed: {installing('report')}"
        ) from None
