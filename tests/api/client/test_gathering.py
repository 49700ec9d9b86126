"""Calls of many threads or tasks go together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from support.faulty import LOST, UNANSWERED, Faulty
from support.served import Served

from onearm.api.client import gathering
from onearm.api.client.blocking.batches import BYTES_MAX, in_parts
from onearm.client import AsyncClient, Client
from onearm.engine.errors import InvalidInput, OnearmError

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
CALLS = 40


def test_threads_share_requests_and_each_has_its_own_decision(served: Served) -> None:
    way = Faulty(served, [UNANSWERED])
    with Client("http://service", transport=way, batch_ms=20) as client, ThreadPoolExecutor(CALLS) as pool:
        names = [f"d{i}" for i in range(CALLS)]
        made = list(pool.map(lambda name: client.decide("e", decision_id=name), names))
        assert [one.decision_id for one in made] == names
        list(pool.map(lambda one: one.reward(0.5), made))
        about = client.experiment("e").about()
    assert (about.decisions, about.rewards) == (CALLS, CALLS)
    assert len(way.asked) < CALLS
    assert [served.record(one.decision_id).json()["action_id"] for one in made] == [one.action_id for one in made]


def test_tasks_share_requests_and_one_that_is_cancelled_leaves_the_others(served: Served) -> None:
    way = Faulty(served, [LOST])

    async def play() -> list[str]:
        async with AsyncClient("http://service", transport=way, batch_ms=20) as client:
            tasks = [asyncio.create_task(client.decide("e", decision_id=f"d{i}")) for i in range(CALLS)]
            await asyncio.sleep(0.001)
            tasks[0].cancel()  # it came first
            made = await asyncio.gather(*tasks[1:])
            async with made[0] as one:
                await one.reward(1.0)
            await asyncio.gather(*(one.reward(0.5) for one in made[1:]))
            about = await client.experiment("e").about()
            assert (about.decisions, about.rewards) == (CALLS, CALLS - 1)
            return [one.decision_id for one in made]

    assert asyncio.run(play()) == [f"d{i}" for i in range(1, CALLS)]
    assert len(way.asked) < 10


def test_a_bad_one_fails_alone(served: Served) -> None:
    way = Faulty(served)
    with Client("http://service", transport=way, batch_ms=50) as client, ThreadPoolExecutor(4) as pool:
        tried = [pool.submit(client.decide, "e", None, [arm]) for arm in ("a", "nobody", "b")]
        assert [one.result().action_id for one in (tried[0], tried[2])] == ["a", "b"]
        with pytest.raises(InvalidInput) as refused:
            tried[1].result()
        assert refused.value.code == "unknown_action"


def test_what_refuses_all_is_told_to_each(served: Served) -> None:
    with Client("http://service", transport=Faulty(served), batch_ms=50) as client, ThreadPoolExecutor(4) as pool:
        tried = [pool.submit(client.decide, "nobody") for _ in range(3)]
        found = [one.exception() for one in tried]
        assert len({id(one) for one in found}) == 3
        assert {one.code for one in found if isinstance(one, OnearmError)} == {"unknown_experiment"}


def test_large_lots_are_parted() -> None:
    items = [b"x" * (BYTES_MAX // 3)] * 7
    assert [len(some) for some in in_parts(items)] == [3, 3, 1]
    assert [len(some) for some in in_parts([b"x"] * 2500)] == [1000, 1000, 500]
    assert list(in_parts([])) == []


def test_others_are_answered_where_the_first_one_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    others = threading.Event()

    def interrupted(seconds: float) -> None:
        assert others.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(gathering.time, "sleep", interrupted)
    gatherer = gathering.ThreadGatherer(0.0, lambda items: [msgspec.Raw(item) for item in items])
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gatherer.ask, b"1")
        while gatherer._batch is None:
            pass
        second = pool.submit(gatherer.ask, b"2")
        while len(gatherer._batch.items) < 2:
            pass
        others.set()
        assert isinstance(first.exception(10), KeyboardInterrupt)
        assert bytes(second.result(10)) == b"2"


def test_a_body_that_is_too_large_refuses_no_other(served: Served) -> None:
    large = [0.5] * 1_500_000
    with Client("http://service", transport=Faulty(served), batch_ms=50) as client, ThreadPoolExecutor(3) as pool:
        tried = [pool.submit(client.decide, "e", context) for context in (None, large, None)]
        assert {one.result().action_id for one in (tried[0], tried[2])} <= {"a", "b", "c"}
        with pytest.raises(InvalidInput) as refused:
            tried[1].result()
        assert refused.value.code == "body_too_large"
        names = [client.decide("e").decision_id for _ in range(3)]
        told = [
            pool.submit(client.reward, "e", name, 1.0, reward_id=of)
            for name, of in zip(names, ("r", "x" * 5_000_000, "r"), strict=True)
        ]
        assert [type(one.exception()) for one in told] == [type(None), InvalidInput, type(None)]
