"""There is no report of arms that come once: they are gone when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from ....engine.errors import InvalidInput
from ...experiment.definition import Definition
from ...service.history import Part


def report(
    spec: Definition, pages: Iterable[Part], arm_ids: Sequence[str], seq: int, rounds: int, segments: int
) -> NoReturn:
    """Refuse it."""
    raise InvalidInput(
        "no_report",
        f"the arms of {spec.id!r} come once: there is no report of them; read .../recommendation",
    )
