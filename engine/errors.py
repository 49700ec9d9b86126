"""What can go wrong, in words: each error says what was seen, what the rule is and what to do.

Every error carries a stable `code`, which the HTTP interface answers and scripts may rely on.

>>> str(InvalidInput("reward", "reward is nan: it must be a finite number"))
'reward is nan: it must be a finite number'
"""

from __future__ import annotations

import errno

# What an operating system says when it has nothing left to give: descriptors of this process or of all, room on a disk.
SPENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})


class OnearmError(Exception):
    """The root of all errors that onearm raises on purpose."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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
