"""The service's log on standard error: lines for people or JSON for machines, with the request that they are about."""

from __future__ import annotations

import logging
import math
import sys
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.types import Scope

from ..service.measured import Route
from .trace import asked, told_of

FORMS = ("text", "json")
SECONDS_BETWEEN = 1.0  # of two lines that say the same
LINES_KNOWN = 100
log = logging.getLogger("onearm")
access = logging.getLogger("onearm.access")  # a line a request; silent unless `configure` was told otherwise


def configure(form: str, every_request: bool) -> None:
    """Send what the service says to standard error, in one of `FORMS`; with a line for every request where wanted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Seldom())
    handler.addFilter(about_request)
    handler.setFormatter(InJson() if form == "json" else InText())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO if form == "json" else logging.WARNING)  # people read on standard output how it starts
    access.setLevel(logging.INFO if every_request else logging.WARNING)


def note(route: Route, scope: Scope, status: int, seconds: float) -> None:
    """Write the line of a request that was answered."""
    client = scope.get("client")
    about = told_of(route, scope) | {
        "status": status,
        "milliseconds": round(1e3 * seconds, 3),
        "origin": client and client[0],
    }
    access.info("answered", extra={"about": about})


class InText(logging.Formatter):
    """A line for people: time, how grave it is, what is said, and which request it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line; what an exception adds comes below it."""
        about = getattr(record, "about", {})
        return " ".join((super().formatMessage(record), *(f"{name}={value}" for name, value in about.items())))


class InJson(logging.Formatter):
    """A JSON object a line: time, level, logger, message, what is known of the request, and the exception as text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(said).decode()


class Seldom(logging.Filter):
    """Lets what goes wrong be said once a second, and then how often it was meanwhile.

    Where a database is away for an hour, clients that try again would fill the disk with one line.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: OrderedDict[tuple[int, str], tuple[float, int]] = OrderedDict()  # when, and how often since

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is to be written."""
        if record.levelno < logging.WARNING:
            return True
        key = record.levelno, record.getMessage()
        at, more = self._said.pop(key, (-math.inf, 0))
        if record.created - at < SECONDS_BETWEEN:
            self._said[key] = at, more + 1
            return False
        self._said[key] = record.created, 0
        if len(self._said) > LINES_KNOWN:
            self._said.popitem(last=False)
        if more:
            record.msg, record.args = f"{key[1]} (and {more} times more since this was said)", ()
        return True


def about_request(record: logging.LogRecord) -> bool:
    """Say of a line which request it is about, where one is at work and the line does not say it itself."""
    if not hasattr(record, "about") and (of := asked.get()) is not None:
        record.about = told_of(*of)
    return True
