"""Contexts over HTTP: actions that come with each call, as numbers or by name; what is logged is what was seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.served import Served, assert_refused

from onearm.api.cli.main import run
from onearm.engine.vocabulary import DECIDE, LEARN

UNIFORM = {"name": "uniform"}
GREEDY = {"name": "linear_greedy", "params": {"epsilon": 0.25}}
PROBLEMS: dict[str, dict[str, Any]] = {
    "rows": {"actions": {"kind": "listed", "length": 2, "max": 6}},
    "shared rows": {"context": {"kind": "dense", "length": 3}, "actions": {"kind": "listed", "length": 2, "max": 6}},
    "named": {"context": {"kind": "features", "bits": 10}, "actions": {"kind": "listed", "max": 6}},
    "hashed": {"context": {"kind": "features", "dimension": 16}, "actions": {"kind": "listed"}},
}


def call(problem: str, t: int, k: int | None = None) -> dict[str, Any]:
    """The t-th decision's body: 1 to 6 actions, with features of the kind that the problem has."""
    random = np.random.default_rng(t)
    k = k or int(random.integers(1, 7))
    body: dict[str, Any] = {}
    if problem == "shared rows":
        body["context"] = random.normal(size=3).round(3).tolist()
    if problem in ("named", "hashed"):
        body["context"] = {"user": {"age": int(random.integers(20, 30)), "city": "paris"}, "hour": t % 24}
        body["actions"] = [{"id": f"a{a}", "item": {"price": a + 0.5, "tags": ["new"][: a % 2]}} for a in range(k)]
    else:
        body["actions"] = [{"id": f"a{a}", "features": random.normal(size=2).round(3).tolist()} for a in range(k)]
    if k > 1 and t % 3 == 0:
        body["excluded_actions"] = ["a0"]
    return body


