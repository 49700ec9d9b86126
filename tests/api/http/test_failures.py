"""A full disk, damaged snapshots, a database that does not answer: the log is right, and what is answered is in it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as futures_wait
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from support.held_commits import held_commits
from support.served import ARMS, RANDOM, Served, assert_problem, assert_refused, folded, log_of

from onearm.api.service import folded as folded_module
from onearm.api.service import keeping, setting_back
from onearm.api.service import live as live_module
from onearm.api.service.writer import PendingSnapshot
from onearm.engine.errors import Unavailable
from onearm.engine.storage.tables import SNAPSHOT, SNAPSHOT_PART

BIG = b" " * 30_000 + b"{}"  # kept as it was sent, so it needs pages


def limit_pages(served: Served, extra: int | None) -> None:
    """Let the database grow by so many pages from now on; None lifts the limit. It is what a full disk does."""
    writer = served.store._writer
    assert writer is not None
    pages = 1_000_000_000 if extra is None else writer.exec_driver_sql("PRAGMA page_count").scalar_one() + extra
    writer.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    writer.rollback()


def wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


def usable(served: Served, experiment_id: str = "e") -> Callable[[], bool]:
    return lambda: served.service.live(experiment_id).unusable is None


def test_a_full_disk_is_said_and_nothing_is_half_applied(served: Served) -> None:
    served.create("other")
    for i in range(5):
        served.decide({"decision_id": f"d{i}"})
        served.reward(f"d{i}", i / 4)
    before, digest = served.everything(), served.digest()

    limit_pages(served, 0)
    big = served.decide(BIG, headers={"idempotency-key": "big"})
    detail = assert_refused(big, 503, "commit_failed")["detail"]
    assert "full" in detail and "see that the disk has room" in detail
    wait(usable(served))
    assert served.everything() == before
    assert served.digest() == digest
    served.assert_consistent()
    assert_refused(served.create("late", arms=LONG), 503, "commit_failed")
    assert served.get("/v1/experiments/late").status_code == 404

    limit_pages(served, None)
    assert served.decide(BIG, headers={"idempotency-key": "big"}).status_code == 201
    assert served.reward("big", 1.0).json() == {"status": "accepted"}
    assert served.decide({}, "other").json()["decision_id"] == "~0"
    assert served.create("late", arms=LONG).status_code == 201
    for name in ("e", "other", "late"):
        served.assert_consistent(name)
    served.restart()
    served.assert_consistent()


LONG = [{"id": f"arm {i}", "text": "x" * 2000} for i in range(20)]


def test_what_is_queued_behind_a_failed_commit_fails_with_it(served: Served) -> None:
    """Other experiments' events of the same commit fail as well, and those of later commits do not."""
    served.create("other")
    decisions = "/v1/experiments/e/decisions"

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            first = [client.post(decisions, content=BIG, headers={"idempotency-key": f"k{i}"}) for i in range(30)]
            batch = client.post("/v1/experiments/other/decisions:batch", json={"decisions": [{"decision_id": "o"}, {}]})
            return await asyncio.gather(*first, batch)

    limit_pages(served, 20)
    *answers, batch = on_the_loop(served, ask)
    codes = {answer.status_code for answer in answers}
    assert codes <= {201, 503} and 503 in codes
    wait(lambda: usable(served)() and usable(served, "other")())
    logged = {event.decision_id: event for event in served.events()}
    for i, answer in enumerate(answers):
        if answer.status_code == 201:
            assert logged[f"k{i}"].number is not None
            assert answer.json()["action_id"] == "abc"[logged[f"k{i}"].action]  # type: ignore[index]
        else:
            assert answer.json()["code"] in ("commit_failed", "refolding") and f"k{i}" not in logged
            assert answer.headers["retry-after"] == "1"
    for item in batch.json()["decisions"]:
        if "status" in item:
            assert_problem(item, 503, item["code"])
    limit_pages(served, None)
    for i in range(30):  # a client retries until it has an answer
        again = served.decide(BIG, headers={"idempotency-key": f"k{i}"})
        assert again.status_code == (200 if f"k{i}" in logged else 201)
    for name in ("e", "other"):
        served.assert_consistent(name)


def on_the_loop(served: Served, ask: Callable[[], Any]) -> Any:
    """Run a coroutine function on the service's own event loop."""
    assert served.client.portal is not None
    return served.client.portal.call(ask)


