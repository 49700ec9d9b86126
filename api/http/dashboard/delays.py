"""How long rewards took, of the newest decisions: those that are in memory, so nothing is read for it."""

from __future__ import annotations

from typing import NamedTuple

from ...service.live import Live
from ...service.records import Record

DECISIONS_MAX = 500
BOUNDS = ((1, "under 1\u202fs"), (10, "1 to 10\u202fs"), (60, "10 to 60\u202fs"), (600, "1 to 10\u202fmin"))
MORE = ((3_600, "10 to 60\u202fmin"), (86_400, "1 to 24\u202fh"), (float("inf"), "more than a day"))


class Delays(NamedTuple):
    """Rewards of the newest decisions by how long they took."""

    seen: int  # decisions
    rewarded: int
    bars: list[tuple[str, int, float]]  # how long, how many, and as a part of all


def delays_of(live: Live) -> Delays | None:
    """Return how long rewards took; None where no decision with one is in memory. 0.2 us a decision."""
    bounds = BOUNDS + MORE
    counts, seen = [0] * len(bounds), 0
    for number in range(live.number - 1, max(live.number - 1 - DECISIONS_MAX, -1), -1):
        if (record := live.records.known(number)) is None:
            continue
        seen += 1
        if (came := _came(record)) is not None:
            seconds = max(came - record.event.time, 0) / 1e6
            counts[next(i for i, (bound, _) in enumerate(bounds) if seconds < bound)] += 1
    rewarded = sum(counts)
    if not rewarded:
        return None
    last = max(i for i, n in enumerate(counts) if n)
    bars = [(said, n, n / rewarded) for (_, said), n in zip(bounds, counts, strict=True)]
    return Delays(seen, rewarded, bars[: max(last + 1, 3)])


def _came(record: Record) -> int | None:
    """Return when the first reward of a decision came."""
    if record.outcomes:
        return record.outcomes[0].time
    return None if record.reward is None else record.reward.time
