"""Ids may have slashes, as models do: every route finds by the percent-encoded id what bears it, and no other."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from support.every_run import every_run
from support.served import Served, assert_refused

from onearm.api.experiment.ids import in_url

LLAMA, QWEN = "meta-llama/llama-3", "qwen/qwen-2:7b"
IDS = [
    LLAMA,
    "/",
    "a/",
    "/a",
    "https://example.com/a?b=c#d",
    "a%2Fb",
    "a%252Fb",
    "%2e",
    "50%/off",
    "x/decisions",
    "x:archive/y",
    "caf\u00e9/\u00fc",
]


@pytest.fixture
def hub(served: Served) -> Iterator[Served]:
    """Yield a service with an experiment of each id, and of what they would be if their slashes were decoded."""
    arms = [{"id": label} for label in (LLAMA, QWEN, "meta-llama", "llama-3")]
    for experiment_id in (*IDS, "a/b", "x", "a", "meta-llama"):
        assert served.create(experiment_id, arms=arms).status_code == 201
    yield served


def at(experiment_id: str, rest: str = "") -> str:
    return f"/v1/experiments/{in_url(experiment_id)}{rest}"


@pytest.mark.parametrize("experiment_id", every_run(IDS, IDS[::3]))
def test_every_route_finds_the_experiment(hub: Served, experiment_id: str) -> None:
    def is_there(found: Any) -> None:
        assert (found["experiment_id"], found["decisions"]) == (experiment_id, 2)

    decided = hub.post(at(experiment_id, "/decisions"), {"decision_id": "d"})
    assert decided.status_code == 201
    assert hub.post(at(experiment_id, "/decisions:batch"), {"decisions": [{}]}).status_code == 200
    assert hub.post(at(experiment_id, "/decisions/d/reward"), {"value": 1.0}).json() == {"status": "accepted"}
    assert hub.get(at(experiment_id, "/decisions/d")).json()["reward"]["value"] == 1.0
    rewards = {"rewards": [{"decision_id": "~1", "value": 1.0}]}
    assert hub.post(at(experiment_id, "/rewards:batch"), rewards).json()["rewards"] == [{"status": "accepted"}]
    is_there(hub.get(at(experiment_id)).json())
    for path in ("/report", "/diagnostics"):
        assert hub.get(at(experiment_id, path)).status_code == 200
    assert_refused(hub.get(at(experiment_id, "/recommendation")), 422, "no_stream")
    for path in (":commit", "/arms:close"):
        assert_refused(hub.post(at(experiment_id, path)), 422, "no_stream")
    example = {"action_id": QWEN, "value": 1.0, "propensity": 0.5}
    learned = hub.post(at(experiment_id, "/examples:batch"), {"examples": [example]})
    assert learned.json()["examples"][0]["status"] == "accepted"
    assert hub.post(at(experiment_id, "/arms"), {"id": "new/arm"}).json() == {"arm_id": "new/arm", "retired": False}
    assert hub.post(at(experiment_id, ":archive")).json()["archived"]
    touched = [one for one in hub.get("/v1/experiments").json()["experiments"] if one["decisions"] or one["archived"]]
    assert [one["experiment_id"] for one in touched] == [experiment_id]


@pytest.mark.parametrize("arm_id", every_run(IDS, IDS[1::3]))
def test_arms_are_retired_by_their_encoded_ids(served: Served, arm_id: str) -> None:
    arms = [{"id": label} for label in (*IDS, "a/b", "a", "b")]
    assert served.create(LLAMA, arms=arms).status_code == 201
    answer = served.post(at(LLAMA, f"/arms/{in_url(arm_id)}:retire"))
    assert answer.json() == {"arm_id": arm_id, "retired": True}
    assert served.get(at(LLAMA)).json()["retired_arms"] == [arm_id]
    eligible = served.post(at(LLAMA, "/decisions"), {"eligible_actions": [arm_id, "a/b"]})
    assert eligible.json()["action_id"] == "a/b"


@pytest.mark.parametrize("decision_id", every_run(IDS, IDS[2::3]))
def test_decisions_are_found_by_their_encoded_ids(served: Served, decision_id: str) -> None:
    for label in {decision_id, "a/b", "a", "b"}:
        assert served.decide({"decision_id": label}).json()["decision_id"] == label
    assert served.reward(in_url(decision_id), 1.0).json() == {"status": "accepted"}
    assert served.record(in_url(decision_id)).json()["decision_id"] == decision_id
    for label in {"a/b", "a", "b"} - {decision_id}:
        assert served.record(in_url(label)).json()["reward"] is None


def test_a_slash_that_is_not_encoded_ends_the_id(hub: Served) -> None:
    assert_refused(hub.get(f"/v1/experiments/{LLAMA}"), 404, "no_such_path")
    assert_refused(hub.post("/v1/experiments/e/arms/a/b:retire"), 404, "no_such_path")
    hub.post("/v1/experiments/x/decisions")
    assert hub.get(at("x")).json()["decisions"] == 1
    assert hub.get(at("x/decisions")).json()["decisions"] == 0


def test_small_letters_and_other_encoded_characters_are_the_same_path(hub: Served) -> None:
    for path in (
        "/v1/experiments/meta-llama%2fllama-3",
        "/v1/experiments/meta%2Dllama%2Fllama%2D3",
        "/v1/%65xperiments/meta-llama%2Fllama-3",
    ):
        assert hub.get(path).json()["experiment_id"] == LLAMA
    assert hub.post("/v1/experiments/meta-llama%2Fllama-3%3Aarchive").json()["archived"]
    assert_refused(hub.get("/v1/experiments/%%32F"), 404, "unknown_experiment")  # %2F, which nothing bears


def test_pages_and_lists_lead_to_such_ids(hub: Served) -> None:
    links = list(map(html.unescape, re.findall('href="(/experiments/[^"]*)"', hub.get("/").text)))
    titles = [re.search("<h1[^>]*>(.*?)</h1>", hub.get(link).text, re.DOTALL) for link in links]
    assert {html.unescape(title[1].strip()) for title in titles if title is not None} >= set(IDS)
    listed, after = [], ""
    while after is not None:
        page = hub.get(f"/v1/experiments?limit=3&after={quote(after, safe='')}").json()
        listed += [one["experiment_id"] for one in page["experiments"]]
        after = page["next"]
    assert set(listed) >= set(IDS) and len(listed) == len(set(listed))


def test_a_path_with_a_slash_at_its_end_is_no_path(hub: Served) -> None:
    """It led to whatever host a request named."""
    assert_refused(hub.client.get(at(LLAMA, "/"), follow_redirects=False), 404, "no_such_path")


def test_queries_and_streams_may_have_such_ids(served: Served) -> None:
    stream = {"kind": "arm_stream"}
    assert served.create("s/1", arms=[], problem=stream, policy={"name": "early_drop"}).status_code == 201
    assert served.post(at("s/1", "/arms"), {"id": LLAMA}).json() == {"arm_id": LLAMA, "number": 0}
    assert served.post(at("s/1", "/decisions")).json()["arm_id"] == LLAMA
    assert served.get(at("s/1", "/recommendation")).json()["arm_id"] == LLAMA
    queries = {"kind": "queries", "task": "arms", "queries": [LLAMA, QWEN], "horizon": 2}
    assert served.create("q/1", arms=[], problem=queries, policy={"name": "uniform_budget"}).status_code == 201
    assert served.post(at("q/1", "/decisions")).json()["query_id"] in (LLAMA, QWEN)
    assert served.post(at("q/1", f"/arms/{in_url(QWEN)}:retire")).json() == {"arm_id": QWEN, "retired": True}


def test_ids_of_listed_actions_and_of_rewards_may_have_slashes_too(served: Served) -> None:
    listed = {"actions": {"kind": "listed", "length": 1}}
    assert served.create("l", arms=[], problem=listed, policy={"name": "linear_greedy"}).status_code == 201
    body = {"actions": [{"id": LLAMA, "features": [1.0]}]}
    assert served.decide(body, "l").json()["action_id"] == LLAMA
    assert served.reward("~0", {"value": 1.0, "reward_id": "r/1"}, "l").json() == {"status": "accepted"}


def test_decisions_are_found_again_after_a_restart(hub: Served) -> None:
    hub.post(at(LLAMA, "/decisions"), {"decision_id": "a/b"})
    hub.restart()
    assert hub.get(at(LLAMA, "/decisions/a%2Fb")).json()["decision_id"] == "a/b"
