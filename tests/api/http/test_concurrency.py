"""Many at once: one decision per id, one reward per decision, whatever the order in which they meet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.served import Served
from support.slow_steps import slow

from onearm.api.kinds.kind import NO_DETAIL
from onearm.api.service.records import Record
from onearm.engine.vocabulary import Feedback

E = "/v1/experiments/e"


@pytest.fixture(params=["no cache", "cache", "slow"])
def crowded(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yield a service that keeps nothing in memory but what is in flight, one that keeps all, and one of slow steps."""
    with Served(tmp_path, cache_bytes=0 if request.param == "no cache" else 64_000_000) as served:
        served.create()
        if request.param == "slow":
            slow(served, monkeypatch)
        yield served


def test_one_id_asked_by_many_is_decided_once(crowded: Served) -> None:
    async def ask(client: httpx.AsyncClient) -> Sequence[httpx.Response]:
        return await asyncio.gather(*(client.post(f"{E}/decisions", json={"decision_id": "d"}) for _ in range(40)))

    answers = at_once(crowded, ask)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 39}
    assert len({answer.content for answer in answers}) == 1
    assert len(crowded.events()) == 1
    crowded.assert_consistent()


def test_one_reward_sent_by_many_is_accepted_once(crowded: Served) -> None:
    crowded.decide({"decision_id": "d"})

    async def ask(client: httpx.AsyncClient) -> Sequence[httpx.Response]:
        names = ["d", "~0"] * 20
        return await asyncio.gather(
            *(client.post(f"{E}/decisions/{name}/reward", json={"value": 0.5}) for name in names)
        )

    answers = at_once(crowded, ask)
    assert Counter(answer.json()["status"] for answer in answers) == {"accepted": 1, "duplicate": 39}
    assert len(crowded.events()) == 2
    crowded.assert_consistent()


def test_different_rewards_of_one_decision_leave_one(crowded: Served) -> None:
    crowded.decide({"decision_id": "d"})

    async def ask(client: httpx.AsyncClient) -> Sequence[httpx.Response]:
        return await asyncio.gather(
            *(client.post(f"{E}/decisions/d/reward", json={"value": i, "reward_id": f"r{i}"}) for i in range(20))
        )

    answers = at_once(crowded, ask)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
    (winner,) = (i for i, answer in enumerate(answers) if answer.status_code == 200)
    assert crowded.events()[-1].reward == winner
    crowded.assert_consistent()


def test_a_reward_may_overtake_the_answer_to_its_decision(crowded: Served) -> None:
    """A client that knows its id need not wait: it gets 404 as long as nothing is decided, and then is accepted."""

    async def ask(client: httpx.AsyncClient) -> tuple[httpx.Response, list[int]]:
        deciding = asyncio.create_task(client.post(f"{E}/decisions", json={"decision_id": "d"}))
        statuses = []
        while not statuses or statuses[-1] == 404:
            await asyncio.sleep(0)
            statuses.append((await client.post(f"{E}/decisions/d/reward", json={"value": 1.0})).status_code)
        return await deciding, statuses

    made, statuses = at_once(crowded, ask)
    assert made.status_code == 201 and statuses[-1] == 200 and set(statuses[:-1]) <= {404}
    crowded.assert_consistent()


def test_a_reward_of_a_decision_in_flight_is_learned_behind_it(crowded: Served) -> None:
    live = crowded.service.live("e")

    async def ask(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
        deciding = asyncio.create_task(client.post(f"{E}/decisions", json={}))
        while live.number == 0:
            await asyncio.sleep(0)
        assert live.records._records[0].in_flight
        rewarding = client.post(f"{E}/decisions/~0/reward", json={"value": 1.0})
        return await deciding, await rewarding

    made, rewarded = at_once(crowded, ask)
    assert (made.status_code, rewarded.json()) == (201, {"status": "accepted"})
    crowded.assert_consistent()


def test_a_read_that_is_older_than_a_reward_does_not_undo_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow query sees no reward; until it is answered the reward is committed, and would have left the cache."""
    with Served(tmp_path, cache_bytes=0) as served:
        served.create()
        for i in range(3):
            served.decide({"decision_id": f"d{i}"})
        live = served.service.live("e")
        gate, reading = asyncio.Event(), asyncio.Event()
        run = served.service.pools.lookups.run

        async def slow(function: Any, *call: Any) -> Any:
            found = await run(function, *call)
            if function == served.store.find and "d1" in call[-1]:
                reading.set()
                await gate.wait()
            return found

        async def ask(client: httpx.AsyncClient) -> list[Any]:
            assert (await client.post(f"{E}/decisions/d0/reward", json={"value": 1.0})).status_code == 200
            first = await live.find("d0")
            assert first is not None and first.reward is not None, "what was evicted is read with its reward"
            waiting = asyncio.create_task(client.post(f"{E}/decisions/d1/reward", json={"value": 1.0}))
            await reading.wait()
            # While that query is held up, its decision is rewarded and committed, and another query waits behind it.
            held = asyncio.create_task(client.post(f"{E}/decisions", json={"decision_id": "d1x"}))
            record = live.records.remember(Record(served.store.find(live.row.key, [1])[0]))
            await live.learn(record, record.event.action, Feedback(0.25, NO_DETAIL), "early", 0)
            assert record.rewarded is not None
            await record.rewarded
            for _ in range(5):
                await client.post(f"{E}/decisions", json={})
            gate.set()
            return [await waiting, await held]

        monkeypatch.setattr(served.service.pools.lookups, "run", slow)
        rewarded, made = at_once(served, ask)
        assert rewarded.status_code == 409 and made.status_code == 201
        served.assert_consistent()


def test_the_order_of_the_log_is_the_order_of_the_state(crowded: Served) -> None:
    """Everything at once, by many clients, over a cache of nothing: the log folds to the state."""

    async def client_of(client: httpx.AsyncClient, me: int) -> None:
        for i in range(6):
            name = f"c{me}-{i}"
            body = {"decision_id": name} if (me + i) % 2 else {}
            made = (await client.post(f"{E}/decisions", json=body)).json()
            posts = [client.post(f"{E}/decisions/{made['decision_id']}/reward", json={"value": i / 8})]
            if i % 3 == 0:
                posts.append(client.post(f"{E}/decisions/{made['decision_id']}/reward", json={"value": i / 8}))
            answers = await asyncio.gather(*posts)
            assert sorted(answer.json()["status"] for answer in answers)[0] == "accepted"

    async def ask(client: httpx.AsyncClient) -> None:
        await asyncio.gather(*(client_of(client, me) for me in range(12)))

    at_once(crowded, ask)
    found = crowded.get(E).json()
    assert (found["decisions"], found["rewards"], found["pending"]) == (72, 72, 0)
    crowded.assert_consistent()
