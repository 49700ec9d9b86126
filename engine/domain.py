"""Domains: where a decision that is a vector may lie. A domain is a product of balls, boxes and simplices.

>>> domain = product(ball(2, radius=0.5), simplex(3))
>>> domain.dimension, round(domain.diameter, 6)
(5, 1.732051)
>>> domain.start.round(3).tolist()
[0.0, 0.0, 0.333, 0.333, 0.333]
>>> Domain.from_json(domain.to_json()) == domain
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np

from .errors import InvalidInput, as_seen

Array = np.ndarray[Any, Any]
BALL, BOX, SIMPLEX = 0, 1, 2
KINDS = ("ball", "box", "simplex")
DIMENSION_MAX = 100_000
SIZE_MAX = 1e100  # of radii and limits: squares of such numbers stay finite


class Region(NamedTuple):
    """A domain as kernels read it: p parts, one behind the other."""

    kind: Array  # int64[p] BALL, BOX or SIMPLEX
    start: Array  # int64[p + 1]: part i has the coordinates start[i] <= j < start[i + 1]
    low: Array  # float64[d] of a box the lower limits, of a ball its centre, of a simplex 0
    high: Array  # float64[d] of a box the upper limits, of a ball its centre, of a simplex its size
    size: Array  # float64[p] of a ball the radius, of a simplex the sum of its coordinates


@dataclass(frozen=True)
class Part:
    """A factor of a domain."""

    kind: Literal["ball", "box", "simplex"]
    low: tuple[float, ...]
    high: tuple[float, ...]
    size: float

    @property
    def diameter(self) -> float:
        """Return the largest Euclidean distance of two points."""
        if self.kind == "ball":
            return 2.0 * self.size
        if self.kind == "simplex":
            return math.sqrt(2.0) * self.size if len(self.low) > 1 else 0.0
        return math.sqrt(_total((high - low) ** 2 for low, high in zip(self.low, self.high, strict=True)))

    @property
    def reach(self) -> float:
        """Return the largest Euclidean distance of a point from `start`: of a simplex that of a corner."""
        if self.kind == "simplex":
            return self.size * math.sqrt(1.0 - 1.0 / len(self.low))
        return 0.5 * self.diameter

    @property
    def start(self) -> tuple[float, ...]:
        """Return the point in the middle."""
        if self.kind == "simplex":
            return (self.size / len(self.low),) * len(self.low)
        return tuple(low + 0.5 * (high - low) for low, high in zip(self.low, self.high, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return the part as `Domain.from_json` reads it."""
        if self.kind == "box":
            return {"kind": "box", "low": list(self.low), "high": list(self.high)}
        if self.kind == "simplex":
            return {"kind": "simplex", "dimension": len(self.low), "size": self.size}
        centre = {"centre": list(self.low)} if any(self.low) else {}
        return {"kind": "ball", "dimension": len(self.low), "radius": self.size, **centre}


