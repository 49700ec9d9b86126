"""There is no report of arms that come once: they are gone when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ....engine.errors import InvalidInput
from ....engine.vocabulary import Certificate, Problem
from ...experiment.definition import Definition
from ...experiment.sums import Tally, fresh


def tally(spec: Definition, problem: Problem) -> Tally:
    """Return what is counted, before any event."""
    return Tally(fresh(0))


def report(
    spec: Definition, tally: Tally, arm_ids: Sequence[str], seq: int, decisions: int, proof: Certificate | None
) -> NoReturn:
    """Refuse it."""
    raise InvalidInput(
        "no_report",
        f"the arms of {spec.id!r} come once: there is no report of them; read .../recommendation",
    )
