"""What is not known: NaN or an infinity in here, null outside.

>>> or_null(0.5), or_null(float("nan"))
(0.5, None)
"""

from __future__ import annotations

import math


def or_null(number: float) -> float | None:
    """Return a finite number as it is, and None for any other."""
    return float(number) if math.isfinite(number) else None
