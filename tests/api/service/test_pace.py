"""How much comes in a second, and the way of an experiment, by counters that are looked at now and then."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from onearm.api.experiment.report import Mean
from onearm.api.service.pace import KEPT, POINTS_MAX, Pace, Rate


class Tally:
    """What a live experiment counts."""

    choices = 2

    def __init__(self) -> None:
        self.taken = [0, 0]

    @property
    def all(self) -> Mean:
        return Mean(sum(self.taken), 0.5, 0.1, None)

    def decided(self, choice: int) -> int:
        return self.taken[choice]


def live_of(key: int) -> Any:
    row = SimpleNamespace(key=key)
    return SimpleNamespace(row=row, number=0, rewards=0, seq=0, unusable=None, tally=Tally())


def go_on(live: Any, decisions: int) -> None:
    live.number += decisions
    live.rewards += decisions // 2
    live.seq += decisions
    live.tally.taken[live.number % 2] += decisions


def test_the_rate_is_that_of_the_last_minute() -> None:
    now = [0.0]
    pace, live = Pace(lambda: now[0], lambda: now[0]), live_of(1)
    assert pace.of(live) is None
    for _ in range(2 * KEPT):
        pace.see([live])
        now[0] += 10.0
        go_on(live, 40)
    assert pace.of(live) == Rate(4.0, 2.0)
    now[0] += 60.0
    assert pace.of(live) == Rate(2.0, 1.0)


def test_of_what_is_recovered_later_the_log_does_not_count_as_new() -> None:
    now = [0.0]
    pace, late = Pace(lambda: now[0], lambda: now[0]), live_of(1)
    late.unusable = RuntimeError()
    pace.see([late])
    late.unusable, late.number = None, 1_000_000
    now[0] = 10.0
    assert pace.of(late) is None
    pace.see([late])
    now[0] = 20.0
    assert pace.of(late) == Rate(0.0, 0.0)


def test_the_way_has_few_points_however_long_it_is_and_ends_now() -> None:
    now = [0.0]
    pace, live, idle = Pace(lambda: now[0], lambda: now[0]), live_of(1), live_of(2)
    for _ in range(20 * POINTS_MAX):
        now[0] += 2.0
        go_on(live, 1)
        pace.follow([live, idle])
    way = pace.way(live)
    assert POINTS_MAX // 2 <= len(way) <= POINTS_MAX + 1
    assert way[-1] == pace.now(live) and way[0].time < 100.0
    assert [point.time for point in way] == sorted(point.time for point in way)
    gaps = [two.time - one.time for one, two in pairwise(way[:-1])]
    assert max(gaps) <= 4 * min(gaps)
    assert len(pace.way(idle)) == 2, "it was seen once, and stood still"
    pace.follow([live])
    assert len(pace.way(idle)) == 1, "of what is gone nothing is kept"
