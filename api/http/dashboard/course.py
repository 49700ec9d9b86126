"""The course of an experiment over the numbers of its decisions, read from the newest of its log: it is there at once.

A reward counts where its decision does. What lies before the newest decisions is known from hours or days that were
counted, and from moments since the service started.
"""

from __future__ import annotations

import numpy as np

from ....engine.storage.buckets import DAY, HOUR
from ....engine.storage.moments import Moments, together, without
from ....engine.storage.store import Store
from ....engine.vocabulary import CORRECTED, LEARN, Array
from ...experiment.report_schemas import Mean
from ...experiment.sums import mean_of
from ...service.live import Live
from ...service.pace import CHOICES_MAX
from ...service.service import Service
from ..curves import LATEST
from ..reports import Moment
from . import running
from .running import POINTS_MAX, Step

NEWEST = 2_000  # decisions that are read, with their rewards: 15 ms
SPANS_MAX = 200  # hours or days before them
HOURS_DRAWN = 96


async def course_of(service: Service, live: Live, now: Moment) -> list[Step]:
    """Return how an experiment came to where it is at a moment."""
    steps = await service.pools.counts.run(newest, service.store, live.row.key, now)
    first = now.decisions - NEWEST
    return steps if first <= 0 else [one for one in await _before(service, live) if one.decisions <= first] + steps


def newest(store: Store, key: int, now: Moment) -> list[Step]:
    """Return the steps of the newest decisions; means and shares are those of all decisions up to each."""
    first = max(now.decisions - NEWEST, 0)
    n = now.decisions - first
    action, reward, seqs = np.full(n, -1), np.full(n, np.nan), np.zeros(n, np.int64)
    for seq, kind, number, chosen, value in store.course(key, first, now.seq):
        if kind in (LEARN, CORRECTED):
            reward[number - first] = np.nan if value is None else value
        else:
            seqs[number - first] = seq
            action[number - first] = -1 if chosen is None else chosen
    if now.counts_to is not None:  # of open windows only quick rewards are known
        reward[seqs > now.counts_to] = np.nan
    marks = np.unique(np.linspace(1, n, min(n, POINTS_MAX)).astype(np.int64)) if n else np.zeros(0, np.int64)
    tally = now.tally
    k = tally.choices if tally.choices <= CHOICES_MAX else 0
    taken = np.cumsum(action[:, None] == np.arange(k), axis=0)[marks - 1]
    sums = _sums(reward, marks)
    before, taken_before = Moments(0, 0.0, 0.0), np.zeros(k, np.int64)
    if first:
        rest = without(_moments(tally.all), sums[-1])
        before = rest if rest.rewards > 0 else before  # fewer, where a window began late, at an activation
        taken_before = np.maximum(np.array([tally.decided(a) for a in range(k)], np.int64) - taken[-1], 0)
    steps = []
    for mark, some, row in zip(marks.tolist(), sums, (taken_before + taken).tolist(), strict=True):
        mean = mean_of(*together(before, some))
        steps.append(Step(first + mark, mean.rewards, mean.reward_mean, mean.reward_stderr, tuple(row)))
    return steps


def _sums(reward: Array, marks: Array) -> list[Moments]:
    """Return the moments of the rewards of so many decisions, for each of m marks; one that is not there is NaN."""
    known = ~np.isnan(reward)
    middle = reward[known.argmax()] if known.any() else 0.0  # one of them: where all are equal, nothing is left
    off = np.where(known, reward - middle, 0.0)
    count, total, square = (np.cumsum(one)[marks - 1] for one in (known, off, off * off))
    some = np.maximum(count, 1)
    mean, spread = middle + total / some, np.maximum(square - total * total / some, 0.0)
    return [Moments(*row) for row in zip(count.tolist(), mean.tolist(), spread.tolist(), strict=True)]


def _moments(mean: Mean) -> Moments:
    n = mean.rewards
    return Moments(n, mean.reward_mean or 0.0, (mean.reward_stderr or 0.0) ** 2 * n * (n - 1))


async def _before(service: Service, live: Live) -> list[Step]:
    """Return how far it was at the ends of hours or days before the service started, and at moments since.

    Of those hours it takes what is counted: the service goes on with that by itself, and no page waits for it.
    """
    way = service.pace.way(live)
    age = way[0].time - live.row.created_at / 1e6
    span = HOUR if age < HOURS_DRAWN * HOUR else DAY
    key, store = live.row.key, service.store
    rows = await service.pools.counts.run(store.buckets, key, span, LATEST, SPANS_MAX) if age > HOUR else []
    return [*running.before(rows, way[0].time), *(Step(*point[1:]) for point in way)]
