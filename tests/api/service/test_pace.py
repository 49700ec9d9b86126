"""How much comes in a second, and the way of an experiment, by counters that are looked at now and then."""

from __future__ import annotations

import asyncio
import tracemalloc
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from onearm.api.experiment.report import Mean
from onearm.api.service.pace import AT_ONCE, CHOICES_MAX, KEPT, LOOKS, POINTS_MAX, Pace, Rate


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
    pace.forget([live])
    assert len(pace.way(idle)) == 1, "of what is gone nothing is kept"
    assert len(pace.way(live)) == len(way)


def test_memory_does_not_grow_with_time() -> None:
    """A service of 1,000 experiments grew by 3 % in twenty minutes, a point of each at a time."""
    now = [0.0]
    pace, lives = Pace(lambda: now[0], lambda: now[0]), [live_of(key) for key in range(50)]
    tracemalloc.start()
    try:
        held = []
        for _ in range(3 * POINTS_MAX):
            now[0] += 2.0
            for live in lives:
                go_on(live, 1)
            pace.follow(lives)
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(held) < 1.3 * held[0]


def test_the_way_goes_on_where_arms_join() -> None:
    now = [0.0]
    pace, live = Pace(lambda: now[0], lambda: now[0]), live_of(1)
    pace.follow([live])
    now[0], live.tally.choices = 2.0, 3
    live.tally.taken.append(0)
    go_on(live, 4)
    pace.follow([live])
    assert [point.taken for point in pace.way(live)] == [(0, 0, 0), (4, 0, 0), (4, 0, 0)]
    now[0], live.tally.choices = 4.0, CHOICES_MAX + 1
    go_on(live, 1)
    pace.follow([live])
    assert [point.taken for point in pace.way(live)] == [()] * 4
    assert [(point.decisions, point.mean) for point in pace.way(live)] == [(0, 0.5), (4, 0.5), (5, 0.5), (5, 0.5)]


def test_where_it_stood_still_is_on_its_way_even_where_points_are_far_apart() -> None:
    now = [0.0]
    pace, live = Pace(lambda: now[0], lambda: now[0]), live_of(1)
    for _ in range(POINTS_MAX + 1):
        now[0] += 2.0
        go_on(live, 1)
        pace.follow([live])
    stood = live.number
    now[0] += 100.0
    pace.follow([live])
    assert pace.way(live)[-2].decisions == stood


def test_it_follows_many_without_a_long_piece() -> None:
    """Between two pieces whatever waits goes on: here it counts how many points there are by then."""
    lives = [live_of(key) for key in range(3 * AT_ONCE)]
    pace = Pace()

    async def go_round() -> list[int]:
        seen, looking = [], asyncio.ensure_future(pace.look(lives))
        while not looking.done():
            await asyncio.sleep(0)
            seen.append(sum(len(pace.way(live)) > 1 for live in lives))
        return seen

    assert max(two - one for one, two in pairwise([0, *asyncio.run(go_round())])) == AT_ONCE


@pytest.mark.parametrize("watched", [False, True])
def test_it_looks_more_often_while_somebody_looks_at_a_page(monkeypatch: pytest.MonkeyPatch, watched: bool) -> None:
    monkeypatch.setattr("onearm.api.service.pace.EVERY", 0.0)
    live, pace = live_of(1), Pace()
    looks = 0

    async def look(lives: object) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(pace, "look", look)

    async def a_while() -> None:
        if watched:
            pace.watch()
        pace.start(lambda: [live])
        for _ in range(10 * LOOKS):
            await asyncio.sleep(0)
        await pace.stop()

    asyncio.run(a_while())
    assert looks >= 9 * LOOKS if watched else 9 <= looks <= 11
