"""Options that are moments."""

from __future__ import annotations

import click

from ...engine.errors import InvalidInput
from ..moments import microseconds_of


class Moment(click.ParamType[int]):
    """A moment, as microseconds since 1970 UTC."""

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read one."""
        if isinstance(value, int):  # read before
            return value
        try:
            return microseconds_of(value)
        except InvalidInput as error:
            self.fail(str(error), param, ctx)


MOMENT = Moment()
