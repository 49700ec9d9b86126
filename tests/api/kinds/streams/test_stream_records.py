"""Streams of arms on record: the log, its exports, each move, and what is kept in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.served import Served
from support.stream_log import StreamLog, assert_consistent
from support.stream_service import ask, create, labels, offer, post, pull, stream, told

from onearm.api.cli.main import run
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_log_and_its_exports_are_verified(
    served: Served, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    create(served, horizon=3000, arms=6)
    offer(served, *labels(6))
    late = ask(served)
    pull(served, 8)
    offer(served, "b1")
    post(served, "/arms:close")
    pull(served, 3)
    post(served, ":commit")
    pull(served, 1)
    assert late["pulls"] > 0, "a decision without a reward"
    digest, events = served.digest("s"), served.events("s")
    decided = sum(event.kind == DECIDE for event in events)
    served.stop()
    file = str(tmp_path / f"s.{ending}")
    assert run(["export", "s", file, "--database", served.url]) == 0
    for source, n_events in (["--database", served.url], len(events)), ([file], len(events)):
        capsys.readouterr()
        assert run(["verify", *source, "--json"]) == 0
        found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["s"]
        assert (found["digest"], found["first_difference"], found["decisions"]) == (digest, None, decided)
        assert found["events"] == n_events - sum(event.kind == CHANGE for event in events)
        assert "bad_lines" not in found
    served.start()


def test_a_move_that_was_changed_on_record_is_found(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    create(served, horizon=3000, arms=3)
    offer(served, *labels(3))
    pull(served, 4)
    with served.store._transaction() as connection:
        for column, value in (("vector", bytes(16) + bytes([7]) + bytes(7)),):
            statement = sa.text(f"UPDATE event SET {column} = :value WHERE kind = {DECIDE} AND number = 3")
            assert connection.execute(statement, {"value": value}).rowcount == 1
    served.stop()
    capsys.readouterr()
    assert run(["verify", "--database", served.url, "--json"]) == 1
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["s"]
    assert found["first_difference"] == 3
    served.start()


def test_the_record_of_a_move(served: Served) -> None:
    create(served, arms=3)
    offer(served, {"id": "a1", "colour": "red"}, "a8", "a2")
    made = ask(served, decision_id="d")
    served.reward("d", told(made) | {"reward_id": "r"}, "s")
    read, pulled = served.record("~0", "s").json(), served.record("d", "s").json()
    assert (read["move"], read["action_id"], read["pulls"]) == ("read", "a1", 0)
    assert (read["decision_id"], read["sent"]) == ("~0", {"id": "a1", "colour": "red"})
    assert read["reward"]["value"] == 0.0 and read["reward"]["pulls"] == 0
    assert (pulled["move"], pulled["action_id"], pulled["evicted"]) == ("pull", "a1", [])
    assert (pulled["pulls"], pulled["number"]) == (made["pulls"], 1)
    reward = {name: pulled["reward"][name] for name in ("value", "pulls", "reward_id")}
    assert reward == told(made) | {"reward_id": "r"}
    assert served.record("~1", "s").json() == pulled
    assert served.record("~arm a1", "s").status_code == 404
    assert "<code>early_drop</code></td>" in served.get("/").text
    assert served.get("/v1/experiments").json()["experiments"][-1]["n_arms"] == 1


def test_memory_is_that_of_the_line_and_not_of_the_stream(tmp_path: Path) -> None:
    with Served(tmp_path, cache_bytes=20_000) as served:
        create(served, horizon=10**6, arms=300)
        for i in range(200):
            offer(served, f"a{12 * i + 5 if i == 0 else 12 * i + 8}")  # one good arm, then none
            pull(served, 1)
        live = served.service.live("s")
        assert stream(served)["arms_seen"] > 100
        assert live.own.n_waiting + len(live.own.held) < 150
        assert len(live.records._numbers) < 40, "what was read is found in the log"
        assert offer(served, "a20").status_code == 200
        assert_consistent(served)


def test_the_fold_of_another_hand_finds_what_is_wrong(served: Served) -> None:
    """The oracle of these tests is one: a log with a move less is not sound to it."""
    create(served, arms=3)
    offer(served, *labels(3))
    pull(served, 3)
    row = served.service.live("s").row
    events = served.events("s")
    StreamLog(row, events)
    other = [event._replace(detail="[1, -1]") if event.kind == LEARN else event for event in events]
    with pytest.raises(AssertionError):
        StreamLog(row, other)
