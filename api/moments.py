"""Moments as people write them, in ISO 8601: 2026-01-31, 2026-01-31T12:00, 2026-01-31T12:00:00+01:00."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from ..engine.errors import InvalidInput, as_seen

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds_of(moment: str | date) -> int:
    """Return a moment as microseconds since 1970 UTC; without a zone it is in UTC, and a date is its first moment.

    >>> microseconds_of("1970-01-02"), microseconds_of("1970-01-01T01:00:00+01:00")
    (86400000000, 0)
    """
    try:
        found = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    except (ValueError, TypeError):
        raise InvalidInput(
            "bad_time", f"{as_seen(moment)} is no time: write 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from None
    return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
