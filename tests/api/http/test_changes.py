"""Arms that join and retire, decisions that others made, reasons, and the health of an experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.every_run import every_run
from support.served import Served, assert_problem, assert_refused

from onearm.api.cli.main import run
from onearm.api.experiment.spec import Spec
from onearm.api.log_files import read_log
from onearm.api.service.history import ARCHIVED, History, change_of, changes_decoder
from onearm.engine.errors import Damaged
from onearm.engine.storage.records import Event
from onearm.engine.vocabulary import CHANGE, DECIDE, EXTERNAL, LEARN

pytestmark = pytest.mark.usefixtures("coarse_quadrature")

UCB = {"name": "ucb1"}
TWO = {"context": {"kind": "dense", "length": 2}}
ROWS = {"actions": {"kind": "listed", "length": 2}}
LINUCB = {"name": "linucb"}


def add(served: Served, arm: Any, experiment_id: str = "e") -> Any:
    return served.post(f"/v1/experiments/{experiment_id}/arms", arm)


def retire(served: Served, arm: str, experiment_id: str = "e") -> Any:
    return served.post(f"/v1/experiments/{experiment_id}/arms/{arm}:retire")


def play(served: Served, n: int, experiment_id: str = "e") -> list[str]:
    chosen = []
    for t in range(n):
        made = served.decide({}, experiment_id).json()
        chosen.append(made["action_id"])
        if t % 3:
            assert served.reward(made["decision_id"], (t % 5) / 5, experiment_id).status_code == 200
    return chosen


GROWING = [
    ("ucb1", {}),
    ("thompson_beta", {}),
    ("epsilon_greedy", {}),
    ("thompson_any", {"expected": [3, 2, 5], "propensities": False}),
]


@pytest.mark.parametrize(("policy", "params"), every_run(GROWING, [GROWING[0], GROWING[3]]))
def test_arms_join_and_retire_and_the_log_says_when(
    tmp_path: Path, policy: str, params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with Served(tmp_path) as served:
        served.create(policy={"name": policy, "params": params})
        early = served.decide().json()  # its reward comes when there are more arms
        play(served, 6)
        added = add(served, {"id": "d", "colour": "red"})
        assert (added.status_code, added.json()) == (201, {"arm_id": "d", "retired": False})
        play(served, 8)
        for _ in range(2):
            assert retire(served, "a").json() == {"arm_id": "a", "retired": True}
        assert "a" not in play(served, 12)
        assert served.reward(early["decision_id"], 0.5).json() == {"status": "accepted"}
        again = add(served, {"id": "d", "colour": "red"})
        assert (again.status_code, again.json()) == (200, {"arm_id": "d", "retired": False})
        assert add(served, {"id": "f"}).status_code == 201
        chosen = play(served, 30)
        assert {"d", "f"} <= set(chosen) <= {"b", "c", "d", "f"}
        found = served.get("/v1/experiments/e").json()
        assert [arm["id"] for arm in found["arms"]] == ["a", "b", "c", "d", "f"]
        assert found["retired_arms"] == ["a"]
        changes = [json.loads(event.detail or "") for event in served.events() if event.kind == CHANGE]
        assert changes == [
            {"change": "arm_added", "arm": {"id": "d", "colour": "red"}, "number": 7},
            {"change": "arm_retired", "arm_id": "a"},
            {"change": "arm_added", "arm": {"id": "f"}, "number": 27},
        ]
        assert served.record("~20").json()["eligible_actions"] == ["b", "c", "d"]
        served.assert_consistent()
        for _ in range(2):  # with a snapshot of the larger state, then without any
            served.restart()
            served.assert_consistent()
            assert served.get("/v1/experiments/e").json() == served.get("/v1/experiments/e").json() | {
                "arms": found["arms"],
                "retired_arms": ["a"],
            }
            with served.store._transaction() as connection:
                connection.exec_driver_sql("DELETE FROM snapshot")
        digest = served.digest()
        served.stop()
        capsys.readouterr()
        assert run(["verify", "--database", served.url, "--json"]) == 0
        found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["e"]
        assert (found["digest"], found["first_difference"], found["decisions"]) == (digest, None, 57)
        served.start()


@pytest.mark.parametrize(("policy", "params"), [("ucb1", {}), ("adaptive", {"policy": {"name": "ucb1"}})])
def test_an_arm_that_retired_takes_part_again_with_what_was_learned_of_it(
    tmp_path: Path, policy: str, params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    arm = {"id": "a", "colour": "red"}
    with Served(tmp_path) as served:
        served.create(policy={"name": policy, "params": params}, arms=[arm, {"id": "b"}])
        for value in (1.0, 0.0, 1.0):
            made = served.decide({"eligible_actions": ["a"]}).json()
            served.reward(made["decision_id"], value)
        retire(served, "a")
        assert "a" not in play(served, 6)
        before = served.digest()
        assert_refused(add(served, {"id": "a"}), 409, "arm_exists")
        for status in (201, 200):
            again = add(served, arm)
            assert (again.status_code, again.json()) == (status, {"arm_id": "a", "retired": False})
        assert served.digest() == before
        found = served.get("/v1/experiments/e").json()
        assert (found["arms"], found["retired_arms"]) == ([arm, {"id": "b"}], [])
        changes = [json.loads(event.detail or "") for event in served.events() if event.kind == CHANGE]
        assert changes == [{"change": "arm_retired", "arm_id": "a"}, {"change": "arm_restored", "arm_id": "a"}]
        assert "a" in play(served, 20)
        assert served.record("~28").json()["eligible_actions"] is None
        served.assert_consistent()
        digest = served.digest()
        exported = served.get("/v1/experiments/e/log").content
        imported = served.post("/v1/experiments:import?experiment_id=copy", exported)
        assert imported.status_code == 201, imported.text
        assert served.digest("copy") == digest
        assert served.decide({}, "copy").json()["action_id"] == served.decide().json()["action_id"]
        served.restart()
        with served.store._transaction() as connection:
            connection.exec_driver_sql("DELETE FROM snapshot")
        served.restart()
        assert served.get("/v1/experiments/e").json()["retired_arms"] == []
        digest = served.digest()
        served.stop()
        capsys.readouterr()
        assert run(["verify", "--database", served.url, "--json"]) == 0
        experiments = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}
        for name in ("e", "copy"):
            assert experiments[name]["first_difference"] is None
        assert experiments["e"]["digest"] == digest
        served.start()


def test_shadows_that_take_no_new_arms_stay_when_one_comes_back(served: Served) -> None:
    added = served.post("/v1/experiments/e/policies", {"policy": "exp3_ix", "role": "shadow"})
    assert added.status_code == 201
    retire(served, "a")
    assert add(served, {"id": "a"}).status_code == 201
    assert [one["role"] for one in served.get("/v1/experiments/e/policies").json()["policies"]] == ["live", "shadow"]
    retire(served, "a")
    served.post("/v1/experiments/e:archive")
    assert_refused(add(served, {"id": "a"}), 409, "archived")


def test_a_snapshot_from_before_an_arm_joined_is_grown(served: Served) -> None:
    play(served, 5)
    served.restart()  # keeps a snapshot of three arms
    add(served, {"id": "d"})
    play(served, 5)
    served.service.live("e").stop(Damaged("test", "thrown away by the test"))
    recovered = served.service.live("e").recover()
    assert served.store.newest_snapshots(served.service.live("e").row.key)[0].seq < recovered.seq
    served.service.live("e").open(recovered)
    served.assert_consistent()


def test_changes_that_cannot_be_made_are_refused_and_nothing_is_written(served: Served) -> None:
    served.create("fixed", policy={"name": "exp3_ix"})
    served.create("listed", arms=[], policy={"name": "uniform"}, problem=ROWS)
    served.create("named", policy={"name": "uniform"}, problem={"context": {"kind": "features"}})
    served.create("old")
    served.post("/v1/experiments/old:archive")
    retire(served, "a")
    retire(served, "b")
    before = served.everything()
    assert_refused(add(served, {"id": "b", "x": 1}), 409, "arm_exists")
    assert_refused(add(served, {}), 422, "bad_id")
    assert_refused(add(served, {"id": "a/.."}), 422, "bad_id")
    assert_refused(add(served, []), 422, "bad_body")
    assert_refused(add(served, b'{"id": "z", "x": ' + b"[" * 60 + b"]" * 60 + b"}"), 422, "too_deep")
    assert_refused(add(served, {"id": "z"}, "old"), 409, "archived")
    assert_refused(retire(served, "a", "old"), 409, "archived")
    assert_refused(add(served, {"id": "z", "n" * 2000: 1}, "named"), 422, "bad_feature")
    detail = assert_refused(add(served, {"id": "z"}, "fixed"), 422, "arms_are_fixed")["detail"]
    assert "policy 'exp3_ix' takes no new arms" in detail
    assert_refused(add(served, {"id": "z"}, "listed"), 422, "actions_are_listed")
    assert_refused(retire(served, "z", "listed"), 422, "actions_are_listed")
    assert_refused(retire(served, "z"), 404, "unknown_arm")
    assert_refused(retire(served, "c"), 409, "last_arm")
    assert_refused(served.decide({"eligible_actions": ["a", "b"]}), 422, "no_arm_available")
    assert served.decide({"eligible_actions": ["a", "c"]}).json()["action_id"] == "c"
    assert served.everything() != before
    assert [event.kind for event in served.events()] == [CHANGE, CHANGE, DECIDE]
    for name in ("fixed", "listed", "named"):
        assert served.events(name) == []


def test_arms_with_named_features_join_too(served: Served) -> None:
    problem = {"context": {"kind": "features", "bits": 10}}
    served.create("n", policy={"name": "linear_greedy"}, problem=problem)
    late = served.decide({"context": {"x": 1.0}}, "n").json()["decision_id"]
    assert add(served, {"id": "d", "price": 3}, "n").status_code == 201
    made = served.decide({"context": {"x": 1.0}, "eligible_actions": ["d"]}, "n").json()
    assert made["action_id"] == "d"
    for name in (late, made["decision_id"]):
        assert served.reward(name, 1.0, "n").status_code == 200
    assert served.record(late, "n").json()["eligible_actions"] is None
    served.assert_consistent("n")
    served.restart()
    served.assert_consistent("n")


def test_a_change_of_a_newer_version_is_not_guessed_at() -> None:
    with pytest.raises(Damaged, match="the change at seq 3 cannot be read"):
        change_of(Event(1, 3, CHANGE, detail='{"change": "arm_swapped"}'), changes_decoder())
    spec = Spec.from_json({"experiment_id": "e", "arms": [{"id": "a"}]})
    assert History(spec, [Event(1, 2, CHANGE, detail=ARCHIVED)]).archived


# -- decisions that others made ----------------------------------------------------------------------------------------


def learn(served: Served, *examples: Any, experiment_id: str = "e") -> list[Any]:
    answer = served.post(f"/v1/experiments/{experiment_id}/examples:batch", {"examples": list(examples)})
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["examples"]
    return found


def test_examples_are_learned_once_numbered_and_not_made_again(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.create("u", policy=UCB)
    taught = [
        {"action_id": arm, "value": value, "propensity": 0.5} for arm, value in [("a", 0.0), ("b", 1.0), ("c", 0.2)]
    ]
    answers = learn(served, *(one | {"decision_id": f"x{i}"} for i, one in enumerate(taught)), experiment_id="u")
    assert answers == [{"decision_id": f"x{i}", "status": "accepted"} for i in range(3)]
    assert served.decide({}, "u").json()["action_id"] == "b"  # each arm was tried: the best one is next
    assert learn(served, taught[0], experiment_id="u") == [{"decision_id": "~4", "status": "accepted"}]
    assert [event.kind for event in served.events("u")] == [EXTERNAL, LEARN] * 3 + [DECIDE, EXTERNAL, LEARN]
    served.restart()
    again = learn(served, taught[1] | {"decision_id": "x1"}, experiment_id="u")
    assert again == [{"decision_id": "x1", "status": "duplicate"}]
    record = served.record("x1", "u").json()
    assert (record["given"], record["action_id"], record["propensity"]) == (True, "b", 0.5)
    assert record["reward"]["value"] == 1.0
    assert served.get("/v1/experiments/u").json()["decisions"] == 5
    served.assert_consistent("u")
    digest = served.digest("u")
    served.stop()
    capsys.readouterr()
    assert run(["verify", "--database", served.url, "--json"]) == 0
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["u"]
    assert (found["digest"], found["decisions"], found["events"]) == (digest, 1, 9)
    served.start()


def test_examples_that_do_not_fit_fail_alone(served: Served) -> None:
    retire(served, "c")
    good = {"action_id": "a", "value": 1.0, "propensity": 1}
    wrong = [
        (good | {"action_id": "z"}, "unknown_action"),
        (good | {"action_id": "c"}, "unavailable_action"),
        (good | {"excluded_actions": ["a"]}, "unavailable_action"),
        (good | {"propensity": 0.0}, "bad_propensity"),
        (good | {"propensity": 1.5}, "bad_propensity"),
        ({"action_id": "a", "value": 1.0}, "bad_body"),
        (good | {"value": 1e200}, "bad_reward"),
        (good | {"actions": []}, "unexpected_actions"),
        (good | {"reward": 1}, "bad_body"),
    ]
    answers = learn(served, *(body for body, _ in wrong), good)
    for answer, (_, code) in zip(answers, wrong, strict=False):
        assert_problem(answer, 422, code)
    assert answers[-1]["status"] == "accepted"
    assert [event.kind for event in served.events()] == [CHANGE, EXTERNAL, LEARN]
    served.assert_consistent()


def test_examples_may_list_their_actions(served: Served) -> None:
    served.create("l", arms=[], policy={"name": "linear_greedy"}, problem=ROWS)
    actions = [{"id": "x", "features": [1, 0]}, {"id": "y", "features": [0, 1]}]
    example = {"actions": actions, "action_id": "y", "value": 3.0, "propensity": 0.5}
    assert [one["status"] for one in learn(served, example, example, experiment_id="l")] == ["accepted"] * 2
    assert served.events("l")[0].action == 1
    served.assert_consistent("l")


# -- reasons -----------------------------------------------------------------------------------------------------------


def test_an_explanation_adds_up_and_is_part_of_the_decision(served: Served) -> None:
    served.create("x", policy=LINUCB, problem=TWO)
    for t in range(12):
        made = served.decide({"context": [t % 3, 1.0 - t % 2]}, "x").json()
        served.reward(made["decision_id"], t % 4, "x")
    digest = served.digest("x")
    body = {"context": [2.0, 1.0], "explain": True, "decision_id": "why", "excluded_actions": ["b"]}
    answer = served.decide(body, "x")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert served.digest("x") == digest
    assert [one["action_id"] for one in made["ranking"]] == [one["action_id"] for one in made["explanation"]]
    assert {one["action_id"] for one in made["ranking"]} == {"a", "c"}
    assert made["ranking"][0]["action_id"] == made["action_id"]
    assert sum(one["probability"] for one in made["ranking"]) == 1.0
    for reasons in made["explanation"]:
        assert reasons["width"] > 0
        total = sum(part["contribution"] for part in reasons["features"])
        assert total == pytest.approx(reasons["score"], abs=1e-9)
        seen = {part["name"]: part.get("value") for part in reasons["features"]}
        assert set(seen) <= {"context[0]", "context[1]", "intercept"}
        assert seen.get("context[0]", 2.0) == 2.0 and seen.get("intercept") is None
    again = served.decide(body, "x")
    assert (again.status_code, again.json()) == (200, made)
    served.restart()
    assert served.decide(body, "x").json() == made
    record = served.record("why", "x").json()
    assert (record["ranking"], record["explanation"]) == (made["ranking"], made["explanation"])
    served.assert_consistent("x")


def test_an_explanation_names_the_features(served: Served) -> None:
    problem = {"context": {"kind": "features", "bits": 14}, "actions": {"kind": "listed"}}
    served.create("x", arms=[], policy={"name": "linear_greedy"}, problem=problem)
    body: dict[str, Any] = {"context": {"user": {"age": 3}}, "actions": [{"id": "p", "price": 2}, {"id": "q"}]}
    for t in range(12):
        made = served.decide(body | {"eligible_actions": ["pq"[t % 2]]}, "x").json()
        served.reward(made["decision_id"], 1.0 + (made["action_id"] == "p"), "x")
    made = served.decide(body | {"explain": True}, "x").json()
    (first,) = (one for one in made["explanation"] if one["action_id"] == "p")
    assert sum(part["contribution"] for part in first["features"]) == pytest.approx(first["score"], abs=1e-9)
    names = {part["name"]: part.get("value") for part in first["features"]}
    assert names["user.age"] == 3.0 and names["user.age*price"] == 6.0 and names["id=p"] == 1.0
    assert made["policy"] == "linear_greedy" and len(made["ranking"]) == 2


# -- health ------------------------------------------------------------------------------------------------------------


def test_diagnostics_count_what_is_in_the_log_and_in_the_state(served: Served) -> None:
    empty = served.get("/v1/experiments/e/diagnostics").json()
    assert (empty["decisions"], empty["reward_share"], empty["unknown_propensity_share"]) == (0, None, None)
    served.create("t", policy={"name": "thompson_beta", "params": {"propensities": False}})
    play(served, 6, "t")
    found = served.get("/v1/experiments/t/diagnostics").json()
    assert found.pop("compiling")["compiled"] is True and found.pop("loop_lag_ms") >= 0.0
    assert "takes rewards to lie in [0, 1]" in found.pop("notes")[0]
    assert found == {
        "decisions": 6,
        "rewards": 4,
        "pending": 2,
        "seq": 10,
        "reward_share": 4 / 6,
        "unknown_propensity_share": 1.0,
        "state_bytes": 48,
        "repairs": None,
    }
    served.create("l", policy=LINUCB, problem=TWO)
    served.service.live("l").state.model.model.model.repairs[0] = 3
    assert served.get("/v1/experiments/l/diagnostics").json()["repairs"] == 3
    assert np.isfinite(served.get("/v1/experiments/l/diagnostics").json()["state_bytes"])


# -- exports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_exports_carry_what_others_decided_and_the_masks_of_arms_that_joined(
    served: Served, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    served.create("u", policy=UCB)
    learn(served, {"action_id": "b", "value": 1.0, "propensity": 0.25}, experiment_id="u")
    play(served, 5, "u")
    play(served, 2)
    add(served, {"id": "d"})
    play(served, 2)
    digest = served.digest("u")
    served.stop()
    files = {name: str(tmp_path / f"{name}.{ending}") for name in ("e", "u")}
    for name, file in files.items():
        assert run(["export", name, file, "--database", served.url]) == 0
    capsys.readouterr()
    assert run(["verify", files["u"], "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["experiments"]
    assert (found["digest"], found["decisions"], found["events"]) == (digest, 5, 10)
    log = read_log(Path(files["e"]), None)
    assert log.problem.n_arms == 4 and log.events is not None and not log.bad_lines.count
    decided = log.events.kind == DECIDE
    assert log.events.available[decided].tolist() == [[True] * 3 + [False]] * 2 + [[True] * 4] * 2
    assert run(["verify", files["e"]]) == 2
    assert "run onearm verify --database URL" in capsys.readouterr().err
    served.start()
