"""Means on their way, with confidence sequences: they hold at every moment at once, so a look changes nothing.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021 (arXiv:2103.06476), theorem 2.2: asymptotic, for rewards with
a variance, tightest at 500 of them. The rewards of decisions that a policy made are no sample of one distribution: the
sequence is about the mean of what was earned on the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

from ....engine.storage.buckets import ALL
from ....engine.storage.moments import Moments, together
from ....engine.storage.records import Bucket
from ...experiment.sums import mean_of
from ...service.estimates import Estimate
from ...service.pace import CHOICES_MAX, Point
from ...service.worths import Worth

Moment = TypeVar("Moment", Point, Worth)

ALPHA = 0.05
TIGHT_AT = 500
RHO_2 = (-2.0 * math.log(ALPHA) + math.log(1.0 - 2.0 * math.log(ALPHA))) / TIGHT_AT
POINTS_MAX = 240
SHARES_MAX = 60  # intervals of time
SECOND = 1e6  # microseconds
UNKNOWN = Estimate(None, None, None)


def reach(n: int, stderr: float | None) -> float | None:
    """Return how far the sequence reaches to either side of a mean of n rewards; None where nothing tells.

    >>> round(reach(500, 0.01), 4), reach(1, None)
    (0.0304, None)
    """
    if stderr is None or n < 2:
        return None
    t = n * RHO_2 + 1.0
    return stderr * math.sqrt(n) * math.sqrt(t / (n * n * RHO_2) * math.log(t / (ALPHA * ALPHA)))


def before(buckets: Iterable[Bucket], until: float) -> list[Point]:
    """Return how far an experiment was at the end of each hour or day that ended before a time (seconds)."""
    points: list[Point] = []
    sums, decisions = Moments(0, 0.0, 0.0), 0
    taken = [0] * CHOICES_MAX
    most = 0
    for begins, some in groupby(buckets, lambda one: one.begins):
        for one in some:
            if one.action == ALL:
                end = begins / SECOND + one.span
                sums = together(sums, Moments(one.rewards, one.mean, one.square))
                decisions += one.decisions
            elif one.action < CHOICES_MAX:
                taken[one.action] += one.decisions
                most = max(most, one.action + 1)
        if end > until:
            break
        mean = mean_of(*sums)
        points.append(Point(end, decisions, sums.rewards, mean.reward_mean, mean.reward_stderr, tuple(taken[:most])))
    return points


def thinned(points: Sequence[Moment], most: int) -> list[Moment]:
    """Return at most so many of some points, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def of_rewards(points: Sequence[Point], limits: tuple[float, float] | None) -> dict[str, object] | None:
    """Return the curve of the mean reward, with its sequence and the mean of late; None where it has no two points.

    Where rewards are declared to lie within limits no more is drawn.
    """
    some = [point for point in thinned(points, POINTS_MAX) if point.mean is not None]
    if not some or some[0].rewards == some[-1].rewards:
        return None
    reaches = [reach(point.rewards, point.stderr) for point in some]
    least, most = limits or (-math.inf, math.inf)
    known = list(zip(some, reaches, strict=True))
    low = [
        None if wide is None else _short(max(point.mean - wide, least))
        for point, wide in known
        if point.mean is not None
    ]
    high = [
        None if wide is None else _short(min(point.mean + wide, most))
        for point, wide in known
        if point.mean is not None
    ]
    return {
        "x": [round(point.time, 1) for point in some],
        "series": [
            {"label": "mean so far", "y": [_short(point.mean) for point in some], "colour": 0},
            *_band(low, high, 0),
            {"label": "lately", "y": _lately(some), "colour": 1, "dash": True},
        ],
        "within": limits,
    }


def _band(low: Sequence[float | None], high: Sequence[float | None], colour: int) -> list[dict[str, object]]:
    """Return the two edges of what is filled."""
    edges = {"from": ("low", low), "to": ("high", high)}
    return [{"label": label, "y": y, "edge": edge, "colour": colour} for label, (edge, y) in edges.items()]


def of_values(
    way: Sequence[Worth], named: Mapping[int, str], limits: tuple[float, float] | None
) -> dict[str, object] | None:
    """Return the curves of what policies are worth, by their numbers; None where no two moments tell of any.

    Where rewards are declared to lie within limits no more is drawn.
    """
    some = thinned(way, POINTS_MAX)
    series: list[dict[str, object]] = []
    for place, (number, label) in enumerate(named.items()):
        told = [worth.values.get(number, UNKNOWN) for worth in some]
        if sum(one.value is not None for one in told) < 2:
            continue
        value, low, high = ([_short(one) for one in column] for column in zip(*map(_numbers, told), strict=True))
        series.append({"label": f"{label} #{number}", "y": value, "colour": place % 8})
        series += _band(low, high, place % 8) if any(one is not None for one in low) else []
    if not series:
        return None
    return {"x": [round(worth.time, 1) for worth in some], "series": series, "within": limits}


def _numbers(one: Estimate) -> tuple[float | None, float | None, float | None]:
    return one.value, one.low, one.high


def _lately(points: Sequence[Point]) -> list[float | None]:
    """Return the mean of the rewards that came since the sixth point before, or the first."""
    means: list[float | None] = []
    for i, now in enumerate(points):
        then = points[max(i - 6, 0)]
        n = now.rewards - then.rewards
        if i == 0:
            then, n = Point(0.0, 0, 0, 0.0, None, ()), now.rewards
        sums = now.rewards * (now.mean or 0.0) - then.rewards * (then.mean or 0.0)
        means.append(_short(sums / n) if n > 0 else None)
    return means


def of_shares(points: Sequence[Point], labels: Sequence[str]) -> dict[str, object] | None:
    """Return the curve of the share of each of 2 to 12 choices, between points; None where it has no two points."""
    k = len(labels)
    some = [point for point in thinned(points, SHARES_MAX) if point.taken]
    nothing = Point(0.0, 0, 0, None, None, ())
    x: list[float] = []
    shares: list[list[float]] = [[] for _ in range(k)]
    for then, now in zip([nothing, *some], some, strict=False):
        gained = [_at(now.taken, a) - _at(then.taken, a) for a in range(k)]
        if (total := sum(gained)) > 0 and min(gained) >= 0:
            x.append(round(now.time, 1))
            for a in range(k):
                shares[a].append(round(100.0 * gained[a] / total, 2))
    if len(x) < 2:
        return None
    series = [{"label": label[:40], "y": shares[a], "colour": a % 8} for a, label in enumerate(labels)]
    return {"x": x, "series": series, "unit": " %", "range": [0, 100]}


def _at(taken: tuple[int, ...], a: int) -> int:
    return taken[a] if a < len(taken) else 0


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
