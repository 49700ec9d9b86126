"""What breaks a rule is refused as problem+json with a stable code, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.served import ARMS, Served, assert_refused

from onearm.api.http.endpoint import BODY_MAX
from onearm.policies import catalog


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Yield one service for all refusals: experiments e (no context), c (3 numbers), old (archived)."""
    with Served(tmp_path_factory.mktemp("refusals")) as served:
        served.create()
        served.create("c", problem={"context": {"kind": "dense", "length": 3}})
        served.create("old")
        for experiment_id in ("e", "old"):
            served.decide({"decision_id": "open"}, experiment_id)
            served.decide({"decision_id": "done"}, experiment_id)
            served.reward("done", 1.0, experiment_id)
        assert served.post("/v1/experiments/old:archive").status_code == 200
        yield served


@pytest.fixture(autouse=True)
def nothing_is_written(asked: Served) -> Iterator[None]:
    before, digest = asked.everything(), asked.digest()
    yield
    assert asked.everything() == before
    assert asked.digest() == digest
    assert asked.get("/health/ready").status_code == 200


DEEP = b"[" * 500_000
DECISIONS = [
    (b"nonsense", "malformed_json"),
    (b"{", "malformed_json"),
    (b"{} {}", "malformed_json"),
    (b"\xef\xbb\xbf{}", "malformed_json"),
    (b'{"decision_id": "\xff"}', "malformed_json"),
    (b'{"decision_id": "\\ud800"}', "malformed_json"),
    (b'{"contxt": "\xff"}', "malformed_json"),
    (b'{"decision_id": 7, "context": ["\xff"]}', "malformed_json"),
    (b"null", "bad_body"),
    (b"[]", "bad_body"),
    (b'"{}"', "bad_body"),
    (b'{"contxt": [1]}', "bad_body"),
    (b'{"decision_id": 7}', "bad_body"),
    (b'{"eligible_actions": "a"}', "bad_body"),
    (b'{"eligible_actions": [0]}', "bad_body"),
    (b'{"eligible_actions": {"a": true}}', "bad_body"),
    (b'{"context": ' + DEEP, "bad_body"),
    (DEEP, "bad_body"),
    (b'{"x": ' + DEEP, "bad_body"),
    (b'{"actions": []}', "unexpected_actions"),
    (b'{"defer_activation": true}', "unexpected_field"),
    (b'{"decision_id": ""}', "bad_id"),
    (b'{"decision_id": "a/.."}', "bad_id"),
    (b'{"decision_id": "~0"}', "bad_id"),
    (b'{"decision_id": "."}', "bad_id"),
    (b'{"decision_id": ".."}', "bad_id"),
    (b'{"decision_id": "a\\nb"}', "bad_id"),
    (b'{"decision_id": "a\\u0000"}', "bad_id"),
    (b'{"decision_id": "\\u202e"}', "bad_id"),
    (json.dumps({"decision_id": "x" * 257}).encode(), "bad_id"),
    (b'{"eligible_actions": ["z"]}', "unknown_action"),
    (b'{"excluded_actions": ["A"]}', "unknown_action"),
    (b'{"eligible_actions": []}', "no_arm_available"),
    (b'{"excluded_actions": ["a", "b", "c"]}', "no_arm_available"),
    (b'{"eligible_actions": ["a"], "excluded_actions": ["a"]}', "no_arm_available"),
    (b'{"context": [1.0]}', "bad_context"),
]


@pytest.mark.parametrize(("body", "code"), DECISIONS)
def test_a_decision(asked: Served, body: bytes, code: str) -> None:
    assert_refused(asked.decide(body), 422, code)


@pytest.mark.parametrize(
    ("context", "code"),
    [
        (b"[1, 2]", "bad_context"),
        (b"[1, 2, 3, 4]", "bad_context"),
        (b"[]", "bad_context"),
        (b"null", "bad_context"),
        (b"[1, 2, NaN]", "malformed_json"),
        (b"[1, 2, Infinity]", "malformed_json"),
        (b"[1, 2, -Infinity]", "malformed_json"),
        (b"[1, 2, 1e999]", "bad_body"),
        (b"[1, 2, -1e999]", "bad_body"),
        (b"[1, 2, " + b"9" * 400 + b"]", "bad_body"),
        (b'[1, 2, "3"]', "bad_body"),
        (b"[1, 2, true]", "bad_body"),
        (b"[1, 2, null]", "bad_body"),
        (b"[[1, 2, 3]]", "bad_body"),
        (b"1", "bad_body"),
    ],
)
def test_a_context(asked: Served, context: bytes, code: str) -> None:
    assert_refused(asked.decide(b'{"context": %s}' % context, "c"), 422, code)


