"""Unit domains: those that environments know by name, all of diameter 2 but the simplex.

>>> unit_domain("box", 4).parts[0].high
(0.5, 0.5, 0.5, 0.5)
>>> unit_domain({"kind": "ball", "dimension": 2}, 3)
Traceback (most recent call last):
onearm.engine.errors.InvalidInput: dimension is 3 and the domain has 2: they must be the same
"""

from __future__ import annotations

import math
from typing import Any

from ..domain import Domain, ball, box, simplex
from ..errors import InvalidInput, as_seen


def unit_domain(domain: str | dict[str, Any], dimension: int) -> Domain:
    """Return the "ball", the "box" around 0 or the "simplex" of a dimension; or a domain as an object says it."""
    whole = ball(dimension)
    if not isinstance(domain, str):
        where = Domain.from_json(domain)
        if where.dimension != dimension:
            raise InvalidInput(
                "bad_param", f"dimension is {dimension!r} and the domain has {where.dimension}: they must be the same"
            )
        return where
    half = 1.0 / math.sqrt(dimension)
    known = {"ball": whole, "box": box([-half] * dimension, [half] * dimension), "simplex": simplex(dimension)}
    if domain not in known:
        raise InvalidInput(
            "bad_param", f"domain is {as_seen(domain)}: it must be one of {', '.join(known)}, or an object"
        )
    return known[domain]
