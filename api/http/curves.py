"""What an experiment came to in each hour or day."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import Any

import msgspec
from msgspec import UNSET

from ...engine.errors import InvalidInput
from ...engine.storage.buckets import ALL, DAY, HOUR
from ...engine.storage.records import Bucket
from ..experiment.report_schemas import ArmReport
from ..experiment.sums import mean_of
from ..service.curves import told_apart
from ..service.service import Service
from .call import Call
from .curve_schemas import Curve, Span
from .endpoint import Answer
from .requests import EPOCH, iso, time_of, whole_number

SPANS = {"hour": HOUR, "day": DAY}
PAGE, PAGE_MAX = 100, 1000  # hours or days
SECONDS = 5.0  # for counting before it answers
LATEST = 2**62


async def curve(service: Service, call: Call) -> Answer:
    """Tell what was decided in each hour or day, and what came of it: a reward counts where its decision does."""
    live = service.live(call.path["experiment_id"])
    live.check_usable()
    if not live.kind.has_curve:
        raise InvalidInput("no_curve", f"{live.spec.id!r} decides {live.kind.plural}: curves are of rewards of arms")
    by = call.parameter("by") or "day"
    if by not in SPANS:
        raise InvalidInput("bad_by", f"by is {by[:20]!r}: it must be hour or day")
    text = call.parameter("limit")
    limit = PAGE if text is None else whole_number("limit", text, PAGE_MAX)
    before = _time_of(call.parameter("before"))
    counted = await service.curves.count(live, SECONDS)
    rows = await service.pools.counts.run(service.store.buckets, live.row.key, SPANS[by], before, limit)
    labels = live.roster.labels if told_apart(live) else ()
    spans = [_span([*some], labels) for _, some in groupby(rows, lambda row: row.begins)]
    n_open = UNSET if counted.n_open is None else counted.n_open
    return Answer(200, Curve(by, counted.until, max(counted.last, counted.until), spans, n_open))


def _span(rows: list[Bucket], labels: tuple[str, ...]) -> Span:
    """Return a span of its buckets: that of all comes first."""
    whole, *arms = rows
    assert whole.action == ALL
    made = Span(**_mean(whole), begins=iso(whole.begins), decisions=whole.decisions)
    if labels:
        made.arms = [ArmReport(**_mean(one), arm_id=labels[one.action], decisions=one.decisions) for one in arms]
    return made


def _mean(bucket: Bucket) -> dict[str, Any]:
    return msgspec.structs.asdict(mean_of(bucket.rewards, bucket.mean, bucket.square))


def _time_of(text: str | None) -> int:
    """Return a time in microseconds since 1970 UTC; one that never comes where none is given."""
    if text is None:
        return LATEST
    if (time := time_of(text.replace(" ", "+"))) is None:  # a + in a URL is read as a space
        raise InvalidInput(
            "bad_before", f"before is {text[:80]!r}: it must be a time like 2026-01-31T12:00:00Z, with its zone"
        )
    return (time - EPOCH) // timedelta(microseconds=1)
