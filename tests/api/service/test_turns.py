"""Slow steps: other experiments go on meanwhile, and whatever touches the same state waits for its turn."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.served import Served, assert_refused, folded, log_of
from support.slow_steps import Held, slow
from support.windowed import Windowed, half_closed

from onearm.api.cli.verify import has_fault, verified
from onearm.api.kinds.kind import NO_DETAIL
from onearm.api.service import live as live_module
from onearm.api.service import turns as turns_module
from onearm.api.service.pools import Pools
from onearm.api.service.service import Service
from onearm.api.service.turns import Turns
from onearm.engine import loop
from onearm.engine.kernel import Entry
from onearm.engine.vocabulary import Feedback

E, OTHER = "/v1/experiments/e", "/v1/experiments/other"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        served.create()
        served.create("other")
        yield served


async def begun(held: Held) -> None:
    await asyncio.to_thread(held.begun.wait, 60.0)


async def given_up(client: httpx.AsyncClient, made: str, held: Held) -> None:
    """Send a reward, and hang up while it is being learned."""
    learning = asyncio.create_task(client.post(f"{E}/decisions/{made}/reward", json={"value": 1.0}))
    await begun(held)
    learning.cancel()


def test_while_one_learns_the_others_decide_and_it_waits(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    _, update = slow(served, monkeypatch)
    made = served.decide().json()["decision_id"]
    held = update.call = Held(update.call)

    async def ask(client: httpx.AsyncClient) -> list[Any]:
        learning = asyncio.create_task(client.post(f"{E}/decisions/{made}/reward", json={"value": 1.0}))
        await begun(held)
        waiting = [
            asyncio.create_task(client.post(f"{E}/decisions", json={})),
            asyncio.create_task(client.get(E)),
            asyncio.create_task(client.get(f"{E}/diagnostics")),
            asyncio.create_task(client.post(f"{E}:archive")),
        ]
        for _ in range(3):
            assert (await client.post(f"{OTHER}/decisions", json={})).status_code == 201
        assert not learning.done() and not any(task.done() for task in waiting)
        held.let_go.set()
        return [await task for task in (learning, *waiting)]

    learned, decided, read, health, archived = at_once(served, ask)
    assert [answer.status_code for answer in (learned, decided, read, health, archived)] == [200, 201, 200, 200, 200]
    assert read.json()["rewards"] == 1 and health.json()["compiling"]["compiled"] is False
    served.assert_consistent()


def test_work_that_waits_begins_when_its_turn_comes() -> None:
    """The time of a change is read in its turn: a log's times go up with its numbers."""
    entry = Entry(loop.decide, (), print, compiled=False)
    clock = [0]

    async def first() -> None:
        await asyncio.sleep(0)
        clock[0] = 1

    async def written(time: int) -> int:
        return time

    async def both() -> int:
        turns = Turns(Pools().steps)
        turns.take_up(entry)
        begun = asyncio.ensure_future(turns.take(first))
        await asyncio.sleep(0)
        time = await turns.take(lambda: written(clock[0]))
        await begun
        return time

    assert asyncio.run(both()) == 1


def test_a_retry_that_comes_during_a_slow_decision_gets_the_same(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    select, _ = slow(served, monkeypatch)
    held = select.call = Held(select.call)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        tasks = [asyncio.create_task(client.post(f"{E}/decisions", json={"decision_id": "d"})) for _ in range(5)]
        await begun(held)
        held.let_go.set()
        return list(await asyncio.gather(*tasks))

    answers = at_once(served, ask)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.text for answer in answers}) == 1
    served.assert_consistent()


