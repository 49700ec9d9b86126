"""Durations as people write them: 90d, 12h, 30m, 45s."""

from __future__ import annotations

import re

import click

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")


class Duration(click.ParamType[float]):
    """A duration, as seconds.

    >>> DURATION.convert("90d", None, None), DURATION.convert("1.5h", None, None), DURATION.convert("0s", None, None)
    (7776000.0, 5400.0, 0.0)
    """

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read one."""
        if isinstance(value, float):  # a default
            return value
        found = WRITTEN.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no duration: write 90d, 12h, 30m or 45s", param, ctx)
        return float(found[1]) * SECONDS[found[2]]


DURATION = Duration()
