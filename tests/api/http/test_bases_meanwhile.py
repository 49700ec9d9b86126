"""A compaction takes no turn: states that are set, and policies that are promoted, while one of their past is kept."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.corrected import Correcting
from support.served import assert_refused

from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import Base

E = "/v1/experiments/e"
SHADOW = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.2}}, "role": "shadow", "start": "log"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Correcting]:
    with Correcting(tmp_path) as served:
        assert served.create().status_code == 201
        yield served


def while_it_is_set(monkeypatch: pytest.MonkeyPatch, served: Correcting, deed: Callable[[], Awaitable[Any]]) -> None:
    """Do something while the next state that is set is being written, before it takes effect."""
    steps = served.service.pools.steps
    run, done = steps.run, list[Any]()

    async def interrupted(*given: Any) -> Any:
        if not done:
            done.append(None)
            await deed()
        return await run(*given)

    monkeypatch.setattr(steps, "run", interrupted)


def bases_and_parts(served: Correcting) -> list[set[int]]:
    """Return the seqs of all bases, and of all parts of bases: the same where none was written in vain."""
    with closing(sqlite3.connect(served.url.removeprefix("sqlite:///"))) as database:
        return [{seq for (seq,) in database.execute(f"SELECT seq FROM {table}")} for table in ("base", "base_part")]


def test_a_base_that_is_made_while_a_rollback_takes_over_refuses_that(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    live = served.service.live("e")
    while_it_is_set(monkeypatch, served, lambda: served.service.compactions.compact(live))
    assert_refused(served.rollback(2), 409, "compacted")
    assert served.sets() == []
    assert bases_and_parts(served) == [{6}, {6}]
    served.rewarded([0.5])
    assert served.rollback(7).status_code == 200
    served.assert_right()


def test_a_rollback_to_behind_a_base_that_is_made_meanwhile_is_done_again(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    live = served.service.live("e")
    while_it_is_set(monkeypatch, served, lambda: served.service.compactions.compact(live, 4))
    assert served.rollback(4).json()["seq"] == 7
    assert bases_and_parts(served) == [{4, 7}, {4, 7}]
    served.rewarded([0.5])
    served.restart()
    served.assert_verified()


def asked_as_one_is_set_back(
    served: Correcting, monkeypatch: pytest.MonkeyPatch, deed: str, said: Any
) -> httpx.Response:
    """Ask for what makes a base, as a rollback is set, and not committed yet; return the answer once both are done."""
    live, compactions, store = served.service.live("e"), served.service.compactions, served.store
    append, bases, fold, committed = store.append, store.bases, compactions._fold, live.committed
    waits, go_on, rolled = threading.Event(), threading.Event(), list[Any]()

    def held(*given: Any) -> None:
        waits.set()
        assert go_on.wait(30)
        append(*given)

    def found(key: int) -> Any:
        known = bases(key)
        if not rolled:  # the seq that becomes the base is known: now comes the rollback
            rolled.append(None)
            rolled.append(pool.submit(served.rollback, 2))
            assert waits.wait(30)
        return known

    def folding(*given: Any) -> Any:
        go_on.set()
        return fold(*given)

    async def waited() -> Any:
        if live.floor:
            go_on.set()
        return await committed()

    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as patched:
        patched.setattr(store, "append", held)
        patched.setattr(store, "bases", found)
        patched.setattr(compactions, "_fold", folding)
        patched.setattr(live, "committed", waited)
        answer = served.post(f"{E}:{deed}", said)
        assert rolled[1].result(30).status_code == 200
    return answer


def test_no_base_is_made_behind_what_a_rollback_on_its_way_goes_back_to(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes the base looks for such: that waits for the commit."""
    served.rewarded([1.0, 0.0, 1.0])
    said = {"archive": False}
    assert_refused(asked_as_one_is_set_back(served, monkeypatch, "compact", said), 409, "set_later")
    assert served.service.live("e").floor == 0
    served.rewarded([0.5])
    served.assert_right()
    assert served.post(f"{E}:compact", said).status_code == 200
    served.restart()
    served.assert_verified()


