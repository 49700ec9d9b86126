"""What can go wrong, in words: each error says what was seen, what the rule is and what to do.

Every error carries a stable `code`, which the HTTP interface answers and scripts may rely on.

>>> str(InvalidInput("reward", "reward is nan: it must be a finite number"))
'reward is nan: it must be a finite number'
"""


class OnearmError(Exception):
    """The root of all errors that onearm raises on purpose."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidInput(OnearmError, ValueError):
    """What was given breaks a rule; nothing was changed."""


class NotFound(OnearmError, LookupError):
    """What was named does not exist."""


class Conflict(OnearmError):
    """What was asked contradicts what is already on record."""


class Unavailable(OnearmError):
    """It cannot be done now; it may be tried again."""


class Damaged(OnearmError):
    """What was read is not what was written."""


class RewardWarning(UserWarning):
    """Rewards were not what a policy is made for; it learned them all the same."""
