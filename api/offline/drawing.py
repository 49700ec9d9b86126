"""What draws reports, where matplotlib is installed; it is loaded for the first one."""

from __future__ import annotations

import importlib
from typing import Any

from ...engine.errors import Unavailable, installing


def drawing() -> Any:
    """Return the module `report.drawing`; raises `Unavailable` ("no_matplotlib") where it cannot be loaded."""
    try:
        return importlib.import_module("onearm.api.offline.report.drawing")
    except ImportError:
        raise Unavailable(
            "no_matplotlib",
            f"the report needs matplotlib, which is not installed: {installing('report')}",
        ) from None