def test_an_erasure_moves_the_base_behind_a_rollback_that_is_set_meanwhile(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    answer = asked_as_one_is_set_back(served, monkeypatch, "erase", {"decision_ids": ["~0"]})
    assert (answer.status_code, answer.json()["decisions"]) == (200, 1)
    [base] = served.store.bases(served.service.live("e").row.key)
    assert (base.seq, base.of_change, served.service.live("e").floor) == (7, False, 7)
    served.rewarded([0.5])
    served.restart()
    served.assert_verified()


def test_where_a_base_is_made_and_nobody_hears_of_it_what_lies_before_is_not_corrected(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served.rewarded([1.0, 0.0])
    put_base = served.store.put_base

    def unheard(base: Base) -> bool:
        put_base(base)
        raise Unavailable("commit_failed", "the connection was lost, and what became of the commit is not known")

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "put_base", unheard)
        assert_refused(served.post(f"{E}:compact", {"archive": False}), 503, "commit_failed")
    assert bases_and_parts(served) == [{4}, {4}]
    assert_refused(served.client.put(f"{E}/decisions/{before[0]}/reward", json={"value": 0.0}), 409, "compacted")
    served.correct(served.rewarded([1.0])[0], 0.0)
    served.follow()
    served.assert_verified()
    assert served.post(f"{E}:compact", {"archive": False, "before": 4}).json()["base"] == 4


def test_of_a_base_that_is_not_made_what_lies_before_is_corrected(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served.rewarded([1.0, 0.0])

    def failing(base: Base) -> bool:
        raise Unavailable("commit_failed", "the disk is full: make room")

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "put_base", failing)
        assert_refused(served.post(f"{E}:compact", {"archive": False}), 503, "commit_failed")
    assert bases_and_parts(served) == [set(), set()]
    served.correct(before[0], 0.0)
    served.follow()
    served.assert_verified()


def test_of_a_state_that_cannot_be_set_for_any_reason_nothing_is_left(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.rewarded([1.0, 0.0])
    run = served.service.pools.steps.run

    async def failing(*given: Any) -> Any:
        if bases_and_parts(served)[1]:
            raise MemoryError("as if there were none left")
        return await run(*given)

    with monkeypatch.context() as patched:
        patched.setattr(served.service.pools.steps, "run", failing)
        assert served.rollback(2).status_code == 500
    assert bases_and_parts(served) == [set(), set()]
    assert served.rollback(2).status_code == 200
    served.assert_right()


def test_a_rollback_is_refused_for_a_while_where_the_log_has_to_be_folded_again(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    live = served.service.live("e")

    async def set_back() -> None:
        live.set_back()
        await served.service._setting_back.done(live)

    while_it_is_set(monkeypatch, served, set_back)
    assert_refused(served.rollback(2), 503, "refolding")
    assert bases_and_parts(served) == [set(), set()]
    assert served.rollback(2).status_code == 200
    served.assert_right()


def test_of_who_was_promoted_before_a_base_is_made_nothing_between_the_two_is_corrected(served: Correcting) -> None:
    """That one is not in the base, and begins with its promotion: what it learned before it cannot learn again."""
    served.rewarded([1.0, 0.0, 1.0])
    assert served.post(f"{E}/policies", SHADOW).status_code == 201
    between = served.rewarded([0.0, 1.0])
    assert served.post(f"{E}/policies/1:promote").status_code == 200
    behind = served.rewarded([0.0, 1.0])
    assert served.post(f"{E}:compact", {"archive": False, "before": 8}).status_code == 200
    served.assert_not_corrected(between[1])
    served.correct(behind[1], 0.0)
    served.follow()
    assert "corrections_left" not in served.get(E).json()
    served.assert_verified()


def test_a_base_that_is_made_during_a_promotion_refuses_who_cannot_learn_a_correction_any_more(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = served.rewarded([1.0, 0.0, 1.0])
    assert served.post(f"{E}/policies", SHADOW).status_code == 201
    names += served.rewarded([1.0, 0.0, 1.0])
    served.correct(names[4], 1.0)
    served.follow()
    live, events = served.service.live("e"), len(served.events())
    while_it_is_set(monkeypatch, served, lambda: served.service.compactions.compact(live))
    assert_refused(served.post(f"{E}/policies/1:promote"), 409, "compacted")
    assert len(served.events()) == events
    bases, parts = bases_and_parts(served)
    assert bases == parts
    served.rewarded([1.0])
    served.follow()
    assert "corrections_left" not in served.get(E).json()
    served.assert_verified()


def test_a_base_that_is_made_during_a_promotion_is_one_from_which_that_folds(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    assert served.post(f"{E}/policies", SHADOW).status_code == 201
    between = served.rewarded([0.0, 1.0])
    live = served.service.live("e")
    while_it_is_set(monkeypatch, served, lambda: served.service.compactions.compact(live, 8))
    assert served.post(f"{E}/policies/1:promote").status_code == 200
    refused = served.client.put(f"{E}/decisions/{between[1]}/reward", json={"value": 0.0})
    assert (refused.status_code, refused.json()["code"]) == (409, "compacted")
    served.correct(served.rewarded([1.0])[0], 0.0)
    served.follow()
    assert "corrections_left" not in served.get(E).json()
    served.assert_verified()


def test_a_policy_that_joins_behind_a_base_has_nothing_to_know_of_corrections_before(served: Correcting) -> None:
    names = served.rewarded([1.0, 0.0, 1.0])
    served.correct(names[1], 0.5)
    served.follow()
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    assert served.post(f"{E}/policies", SHADOW | {"role": "canary", "share": 0.5, "start": "empty"}).status_code == 201
    served.correct(served.rewarded([1.0, 0.0, 1.0])[1], 0.5)
    served.follow()
    served.assert_verified()
