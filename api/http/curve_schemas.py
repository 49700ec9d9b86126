"""The bodies of curves."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from ..experiment.report_schemas import ArmReport, Mean


class Span(Mean):
    """An hour or a day: what was decided in it, and what came of these decisions until now."""

    begins: str
    decisions: int
    arms: list[ArmReport] | UnsetType = UNSET  # those that were taken


class Curve(msgspec.Struct):
    """What an experiment came to in each hour or day of UTC; those in which nothing was decided are left out."""

    by: str
    seq: int  # up to which events are counted
    of: int  # of so many: where a long log was never counted, ask again
    spans: list[Span]
    open: int | UnsetType = (
        UNSET  # decisions whose windows are: their rewards are in no span, of some of them nothing is
    )
