"""What experiments refuse, and what whoever opens a database must know, in words that several places say."""

from __future__ import annotations

from ...engine.errors import InvalidInput, NotFound, Unavailable
from ..experiment.spec import Spec

INCOMPLETE = (
    "the database was in use and not ended, and its -wal file is not beside it: in a copy without that file the newest "
    "decisions and rewards are missing, and clients get 404 for some that were acknowledged; if it still exists, stop "
    "and put it beside; if another program opened the database after a crash, nothing is missing"
)


def refolding() -> Unavailable:
    """Return what everything is refused with after a commit that failed."""
    return Unavailable("refolding", "the experiment folds its log again: try again in a second")


def recovering() -> Unavailable:
    """Return what everything is refused with until an experiment is recovered."""
    return Unavailable("recovering", "the experiment folds its log: try again in a second")


def being_erased() -> Unavailable:
    """Return what everything about a decision is refused with while it is erased."""
    return Unavailable("erasing", "the decision is being erased: try again in a second")


def missing(experiment_id: str, decision_id: str) -> NotFound:
    """Return the error for a decision that is not in the log."""
    return NotFound(
        "unknown_decision",
        f"the experiment {experiment_id!r} has no decision {decision_id!r}: decide first, or check the id",
    )


def no_stream(spec: Spec) -> InvalidInput:
    """Return the error for what is asked of a stream of arms, or of queries, where there are none."""
    return InvalidInput(
        "no_stream",
        f"{spec.id!r} has no stream of arms, and no hypothesis is recommended in the end: that is so for "
        "problems of the kinds arm_stream and queries; go on deciding",
    )
