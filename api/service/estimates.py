"""An estimate of what a policy is worth."""

from __future__ import annotations

import msgspec

LEVEL = 0.95


class Estimate(msgspec.Struct):
    """A value per decision, and between what it lies, at all moments at once; null where that is not known."""

    value: float | None
    low: float | None
    high: float | None
