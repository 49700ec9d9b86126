"""Which tables are plain: the columns of a decision by their own names, with a context of lists or none."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from ..rows import Naming

DECISION = ("action", "reward", "propensity")
CONTEXT = "context"
UNIT = "unit_id"
FEATURE = re.compile(r"(?:x|u|f|feature|context|ctx|covariate)[_-]?\d+", re.IGNORECASE)  # a column of one number


def has_lists(names: Collection[str], naming: Naming) -> bool:
    """Whether a table has its contexts as lists: nobody named its columns, and one is called so.

    >>> has_lists(["action", "reward", "context"], Naming()), has_lists(["action", "reward", "x0"], Naming())
    (True, False)
    """
    return _nobody_said(naming) and {"action", "reward", CONTEXT} <= set(names)


def is_bare(names: Collection[str], naming: Naming) -> bool:
    """Whether a table has no contexts: nobody named its columns, and none but those of a decision would count.

    Where contexts are named features all others count.

    >>> is_bare(["action", "reward", "country"], Naming()), is_bare(["action", "reward", "x0"], Naming())
    (True, False)
    """
    counts = UNIT in names or any(FEATURE.fullmatch(name.strip()) for name in names)
    counts |= naming.encoder is not None and not set(names) <= set(DECISION)
    return _nobody_said(naming) and {"action", "reward"} <= set(names) and not counts


def _nobody_said(naming: Naming) -> bool:
    return replace(naming, encoder=None) == Naming()


def unused_of(names: Collection[str], taken: Collection[str | None]) -> list[str]:
    """Return which columns of a plain table are not among those that are read.

    >>> unused_of(["action", "reward", "context", "country"], ["action", "reward", "country"])
    ['context']
    """
    return [name for name in names if name and name not in taken]
