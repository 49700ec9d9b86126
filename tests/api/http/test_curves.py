"""What was decided in each hour and day, beside a count of the log by hand."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.served import Served, assert_refused

from onearm.api.http.curve_schemas import Curve
from onearm.api.service import curves as curves_module
from onearm.engine.storage import buckets as buckets_module
from onearm.engine.vocabulary import CHANGE, LEARN

E = "/v1/experiments/e"
START = 1_767_225_600_000_000  # the first of January 2026, in microseconds
HOUR = 3_600_000_000


class Clock:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.now = START + HOUR // 2

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def served(tmp_path: Path, clock: Clock) -> Iterator[Served]:
    with Served(tmp_path) as served:
        served.service.clock = clock
        served.create()
        yield served


def filled(served: Served, clock: Clock, decisions: int = 60) -> None:
    """Decide at odd times over three days; some rewards come hours later, some never."""
    numbers = np.random.default_rng(5)
    waiting: list[str] = []
    for _ in range(decisions):
        clock.now += int(numbers.integers(0, 2 * HOUR))
        waiting.append(served.decide().json()["decision_id"])
        if numbers.random() < 0.7 and waiting:
            late = waiting.pop(int(numbers.integers(len(waiting))))
            assert served.reward(late, float(numbers.normal(1e6, 3.0))).status_code == 200


def by_hand(served: Served, span: int) -> list[dict[str, Any]]:
    """Return what the log says of each part of time, arm by arm."""
    rows: dict[tuple[int, int], list[float | None]] = defaultdict(list)
    at = {}
    for event in served.events():
        if event.kind == CHANGE:
            continue
        if event.kind != LEARN:
            at[event.number] = event.time // span * span
        for action in (-1, event.action):
            rows[at[event.number], action].append(event.reward)
    told = []
    for begins in sorted({begins for begins, _ in rows}):
        arms = {}
        for action in (-1, 0, 1, 2):
            seen = rows.get((begins, action), [])
            rewards = [one for one in seen if one is not None]
            arms[action] = (len(seen) - len(rewards), len(rewards), math.fsum(rewards) / max(1, len(rewards)))
        told.append({"begins": begins, "arms": {a: one for a, one in arms.items() if one[0]}})
    return told


def told(served: Served, by: str, **query: Any) -> list[dict[str, Any]]:
    answer = served.client.get(f"{E}/curve", params={"by": by, **query})
    assert answer.status_code == 200, answer.text
    found = msgspec.json.decode(answer.content, type=Curve)  # it is as documented
    assert found.by == by and found.seq == found.of == served.service.live("e").seq
    return answer.json()["spans"]


@pytest.mark.parametrize("page", [7, 5000])
def test_each_hour_and_day_is_as_the_log_has_it(
    served: Served, clock: Clock, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(buckets_module, "PAGE", page)
    for _ in range(2):  # the second time on top of what is counted
        filled(served, clock)
        for by, span in (("hour", HOUR), ("day", 24 * HOUR)):
            wanted = by_hand(served, span)
            found = told(served, by, limit=1000)
            assert [one["begins"] for one in found] == [
                str(np.datetime64(one["begins"], "us").astype("datetime64[s]")) + "+00:00" for one in wanted
            ]
            for one, two in zip(found, wanted, strict=True):
                rows = {-1: one} | {ord(arm["arm_id"]) - ord("a"): arm for arm in one["arms"]}
                assert {a: (row["decisions"], row["rewards"]) for a, row in rows.items()} == {
                    a: arm[:2] for a, arm in two["arms"].items()
                }
                means = {a: row["reward_mean"] or 0.0 for a, row in rows.items()}
                assert means == pytest.approx({a: arm[2] for a, arm in two["arms"].items()}, rel=1e-14)


def test_spreads_are_those_of_all_rewards_of_a_day(
    served: Served, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets_module, "PAGE", 3)
    rewards = [1e9 + value for value in (0.25, 1.0, 3.5, -2.0, 7.0)]  # sums of squares would lose these
    for value in rewards:
        served.reward(served.decide().json()["decision_id"], value)
    (day,) = told(served, "day")
    error = float(np.std(np.array(rewards) - 1e9, ddof=1)) / math.sqrt(5)
    assert day["reward_stderr"] == pytest.approx(error, rel=1e-6)
    assert day["interval"][1] - day["interval"][0] == pytest.approx(2 * 1.959964 * error, rel=1e-5)


def test_pages_go_back_in_time(served: Served, clock: Clock) -> None:
    filled(served, clock)
    whole = told(served, "hour", limit=1000)
    pages: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    while page := told(served, "hour", limit=7, **before):
        pages = page + pages
        before = {"before": page[0]["begins"]}
    assert pages == whole
    plain = served.get(f"{E}/curve?by=hour&limit=7&before={whole[9]['begins']}").json()["spans"]  # with its + as it is
    assert plain == whole[2:9]


def test_it_is_kept_up_without_being_asked_for(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves_module, "EVERY", 0.02)
    with Served(tmp_path) as served:
        served.service.clock = clock
        served.create()
        filled(served, clock, 10)
        live = served.service.live("e")

        async def counted() -> None:
            for _ in range(3000):
                if served.store.counted_to(live.row.key) == live.seq:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("nothing was counted")

        served.client.portal.call(counted)


def test_nobody_waits_for_the_count_of_another_log(
    served: Served, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who read a curve waited, up to a minute, while a long log was counted in the background, pauses included."""
    monkeypatch.setattr(buckets_module, "PAGE", 3)
    filled(served, clock, 10)
    served.create("other")
    served.decide({}, "other")
    service = served.service

    async def read() -> int:
        long, other = (service.live(name) for name in ("e", "other"))
        behind = asyncio.create_task(service.curves._count(long, None, math.inf, pause=1e9))
        try:
            while not served.store.counted_to(long.row.key):  # from then on it has a pause
                await asyncio.sleep(0.001)
            counted = await asyncio.wait_for(service.curves.count(other, 5.0), 20)
            return counted.until
        finally:
            behind.cancel()

    assert served.client.portal.call(read) == 1


