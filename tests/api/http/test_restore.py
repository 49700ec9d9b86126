"""An archived experiment is brought back: with the state it ended with, once, and wherever its log is read."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.held_commits import held_commits
from support.meeting import at_once
from support.served import Served, assert_refused

from onearm.api.cli.verify import verified
from onearm.api.service import keeping
from onearm.api.service.history import ARCHIVED, RESTORED
from onearm.api.service.room import StateLimits
from onearm.engine.errors import Unavailable
from onearm.engine.vocabulary import CHANGE

RESTORE, ARCHIVE = "/v1/experiments/e:restore", "/v1/experiments/e:archive"


def work(served: Served, start: int, n: int) -> None:
    """Decide n times, and reward every other decision."""
    for i in range(start, start + n):
        assert served.decide({"decision_id": f"d{i}"}).status_code == 201
        if i % 2:
            assert served.reward(f"d{i}", i / 7).json() == {"status": "accepted"}


def settle(served: Served) -> None:
    """Wait until all that is queued is written."""
    assert served.client.portal is not None
    served.client.portal.call(served.service.writer.drain)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_restored_experiment_goes_on_as_if_it_had_never_ended(served: Served, restarted: bool) -> None:
    served.create("twin")
    work(served, 0, 8)
    digest = served.digest()
    served.post(ARCHIVE)
    settle(served)
    assert served.service.live("e").state is None
    if restarted:
        served.restart()
    for _ in range(2):  # the second changes nothing
        answer = served.post(RESTORE)
        assert (answer.status_code, answer.json()["archived"], answer.json()["seq"]) == (200, False, 14)
    assert [event.detail for event in served.events() if event.kind == CHANGE] == [ARCHIVED, RESTORED]
    assert served.store.experiments()[1].archived_at is None
    assert served.digest() == digest
    assert served.reward("d2", 0.5).json() == {"status": "accepted"}, "what was open still is"
    assert served.reward("d1", 1 / 7).json() == {"status": "duplicate"}
    work(served, 8, 4)
    served.assert_consistent()
    served.restart()
    served.assert_consistent()
    assert served.get("/v1/experiments/e").json()["archived"] is False
    served.stop()
    assert all(found["first_difference"] is None and "note" not in found for found in verified(served.url))
    served.start()


def test_one_that_is_at_work_is_not_changed_by_it(served: Served) -> None:
    work(served, 0, 2)
    before = served.everything()
    assert served.post(RESTORE).json()["archived"] is False
    assert served.everything() == before
    assert_refused(served.post("/v1/experiments/nobody:restore"), 404, "unknown_experiment")


def test_archiving_and_restoring_take_turns(served: Served) -> None:
    for _ in range(3):
        assert served.post(ARCHIVE).json()["archived"] is True
        assert_refused(served.decide(), 409, "archived")
        assert served.post(RESTORE).json()["archived"] is False
        assert served.decide().status_code == 201
    served.assert_consistent()


def test_a_restore_that_is_not_committed_leaves_the_experiment_archived(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*call: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: make room")

    work(served, 0, 4)
    served.post(ARCHIVE)
    with monkeypatch.context() as patch:
        patch.setattr(served.store, "append", failing)
        assert_refused(served.post(RESTORE), 503, "commit_failed")
    served.restart()
    assert_refused(served.decide(), 409, "archived")
    assert served.post(RESTORE).json()["archived"] is False
    work(served, 4, 2)
    served.assert_consistent()


@pytest.mark.usefixtures("empty_database")
def test_it_is_refused_where_there_is_no_room_for_the_state(tmp_path: Path) -> None:
    wide = {"policy": {"name": "linucb"}, "problem": {"context": {"kind": "dense", "length": 150}}}
    with Served(tmp_path, state_limits=StateLimits(2_000_000, 2_000_000)) as served:
        assert served.create("e", **wide).status_code == 201
        served.post(ARCHIVE)
        settle(served)
        assert served.create("other", **wide).status_code == 201
        assert_refused(served.post(RESTORE), 507, "no_room")
        assert_refused(served.decide({"context": [0.0] * 150}), 409, "archived")
        served.post("/v1/experiments/other:archive")
        settle(served)
        assert served.post(RESTORE).status_code == 200
        assert served.decide({"context": [0.0] * 150}).status_code == 201
        assert served.service.room.taken == sum(served.service.live(name).state_bytes for name in ("e", "hello"))
        served.assert_consistent()


def test_what_is_learned_while_the_state_is_still_being_stored_is_not_in_that_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archived state is packed as it is, some parts with each commit; whoever restores it must not change it."""
    monkeypatch.setattr(keeping, "SNAPSHOT_BYTES", 0)
    monkeypatch.setattr("onearm.api.service.writer.PARTS_MAX", 1)
    monkeypatch.setattr("onearm.engine.snapshot.PART", 500)
    many: dict[str, Any] = {"policy": {"name": "linucb"}, "problem": {"context": {"kind": "dense", "length": 60}}}
    context = np.linspace(-1, 1, 60).tolist()
    with Served(tmp_path) as served:
        served.create("e", **many)
        for i in range(3):
            served.decide({"decision_id": f"d{i}", "context": context})
        served.service.live("e").keeping._bytes_since = 10**9  # as after a long log

        async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
            live, answers = served.service.live("e"), []
            await live.archive(7)
            await live.restore(8)
            assert live.reading.locked, "some parts are still to be stored"
            for i in range(3):
                answers.append(await client.post(f"/v1/experiments/e/decisions/d{i}/reward", json={"value": float(i)}))
            return answers

        assert [answer.status_code for answer in at_once(served, ask)] == [200] * 3
        settle(served)
        served.assert_consistent()
        served.restart()
        served.assert_consistent()
        served.stop()
        assert not any(found.get("bad_snapshot") for found in verified(served.url))
        served.start()


def test_a_state_that_is_read_again_before_the_archive_is_committed_has_all_that_was_learned(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks of it after the archive gives the state up, and the next one reads the log, which ends before."""
    served.create("wide", arms=[{"id": f"a{i}"} for i in range(200)])  # more than a few events: it is given up at once
    served.decide({"decision_id": "d"}, "wide")
    live = served.service.live("wide")
    live.turns.take_up()  # steps are quick, and need no turns
    asked, recover, committed = threading.Event(), live.recover, live.committed

    def recovers() -> Any:
        found = recover()
        asked.set()
        return found

    async def waits() -> None:
        asked.set()
        await committed()

    with ThreadPoolExecutor(4) as pool:
        with held_commits(served, monkeypatch) as holds:
            answers = [pool.submit(served.reward, "d", 0.25, "wide")]
            assert holds.wait(30)
            answers.append(pool.submit(served.post, "/v1/experiments/wide:archive"))
            deadline = time.monotonic() + 30
            while not live.archived:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            told = pool.submit(served.get, "/v1/experiments/wide/diagnostics")
            assert told.result(10).status_code == 200
            assert live.state is None
            monkeypatch.setattr(live, "recover", recovers)
            monkeypatch.setattr(live, "committed", waits)
            answers.append(pool.submit(served.post, "/v1/experiments/wide:restore"))
            assert asked.wait(30)
        assert [answer.result(30).status_code for answer in answers] == [200] * 3
    served.assert_consistent("wide")
