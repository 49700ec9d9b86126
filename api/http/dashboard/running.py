"""Means on their way, with confidence sequences: they hold at every moment at once, so a look changes nothing.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021 (arXiv:2103.06476), theorem 2.2: asymptotic, for rewards with
a variance, tightest at 500 of them. The rewards of decisions that a policy made are no sample of one distribution: the
sequence is about the mean of what was earned on the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from ....engine.storage.buckets import ALL
from ....engine.storage.moments import Moments, together
from ....engine.storage.records import Bucket
from ...experiment.sums import mean_of
from ...service.estimates import Estimate
from ...service.pace import CHOICES_MAX, Point
from ...service.worths import Worth


class Step(NamedTuple):
    """How far an experiment was after so many decisions; the fields of a `Point` but its time."""

    decisions: int
    rewards: int
    mean: float | None  # of the rewards so far
    stderr: float | None
    taken: tuple[int, ...]  # decisions that took each choice; empty where there are too many of them


Moment = TypeVar("Moment", Step, Point, Worth)

ALPHA = 0.05
TIGHT_AT = 500
RHO_2 = (-2.0 * math.log(ALPHA) + math.log(1.0 - 2.0 * math.log(ALPHA))) / TIGHT_AT
POINTS_MAX = 160
LATELY = 0.1  # of the decisions that are drawn, and 20 at least
LATELY_MIN = 20
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


def before(buckets: Iterable[Bucket], until: float) -> list[Step]:
    """Return how far an experiment was at the end of each hour or day that ended before a time (seconds)."""
    points: list[Step] = []
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
        points.append(Step(decisions, sums.rewards, mean.reward_mean, mean.reward_stderr, tuple(taken[:most])))
    return points


def thinned(points: Sequence[Moment], most: int) -> list[Moment]:
    """Return at most so many of some points, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def of_rewards(steps: Sequence[Step], limits: tuple[float, float] | None) -> dict[str, object] | None:
    """Return the curve of the mean reward, with its sequence and the mean of late; None where it has no two points.

    Where rewards are declared to lie within limits no more is drawn. The band is wide at first: what is in view are
    the means, and where the band ends.
    """
    some = [step for step in _apart(steps) if step.mean is not None]
    if len(some) < 2:
        return None
    reaches = [interval(step.mean, step.rewards, step.stderr, limits) or (None, None) for step in some]
    low, high = ([_short(one) for one in ends] for ends in zip(*reaches, strict=True))
    means, lately = [_short(step.mean) for step in some], _lately(some)
    seen = [one for one in (*means, *lately, low[-1], high[-1]) if one is not None]
    return {
        "x": [step.decisions for step in some],
        "counts": True,
        "series": [
            {"label": "mean so far", "y": means, "colour": 0},
            *_band(low, high, 0),
            {"label": "lately", "y": lately, "colour": 1, "dash": True},
        ],
        "within": limits,
        "view": [min(seen), max(seen)],
    }


def interval(
    mean: float | None, n: int, stderr: float | None, limits: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Return the sequence around a mean of n rewards, within their limits; None where nothing tells.

    >>> interval(1.0, 500, 0.01, (0.98, 1.0)), interval(0.5, 1, None, None)
    ((0.98, 1.0), None)
    """
    if mean is None or (wide := reach(n, stderr)) is None:
        return None
    least, most = limits or (-math.inf, math.inf)
    return max(mean - wide, least), min(mean + wide, most)


def _apart(steps: Sequence[Step]) -> list[Step]:
    """Return some steps between which decisions were made, each with all rewards that came by the next."""
    return thinned([*{step.decisions: step for step in steps}.values()], POINTS_MAX)


def _earlier(steps: Sequence[Step]) -> list[Step | None]:
    """Return for each step the one that "lately" counts from, which is the first for those near it; None for that."""
    wide = max(LATELY * (steps[-1].decisions - steps[0].decisions), LATELY_MIN)
    found: list[Step | None] = [None]
    place = 0
    for step in steps[1:]:
        while step.decisions - steps[place + 1].decisions >= wide:
            place += 1
        found.append(steps[place])
    return found


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


def _lately(steps: Sequence[Step]) -> list[float | None]:
    """Return the mean of the rewards that came lately, of the first step of all so far."""
    means: list[float | None] = []
    for then, now in zip(_earlier(steps), steps, strict=True):
        n, sums = now.rewards, now.rewards * (now.mean or 0.0)
        if then is not None:
            n, sums = n - then.rewards, sums - then.rewards * (then.mean or 0.0)
        means.append(_short(sums / n) if n > 0 else None)
    return means


def of_shares(steps: Sequence[Step], labels: Sequence[str]) -> dict[str, object] | None:
    """Return the curve of the share that each of 2 to 12 choices has lately; None where it has no two points."""
    k = len(labels)
    some = [step for step in _apart(steps) if step.taken]
    x: list[int] = []
    shares: list[list[float]] = [[] for _ in range(k)]
    for then, now in zip(_earlier(some) if some else (), some, strict=True):
        gained = [_at(now.taken, a) - (0 if then is None else _at(then.taken, a)) for a in range(k)]
        if (total := sum(gained)) > 0 and min(gained) >= 0:
            x.append(now.decisions)
            for a in range(k):
                shares[a].append(round(100.0 * gained[a] / total, 2))
    if len(x) < 2:
        return None
    series = [{"label": label[:40], "y": shares[a], "colour": a % 8} for a, label in enumerate(labels)]
    return {"x": x, "counts": True, "series": series, "unit": " %", "range": [0, 100]}


def _at(taken: tuple[int, ...], a: int) -> int:
    return taken[a] if a < len(taken) else 0


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