@dataclass(frozen=True)
class Domain:
    """A product of one or more parts."""

    parts: tuple[Part, ...]

    @cached_property  # asked for with each decision, of up to 100 000 parts
    def dimension(self) -> int:
        """The number of coordinates."""
        return sum(len(part.low) for part in self.parts)

    @property
    def diameter(self) -> float:
        """Return the largest Euclidean distance of two points."""
        return math.sqrt(_total(part.diameter**2 for part in self.parts))

    @property
    def reach(self) -> float:
        """Return the largest Euclidean distance of a point from `start`."""
        return math.sqrt(_total(part.reach**2 for part in self.parts))

    @property
    def start(self) -> Array:
        """Return the point in the middle, float64[d], where policies begin."""
        return np.array([number for part in self.parts for number in part.start])

    def region(self) -> Region:
        """Return the domain as kernels read it."""
        return Region(
            np.array([KINDS.index(part.kind) for part in self.parts], np.int64),
            np.cumsum([0, *(len(part.low) for part in self.parts)]).astype(np.int64),
            np.array([number for part in self.parts for number in part.low]),
            np.array([number for part in self.parts for number in part.high]),
            np.array([part.size for part in self.parts]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the domain as `from_json` reads it."""
        if len(self.parts) == 1:
            return self.parts[0].to_json()
        return {"kind": "product", "parts": [part.to_json() for part in self.parts]}

    @classmethod
    def from_json(cls, body: Any) -> Domain:
        """Check what a client or a file says of a domain.

        {"kind": "ball", "dimension": d, "radius": 1, "centre": [0, ...]}, {"kind": "box", "low": [...], "high": [...]},
        {"kind": "simplex", "dimension": d, "size": 1}, {"kind": "product", "parts": [...]}.
        """
        if not isinstance(body, dict) or body.get("kind") not in list(_FIELDS):  # in a list: a kind may be anything
            raise InvalidInput(
                "bad_domain",
                f'the domain is {as_seen(body)}: it must be an object like {{"kind": "ball", "dimension": 3}}',
            )
        kind, rest = body["kind"], {name: value for name, value in body.items() if name != "kind"}
        needed, others = _FIELDS[kind]
        if unknown := sorted(set(rest) - needed - others):
            raise InvalidInput("bad_domain", f"the {kind} has the field {as_seen(unknown[0])}, which it does not take")
        if missing := sorted(needed - set(rest)):
            raise InvalidInput("bad_domain", f"the {kind} has no {missing[0]!r}: it takes {', '.join(sorted(needed))}")
        if kind == "product":
            if not isinstance(rest["parts"], list) or not rest["parts"]:
                raise InvalidInput("bad_domain", "parts must be a list of one or more domains")
            return product(*_counted(map(cls.from_json, rest["parts"])))
        return _MAKERS[kind](**rest)


def ball(dimension: int, radius: float = 1.0, centre: Sequence[float] | None = None) -> Domain:
    """Return the points at most `radius` from `centre` (the origin)."""
    d = _dimension(dimension)
    middle = (0.0,) * d if centre is None else _numbers("centre", centre)
    if len(middle) != d:
        raise InvalidInput("bad_domain", f"centre has {len(middle)} numbers and the ball {d} dimensions: give {d}")
    return Domain((Part("ball", middle, middle, _positive("radius", radius)),))


def box(low: Sequence[float], high: Sequence[float]) -> Domain:
    """Return the points whose coordinates lie between those of `low` and `high`."""
    lower, upper = _numbers("low", low), _numbers("high", high)
    if len(lower) != len(upper):
        raise InvalidInput("bad_domain", f"low has {len(lower)} numbers and high {len(upper)}: they must be as many")
    for j, (least, most) in enumerate(zip(lower, upper, strict=True)):
        if least > most:
            raise InvalidInput("bad_domain", f"low[{j}] is {least:g} and high[{j}] is {most:g}: the box is empty")
    if lower == upper:
        raise InvalidInput(
            "bad_domain", "low and high are the same: the box is a point, and there is nothing to decide"
        )
    return Domain((Part("box", lower, upper, 0.0),))


def simplex(dimension: int, size: float = 1.0) -> Domain:
    """Return the points whose coordinates are at least 0 and add up to `size`: weights, or a portfolio."""
    d = _dimension(dimension)
    most = _positive("size", size)
    return Domain((Part("simplex", (0.0,) * d, (most,) * d, most),))


def product(*domains: Domain) -> Domain:
    """Return the points that consist of a point of each domain, one behind the other."""
    joint = Domain(tuple(part for domain in domains for part in domain.parts))
    _dimension(joint.dimension)
    return joint


_MAKERS: dict[str, Callable[..., Domain]] = {"ball": ball, "box": box, "simplex": simplex}
_FIELDS: dict[str, tuple[set[str], set[str]]] = {  # kind: (fields that it needs, others that it takes)
    "ball": ({"dimension"}, {"radius", "centre"}),
    "box": ({"low", "high"}, set()),
    "simplex": ({"dimension"}, {"size"}),
    "product": ({"parts"}, set()),
}


def _total(numbers: Iterable[float]) -> float:
    """Add numbers up one after another; from Python 3.12 on `sum` compensates, to other bits of what policies keep."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def _dimension(dimension: Any) -> int:
    if isinstance(dimension, bool) or not isinstance(dimension, int) or not 1 <= dimension <= DIMENSION_MAX:
        raise InvalidInput("bad_domain", f"the dimension is {as_seen(dimension)}: it must be from 1 to {DIMENSION_MAX}")
    return dimension


def _positive(name: str, value: Any) -> float:
    if not _is_number(value) or not 0.0 < value <= SIZE_MAX:
        raise InvalidInput("bad_domain", f"the {name} is {as_seen(value)}: it must be above 0 and at most {SIZE_MAX:g}")
    return float(value)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    good = isinstance(listed, (list, tuple)) and 1 <= len(listed) <= DIMENSION_MAX
    if not good or not all(_is_number(value) and abs(value) <= SIZE_MAX for value in listed):
        raise InvalidInput(
            "bad_domain",
            f"{name} is {as_seen(values)}: it must be a list of 1 to {DIMENSION_MAX} numbers, at most {SIZE_MAX:g} in "
            "size",
        )
    return tuple(map(float, listed))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _counted(domains: Iterable[Domain]) -> Iterator[Domain]:
    """Yield domains while they have few enough dimensions together: many large ones would fill the memory first."""
    dimension = 0
    for domain in domains:
        dimension = _dimension(dimension + domain.dimension)
        yield domain