def test_a_commit_that_fails_leaves_others_alone(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.create("other")
    served.decide()
    append = served.store.append
    mine = served.service.live("e").row.key

    def failing(events: Any, *rest: Any) -> None:
        if any(event.experiment == mine for event in events):
            raise Unavailable("commit_failed", "the disk is full: make room")
        append(events, *rest)

    monkeypatch.setattr(served.store, "append", failing)
    for _ in range(3):
        assert_refused(served.decide(), 503, "commit_failed")
        assert served.decide({}, "other").status_code == 201
        wait(usable(served))
    monkeypatch.setattr(served.store, "append", append)
    assert served.decide().json()["decision_id"] == "~1"
    served.assert_consistent()
    served.assert_consistent("other")


def test_an_archive_that_is_not_committed_leaves_the_experiment_open(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*call: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: make room")

    with monkeypatch.context() as patch:
        patch.setattr(served.store, "append", failing)
        assert_refused(served.post("/v1/experiments/e:archive"), 503, "commit_failed")
        wait(usable(served))
    assert served.decide().status_code == 201
    assert served.get("/v1/experiments/e").json()["archived"] is False
    assert served.post("/v1/experiments/e:archive").json()["archived"] is True
    assert_refused(served.decide(), 409, "archived")


def test_a_commit_that_succeeded_unseen_is_found_by_the_retry(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost connection can hide a commit: the client gets 503, and its retry the decision that is in the log."""
    append = served.store.append

    def hidden(*call: Any) -> None:
        append(*call)
        raise Unavailable("commit_failed", "the connection was lost: try again")

    with monkeypatch.context() as patch:
        patch.setattr(served.store, "append", hidden)
        assert_refused(served.decide({"decision_id": "d"}), 503, "commit_failed")
        wait(usable(served))
        assert_refused(served.reward("d", 0.5), 503, "commit_failed")
        wait(usable(served))
    assert served.decide({"decision_id": "d"}).status_code == 200
    assert served.reward("d", 0.5).json() == {"status": "duplicate"}
    assert len(served.events()) == 2
    served.assert_consistent()


def test_any_error_of_the_writer_is_answered(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*call: Any) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(served.store, "append", broken)
        assert_refused(served.decide(), 503, "commit_failed")
    wait(usable(served))
    assert served.decide().json()["decision_id"] == "~0"


@pytest.mark.usefixtures("empty_database")
def test_while_the_log_is_folded_again_the_answer_is_503(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.decide({"decision_id": "d"})
    monkeypatch.setattr(setting_back, "REFOLD_PAUSE", 0.05)
    live = served.service.live("e")
    known = live.recover
    tries = []

    def unreadable() -> Any:
        tries.append(1)
        if len(tries) < 3 or not open_again:
            raise Unavailable("read_failed", "the database does not answer")
        return known()

    open_again: list[int] = []
    monkeypatch.setattr(live, "recover", unreadable)
    with monkeypatch.context() as patch:
        patch.setattr(served.store, "append", lambda *call: 1 / 0)
        assert_refused(served.decide(), 503, "commit_failed")
    for answer in (served.decide(), served.reward("d", 1.0), served.record("d"), served.get("/v1/experiments/e")):
        assert_refused(answer, 503, "refolding")
    ready = served.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "recovering", "recovering": 1, "of": 2})
    assert served.get("/health/live").status_code == 200
    assert served.get("/v1/experiments").status_code == 200 and served.get("/").status_code == 200
    assert served.decide({}, "hello").status_code == 201
    open_again.append(1)
    wait(usable(served))
    assert len(tries) >= 3
    assert served.reward("d", 1.0).json() == {"status": "accepted"}
    served.assert_consistent()


def test_a_read_that_fails_is_answered_and_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Served(tmp_path, cache_bytes=0) as served:
        served.create()
        for i in range(3):
            served.decide({"decision_id": f"d{i}"})
        find = served.store.find
        for error, status, code in (
            (Unavailable("read_failed", "the database does not answer"), 503, "read_failed"),
            (ValueError("odd"), 500, "internal_error"),
        ):

            def failing(*call: Any, error: Exception = error) -> None:
                raise error

            monkeypatch.setattr(served.store, "find", failing)
            assert_refused(served.reward("d0", 1.0), status, code)
            assert_refused(served.decide({"decision_id": "new"}), status, code)
        monkeypatch.setattr(served.store, "find", find)
        assert served.reward("d0", 1.0).json() == {"status": "accepted"}
        assert served.decide({"decision_id": "new"}).status_code == 201
        served.assert_consistent()


# Snapshots


def snapshots(served: Served, sql: sa.Update | sa.Delete | None = None) -> list[Any]:
    """Change the snapshots of a stopped service, and return them."""
    engine = sa.create_engine(served.url)
    with engine.begin() as connection:
        if sql is not None:
            connection.execute(sql)
        rows = list(connection.execute(sa.select(SNAPSHOT).order_by(SNAPSHOT.c.experiment)))
    engine.dispose()
    return rows


@pytest.fixture
def stopped(served: Served) -> Served:
    """Return a service that was stopped with a snapshot of `e` at seq 30; `served` starts it again in the end."""
    served.stop()
    served.start()
    for i in range(20):
        served.decide({"decision_id": f"d{i}"})
        if i % 2:
            served.reward(f"d{i}", i / 20)
    served.stop()
    (row,) = snapshots(served)
    assert row.seq == 30
    return served


def test_a_good_snapshot_is_used(stopped: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = count_folds(monkeypatch)
    stopped.start()
    assert folds == []
    stopped.assert_consistent()


def count_folds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the rewards of each page that is folded."""
    folds: list[int] = []
    known = folded_module.fold

    def counting(params: Any, state: Any, run: Any, columns: Any) -> None:
        folds.append(len(columns.kind))
        known(params, state, run, columns)

    monkeypatch.setattr(folded_module, "fold", counting)
    return folds


HALF = sa.func.substr(SNAPSHOT_PART.c.state, 1, sa.func.length(SNAPSHOT_PART.c.state) / 2)
OTHER_BYTES = "its bytes do not have the digest on record"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (sa.update(SNAPSHOT).values(digest="0" * 64), OTHER_BYTES),
        (sa.update(SNAPSHOT_PART).values(state=HALF), OTHER_BYTES),
        (sa.delete(SNAPSHOT_PART), OTHER_BYTES),
        (sa.update(SNAPSHOT).values(versions='{"onearm": "0.0.0"}'), 'it is of other versions: {"onearm": "0.0.0"}'),
        (sa.update(SNAPSHOT).values(seq=31), "the log ends at seq 30"),
    ],
)
def test_a_bad_snapshot_is_skipped_with_a_warning(
    stopped: Served,
    damage: sa.Update | sa.Delete,
    said: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshots(stopped, damage)
    folds = count_folds(monkeypatch)
    with caplog.at_level(logging.WARNING, "onearm"):
        stopped.start()
    assert f"is skipped ({said}); the log is folded instead" in caplog.text
    assert sum(folds) == 10
    stopped.assert_consistent()
    assert stopped.reward("d0", 1.0).json() == {"status": "accepted"}
    stopped.restart()
    stopped.assert_consistent()


def test_an_older_snapshot_serves_where_the_newest_is_damaged(stopped: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped.start()
    stopped.reward("d0", 1.0)
    stopped.stop()
    assert [row.seq for row in snapshots(stopped)] == [30, 31]
    snapshots(stopped, sa.update(SNAPSHOT).where(SNAPSHOT.c.seq == 31).values(digest="0" * 64))
    folds = count_folds(monkeypatch)
    stopped.start()
    assert folds == [1]
    stopped.assert_consistent()


def test_deleting_all_snapshots_changes_nothing(stopped: Served) -> None:
    snapshots(stopped, sa.delete(SNAPSHOT))
    stopped.start()
    stopped.assert_consistent()
    answer = stopped.decide({"decision_id": "d3"})
    assert answer.status_code == 200 and answer.json()["model_version"] == stopped.events()[4].seq - 1
    stopped.assert_consistent()


def test_a_snapshot_is_never_ahead_of_the_log(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more events queued than a commit takes, a snapshot waits for the commit of its last event."""
    monkeypatch.setattr(keeping, "SNAPSHOT_BYTES", 0)
    commits: list[tuple[int, list[int]]] = []
    append = served.store.append

    def watched(events: Any, archived: Any, parts: Any, pictures: Any, bases: Any) -> None:
        append(events, archived, parts, pictures, bases)
        seq = served.store.last(served.service.live("e").row.key)[0]
        commits.append((seq, [picture.seq for picture in pictures]))

    monkeypatch.setattr(served.store, "append", watched)
    monkeypatch.setattr("onearm.api.service.writer.BATCH_MAX", 7)
    answer = served.post("/v1/experiments/e/decisions:batch", {"decisions": [{}] * 50})
    assert [item["decision_id"] for item in answer.json()["decisions"]] == [f"~{i}" for i in range(50)]
    taken = [seq for _, pictures in commits for seq in pictures]
    assert len(taken) >= 3 and len(commits) >= 50 / 7
    for seq, pictures in commits:
        assert all(picture <= seq for picture in pictures)


def test_a_large_state_is_written_part_by_part_while_traffic_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each snapshot is what the log folds to up to its seq, though rewards arrived before its last part was written."""
    monkeypatch.setattr(live_module, "COPY_BYTES", 0)
    monkeypatch.setattr(keeping, "SNAPSHOT_BYTES", 0)
    monkeypatch.setattr("onearm.engine.snapshot.PART", 1)
    monkeypatch.setattr("onearm.api.service.writer.PARTS_MAX", 1)
    digests: dict[int, str] = {}
    between: list[int] = []
    append = served.store.append

    def watched(events: Any, archived: Any, parts: Any, pictures: Any, bases: Any) -> None:
        append(events, archived, parts, pictures, bases)
        digests.update((picture.seq, picture.digest) for picture in pictures)
        between.extend(len(events) for part in parts if part.part > 0)

    monkeypatch.setattr(served.store, "append", watched)
    monkeypatch.setattr("onearm.api.service.writer.BATCH_MAX", 3)
    for _ in range(3):
        made = served.post("/v1/experiments/e/decisions:batch", {"decisions": [{}] * 40}).json()["decisions"]
        rewards = [{"decision_id": one["decision_id"], "value": i / 40} for i, one in enumerate(made)]
        answer = served.post("/v1/experiments/e/rewards:batch", {"rewards": rewards})
        assert [one["status"] for one in answer.json()["rewards"]] == ["accepted"] * 40
        examples = [{"action_id": "b", "value": i / 10, "propensity": 0.5} for i in range(10)]
        answer = served.post("/v1/experiments/e/examples:batch", {"examples": examples})
        assert [one["status"] for one in answer.json()["examples"]] == ["accepted"] * 10
    row, events = log_of(served.store, "e")
    assert len(digests) > 2 and sum(between) > 20
    assert digests == {seq: folded(row, events[:seq]) for seq in digests}
    served.restart()
    served.assert_consistent()


def test_decisions_go_on_while_a_digest_is_computed_and_rewards_wait(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.decide({"decision_id": "d0"})
    begun, go_on = threading.Event(), threading.Event()
    digest = live_module.snapshot.digest

    def slow(state: Any) -> str:
        begun.set()
        assert go_on.wait(10)
        return digest(state)

    monkeypatch.setattr(live_module.snapshot, "digest", slow)
    with ThreadPoolExecutor(2) as pool:
        read = pool.submit(served.get, "/v1/experiments/e")
        assert begun.wait(10)
        reward = pool.submit(served.reward, "d0", 1.0)
        assert served.decide({"decision_id": "d1"}).status_code == 201
        assert not reward.done()
        go_on.set()
        assert reward.result(10).json() == {"status": "accepted"}
        found = read.result(10).json()
    monkeypatch.undo()
    row, events = log_of(served.store, "e")
    assert found["digest"] == folded(row, events[: found["seq"]])
    served.assert_consistent()


def test_what_is_not_committed_yet_is_told_to_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is killed there has forgotten it: what was shown would not be what its log folds to."""
    before = served.get("/v1/experiments/e").json()["decisions"]
    with ThreadPoolExecutor(3) as pool:
        with held_commits(served, monkeypatch) as waits:
            decided = pool.submit(served.decide, {"decision_id": "early"})
            assert waits.wait(10)
            read = [pool.submit(served.get, f"/v1/experiments/e{path}") for path in ("", "/decisions/early")]
            done, _ = futures_wait(read, timeout=0.3)
            assert not done and not decided.done()
        assert decided.result(10).status_code == 201
        experiment, record = (one.result(10).json() for one in read)
    assert experiment["decisions"] == before + 1
    assert record["decision_id"] == "early"


def test_a_state_that_is_given_up_makes_room_for_its_successor(served: Served) -> None:
    live = served.service.live("e")
    live.stop(Unavailable("refolding", "the experiment folds its log again"))
    assert live.state is None
    assert_refused(served.get("/v1/experiments/e/diagnostics"), 503, "refolding")
    assert_refused(served.get("/v1/experiments/e"), 503, "refolding")
    live.open(live.recover())
    served.assert_consistent()


def test_a_snapshot_that_cannot_be_packed_is_answered(served: Served) -> None:
    """It fails its commit, whatever is in it; the service goes on."""

    async def keep() -> None:
        served.service.writer.keep(PendingSnapshot(1, 1, 1, "{}", None, None))

    on_the_loop(served, keep)
    wait(lambda: not served.service.writer._busy)
    assert served.decide().status_code == 201


def test_the_database_that_fails_at_creation_is_asked_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = served.store.counts
    failures = [1]

    def failing(key: int, *more: int) -> Any:
        if failures:
            failures.pop()
            raise Unavailable("read_failed", "the database does not answer")
        return counts(key, *more)

    monkeypatch.setattr(served.store, "counts", failing)
    assert_refused(served.create("new", arms=ARMS, policy=RANDOM), 503, "read_failed")
    wait(usable(served, "new"))
    assert served.create("new", arms=ARMS, policy=RANDOM).status_code == 200
    assert served.decide({}, "new").status_code == 201
