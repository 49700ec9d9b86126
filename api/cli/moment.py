"""Moments as people write them, in ISO 8601: 2026-01-31, 2026-01-31T12:00, 2026-01-31T12:00:00+01:00."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(click.ParamType[int]):
    """A moment, as microseconds since 1970 UTC; without a zone it is in UTC, and a date is its first moment.

    >>> [MOMENT.convert(text, None, None) for text in ("1970-01-02", "1970-01-01T01:00:00+01:00")]
    [86400000000, 0]
    """

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read one."""
        if isinstance(value, int):  # read before
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-01-31 or 2026-01-31T12:00:00Z", param, ctx)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (zoned - EPOCH) // timedelta(microseconds=1)


MOMENT = Moment()
