"""Decide and reward over HTTP: what is answered is in the log, once, and stays the answer."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.served import Served, assert_problem, assert_refused

from onearm.api.access.caller import ANYONE
from onearm.api.http.call import Call
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import DECIDE, LEARN


def test_a_decision_is_answered_as_it_stands_in_the_log(served: Served) -> None:
    answer = served.decide()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    (event,) = served.events()
    assert answer.json() == {
        "decision_id": "~0",
        "action_id": "abc"[event.action],  # type: ignore[index]
        "propensity": event.propensity,
        "policy": "epsilon_greedy",
        "model_version": 0,
    }
    assert (event.seq, event.kind, event.number, event.sent) == (1, DECIDE, 0, None)


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "x/y; z=1"])
def test_a_body_is_json_whatever_its_content_type_but_those_of_forms(served: Served, kind: str) -> None:
    answer = served.decide(b' { "decision_id" : "d" } ', headers={"content-type": kind})
    assert (answer.status_code, answer.json()["decision_id"]) == (201, "d")


def test_no_body_asks_for_a_decision_as_an_empty_object_does(served: Served) -> None:
    assert [served.decide(body).json()["decision_id"] for body in (b"", b"{}", b" {\n} ")] == ["~0", "~1", "~2"]


def test_the_same_decision_id_gives_the_first_answer_again(tmp_path: Path) -> None:
    with Served(tmp_path, cache_bytes=2000) as served:
        served.create()
        body = {"decision_id": "d", "excluded_actions": ["b"]}
        first = served.decide(body)
        assert first.status_code == 201 and "idempotency-replayed" not in first.headers

        def again() -> None:
            answer = served.decide(body)
            assert (answer.status_code, answer.json()) == (200, first.json())
            assert answer.headers["idempotency-replayed"] == "true"

        again()
        for _ in range(20):  # as many as the cache holds, and more
            served.decide()
        assert served.service.live("e").records.known("d") is None
        again()
        served.restart()
        again()
        assert_refused(served.decide({"decision_id": "d"}), 409, "decision_exists")
        assert_refused(served.decide(json.dumps(body).encode() + b" "), 409, "decision_exists")
        assert len(served.events()) == 21
        served.assert_consistent()


def test_the_id_may_come_in_a_header(served: Served) -> None:
    key = {"idempotency-key": "k"}
    first = served.decide(b"{}", headers=key)
    assert (first.status_code, first.json()["decision_id"]) == (201, "k")
    again = served.decide(b"{}", headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert served.decide({"decision_id": "l"}, headers={"idempotency-key": "l"}).status_code == 201
    assert_refused(served.decide({"decision_id": "l"}, headers={"idempotency-key": "m"}), 422, "two_ids")
    assert_refused(served.decide({"excluded_actions": ["a"]}, headers=key), 409, "decision_exists")
    assert_refused(served.decide(b"{}", headers={"idempotency-key": ""}), 422, "bad_id")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        Call({}, {b"idempotency-key": b"\xff"}, b"", b"", ANYONE, {}).header(b"idempotency-key")
    assert served.decide({"decision_id": "ü"}, headers={b"idempotency-key": "ü".encode()}).status_code == 201
    assert len(served.events()) == 3


@pytest.mark.parametrize("name", ["é 😀", "x?y#z", "a:b", "0", "-", "...", "%", "ß" * 256, "decisions:batch", "a b"])
def test_any_printable_id_can_be_used_everywhere(served: Served, name: str) -> None:
    made = served.decide({"decision_id": name})
    assert (made.status_code, made.json()["decision_id"]) == (201, name)
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    assert served.reward(quoted, 1.0).json() == {"status": "accepted"}
    served.restart()
    assert served.reward(quoted, 1.0).json() == {"status": "duplicate"}
    assert served.record(quoted).json()["decision_id"] == name
    batch = served.post("/v1/experiments/e/rewards:batch", {"rewards": [{"decision_id": name, "value": 1.0}]})
    assert batch.json() == {"rewards": [{"status": "duplicate"}]}


def test_eligible_and_excluded_actions_limit_the_choice(served: Served) -> None:
    for i in range(12):
        answer = served.decide({"eligible_actions": ["c", "a"]}).json()
        assert answer["action_id"] in ("a", "c") and answer["propensity"] >= 0.25
        only = served.decide({"eligible_actions": ["a", "b"], "excluded_actions": ["a"]}).json()
        assert (only["action_id"], only["propensity"]) == ("b", 1.0)
        assert served.record(f"~{2 * i}").json()["eligible_actions"] == ["a", "c"]
        assert served.record(f"~{2 * i + 1}").json()["eligible_actions"] == ["b"]
    served.decide({"eligible_actions": ["a", "b", "c"], "excluded_actions": []})
    assert served.events()[-1].available is None
    served.assert_consistent()


def test_a_context_reaches_the_log_bit_for_bit(served: Served) -> None:
    problem = {"context": {"kind": "dense", "length": 3}}
    assert served.create("c", problem=problem).status_code == 201
    assert served.decide({"context": [1, -0.0, 5e-324]}, "c").status_code == 201
    (event,) = served.events("c")
    assert event.context == bytes.fromhex("000000000000f03f00000000000000800100000000000000")
    assert served.record("~0", "c").json()["context"] == [1.0, 0.0, 5e-324]
    assert served.reward("~0", 1.0, "c").json() == {"status": "accepted"}
    served.assert_consistent("c")


def test_a_reward_is_accepted_once(tmp_path: Path) -> None:
    with Served(tmp_path, cache_bytes=0) as served:
        served.create()
        served.decide()
        served.decide({"decision_id": "d"})
        assert served.reward("~0", 0.25).json() == {"status": "accepted"}
        digest = served.digest()
        for _ in range(2):
            assert served.reward("~0", 0.25).json() == {"status": "duplicate"}
            assert_refused(served.reward("~0", 0.5), 409, "reward_exists")
            assert_refused(served.reward("~0", {"value": 0.25, "reward_id": "r"}), 409, "reward_exists")
            assert served.digest() == digest
            served.restart()
        assert served.reward("d", {"value": 3, "reward_id": "r"}).json() == {"status": "accepted"}
        assert served.reward("~1", {"value": 3.0, "reward_id": "r"}).json() == {
            "status": "duplicate"
        }  # the same decision
        assert_refused(served.reward("d", 3.0), 409, "reward_exists")
        assert_refused(served.reward("~2", 1.0), 404, "unknown_decision")
        assert [event.reward for event in served.events() if event.kind == LEARN] == [0.25, 3.0]
        served.assert_consistent()


def test_late_and_shuffled_rewards_use_the_logged_decision(served: Served) -> None:
    made = [served.decide({"decision_id": f"d{i}", "excluded_actions": ["abc"[i % 3]]}).json() for i in range(9)]
    served.restart()
    for i in (8, 0, 5, 3, 7):
        assert served.reward(f"d{i}", i / 8).json() == {"status": "accepted"}
    learned = {event.number: event for event in served.events() if event.kind == LEARN}
    assert {number: event.propensity for number, event in learned.items()} == {
        i: made[i]["propensity"] for i in (8, 0, 5, 3, 7)
    }
    served.assert_consistent()
    served.restart()
    served.assert_consistent()


def test_the_record_of_a_decision_holds_everything(served: Served) -> None:
    body = b'{"decision_id": "d",  "eligible_actions": ["a"]}'
    served.decide()
    made = served.decide(body).json()
    open_record = served.record("d").json()
    assert open_record["reward"] is None
    served.reward("d", {"value": -2.5, "reward_id": "r"})
    record = served.record("~1").json()
    time = record["reward"].pop("time")
    assert record == {
        **open_record,
        **made,
        "number": 1,
        "seq": 2,
        "context": None,
        "eligible_actions": ["a"],
        "sent": json.loads(body),
        "reward": {"value": -2.5, "reward_id": "r", "seq": 3},
    }
    assert record["time"] <= time and time.endswith("+00:00")
    event = served.events()[1]
    assert event.sent == body.decode() and event.body_hash == hashlib.sha256(body).digest()
    assert served.record("~0").json()["sent"] is None


def test_in_a_batch_a_bad_item_fails_alone_and_order_is_kept(served: Served) -> None:
    items: list[Any] = [
        {"decision_id": "x"},
        3,
        {"eligible_actions": ["b"]},
        {"unknown": 1},
        {"decision_id": "x"},
        {"eligible_actions": []},
        {"decision_id": "y/.."},
        {"decision_id": "x", "excluded_actions": ["a"]},
        {},
    ]
    answer = served.post("/v1/experiments/e/decisions:batch", {"decisions": items})
    assert answer.status_code == 200
    found = answer.json()["decisions"]
    assert len(found) == len(items)
    assert found[0]["decision_id"] == "x" and found[4] == found[0]
    assert found[2]["action_id"] == "b" and {found[2]["decision_id"], found[8]["decision_id"]} == {"~0", "~1"}
    for place, status, code in ((1, 422, "bad_body"), (3, 422, "bad_body"), (5, 422, "no_arm_available")):
        assert_problem(found[place], status, code)
    assert_problem(found[6], 422, "bad_id")
    assert_problem(found[7], 409, "decision_exists")
    assert len(served.events()) == 3

    rewards = [
        {"decision_id": "~0", "value": 1.0},
        {"decision_id": "~7", "value": 1.0},
        {"decision_id": "x", "value": "1"},
        {"decision_id": "~0", "value": 1.0},
        {"decision_id": "~0", "value": 2.0},
        {"value": 2.0},
        {"decision_id": "x", "value": -1.0},
    ]
    answer = served.post("/v1/experiments/e/rewards:batch", {"rewards": rewards})
    found = answer.json()["rewards"]
    assert [found[i]["status"] for i in (0, 3, 6)] == ["accepted", "duplicate", "accepted"]
    assert_problem(found[1], 404, "unknown_decision")
    assert_problem(found[2], 422, "bad_body")
    assert_problem(found[4], 409, "reward_exists")
    assert_problem(found[5], 422, "bad_body")
    assert len(served.events()) == 5
    assert served.post("/v1/experiments/e/rewards:batch", {"rewards": []}).json() == {"rewards": []}
    assert served.post("/v1/experiments/e/decisions:batch", {"decisions": []}).json() == {"decisions": []}
    served.assert_consistent()


def test_an_unknown_propensity_is_null(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = served.service.live("e")._select
    known = entry.call
    monkeypatch.setattr(entry, "call", lambda *call: known(*call)._replace(propensity=math.nan))
    assert served.decide().json()["propensity"] is None
    assert served.events()[0].propensity is None
    assert served.record("~0").json()["propensity"] is None


def test_a_policy_that_leaves_the_problem_writes_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = served.service.live("e")._select
    known = entry.call
    for arm in (-1, 3):
        monkeypatch.setattr(entry, "call", lambda *call, arm=arm: known(*call)._replace(action=arm))
        assert_refused(served.decide(), 500, "internal_error")
    monkeypatch.setattr(entry, "call", known)
    assert served.decide().json()["decision_id"] == "~0"
    served.assert_consistent()