def test_a_step_is_not_broken_off_by_whoever_asked(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    _, update = slow(served, monkeypatch)
    made = served.decide().json()["decision_id"]
    held = update.call = Held(update.call)

    async def ask(client: httpx.AsyncClient) -> None:
        await given_up(client, made, held)
        held.let_go.set()
        again = await client.post(f"{E}/decisions/{made}/reward", json={"value": 1.0})
        assert again.json() == {"status": "duplicate"}

    at_once(served, ask)
    served.assert_consistent()


def test_a_service_that_ends_waits_for_the_step_at_work(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    _, update = slow(served, monkeypatch)
    made = served.decide().json()["decision_id"]
    held = update.call = Held(update.call)

    at_once(served, lambda client: given_up(client, made, held))
    held.let_go.set()
    served.restart()
    assert served.get(E).json()["rewards"] == 1
    served.assert_consistent()


class HeldAfter(Held):
    """What a step runs, held up when it has changed the state."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        made = self._call(*args, **named)
        self.begun.set()
        assert self.let_go.wait(60.0)
        return made


@pytest.mark.parametrize("end", [lambda service: service.give_up(["e"]), lambda service: service.let_go("e")])
def test_a_snapshot_waits_for_the_step_of_who_goes_on_while_an_experiment_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch, end: Callable[[Service], Coroutine[Any, Any, None]]
) -> None:
    """A batch has the experiment already, and goes on with its next reward when nobody had a turn for a moment."""
    live, service = served.service.live("e"), served.service
    served.decide()
    _, update = slow(served, monkeypatch)
    held = update.call = HeldAfter(update.call)
    idle, learning = live.turns.idle, list[asyncio.Task[None]]()

    async def learn() -> None:
        record = await live.find(0)
        assert record is not None
        await live.learn(record, live.kind.action(live, record.event), Feedback(1.0, NO_DETAIL), "", live.now())

    async def idle_for_a_moment() -> None:
        await idle()
        if not learning:
            learning.append(asyncio.create_task(live.turns.take(learn)))
            await begun(held)

    async def give_up(_: httpx.AsyncClient) -> None:
        ends = asyncio.create_task(end(service))
        async with asyncio.timeout(60):
            while len(live.turns._tasks) < 2 and live.row.key not in service.writer.kept:  # it waits, or has packed it
                await asyncio.sleep(0.01)
        held.let_go.set()
        await ends
        await asyncio.gather(*learning, return_exceptions=True)

    monkeypatch.setattr(live.turns, "idle", idle_for_a_moment)
    at_once(served, give_up)
    (kept, *_) = served.store.newest_snapshots(live.row.key)
    row, events = log_of(served.store, "e")
    assert kept.digest == folded(row, events[: kept.seq])
    served.restart()
    served.assert_consistent()


def test_steps_that_prove_quick_need_no_turns(served: Served) -> None:
    live = served.service.live("e")
    entries = live._select, live._update
    for entry in entries:
        entry.compiled = False
    live.turns.take_up(*entries)
    assert live.turns.slow, "how long they take is not known yet"
    served.reward(served.decide().json()["decision_id"], 1.0)
    live.turns._took = dict.fromkeys(entries, 1e-5)
    assert not live.turns.slow
    served.reward(served.decide().json()["decision_id"], 1.0)
    served.assert_consistent()


@pytest.mark.jit
def test_what_python_cannot_learn_compiled_code_learns(served: Served) -> None:
    update = served.service.live("e")._update
    compiled = update.call
    assert update.compiled or compiled is not None
    update.finish()

    def half(params: Any, state: Any, *rest: Any) -> None:
        state.count[:] = 77
        raise ZeroDivisionError

    update.call, update.compiled = half, False
    assert served.reward(served.decide().json()["decision_id"], 1.0).status_code == 200
    assert update.compiled, "it went over to that for good"
    served.assert_consistent()


def test_compiled_steps_that_take_long_are_made_elsewhere_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    live = served.service.live("e")
    update = live._update
    monkeypatch.setattr(turns_module, "LONG_S", 0.0)
    made = [served.decide().json()["decision_id"] for _ in range(2)]
    assert live.turns.slow
    held = update.call = Held(update.call)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        learning = asyncio.create_task(client.post(f"{E}/decisions/{made[0]}/reward", json={"value": 1.0}))
        await begun(held)
        waiting = asyncio.create_task(client.post(f"{E}/decisions/{made[1]}/reward", json={"value": 0.0}))
        for _ in range(3):
            assert (await client.post(f"{OTHER}/decisions", json={})).status_code == 201
        assert not learning.done() and not waiting.done()
        held.let_go.set()
        return [await learning, await waiting]

    assert [answer.json() for answer in at_once(served, ask)] == [{"status": "accepted"}] * 2
    served.assert_consistent()


def test_after_many_short_ones_they_are_made_at_once_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    live = served.service.live("e")
    monkeypatch.setattr(turns_module, "LONG_S", 0.0)
    for _ in range(2):
        served.decide()
    monkeypatch.setattr(turns_module, "LONG_S", 60.0)
    for _ in range(turns_module.LONG_STEPS):
        assert live.turns.slow
        served.decide()
    assert not live.turns.slow
    served.assert_consistent()


def test_a_step_that_only_waited_is_not_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the thread's lock, say, on a busy machine."""
    entry = Entry(loop.decide, (), print, compiled=True)

    async def waits() -> bool:
        turns = Turns(Pools().steps)
        for _ in range(3):
            await turns.take(lambda: turns.step(entry, lambda: time.sleep(2 * turns_module.LONG_S)))
        return turns.slow

    assert not asyncio.run(waits())


def test_whoever_began_before_steps_were_known_to_be_long_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would step in one thread while the one with the turn does in another."""
    monkeypatch.setattr(turns_module, "LONG_S", 0.0)
    entry = Entry(loop.decide, (), print, compiled=True)
    told: list[str] = []

    async def both() -> None:
        turns, found = Turns(Pools().steps), asyncio.Event()

        async def looks_up() -> None:
            await found.wait()
            told.append(await turns.step(entry, lambda: f"first in {threading.current_thread().name}"))

        async def comes_later() -> None:
            told.append(await turns.step(entry, lambda: f"second in {threading.current_thread().name.split('-')[0]}"))

        first = asyncio.create_task(turns.take(looks_up))
        await asyncio.sleep(0)
        for _ in range(2):
            await turns.take(lambda: turns.step(entry, lambda: None))
        assert turns.slow
        second = asyncio.create_task(turns.take(comes_later))
        await asyncio.sleep(0.05)
        assert told == []
        found.set()
        await first
        await second

    asyncio.run(both())
    assert told == ["first in MainThread", "second in onearm"]


def test_a_large_state_grows_in_another_thread(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 MB that took .15 s, in which nobody got an answer."""
    monkeypatch.setattr(live_module, "COPY_BYTES", 0)
    live = served.service.live("e")
    assert live.spec.policy.grow is not None
    held = Held(live.spec.policy.grow)
    object.__setattr__(live.spec.policy, "grow", held)
    body = {"id": "d"}

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        joining = asyncio.create_task(client.post(f"{E}/arms", json=body))
        await begun(held)
        waiting = [
            asyncio.create_task(client.post(f"{E}/decisions", json={})),
            asyncio.create_task(client.post(f"{E}/arms", json=body)),
        ]
        for _ in range(3):
            assert (await client.post(f"{OTHER}/decisions", json={})).status_code == 201
        assert not joining.done() and not any(task.done() for task in waiting)
        held.let_go.set()
        return [await task for task in (joining, *waiting)]

    assert [answer.status_code for answer in at_once(served, ask)] == [201, 201, 200]
    assert served.decide({"eligible_actions": ["d"]}).json()["action_id"] == "d"
    served.assert_consistent()


@pytest.fixture
def windowed(tmp_path: Path) -> Iterator[Windowed]:
    """Of two experiments with windows the first has four that are closed, and four that are due."""
    with Windowed(tmp_path) as served:
        assert served.client.portal is not None
        served.client.portal.call(served.service.correcting.stop)
        for name in ("e", "other"):
            served.create(name, reward={"wait_time": "10s", "default": 0, "range": [0, 1]})
        for number in range(8):
            served.decide({"decision_id": f"d{number}"})
            served.reward(f"d{number}", float(number % 2))
            if number == 3:
                served.pass_time(20)
        served.pass_time(20, close=False)
        yield served


def assert_whole(served: Served) -> None:
    """Check that the log folds to the state at work, and verifies."""
    digest = served.digest()
    served.restart()
    assert served.digest() == digest
    assert not any(map(has_fault, verified(served.url)))


def told_when_gone_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what is set once a log is folded again as far as it goes without a turn."""
    correcting, gone_on = served.service.correcting, threading.Event()
    go_on = correcting._gone_on

    async def told(*given: Any) -> None:
        await go_on(*given)
        gone_on.set()

    monkeypatch.setattr(correcting, "_gone_on", told)
    return gone_on


@pytest.mark.parametrize("name", ["compact", "move_base"])
def test_no_base_is_made_of_what_is_not_on_its_way_to_the_log(
    windowed: Windowed, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A piece of windows is learned step by step, and queued in the end: what it has until then is in memory alone."""
    live, portal = windowed.service.live("e"), windowed.client.portal
    assert portal is not None
    with half_closed(windowed, monkeypatch):
        last, _ = windowed.store.last(live.row.key)
        portal.call(getattr(windowed.service.compactions, name), live)
        assert [base.seq for base in windowed.store.bases(live.row.key)] == [last]
    assert_whole(windowed)


def test_a_state_that_is_folded_again_learns_what_was_not_on_its_way_to_the_log(
    windowed: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert windowed.client.put(f"{E}/decisions/d0/reward", content=b'{"value": 1.0}').status_code == 200
    portal, gone_on = windowed.client.portal, told_when_gone_on(windowed, monkeypatch)
    assert portal is not None
    with ThreadPoolExecutor(1) as pool:
        with half_closed(windowed, monkeypatch):
            follows = pool.submit(portal.call, windowed.service.correcting.correct_all, 1.0)
            assert gone_on.wait(60)
        follows.result(60)
    assert windowed.service.live("e").uncorrected == 0
    assert_whole(windowed)


def test_a_time_names_no_event_that_is_not_on_its_way_to_the_log(
    windowed: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_on = told_when_gone_on(windowed, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        with half_closed(windowed, monkeypatch):
            last, _ = windowed.store.last(windowed.service.live("e").row.key)
            back = pool.submit(windowed.post, f"{E}/policies:rollback", {"to": "2100-01-01T00:00:00Z"})
            assert gone_on.wait(60)
        assert back.result(60).json()["to"] == last
    assert_whole(windowed)


def test_nothing_is_set_back_to_what_is_not_on_its_way_to_the_log(
    windowed: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, path = windowed.service.live("e"), f"{E}/policies:rollback"
    with ThreadPoolExecutor(1) as pool, half_closed(windowed, monkeypatch):
        refused = pool.submit(windowed.post, path, {"to": live.seq}).result(60)
    assert_refused(refused, 422, "ahead_of_log")
    assert windowed.post(path, {"to": live.seq}).status_code == 200
    assert_whole(windowed)


def test_a_policy_brings_nothing_that_is_not_on_its_way_to_the_log(
    windowed: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = windowed.get(E).json()["policy"]
    joins = {"policy": spec, "role": "shadow", "start": {"experiment": "e"}}
    with half_closed(windowed, monkeypatch):
        last, _ = windowed.store.last(windowed.service.live("e").row.key)
        joined = windowed.post(f"{OTHER}/policies", joins)
    assert joined.json()["origin"]["seq"] == last
    assert_whole(windowed)
