"""Curvature: what a policy may suppose of losses beyond that they are convex, and where that cannot hold.

Losses that are told coordinate by coordinate are linear: they curve nowhere, and what is proven of curved losses is
false of them. So a policy that supposes curvature learns from gradients alone.

>>> revealed(0.5), supposed(0.5)
(('gradient',), 'losses that are 0.5-strongly convex')
>>> revealed(0.0), supposed(0.0)
(('gradient', 'losses'), None)
"""

from __future__ import annotations

from ..vocabulary import FeedbackKind


def revealed(convexity: float) -> tuple[FeedbackKind, ...]:
    """Return what a policy learns from that supposes strong convexity, where `convexity` is above 0."""
    return ("gradient",) if convexity > 0.0 else ("gradient", "losses")


def supposed(convexity: float) -> str | None:
    """Return what its certificate supposes of the losses."""
    return f"losses that are {convexity:g}-strongly convex" if convexity > 0.0 else None
