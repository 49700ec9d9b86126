"""Apprentices that learn from agreement: they come to do what is done, whatever it earns, and every fold knows it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.lives import Life, law
from support.old_logs import command
from support.served import Served, assert_refused

pytestmark = pytest.mark.usefixtures("coarse_quadrature")

PATH = "/v1/experiments/e/policies"


@pytest.fixture
def served(tmp_path: Path) -> Any:
    with Served(tmp_path) as one:
        yield one


@pytest.mark.parametrize("policy", [law("epsilon_greedy", epsilon=0.1), law("ucb1"), law("thompson_beta")])
def test_it_comes_to_do_what_is_done_though_that_earns_least(served: Served, policy: Any) -> None:
    life = Life(served, policy)
    assert life.do(0, "assign", role="apprentice", learn_from="agreement")["learn_from"] == "agreement"
    life.play(60, baseline_action="a")
    life.do(0, "promote")
    free = [one["action_id"] for one in served.decide_all([{}] * 20)]
    assert free.count("a") > 15
    life.assert_verifies()


def test_it_learns_a_rule_of_contexts(served: Served) -> None:
    life = Life(served, law("linucb"), problem={"context": {"kind": "dense", "length": 3}})
    seen = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    life.do(0, "assign", role="apprentice", learn_from="agreement")
    for n in range(15):
        life.play(5, baseline_action="abc"[n % 3], context=seen[n % 3])
    assert life.read_up()["policies"][0]["agreement"] > 0.7
    life.do(0, "promote")
    assert [served.decide({"context": context}).json()["action_id"] for context in seen] == ["a", "b", "c"]
    life.assert_verifies()


def test_once_free_it_learns_from_rewards(served: Served) -> None:
    life = Life(served, law("epsilon_greedy", epsilon=0.2))
    life.do(0, "assign", role="apprentice", learn_from="agreement")
    life.play(20, baseline_action="a")
    life.do(0, "promote")
    for _ in range(15):
        life.play(10)
    assert sum(one["action_id"] == "c" for one in life.play(50)) > 30, "c earns most"
    life.assert_verifies()


def corrected(served: Served, decided: dict[str, Any], value: float) -> None:
    """Correct a reward, and wait until the state knows it."""
    path = f"/v1/experiments/e/decisions/{decided['decision_id']}/reward"
    assert served.client.put(path, json={"value": value}).status_code == 200
    deadline = time.monotonic() + 60
    while "corrections_left" in served.get("/v1/experiments/e").json():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_corrections_rollbacks_exports_and_imports_go_on_with_what_each_part_learns(
    served: Served, tmp_path: Path
) -> None:
    life = Life(served, law("epsilon_greedy", epsilon=0.3))
    life.play(10)
    life.do(0, "assign", role="apprentice", learn_from="agreement")
    made = life.play(20, baseline_action="b")
    seq = served.get("/v1/experiments/e").json()["seq"]
    life.join(law("ucb1"), role="live", start="empty")  # the apprentice goes on as a shadow
    life.play(20)
    life.read_up()
    life.do(0, "promote")
    later = life.play(10)
    corrected(served, later[3], 0.75)
    known = served.digest()
    corrected(served, made[3], 0.25)
    assert served.digest() == known, "all of it is learned again, and that reward said nothing"
    life.play(5)
    life.restart()
    assert served.post(f"{PATH}:rollback", {"to": seq}).status_code == 200
    assert served.digest() != known
    life.play(10)
    life.assert_verifies()
    body = served.get("/v1/experiments/e/log").content
    assert served.post("/v1/experiments:import?experiment_id=twin", body).status_code == 201
    assert served.digest("twin") == served.digest()
    file = tmp_path / "log.jsonl"
    file.write_bytes(body)
    status, found = command("verify", str(file))
    assert (status, found["experiments"][0]["digest"]) == (0, served.digest())


def test_a_reward_says_nothing_to_it(served: Served) -> None:
    digests = set()
    for name, value in (("e", 0.0), ("f", 1.0)):
        assert served.create(name, arms=[{"id": "a"}, {"id": "b"}]).status_code == 201
        body = {"role": "apprentice", "learn_from": "agreement"}
        assert served.post(f"/v1/experiments/{name}/policies/0:assign", body).status_code == 200
        made = served.decide_all([{"baseline_action": "ab"[n % 2]} for n in range(10)], name)
        served.reward_all({one["decision_id"]: value for one in made}, name)
        digests.add(served.digest(name))
    assert len(digests) == 1


def test_who_decides_learns_from_rewards(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    asked = {"policy": law("ucb1"), "role": "shadow", "learn_from": "agreement"}
    assert_refused(served.post(PATH, asked), 422, "unexpected_learn_from")
    asked = {"role": "apprentice", "learn_from": "imitation"}
    assert served.post(f"{PATH}/0:assign", asked).status_code == 422
    life.do(0, "assign", role="apprentice")
    assert life.lineup()["policies"][0]["learn_from"] == "reward"
    life.do(0, "assign", role="apprentice", learn_from="agreement")
    assert life.lineup()["policies"][0]["learn_from"] == "agreement"
    life.assert_verifies()