def test_a_missing_context(asked: Served) -> None:
    detail = assert_refused(asked.decide({}, "c"), 422, "bad_context")["detail"]
    assert "the context is missing: it must have the shape [3]" in detail


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is empty"),
        (b'{"decision_id": "\\ud800"}', "half a character"),
        (b"{", "truncated"),
        (b'{"context": [NaN, 1]}', "NaN is no number of JSON"),
        (b'{"context": [1, -Infinity]}', "-Infinity is no number of JSON"),
    ],
)
def test_what_is_no_json_is_told_in_words_that_say_what_to_do(served: Served, body: bytes, why: str) -> None:
    told = served.client.post("/v1/experiments", content=body).json()
    assert told["code"] == "malformed_json" and why in told["detail"], told


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{}", "bad_body"),
        (b"1.0", "bad_body"),
        (b'{"value": "1"}', "bad_body"),
        (b'{"value": true}', "bad_body"),
        (b'{"value": null}', "bad_body"),
        (b'{"value": [1]}', "bad_body"),
        (b'{"value": 1e400}', "bad_body"),
        (b'{"value": ' + b"9" * 5000 + b"}", "bad_body"),
        (b'{"value": NaN}', "malformed_json"),
        (b'{"value": Infinity}', "malformed_json"),
        (b'{"value": 01}', "malformed_json"),
        (b'{"value": 1.0, "values": 1}', "bad_body"),
        (b'{"value": 1.0, "detail": {}}', "not_built"),
        (b'{"value": 1.0, "observed_at": "2026-01-01"}', "not_built"),
        (b'{"value": 1.0, "reward": "\xff"}', "malformed_json"),
        (b'{"value": 1.0, "reward_id": ""}', "bad_id"),
        (b'{"value": 1.0, "reward_id": "a/.."}', "bad_id"),
        (b'{"value": 1.0, "reward_id": 1}', "bad_body"),
        (b'{"value": 1e101}', "bad_reward"),
        (b'{"value": -1e308}', "bad_reward"),
    ],
)
def test_a_reward(asked: Served, body: bytes, code: str) -> None:
    for decision_id in ("~0", "open", "done"):
        assert_refused(asked.reward(decision_id, body), 422, code)


@pytest.mark.parametrize(
    "decision_id",
    ["nobody", "~2", "~-1", "~", "~x", "~\u0661", "~" + "9" * 30, "%00", "a%0Ab", "x" * 300, "%F0%9F%98%80", "OPEN"],
)
def test_an_unknown_decision(asked: Served, decision_id: str) -> None:
    assert_refused(asked.reward(decision_id, 1.0), 404, "unknown_decision")
    assert_refused(asked.record(decision_id), 404, "unknown_decision")


def test_what_contradicts_the_log(asked: Served) -> None:
    assert_refused(asked.decide({"decision_id": "open", "eligible_actions": ["a"]}), 409, "decision_exists")
    detail = assert_refused(asked.reward("done", 0.5), 409, "reward_exists")["detail"]
    assert "has the reward 1.0 already (seq 3)" in detail
    assert asked.reward("done", 1).json() == {"status": "duplicate"}


def test_an_archived_experiment_answers_only_what_it_has_answered(asked: Served) -> None:
    assert_refused(asked.decide({}, "old"), 409, "archived")
    assert_refused(asked.reward("open", 1.0, "old"), 409, "archived")
    assert asked.decide({"decision_id": "open"}, "old").status_code == 200
    assert asked.reward("done", 1.0, "old").json() == {"status": "duplicate"}
    assert asked.record("open", "old").json()["reward"] is None