def test_a_part_is_written_once(served: Served, clock: Clock) -> None:
    filled(served, clock, 5)
    key = served.service.live("e").row.key
    part = served.store.next_part(key, 3)
    for _ in range(2):
        served.store.put_part(key, part)
    assert sum(one["decisions"] for one in told(served, "day")) == 5


def test_what_has_no_arms_of_its_own_has_sums_alone(served: Served) -> None:
    problem = {"actions": {"kind": "listed", "length": 1, "max": 3}}
    body = {"experiment_id": "listed", "policy": "uniform", "problem": problem}
    assert served.post("/v1/experiments", body).status_code == 201
    served.decide({"actions": [{"id": "x", "features": [1.0]}]}, "listed")
    (day,) = served.get("/v1/experiments/listed/curve").json()["spans"]
    assert day["decisions"] == 1 and "arms" not in day


def test_arms_that_joined_are_counted(served: Served, clock: Clock) -> None:
    filled(served, clock, 5)
    assert served.post(f"{E}/arms", {"id": "d"}).status_code == 201
    for _ in range(20):
        served.decide({"eligible_actions": ["d"]})
    assert {arm["arm_id"]: arm["decisions"] for arm in told(served, "day")[-1]["arms"]}["d"] == 20


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("by=week", "bad_by"),
        ("limit=0", "bad_limit"),
        ("limit=1001", "bad_limit"),
        ("before=yesterday", "bad_before"),
        ("before=2026-01-01T00:00:00", "bad_before"),
        ("before=9999-12-31T23:59:59-01:00", "bad_before"),  # in UTC no year has it
        ("before=0001-01-01T00:00:00%2B01:00", "bad_before"),
        ("before=9999-12-31T23:59:59Z", None),
        ("before=0001-01-01T00:00:00Z", None),
    ],
)
def test_what_cannot_be_read_is_refused(served: Served, query: str, code: str | None) -> None:
    answer = served.get(f"{E}/curve?{query}")
    if code is None:
        assert answer.status_code == 200 and answer.json()["spans"] == []
    else:
        assert_refused(answer, 422, code)


def test_vectors_have_none(served: Served) -> None:
    body = {"experiment_id": "v", "problem": {"kind": "vector", "domain": {"kind": "simplex", "dimension": 3}}}
    assert served.post("/v1/experiments", body).status_code == 201
    refused = assert_refused(served.get("/v1/experiments/v/curve"), 422, "no_curve")
    assert "curves are of rewards of arms" in refused["detail"]


def test_a_deletion_takes_them(served: Served, clock: Clock) -> None:
    filled(served, clock, 5)
    told(served, "day")
    key = served.service.live("e").row.key
    assert served.client.delete(f"{E}?confirm=e").status_code in (200, 204)
    served.client.portal.call(served.service.chores.done)
    assert served.store.counted_to(key) == 0 and served.store.buckets(key, 86_400, 2**62, 10) == []
