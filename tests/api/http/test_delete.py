"""A deleted experiment is gone: from every call at once, from memory, from the database soon, and for good."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.served import ARMS, RANDOM, Served, assert_refused

from onearm.api.cli.verify import verified
from onearm.api.http.routes import TABLE
from onearm.api.service import chores
from onearm.api.service.service import Service
from onearm.engine.errors import Unavailable
from onearm.engine.storage.backup import back_up
from onearm.engine.storage.records import Snapshot, SnapshotPart
from onearm.engine.storage.store import Store

BODIES: dict[str, Any] = {
    "reward": {"value": 1},
    "decisions:batch": {"decisions": [{}]},
    "rewards:batch": {"rewards": [{"decision_id": "d0", "value": 1}]},
    "examples:batch": {"examples": []},
    "arms": {"id": "new"},
    "world": {"change": "known"},
}


def delete(served: Served, name: str = "e", confirm: str | None = None) -> httpx.Response:
    return served.client.delete(f"/v1/experiments/{name}", params={"confirm": name if confirm is None else confirm})


def work(served: Served, n: int, name: str = "e") -> None:
    for i in range(n):
        served.decide({"decision_id": f"d{i}"}, name)
        served.reward(f"d{i}", i / 7, name)


def purged(served: Served) -> None:
    """Wait until nothing is left of what was deleted."""
    assert served.client.portal is not None
    served.client.portal.call(served.service.chores.done)
    assert served.store.unpurged() == []


def left(served: Served) -> list[Any]:
    """Return the rows of the database that belong to an experiment, of all."""
    tables = ("event", "snapshot", "snapshot_part")
    return [served.store._read(f"SELECT DISTINCT experiment FROM {table}", ()) for table in tables]


def test_a_deletion_is_said_twice(served: Served) -> None:
    work(served, 2)
    before = served.everything()
    for query in ("", "?confirm=", "?confirm=hello", "?confirm=e&confirm=e"):
        answer = served.client.delete(f"/v1/experiments/e{query}")
        assert answer.status_code == 422, answer.text
    assert "?confirm=e" in assert_refused(delete(served, confirm="E"), 422, "not_confirmed")["detail"]
    assert served.everything() == before
    served.assert_consistent()


@pytest.mark.usefixtures("empty_database")
def test_from_then_on_every_call_is_404_and_it_is_in_no_list(served: Served) -> None:
    work(served, 3)
    served.create("other")
    answer = delete(served)
    assert (answer.status_code, answer.json()["experiment_id"]) == (200, "e")
    assert answer.json()["deleted_at"].endswith("+00:00")
    for again in range(2):
        for entry in TABLE:
            if "{experiment_id}" in entry.path:
                names = {"decision_id": "d0", "arm_id": "a", "unit_id": "u", "policy": "0", "deed": "archive"} | {
                    "number": "1"
                }
                path = entry.path.format(experiment_id="e", **names)
                body = BODIES.get(entry.path.rsplit("/", 1)[1])
                refused = served.client.request(entry.method, f"{path}?confirm=e", json=body)
                if entry.page:
                    assert (refused.status_code, "&#39;e&#39;" in refused.text) == (404, True), refused.text
                else:
                    assert_refused(refused, 404, "unknown_experiment")
        listed = served.get("/v1/experiments").json()["experiments"]
        assert [one["experiment_id"] for one in listed] == ["hello", "other"]
        assert '/v1/experiments/e"' not in served.get("/").text
        metrics = served.get("/metrics").text
        assert 'experiment="e"' not in metrics and "onearm_experiments 2.0" in metrics
        assert served.get("/health/ready").json() == {"status": "ready"}
        if not again:
            served.restart()
    assert served.decide({}, "other").status_code == 201


def test_its_id_is_never_used_again_nor_given_to_another(served: Served) -> None:
    free = served.post("/v1/experiments", {"arms": ARMS, "policy": RANDOM}).json()["experiment_id"]
    assert delete(served, free).status_code == 200
    for _ in range(2):
        said = assert_refused(served.create(free), 409, "experiment_deleted")["detail"]
        assert "never used again" in said
        new = served.post("/v1/experiments", {"arms": ARMS, "policy": RANDOM}).json()["experiment_id"]
        assert new != free
        assert delete(served, new).status_code == 200
        served.restart()


def test_memory_and_cache_are_given_back_and_the_log_is_taken_away(served: Served) -> None:
    room, budget = served.service.room, served.service.budget
    before = room.taken, budget.taken
    served.create("large", policy={"name": "linucb"}, problem={"context": {"kind": "dense", "length": 40}})
    for i in range(30):
        served.decide({"decision_id": f"d{i}", "context": [float(i)] * 40}, "large")
    assert room.taken > before[0] and budget.taken > before[1]
    key = served.service.live("large").row.key
    assert delete(served, "large").status_code == 200
    assert (room.taken, budget.taken) == before
    purged(served)
    assert all((key,) not in some for some in left(served))
    served.assert_consistent()


def test_what_is_left_is_taken_away_after_the_next_start(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    work(served, 40)
    key = served.service.live("e").row.key
    served.restart()  # there is a snapshot now
    monkeypatch.setattr(served.store, "purge", lambda experiment, events: True)
    assert delete(served).status_code == 200
    served.stop()
    store = Store.open(served.url, write=False)
    assert (store.unpurged(), len(store.read_events(key, 0)), len(store.newest_snapshots(key))) == ([key], 80, 1)
    store.close()
    served.start()
    purged(served)
    assert all((key,) not in some for some in left(served))


def test_the_wal_keeps_no_copy_of_what_was_decided(served: Served, tmp_path: Path) -> None:
    told = "the visitor of 12 High Street"
    served.create("named", arms=[{"id": told}, {"id": "b"}])
    for i in range(60):
        served.decide({"decision_id": f"{told} {i}"}, "named")
    wal = tmp_path / "run.db-wal"
    assert told.encode() in wal.read_bytes()
    assert delete(served, "named").status_code == 200
    purged(served)
    assert told.encode() not in wal.read_bytes()
    served.assert_consistent()


def test_others_go_on_while_a_long_log_is_taken_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "EVENTS_MAX", 1)
    monkeypatch.setattr(served.service.chores, "_events", 1)
    served.create("other")
    work(served, 50)
    assert delete(served).status_code == 200
    work(served, 3, "other")
    assert served.store.unpurged() != [], "there was something left to take away meanwhile"
    purged(served)
    served.assert_consistent("other")


def test_a_database_that_does_not_answer_for_a_while_is_asked_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(served, 3)
    purge, failures = served.store.purge, [1, 2]

    def failing(experiment: int, events: int) -> bool:
        if failures:
            failures.pop()
            raise Unavailable("commit_failed", "the disk is full: make room")
        return purge(experiment, events)

    monkeypatch.setattr(served.store, "purge", failing)
    monkeypatch.setattr(chores, "RETRY_SECONDS", 0.01)
    assert delete(served).status_code == 200
    purged(served)
    assert failures == []


def test_a_deletion_that_is_not_written_leaves_the_experiment_as_it_was(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*given: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: make room")

    work(served, 3)
    with monkeypatch.context() as patch:
        patch.setattr(served.store, "bury", failing)
        assert_refused(delete(served), 503, "commit_failed")
    while served.get("/v1/experiments/e").status_code == 503:
        pass
    work(served, 5)
    served.assert_consistent()
    assert delete(served).status_code == 200


def test_what_was_queued_before_is_answered_and_nothing_is_decided_afterwards(served: Served) -> None:
    async def ask(client: httpx.AsyncClient) -> list[int]:
        calls = [client.post("/v1/experiments/e/decisions", json={}) for _ in range(20)]
        calls.insert(10, client.delete("/v1/experiments/e", params={"confirm": "e"}))
        calls.insert(11, client.delete("/v1/experiments/e", params={"confirm": "e"}))
        return [answer.status_code for answer in await asyncio.gather(*calls)]

    statuses = at_once(served, ask)
    assert sorted(statuses[10:12]) == [200, 404]
    assert set(statuses[:10]) | set(statuses[12:]) <= {201, 404}
    purged(served)
    assert left(served)[0] == []


def test_one_that_cannot_be_opened_and_one_that_rests_can_be_deleted(served: Served) -> None:
    for name in ("rests", "broken"):
        served.create(name)
        work(served, 2, name)
    served.post("/v1/experiments/rests:archive")
    served.stop()
    store = Store.open(served.url)
    with store._transaction() as connection:
        connection.exec_driver_sql("UPDATE experiment SET spec = '{}' WHERE id = 'broken'")
    store.close()
    served.start(wait=False)
    served.recover()
    assert_refused(served.decide({}, "broken"), 503, "cannot_open")
    for name in ("rests", "broken"):
        assert delete(served, name).status_code == 200
        assert_refused(served.decide({}, name), 404, "unknown_experiment")
    assert (served.service.failed, served.service.resting, served.service.waiting) == (0, 0, 0)
    purged(served)


def test_a_snapshot_that_is_being_stored_does_not_come_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.snapshot.PART", 100)
    monkeypatch.setattr("onearm.api.service.writer.PARTS_MAX", 1)
    append, seen = served.store.append, list[SnapshotPart]()

    def watched(events: Any, archived: Any, parts: list[SnapshotPart], snapshots: list[Snapshot], bases: Any) -> None:
        seen.extend(parts)
        append(events, archived, parts, snapshots, bases)

    monkeypatch.setattr(served.store, "append", watched)
    served.create("large", policy={"name": "linucb"}, problem={"context": {"kind": "dense", "length": 60}})
    served.decide({"context": [0.0] * 60}, "large")

    async def ask(client: httpx.AsyncClient) -> None:
        service: Service = served.service
        service.live("large").keeping.snapshot()
        await service.delete("large")

    at_once(served, ask)
    purged(served)
    stored = len(seen)
    assert 0 < stored < 5, "of its 18 parts those were written that were on their way"
    work(served, 3)
    assert len(seen) == stored and left(served)[2] == []


@pytest.mark.usefixtures("empty_database")
def test_exports_checks_and_backups_do_not_show_it(served: Served, tmp_path: Path) -> None:
    work(served, 2)
    assert delete(served, "hello").status_code == 200
    assert [one["id"] for one in verified(served.url)] == ["e"]
    back_up(served.url, tmp_path / "copy.db")
    assert [one["id"] for one in verified(f"sqlite:///{tmp_path}/copy.db")] == ["e"]
    assert delete(served).status_code == 200
    served.restart()  # it does not get its first experiment again
    assert served.get("/v1/experiments").json() == {"experiments": [], "next": None}
    assert served.get("/").status_code == 200