def test_an_unknown_experiment(asked: Served) -> None:
    posts = ["/decisions", "/decisions/d/reward", "/decisions:batch", "/rewards:batch", ":archive"]
    for path in posts:
        assert_refused(asked.post(f"/v1/experiments/nowhere{path}", b"not even JSON"), 404, "unknown_experiment")
    for path in ("", "/decisions/d"):
        assert_refused(asked.get(f"/v1/experiments/nowhere{path}"), 404, "unknown_experiment")


def test_paths_and_methods_that_do_not_exist(asked: Served) -> None:
    for path in ("/nowhere", "/v1", "/v1/experiments/e/decisions/a/b", "/v1/experiments/e/reward", "/static/none.js"):
        assert_refused(asked.get(path), 404, "no_such_path")
        assert asked.get(path).json()["detail"] == f"GET {path}: there is no such path; /docs lists all"
    for method, path, allowed in (
        ("PUT", "/v1/experiments/e", "DELETE, GET, HEAD"),
        ("PUT", "/v1/experiments", "GET, HEAD, POST"),
        ("GET", "/v1/experiments/e/decisions", "POST"),
        ("GET", "/v1/experiments/e/decisions/open/reward", "DELETE, POST, PUT"),
        ("POST", "/v1/experiments/e/decisions/open", "GET, HEAD"),
        ("POST", "/health/live", "GET, HEAD"),
        ("OPTIONS", "/v1/experiments/e", "DELETE, GET, HEAD"),
        ("OPTIONS", "/v1/experiments/e:archive", "POST"),
        ("OPTIONS", "/v1/experiments/e:restore", "POST"),
        ("OPTIONS", "/v1/experiments/e:commit", "POST"),
        ("OPTIONS", "/v1/experiments/e/arms:close", "POST"),
        ("OPTIONS", "/v1/experiments/e/arms/a:retire", "POST"),
    ):
        answer = asked.client.request(method, path)
        assert_refused(answer, 405, "method_not_allowed")
        assert answer.json()["detail"].startswith(f"{method} {path}: this path takes ")
        assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", "))


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        (b"", "malformed_json"),
        (b"{}", "bad_body"),
        (b"[]", "bad_body"),
        (b'{"decisions": {}, "rewards": {}}', "bad_body"),
        (b'{"decisions": [{"decision_id": "\\ud800"}], "rewards": [}', "malformed_json"),
        (b'{"decisions": [' + b"{}," * 10_000 + b"{}]}", "batch_too_large"),
        (b'{"decisions": ' + DEEP, "too_deep"),
    ],
)
def test_a_batch(asked: Served, batch: bytes, code: str) -> None:
    assert_refused(asked.post("/v1/experiments/e/decisions:batch", batch), 422, code)
    rewards = batch.replace(b"decisions", b"rewards", 1)
    assert_refused(asked.post("/v1/experiments/e/rewards:batch", rewards), 422, code)


