"""Streams of arms when something is asked again, a write or a policy fails, or the service restarts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.passing_by import passing_by
from support.served import Served, assert_refused
from support.stream_log import assert_consistent
from support.stream_service import ask, create, forget_snapshots, labels, offer, post, pull, refold, stream, told

from onearm.api.kinds.streams import moves
from onearm.api.service import writer
from onearm.engine.actions import READ
from onearm.engine.errors import Unavailable
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN
from onearm.policies import catalog


@pytest.mark.parametrize("cache_bytes", [64_000_000, 0])
def test_everything_can_be_asked_again(tmp_path: Path, cache_bytes: int) -> None:
    """Also by another process, and where nothing is in memory."""
    with Served(tmp_path, cache_bytes=cache_bytes) as served:
        create(served, horizon=4000, arms=6)
        asked: list[tuple[str, dict[str, Any], Any]] = []
        for number, label in enumerate(labels(6)):
            asked.append(("/arms", {"id": label, "x": number}, {"arm_id": label, "number": number}))
            assert offer(served, asked[-1][1]).status_code == 201
        for t in range(12):
            body: dict[str, Any] = {"decision_id": f"d{t}"}
            made = ask(served, **body)
            reward = told(made, made["pulls"] - t % 2)
            assert served.reward(f"d{t}", reward, "s").json() == {"status": "accepted"}
            asked += [("/decisions", body, made), (f"/decisions/d{t}/reward", reward, {"status": "duplicate"})]
        post(served, "/arms:close")
        committed = post(served, ":commit").json()
        pull(served, 1)
        before = served.everything()
        evictions = sum(len(answer.get("evicted", ())) for _, _, answer in asked)
        assert evictions >= 2
        for _ in range(2):
            for path, body, answer in asked:
                again = served.post(f"/v1/experiments/s{path}", body)
                assert (again.status_code, again.json()) == (200, answer)
                if path == "/decisions":
                    assert again.headers["idempotency-replayed"] == "true"
            assert post(served, "/arms:close").status_code == 200
            assert post(served, ":commit").json() == committed
            assert served.everything() == before
            served.restart()
        assert_refused(served.decide({"decision_id": "d0", "explain": False}, "s"), 409, "decision_exists")
        assert_refused(served.reward("d0", {"value": 0.0, "pulls": 0}, "s"), 409, "reward_exists")
        assert_refused(served.reward("d0", asked[7][1] | {"pulls": 1, "value": 0.5}, "s"), 409, "reward_exists")
        assert_consistent(served)


def test_the_moves_of_one_decision_are_written_together_or_not_at_all(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(served, horizon=5000, arms=4)
    offer(served, "a1", "a8", "a2", "a3")
    pull(served, 2)  # a8 was pulled and is to be dropped
    append, written = served.store.append, []
    monkeypatch.setattr(writer, "BATCH_MAX", 1)

    def failing(events: Any, *rest: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: make room")

    def watched(events: Any, *rest: Any) -> None:
        written.append([event.kind for event in events])
        append(events, *rest)

    before = served.everything()
    with monkeypatch.context() as full:
        full.setattr(served.store, "append", failing)
        assert_refused(served.decide({"decision_id": "d"}, "s"), 503, "commit_failed")
    deadline = time.monotonic() + 10
    while served.service.live("s").unusable is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert served.everything() == before, "what was read for it is not on record either"
    monkeypatch.setattr(served.store, "append", watched)
    made = ask(served, decision_id="d")
    assert written == [[DECIDE, LEARN, DECIDE]]
    assert [one["id"] for one in made["evicted"]] == ["a8"]
    assert_consistent(served)


def test_a_state_is_folded_from_a_snapshot_and_from_nothing(served: Served, tmp_path: Path) -> None:
    create(served, horizon=50_000, arms=30)
    offer(served, *labels(20))
    open_pull = None
    for part in range(3):
        pull(served, 12)
        open_pull = open_pull or ask(served)
        offer(served, f"b{part}")
        assert_consistent(served)
        served.restart()  # keeps a snapshot
        assert served.store.newest_snapshots(served.service.live("s").row.key)
        assert_consistent(served)
    pull(served, 5)
    folded = assert_consistent(served)
    refold(served)
    assert assert_consistent(served).digest == folded.digest
    forget_snapshots(served)
    refold(served)
    assert assert_consistent(served).digest == folded.digest
    assert offer(served, "a0").status_code == 200


def test_the_commit_and_the_end_survive_a_restart(served: Served) -> None:
    create(served, arms=3)
    offer(served, *labels(3))
    pull(served, 4)
    committed = post(served, ":commit").json()
    post(served, "/arms:close")
    served.restart()
    assert stream(served)["committed"] == committed["arm_id"] and stream(served)["closed"]
    assert post(served, ":commit").json() == committed
    assert_consistent(served)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("commits", [False, True])
def test_those_who_left_where_no_pull_followed_are_named_with_what_comes_next(
    served: Served, monkeypatch: pytest.MonkeyPatch, commits: bool, restarted: bool
) -> None:
    monkeypatch.setitem(catalog._outside, "passing_by", passing_by)
    create(served, policy={"name": "passing_by"})
    offer(served, *labels(10))
    pull(served, 1)
    with monkeypatch.context() as broken:
        broken.setattr(moves, "move_allowed", lambda action, available: action[0] == READ)
        assert_refused(served.decide({}, "s"), 500, "impossible_move")
    if restarted:
        served.restart()
    answer = post(served, ":commit").json() if commits else ask(served)
    assert (answer["arm_id"], [gone["id"] for gone in answer["evicted"]]) == ("a7", ["a3", "a4", "a5", "a6"])
    served.restart()
    assert_consistent(served)
    if commits:
        assert post(served, ":commit").json() == answer
    else:
        served.reward(answer["decision_id"], {"value": 0.0, "pulls": 1}, "s")
    assert [gone["id"] for gone in ask(served)["evicted"]] == ([] if commits else ["a7", "a8"])


def test_a_policy_that_makes_an_impossible_move_is_named(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    create(served)
    offer(served, "a1", "a2")
    entry = served.service.live("s")._select
    pulled = entry.call

    def astray(params: Any, state: Any, instance: Any, key: Any) -> Any:
        action, propensity = pulled(params, state, instance, key)
        if action[0] == 0:
            action[1] = 0  # a slot that holds nothing
        return action, propensity

    monkeypatch.setattr(entry, "call", astray)
    answer = served.decide({}, "s")
    assert answer.status_code == 500 and answer.json()["code"] == "impossible_move"
    monkeypatch.undo()
    assert [event.kind for event in served.events("s")] == [CHANGE, CHANGE, DECIDE, LEARN], "the read is on record"
    assert ask(served)["arm_id"] == "a1"
    assert_consistent(served)
