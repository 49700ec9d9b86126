"""What can go wrong, in words: each error says what was seen, what the rule is and what to do.

Every error carries a stable `code`, which the HTTP interface answers and scripts may rely on.

>>> error = InvalidInput("reward", "reward is nan: it must be a finite number")
>>> str(error), error.seen, error.remedy
('reward is nan: it must be a finite number', 'reward is nan', 'it must be a finite number')
"""

from __future__ import annotations

import errno
import math
from numbers import Integral
from typing import Any

# What an operating system says when it has nothing left to give: descriptors of this process or of all, room on a disk.
SPENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})


def as_seen(given: Any, most: int = 80) -> str:
    """Return what was given as a message names it, in so many characters at most; large whole numbers by their digits.

    What takes several lines, as a table does, is told by its type.

    >>> as_seen("a\\nb"), as_seen([1, 2, 3], most=4), as_seen(10**5000), as_seen([10**5000])
    ("'a\\\\nb'", '[1, ', 'a number of some 5000 digits', 'a list with a number of thousands of digits')
    """
    if isinstance(given, Integral) and not isinstance(given, bool):
        number = int(given)
        return str(number) if abs(number) < 10**60 else f"a number of some {math.log10(abs(number)):.0f} digits"
    try:
        said = repr(given)
        return f"of the type {type(given).__name__}" if "\n" in said else said[:most]
    except ValueError:  # Python writes no number of more than 4300 digits
        return f"a {type(given).__name__} with a number of thousands of digits"


def counted(n: int, one: str, several: str | None = None) -> str:
    """Return a count and what it is of: where `several` is left out, an s stands behind the word for one.

    >>> counted(1, "decision"), counted(2000, "decision"), counted(0, "event is", "events are")
    ('1 decision', '2,000 decisions', '0 events are')
    """
    return f"{n:,} {one if n == 1 else several or f'{one}s'}"


def installing(extra: str) -> str:
    """Return what to do where an extra of the package is missing: no version is on an index yet.

    >>> installing("logs")
    "say python -m pip install -e '.[logs]' in a checkout of onearm (after make: .venv/bin/python)"
    """
    return f"say python -m pip install -e '.[{extra}]' in a checkout of onearm (after make: .venv/bin/python)"


class OnearmError(Exception):
    """The root of all errors that onearm raises on purpose."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> Any:
        """Come back whole from another process, where work was done that failed."""
        return type(self).__new__, (type(self), *self.args), vars(self)

    @property
    def seen(self) -> str:
        """What was seen: the message up to its first colon."""
        return str(self).partition(": ")[0]

    @property
    def remedy(self) -> str:
        """The rule and what to do: what the message says behind that; empty where it says no more."""
        return str(self).partition(": ")[2]


class InvalidInput(OnearmError, ValueError):
    """What was given breaks a rule; nothing was changed."""


class Forbidden(OnearmError):
    """Whoever asks may not do this."""


class NotFound(OnearmError, LookupError):
    """What was named does not exist."""


class Conflict(OnearmError):
    """What was asked contradicts what is already on record."""


class Unavailable(OnearmError):
    """It cannot be done now; it may be tried again."""


def exhausted(error: BaseException) -> Unavailable | None:
    """Return how an error is told that has its cause in a limit of the machine; None for all others.

    >>> print(exhausted(OSError(errno.EMFILE, "Too many open files")))
    the machine has nothing left to give (Too many open files): free some or raise the limit, then try again
    >>> exhausted(ValueError("alpha is -1"))
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in SPENT:
            return Unavailable(
                "exhausted",
                f"the machine has nothing left to give ({seen.strerror}): free some or raise the limit, then try again",
            )
        seen = seen.__cause__ or seen.__context__
    return None


class Damaged(OnearmError):
    """What was read is not what was written."""


class RewardWarning(UserWarning):
    """Rewards were not what a policy is made for; it learned them all the same."""