@pytest.mark.parametrize(
    "path",
    ["/v1/experiments", "/v1/experiments/e/decisions", "/v1/experiments/e/decisions/open/reward"]
    + [f"/v1/experiments/e/{what}:batch" for what in ("decisions", "rewards")],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_more_than_4_mb(asked: Served, path: str, chunked: bool) -> None:
    body = b" " * (BODY_MAX + 1)
    content: Any = (body[start : start + 100_000] for start in range(0, len(body), 100_000)) if chunked else body
    assert_refused(asked.client.post(path, content=content), 413, "body_too_large")


POLICY = {"name": "ucb1"}
EXPERIMENTS: list[tuple[Any, str]] = [
    (b"", "malformed_json"),
    (b"{", "malformed_json"),
    (b'{"seed": NaN}', "malformed_json"),
    (b"[]", "bad_body"),
    (b"null", "bad_body"),
    (b'{"seed": 1e400}', "bad_body"),
    (b'{"arms": ' + DEEP, "too_deep"),
    (b'{"arms": [{"id": "a", "x": ' + b"[" * 60 + b"]" * 60 + b"}]}", "too_deep"),
    ({}, "bad_arms"),
    ({"arms": []}, "bad_arms"),
    ({"arms": 3}, "bad_arms"),
    ({"arms": {"a": {}}}, "bad_arms"),
    ({"arms": ["a"]}, "bad_arms"),
    ({"arms": [{"id": "a"}, {"id": "a"}]}, "bad_arms"),
    ({"arms": [{}]}, "bad_id"),
    ({"arms": [{"id": 1}]}, "bad_id"),
    ({"arms": [{"id": "a/.."}]}, "bad_id"),
    ({"arms": ARMS, "experiment_id": ""}, "bad_id"),
    ({"arms": ARMS, "experiment_id": 5}, "bad_id"),
    ({"arms": ARMS, "experiment_id": ".."}, "bad_id"),
    ({"arms": ARMS, "experiment_id": "~e"}, "bad_id"),
    ({"arms": ARMS, "experiment_id": "x" * 257}, "bad_id"),
    ({"arms": ARMS, "horizn": 3}, "unknown_field"),
    ({"arms": ARMS, "reward": {"wait_time": "3s", "learn": "at_once", "aggregation": "sum"}}, "bad_window"),
    ({"arms": ARMS, "policy": None}, "bad_spec"),
    ({"arms": ARMS, "policy": ["ucb1"]}, "bad_spec"),
    ({"arms": ARMS, "policy": "ucb2"}, "unknown_policy"),
    ({"arms": ARMS, "policy": "../ucb1"}, "unknown_policy"),
    ({"arms": ARMS, "policy": {}}, "bad_spec"),
    ({"arms": ARMS, "policy": {"name": ["ucb1"]}}, "bad_spec"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "alpha": 2}}, "bad_spec"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": []}}, "bad_spec"),
    ({"arms": ARMS, "policy": {"name": "ucb2"}}, "unknown_policy"),
    ({"arms": ARMS, "policy": {"name": "../ucb1"}}, "unknown_policy"),
    ({"arms": ARMS, "policy": {"name": "__init__"}}, "unknown_policy"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": {"beta": 1}}}, "unknown_param"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": {"name": 1}}}, "unknown_param"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": {"self": 1}}}, "unknown_param"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": {"alpha": "1"}}}, "bad_param"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": {"alpha": True}}}, "bad_param"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": {"alpha": 0}}}, "bad_param"),
    ({"arms": ARMS, "policy": {"name": "ucb1", "params": {"alpha": 10**400}}}, "bad_param"),
    ({"arms": ARMS, "policy": {"name": "epsilon_greedy", "params": {"epsilon": 1.5}}}, "bad_param"),
    ({"arms": ARMS, "policy": POLICY, "problem": []}, "bad_body"),
    ({"arms": ARMS, "policy": POLICY, "problem": False}, "bad_body"),
    ({"arms": ARMS, "policy": POLICY, "problem": None}, "bad_body"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"arms": 3}}, "unknown_field"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"kind": "rounds"}}, "not_built"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"domain": "ball"}}, "not_built"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"horizon": 0}}, "bad_horizon"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"horizon": 1.5}}, "bad_horizon"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"horizon": True}}, "bad_horizon"),
    ({"arms": ARMS, "policy": {"name": "moss"}, "problem": {"horizon": 10**400}}, "bad_horizon"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"context": {}}}, "bad_context"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"context": {"kind": "features"}}}, "policy_does_not_fit"),
    (
        {"arms": ARMS, "policy": POLICY, "problem": {"context": {"kind": "features", "dimension": 8}}},
        "policy_does_not_fit",
    ),
    ({"policy": POLICY, "problem": {"actions": {"kind": "listed", "length": 2}}}, "policy_does_not_fit"),
    ({"arms": ARMS, "problem": {"context": {"kind": "words"}}}, "bad_context"),
    ({"arms": ARMS, "problem": {"context": {"kind": "features", "length": 3}}}, "bad_context"),
    ({"arms": ARMS, "problem": {"context": {"kind": "features", "bits": 8, "dimension": 8}}}, "bad_context"),
    ({"arms": ARMS, "problem": {"context": {"kind": "features", "interactions": "all"}}}, "bad_context"),
    ({"arms": ARMS, "problem": {"context": {"kind": "features", "interactions": [["a"]]}}}, "bad_param"),
    ({"arms": ARMS, "problem": {"context": {"kind": "features", "bits": 27}}}, "bad_param"),
    ({"arms": ARMS, "problem": {"context": {"kind": "features", "bits": 8.0}}}, "bad_param"),
    ({"arms": ARMS, "problem": {"context": {"kind": "features", "dimension": 1025}}}, "bad_param"),
    ({"arms": [{"id": "a", "x" * 2000: 1}], "problem": {"context": {"kind": "features"}}}, "bad_feature"),
    ({"arms": ARMS, "problem": {"actions": {"kind": "listed", "length": 2}}}, "bad_arms"),
    ({"arms": ARMS, "problem": {"actions": {"kind": "some"}}}, "bad_actions"),
    ({"arms": ARMS, "problem": {"actions": {"kind": "fixed", "max": 3}}}, "unknown_field"),
    ({"problem": {"actions": {"kind": "listed"}}}, "bad_actions"),
    ({"problem": {"actions": {"kind": "listed", "length": 0}}}, "bad_actions"),
    ({"problem": {"actions": {"kind": "listed", "length": 2, "max": 10_001}}}, "bad_actions"),
    ({"problem": {"actions": {"kind": "listed", "length": 100_000, "max": 1000}}}, "bad_actions"),
    ({"problem": {"actions": {"kind": "listed", "length": 2}, "context": {"kind": "features"}}}, "bad_actions"),
    ({"problem": {"actions": [2]}}, "bad_body"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"context": {"kind": "dense"}}}, "bad_context"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"context": {"kind": "dense", "length": 0}}}, "bad_context"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"context": {"kind": "dense", "length": 10**6}}}, "bad_context"),
    ({"arms": ARMS, "policy": POLICY, "problem": {"context": {"kind": "none", "length": 3}}}, "bad_context"),
    ({"arms": ARMS, "policy": POLICY, "seed": -1}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": 1.0}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": True}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": None}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": 2**53 + 1}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": str(2**64)}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": "9" * 5000}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": "-1"}, "bad_seed"),
    ({"arms": ARMS, "policy": POLICY, "seed": "\u0663"}, "bad_seed"),
]


