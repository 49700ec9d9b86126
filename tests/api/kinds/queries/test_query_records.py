"""Queries on record: what is written, what is told of a decision, and the log exported and verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.query_service import ask, walk
from support.served import Served

from onearm.api.cli.main import run
from onearm.engine.vocabulary import DECIDE, LEARN


def test_what_is_written_is_the_query_and_its_answer_as_detail(served: Served) -> None:
    ask(served)
    served.reward("~0", {"value": -1, "reward_id": "r"}, "q")
    decided, learned = served.events("q")
    assert (decided.kind, decided.action, decided.vector, decided.detail) == (DECIDE, 0, None, None)
    assert (learned.kind, learned.action, learned.reward, learned.detail) == (LEARN, 0, 0.0, "[-1.0]")


def test_the_record_tells_query_and_answer(served: Served) -> None:
    made = ask(served, decision_id="x", excluded_actions=["walks?"])
    served.reward("x", 1, "q")
    record = served.record("x", "q").json()
    assert (record["query_id"], record["action_id"], record["number"]) == (made["query_id"], None, 0)
    assert record["eligible_actions"] == ["purrs?", "flies?"] and record["propensity"] == 0.5
    assert (record["reward"]["value"], record["reward"]["seq"]) == (1.0, 2)
    assert record["sent"] == {"decision_id": "x", "excluded_actions": ["walks?"]}
    assert ask(served)["decision_id"] == "~1" and served.record("~1", "q").json()["reward"] is None


def test_the_log_is_verified_and_exported(served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk(served, 5)
    served.post("/v1/experiments/q/arms/flies%3F:retire")
    walk(served, 2, start=5)
    served.post("/v1/experiments/q:commit")
    digest = served.digest("q")
    served.stop()
    assert run(["verify", "--database", served.url, "--json"]) == 0
    told = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["q"]
    assert (told["first_difference"], told["digest"]) == (None, digest)
    assert run(["export", "q", f"{tmp_path}/q.jsonl", "--database", served.url]) == 0
    assert run(["verify", f"{tmp_path}/q.jsonl"]) == 0
    served.start()
