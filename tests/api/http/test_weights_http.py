"""The largest weights of an experiment over HTTP: those of Python, and the log is read while no reward waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.served import Served
from support.slow_steps import begun_in, slow

import onearm
from onearm.api.experiment.weights import SLOTS_MAX
from onearm.api.http import weights


@pytest.mark.parametrize("bits", [10, SLOTS_MAX.bit_length()])
def test_rewards_do_not_wait_for_the_log(served: Served, monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    name, context = f"words{bits}", {"kind": "features", "bits": bits}
    spec = {"arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "squarecb"}, "seed": 1}
    made = served.post("/v1/experiments", {"experiment_id": name, "problem": {"context": context}} | spec)
    assert made.status_code == 201, made.text
    engine = onearm.open(arms=["a", "b"], context=context, policy="squarecb", seed=1)
    for step in range(6):
        said = {"q": {"_text": "red" if step % 2 else "blue"}}
        decided = served.post(f"/v1/experiments/{name}/decisions", {"context": said}).json()
        served.reward(decided["decision_id"], float(step % 2), name)
        engine.learn(engine.decide(said), reward=float(step % 2))
    live, waited = served.service.live(name), []
    told_events = served.store.told_events

    def reading(*given: Any) -> Any:
        waited.append(live.reading.locked)
        return told_events(*given)

    monkeypatch.setattr(served.store, "told_events", reading)
    found = served.get(f"/v1/experiments/{name}/weights").json()
    assert waited == [False]
    names = {weight["name"] for weight in found["shared"]}
    assert names == {weight.name for weight in engine.weights().shared} == {"q.red", "q.blue"}


def test_weights_wait_for_the_step_at_work(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read in another thread, in which nothing may be learned meanwhile."""
    made = served.create("words", policy={"name": "squarecb"}, problem={"context": {"kind": "features", "bits": 4}})
    assert made.status_code == 201, made.text
    name = served.decide({"context": {"x": 1.0}}, "words").json()["decision_id"]
    live = served.service.live("words")
    slow(served, monkeypatch, "words")
    begun, go_on, looked = threading.Event(), threading.Event(), threading.Event()
    apply, table_of = live.apply, weights.table_of

    def held(*given: Any) -> None:
        begun.set()
        assert go_on.wait(30)
        apply(*given)

    def looks(*given: Any) -> Any:
        looked.set()
        assert go_on.wait(30)
        return table_of(*given)

    monkeypatch.setattr(live, "apply", held)
    monkeypatch.setattr(weights, "table_of", looks)
    with ThreadPoolExecutor(2) as pool:
        learned = pool.submit(served.reward, name, 1.0, "words")
        assert begun.wait(30)
        found = pool.submit(served.get, "/v1/experiments/words/weights")
        deadline = time.monotonic() + 30
        while not looked.is_set() and len(live.turns._tasks) < 2:  # it reads the state, or waits for its turn
            assert time.monotonic() < deadline
            time.sleep(0.01)
        too_early = looked.is_set()
        go_on.set()
        assert learned.result(30).json() == {"status": "accepted"}
        assert found.result(30).status_code == 200
    assert not too_early


WORDS = {"problem": {"context": {"kind": "features", "bits": 4}}, "policy": {"name": "squarecb"}}
CHANGES = {
    "promotion": ("/v1/experiments/e/policies/1:promote", {}),
    "join": ("/v1/experiments/e/arms", {"id": "d"}),
}


def with_words(served: Served) -> None:
    """Create the experiment `e`, which learned of words, and whose shadow learns them in another way."""
    assert served.create(**WORDS).status_code == 201
    shadow = {"policy": {"name": "fourier_softmax"}, "role": "shadow", "start": "empty"}
    assert served.post("/v1/experiments/e/policies", shadow).status_code == 201
    for step in range(6):
        made = served.decide({"context": {"q": "red" if step % 2 else "blue"}}).json()
        assert served.reward(made["decision_id"], float(step % 2)).status_code == 200


async def behind(served: Served, monkeypatch: pytest.MonkeyPatch, *work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do what waits for the turn of an experiment, in this order, once whoever has it is done."""
    turns, free = served.service.live("e").turns, asyncio.Event()
    first = asyncio.create_task(turns.alone(free.wait))
    await asyncio.sleep(0)
    begun = [await begun_in(turns, one, monkeypatch) for one in work]
    assert turns.exclusive and not any(one.done() for one in begun)
    free.set()
    await first
    return [await one for one in begun]


@pytest.mark.parametrize("change", CHANGES)
def test_weights_are_of_who_decides_when_their_turn_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path, body = CHANGES[change]
    with Served(tmp_path) as served:
        with_words(served)
        before = served.get("/v1/experiments/e/weights").json()

        async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
            changing = client.post(path, json=body)
            found: list[httpx.Response] = await behind(
                served, monkeypatch, changing, client.get("/v1/experiments/e/weights")
            )
            return found

        changed, found = at_once(served, ask)
        assert changed.status_code in (200, 201), changed.text
        assert found.status_code == 200, found.text
        assert found.json() == served.get("/v1/experiments/e/weights").json() != before


def test_a_state_is_read_beside_reports_and_beside_turns_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other: a report of one, the turn of another, and the state of a third."""
    with Served(tmp_path) as served:
        for name in ("e", "held"):
            served.create(name)
        slow(served, monkeypatch)
        live, over = served.service.live("held"), asyncio.Event()

        async def ask(client: httpx.AsyncClient) -> list[int]:
            async with served.service.pools.reads.turn():
                turn = asyncio.create_task(live.turns.alone(over.wait))
                try:
                    async with asyncio.timeout(60):
                        while not live.turns.exclusive:
                            await asyncio.sleep(0)
                        waits = asyncio.create_task(client.get("/v1/experiments/held"))
                        answers = [await client.get("/v1/experiments/e")]
                        answers.append(await client.post("/v1/experiments/e/decisions", json={}))
                        assert not waits.done()
                finally:
                    over.set()
                    await turn
                answers.append(await waits)
            return [one.status_code for one in answers]

        assert at_once(served, ask) == [200, 201, 200]
