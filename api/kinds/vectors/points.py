"""The spaces of points: where a decision that is a vector may lie, as Gymnasium sees it.

A product of boxes is a plain Box, so that RescaleAction, ClipAction and the like do with it what they do with any.
Gymnasium has no space for balls and simplices: `Points` is the Box around the domain, which contains and draws the
domain's points alone. Where two points are decided at once, the shape is (2, d).

>>> from onearm.engine.domain import box, simplex
>>> space_of(box([-1.0, 0.0], [1.0, 0.5]))
Box([-1.  0.], [1.  0.5], (2,), float64)
>>> space = space_of(simplex(3))
>>> space
Points({'kind': 'simplex', 'dimension': 3, 'size': 1.0})
>>> np.array([0.5, 0.25, 0.25]) in space, np.array([0.5, 0.5, 0.5]) in space
(True, False)
>>> space.project([0.5, 0.5, 0.5]).round(3).tolist()
[0.333, 0.333, 0.333]
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from ....engine.domain import BALL, Domain, Part, Region
from ....engine.errors import InvalidInput
from ....engine.limits import Limits
from ....engine.vectors import projection
from ....engine.vocabulary import Array
from ..gym import numbers


def space_of(domain: Domain, copies: tuple[int, ...] = ()) -> spaces.Box:
    """Return the space of points of a domain: of one, float64[d], or of as many as `copies` says."""
    if any(part.kind != "box" for part in domain.parts):
        return Points(domain, copies)
    low, high = (np.tile(limit, (*copies, 1)) for limit in limits(domain.region()))
    return spaces.Box(low, high, dtype=np.float64)


class Points(spaces.Box):
    """Points of a domain, float64[*copies, d]: by its limits it is the Box around them."""

    def __init__(self, domain: Domain, copies: tuple[int, ...] = (), seed: Any = None) -> None:
        self.domain = domain
        self.copies = copies
        self._limits = Limits(domain)
        self._region = self._limits.region
        low, high = (np.tile(limit, (*copies, 1)) for limit in limits(self._region))
        super().__init__(low, high, dtype=np.float64, seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> Array:
        """Return points that are drawn uniformly; Box takes neither masks nor probabilities, and nor does this."""
        if mask is not None or probability is not None:
            return super().sample(mask, probability)
        points = np.empty(self.shape)
        for part, place in places(self._region):
            points[..., place] = _drawn(self.domain.parts[part], points[..., place].shape, self.np_random)
        return points

    def contains(self, x: Any) -> bool:
        """Tell whether `x` are points of the domain, but for rounding."""
        try:
            points = numbers("action", x, self.shape)
        except InvalidInput:
            return False
        return bool(self._limits.within(points.reshape(-1, self.domain.dimension)).all())

    def project(self, x: Any) -> Array:
        """Return the points of the domain that are nearest to `x`, float64[..., d]."""
        nearest = numbers("action", x, (*np.shape(x)[:-1], self.domain.dimension))
        if not np.isfinite(nearest).all():
            raise InvalidInput("bad_action", "a coordinate is not finite: no point is nearest to that")
        projection.project_all(self._region, nearest.reshape(-1, self.domain.dimension))
        return nearest

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same domain, as often."""
        return isinstance(other, Points) and (self.domain, self.copies) == (other.domain, other.copies)

    __hash__ = None  # type: ignore[assignment]  # as of every Box

    def __repr__(self) -> str:
        """Show the domain as JSON has it."""
        return f"Points({self.domain.to_json()}{f', {self.copies}' if self.copies else ''})"


def limits(region: Region) -> tuple[Array, Array]:
    """Return the least and the largest value of each coordinate, float64[d] each."""
    low, high = region.low.copy(), region.high.copy()
    for part, place in places(region):
        if region.kind[part] == BALL:
            low[place] -= region.size[part]
            high[place] += region.size[part]
    return low, high


def places(region: Region) -> Iterator[tuple[int, slice]]:
    """Yield each part's number and where its coordinates are."""
    for part in range(len(region.kind)):
        yield part, slice(int(region.start[part]), int(region.start[part + 1]))


@batch_space.register(Points)
def _batch(space: Points, n: int = 1) -> Points:
    return Points(space.domain, (n, *space.copies), deepcopy(space.np_random))


def _drawn(part: Part, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Draw points of a part uniformly, float64[*shape]."""
    if part.kind == "box":
        return generator.uniform(part.low, part.high, shape)
    if part.kind == "simplex":
        drawn = generator.standard_exponential(shape)
        return part.size * drawn / drawn.sum(axis=-1, keepdims=True)
    way = generator.standard_normal(shape)
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    return part.low + part.size * generator.random((*shape[:-1], 1)) ** (1.0 / shape[-1]) * way