@pytest.mark.parametrize("policy", [UNIFORM, GREEDY], ids=["uniform", "linear_greedy"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_action_sets_of_any_size_are_decided_logged_recovered_and_verified(
    tmp_path: Path, problem: str, policy: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with Served(tmp_path, cache_bytes=3000) as served:
        created = served.create(arms=[], policy=policy, problem=PROBLEMS[problem])
        assert created.status_code == 201, created.text
        for t in range(30):
            body = call(problem, t) | {"decision_id": f"d{t}"}
            made = served.decide(body)
            assert made.status_code == 201, made.text
            ids = [action["id"] for action in body["actions"]]
            assert made.json()["action_id"] in set(ids) - set(body.get("excluded_actions", []))
            event = served.events()[-1]
            assert json.loads(event.actions or "") == ids
            assert ids[event.action or 0] == made.json()["action_id"]
            record = served.record(f"d{t}").json()
            assert record["actions"] == ids and record["sent"] == body
            assert record["action_id"] == made.json()["action_id"]
            if t >= 5 and t % 3:
                assert served.reward(f"d{t - 5}", float(t % 7)).json() == {"status": "accepted"}
            if t == 20:
                served.restart()
            again = served.decide(body)
            assert (again.status_code, again.json()) == (200, made.json())
        served.assert_consistent()
        digest = served.digest()
        served.restart()
        assert served.digest() == digest
        served.assert_consistent()
        served.stop()
        capsys.readouterr()
        assert run(["verify", "--database", served.url, "--json"]) == 0
        found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["e"]
        assert (found["digest"], found["decisions"], found["first_difference"]) == (digest, 30, None)
        served.start()


def test_a_row_is_the_contexts_numbers_and_the_actions_own(served: Served) -> None:
    served.create("s", arms=[], policy=UNIFORM, problem=PROBLEMS["shared rows"])
    actions = [{"id": "x", "features": [4, 5]}, {"id": "y", "features": [6.5, 7]}]
    assert served.decide({"context": [1, 2, 3], "actions": actions}, "s").status_code == 201
    (event,) = served.events("s")
    rows = np.frombuffer(event.context or b"", "<f8").reshape(2, 5)
    assert rows.tolist() == [[1, 2, 3, 4, 5], [1, 2, 3, 6.5, 7]]
    assert served.record("~0", "s").json()["context"] == rows.tolist()


def test_arms_may_have_named_contexts(served: Served) -> None:
    problem = {"context": {"kind": "features", "bits": 12, "interactions": [["user", ""]]}}
    arms = [{"id": "a", "price": 3}, {"id": "b", "price": 4.5}]
    created = served.create("n", arms=arms, policy=UNIFORM, problem=problem)
    assert created.status_code == 201, created.text
    assert created.json()["problem"]["context"] == problem["context"]
    assert served.create("n", arms=arms, policy=UNIFORM, problem=problem).status_code == 200
    for body in ({}, {"context": {"user": {"age": 3}}}, {"context": {}, "eligible_actions": ["b"]}):
        assert served.decide(body, "n").status_code == 201
    record = served.record("~1", "n").json()
    assert (record["context"], record["actions"], record["sent"]) == (None, None, {"context": {"user": {"age": 3}}})
    assert served.reward("~1", 1.0, "n").status_code == 200
    assert [event.kind for event in served.events("n")] == [DECIDE] * 3 + [LEARN]
    served.assert_consistent("n")


REFUSED: list[tuple[str, Any, str]] = [
    ("rows", {}, "missing_actions"),
    ("rows", {"actions": []}, "no_actions"),
    ("rows", b'{"actions": null}', "bad_body"),
    ("rows", b'{"actions": {}}', "bad_body"),
    ("rows", b'{"actions": [1]}', "bad_body"),
    ("rows", b'{"actions": [{"features": [1, 2]}]}', "bad_body"),
    ("rows", {"actions": [{"id": "a"}]}, "bad_action"),
    ("rows", {"actions": [{"id": "a", "features": [1]}]}, "bad_action"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2, 3]}]}, "bad_action"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2]}, {"id": "b", "features": [1]}]}, "bad_action"),
    ("rows", {"actions": [{"id": "a", "features": [1, "2"]}]}, "bad_body"),
    ("rows", {"actions": [{"id": "a", "features": [1, True]}]}, "bad_body"),
    ("rows", {"actions": [{"id": "a", "features": {"x": 1}}]}, "bad_body"),
    ("rows", {"actions": [{"id": "a", "item": {"x": 1}}]}, "bad_body"),
    ("rows", b'{"actions": [{"id": "a", "features": [1, NaN]}]}', "malformed_json"),
    ("rows", b'{"actions": [{"id": "a", "features": [1, 1e999]}]}', "bad_body"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2]}] * 2}, "duplicate_action"),
    ("rows", {"actions": [{"id": "", "features": [1, 2]}]}, "bad_id"),
    ("rows", {"actions": [{"id": "a/..", "features": [1, 2]}]}, "bad_id"),
    ("rows", {"actions": [{"id": f"a{a}", "features": [1, 2]} for a in range(7)]}, "too_many_actions"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2]}], "eligible_actions": ["b"]}, "unknown_action"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2]}], "excluded_actions": ["a"]}, "no_arm_available"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2]}], "context": [1]}, "bad_context"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2]}], "context": {"x": 1}}, "bad_context"),
    ("rows", {"actions": [{"id": "a", "features": [1, 2]}], "explain": True}, "no_explanation"),
    ("shared rows", {"actions": [{"id": "a", "features": [1, 2]}]}, "bad_context"),
    ("shared rows", {"context": [1, 2], "actions": [{"id": "a", "features": [1, 2]}]}, "bad_context"),
    ("named", {"actions": [{"item": {"x": 1}}]}, "bad_id"),
    ("named", {"actions": [{"id": 7}]}, "bad_id"),
    ("named", {"actions": ["a"]}, "bad_body"),
    ("named", {"context": [1.0], "actions": [{"id": "a"}]}, "bad_context"),
    ("named", {"context": {"x" * 10_000: 1}, "actions": [{"id": "a"}]}, "bad_feature"),
    ("named", {"context": {"user": {"name": "x" * 10_000}}, "actions": [{"id": "a"}]}, "bad_feature"),
    ("named", {"actions": [{"id": "a", "item": {"x" * 10_000: 1}}]}, "bad_feature"),
    ("named", b'{"context": {"x": 1e999}, "actions": [{"id": "a"}]}', "bad_body"),
    ("named", b'{"context": {"x": NaN}, "actions": [{"id": "a"}]}', "malformed_json"),
    ("named", {"context": {"x": 1e300}, "actions": [{"id": "a"}]}, "bad_feature"),
    ("named", b'{"context": ' + b'{"x":' * 20 + b"1" + b"}" * 20 + b', "actions": [{"id": "a"}]}', "bad_feature"),
    ("named", b'{"context": ' + b'{"x":' * 100_000, "too_deep"),
    ("fixed", {"actions": [{"id": "a", "features": [1, 2]}]}, "unexpected_actions"),
    ("fixed", {"context": {"x": 1}}, "bad_context"),
    ("fixed", {"explain": True}, "no_explanation"),
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield a service with an experiment of each kind."""
    with Served(tmp_path_factory.mktemp("contexts")) as served:
        for name, problem in PROBLEMS.items():
            assert served.create(name, arms=[], policy=UNIFORM, problem=problem).status_code == 201
        assert served.create("fixed", policy=UNIFORM).status_code == 201
        yield served


@pytest.mark.parametrize(("problem", "body", "code"), REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_written(asked: Served, problem: str, body: Any, code: str) -> None:
    before = asked.everything()
    assert_refused(asked.decide(body, problem), 422, code)
    assert asked.everything() == before


def test_a_list_where_objects_are_read_is_refused_alike_with_and_without_reasons(served: Served) -> None:
    problem = {"context": {"kind": "features", "bits": 8}, "actions": {"kind": "listed"}}
    assert served.create("reasons", arms=[], policy={"name": "squarecb"}, problem=problem).status_code == 201
    body = {"context": [1.0], "actions": [{"id": "a", "item": {"price": 3}}]}
    for explain in (False, True):
        assert_refused(served.decide(body | {"explain": explain}, "reasons"), 422, "bad_context")


@pytest.mark.parametrize("policy", ["ucb1", "kl_ucb", "moss"])
def test_policies_with_an_index_explain_themselves_by_it(served: Served, policy: str) -> None:
    assert served.create("index", policy={"name": policy}).status_code == 201
    first = served.decide({"explain": True}, "index").json()
    assert [(one["score"], one["width"], one["features"]) for one in first["explanation"]] == [(None, None, [])] * 3
    served.reward("~0", 1.0, "index")
    for number, reward in ((1, 0.0), (2, 1.0)):
        served.decide({}, "index")
        served.reward(f"~{number}", reward, "index")
    found = served.decide({"explain": True}, "index").json()
    index = {one["action_id"]: one["score"] + one["width"] for one in found["explanation"]}
    assert {one["action_id"]: one["score"] for one in found["explanation"]} == {"a": 1.0, "b": 0.0, "c": 1.0}
    assert found["action_id"] == max(sorted(index), key=lambda action: index[action]) == "a"


@pytest.mark.parametrize("policy", ["ucb1", "kl_ucb"])
def test_reasons_are_those_of_the_state_that_decided_where_deciding_changes_it(served: Served, policy: str) -> None:
    """A policy that counts what is awaited would take another arm next."""
    assert served.create("late", policy={"name": policy, "params": {"wait": 100}}).status_code == 201
    for wanted in "abcab":
        made = served.decide({"explain": True}, "late").json()
        assert (made["action_id"], made["ranking"][0]) == (wanted, {"action_id": wanted, "probability": 1.0})


@pytest.mark.parametrize(
    "context", [{"kind": "dense", "dimension": 2}, {"kind": "features", "length": 2}, {"kind": "none", "length": 2}]
)
def test_a_field_of_another_kind_says_what_a_list_of_numbers_takes(asked: Served, context: dict[str, Any]) -> None:
    answer = asked.create("numbers", policy=UNIFORM, problem={"context": context})
    said = assert_refused(answer, 422, "bad_context")["detail"]
    assert said.endswith('leave the field out; a context of two numbers is {"kind": "dense", "length": 2}')


def test_the_page_of_contexts_shows_a_dense_one_that_a_service_takes(served: Served) -> None:
    page = (Path(__file__).parents[3] / "docs" / "contexts.md").read_text()
    creation, decision = (
        json.loads(line) for line in page.partition("```json\n")[2].partition("\n```")[0].splitlines()
    )
    assert served.create(creation.pop("experiment_id"), **creation).status_code == 201
    assert served.decide(decision, "front").status_code == 201
