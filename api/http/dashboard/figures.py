"""Numbers as people read them: with as many digits as are known, and their units. What is not known is a dash."""

from __future__ import annotations

import math

NONE = "\u2013"
THIN = "\u202f"  # between a number and its unit


def count(n: int | None) -> str:
    """Return a whole number.

    >>> count(1234567), count(None)
    ('1,234,567', '–')
    """
    return NONE if n is None else f"{n:,}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits that count.

    >>> number(0.123456), number(12.0), number(1234567.0), number(0.0), number(float("nan"))
    ('0.123', '12', '1.23e+06', '0', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if "e+" in text and abs(value) < 1e6 else text


def mean(value: float | None, error: float | None = None) -> str:
    """Return a mean with the digits that its standard error leaves: two of that.

    >>> mean(0.123456, 0.004), mean(1.0), mean(None), mean(12345.6, 20.0), mean(0.5, 0.0)
    ('0.1235', '1.000', '–', '12346', '0.500')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if not error or not math.isfinite(error):
        return f"{value:.3f}" if abs(value) < 1000 else number(value)
    return f"{value:.{min(max(1 - math.floor(math.log10(error)), 0), 6)}f}"


def share(part: float | None) -> str:
    """Return a part of one in percent.

    >>> share(0.3456), share(1.0), share(0.0004), share(0.0), share(None)
    ('34.6\u202f%', '100\u202f%', '<0.1\u202f%', '0\u202f%', '–')
    """
    if part is None or not math.isfinite(part):
        return NONE
    if 0.0 < part < 0.001:
        return f"<0.1{THIN}%"
    percent = f"{100 * part:.1f}"
    return f"{percent.removesuffix('.0')}{THIN}%"


def a_second(rate: float | None) -> str:
    """Return how much comes in a second.

    >>> a_second(0.0), a_second(0.04), a_second(12.345), a_second(4321.0), a_second(None)
    ('0', '<0.1', '12.3', '4,321', '–')
    """
    if rate is None:
        return NONE
    if rate == 0.0:
        return "0"
    return "<0.1" if rate < 0.1 else f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"


def size(n: int | None) -> str:
    """Return so many bytes.

    >>> size(512), size(20_480), size(5_000_000)
    ('512\u202fB', '20.5\u202fkB', '5.0\u202fMB')
    """
    if n is None:
        return NONE
    for unit, of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= of:
            return f"{n / of:.1f}{THIN}{unit}"
    return f"{n}{THIN}B"


def moment(iso: str | None) -> str:
    """Return a time in UTC as it is written for people.

    >>> moment("2026-01-31T12:00:03.123456+00:00"), moment(None)
    ('2026-01-31 12:00:03', '–')
    """
    return NONE if iso is None else iso[:19].replace("T", " ")


def span(seconds: float | None) -> str:
    """Return how long something takes.

    >>> [span(seconds) for seconds in (0.0123, 3.0, 75.0, 7200.0, 200_000.0)]
    ['12\u202fms', '3\u202fs', '1\u202fmin', '2\u202fh', '2\u202fd']
    """
    if seconds is None:
        return NONE
    for unit, of in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= of:
            return f"{seconds / of:.0f}{THIN}{unit}"
    return f"{seconds * 1e3:.0f}{THIN}ms"
