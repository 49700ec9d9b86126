"""The way of what policies are worth: bounded, in order, and the same after a start."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.lives import TSALLIS, UNIFORM, Life
from support.served import Served

from onearm.api.service import worths
from onearm.api.service.worths import KEPT, Worth, Worths


def test_moments_are_as_many_as_are_kept_and_cover_the_whole_way() -> None:
    way = Worths()
    for second in range(100_000):
        way.add(float(second), {})
    times = [one.time for one in way.moments]
    assert KEPT / 2 - 1 <= len(times) < KEPT
    assert times[0] == 0.0 and times[-1] > 95_000
    assert times == sorted(times)


def test_moments_that_are_too_close_are_left_out() -> None:
    way = Worths()
    for time in (10.0, 11.0, 12.0):
        way.add(time, {})
    assert way.moments == [Worth(10.0, {}), Worth(12.0, {})]


def way_of(life: Life) -> list[Worth]:
    life.read_up()
    watch = life.served.service.policies.watch(life.served.service.live("e"))
    assert watch is not None
    return watch.way


def test_values_are_told_along_the_log_and_by_the_log_again_after_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worths, "FIRST_STRIDE", 1e-6)
    with Served(tmp_path) as served:
        life = Life(served, TSALLIS, reward={"range": [0, 1]})
        life.join(UNIFORM)
        life.play(30)
        first = way_of(life)
        life.play(30)
        way = way_of(life)
        assert way[: len(first)] == first and len(way) > len(first)
        told = life.lineup()["policies"]
        for number, status in enumerate(told):
            assert way[-1].values[number].value == status["value"]["value"]
            assert way[-1].values[number].low == status["value"]["low"]
        assert 'id="plot-values"' in (text := served.get("/experiments/e").text) and "tsallis_inf #0" in text
        served.restart()
        again = way_of(life)[-1]
        assert again.time == way[-1].time
        for number, value in way[-1].values.items():  # the pages that it is read in are others, and so are the sums
            assert again.values[number].value == pytest.approx(value.value, rel=1e-12)
            assert again.values[number].low == pytest.approx(value.low, rel=1e-9)