@pytest.mark.parametrize(("body", "code"), EXPERIMENTS)
def test_an_experiment(asked: Served, body: Any, code: str) -> None:
    assert_refused(asked.post("/v1/experiments", body), 422, code)


def test_a_param_that_its_policy_does_not_check(asked: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(x: float = 1.0) -> Any:
        return 1 / x

    monkeypatch.setitem(catalog._outside, "careless", careless)
    body = {"arms": ARMS, "policy": {"name": "careless", "params": {"x": 0}}}
    detail = assert_refused(asked.post("/v1/experiments", body), 422, "bad_param")["detail"]
    assert "ZeroDivisionError" in detail


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "limit=" + "9" * 5000, "limit=-1", "limit=1.5"])
def test_a_list(asked: Served, query: str) -> None:
    assert_refused(asked.get(f"/v1/experiments?{query}"), 422, "bad_limit")


@pytest.mark.parametrize("name", ["limit", "after"])
def test_a_parameter_twice(asked: Served, name: str) -> None:
    assert_refused(asked.get(f"/v1/experiments?{name}=1&{name}=1"), 422, "repeated_parameter")
    assert asked.get(f"/v1/experiments?{name}=").status_code == 200  # nothing is said with it


def test_a_list_after_nobody(asked: Served) -> None:
    assert_refused(asked.get("/v1/experiments?after=nobody"), 404, "unknown_experiment")


def test_every_problem_says_what_to_do(asked: Served) -> None:
    """A sample of the details, word for word: what was seen, what the rule is, what to do."""
    answers: dict[str, httpx.Response] = {
        "there is no action 'z': the actions are a, b, c": asked.decide({"eligible_actions": ["z"]}),
        "the experiment 'e' has no decision 'x': decide first, or check the id": asked.record("x"),
        "there is no experiment 'x': create it with POST /v1/experiments": asked.get("/v1/experiments/x"),
    }
    assert {text: answer.json()["detail"] for text, answer in answers.items()} == {text: text for text in answers}
