"""Personalizer's wire: what its clients send, byte for byte, and what they read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.curled import answers
from support.keyed import Keyed
from support.served import Served, log_of
from support.windowed import Windowed

from onearm.api.cli.verify import has_fault, verified
from onearm.api.http.personalizer.calls import TABLE, Wire
from onearm.engine.vocabulary import LEARN

OLD, NEW = "/personalizer/v1.0", "/personalizer"
VERSION = "api-version=2022-09-01-preview"
CONTEXT = [{"user": {"age": 31, "tags": ["new", "vip"]}}, {"time": {"hour": 9}}]
TWO = [{"id": "soup", "features": [{"warm": True}]}, {"id": "salad", "features": [{"price": 3.5}, {"from": {"eu": 1}}]}]
SLOTS = [
    {"id": "top", "baselineAction": "a", "features": [{"size": "large"}], "excludedActions": ["c"]},
    {"id": "bottom", "baselineAction": "b"},
]
SHELF = {"contextFeatures": CONTEXT, "actions": [{"id": a, "features": [{"x": i}]} for i, a in enumerate("abcd")]}


def old_rank(n: int = 2, **fields: Any) -> bytes:
    """Return the body that azure-cognitiveservices-personalizer sends, spaces and order of fields and all."""
    actions = TWO if n == 2 else [{"id": f"meal-{a}", "features": [{"price": a}]} for a in range(n)]
    body = {"contextFeatures": CONTEXT, "actions": actions, **fields}
    return json.dumps(body | {"deferActivation": fields.get("deferActivation", False)}).encode()


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windowed]:
    with Windowed(tmp_path_factory.mktemp("wire"), wire=Wire()) as served:
        yield served


def post(served: Served, path: str, body: Any = b"", **headers: str) -> httpx.Response:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json; charset=utf-8", "Accept": "application/json"}
    return served.client.post(path, content=sent, headers=kind | headers)


def ask(served: Served, method: str, call: str, body: Any = None) -> httpx.Response:
    path = call if call.startswith("/") else f"{NEW}/{call}"
    return served.client.request(method, f"{path}?{VERSION}", content=None if body is None else json.dumps(body))


def refused(answer: httpx.Response, status: int, code: str, inner: str) -> str:
    """Check that an answer is an error as the clients read it; return what it says."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    error = answer.json()["error"]
    assert (error["code"], error["innerError"]["code"]) == (code, inner), error
    message: str = error["message"]
    return message


def test_without_the_option_there_are_no_such_paths(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        for method, path, _, _ in TABLE:
            assert served.client.request(method, f"{NEW}/{path.format('1')}").status_code == 404
        assert served.client.post(f"{OLD}/rank", content=old_rank()).status_code == 404


def test_a_rank_makes_the_experiment_and_has_the_propensity_of_the_log(wired: Windowed) -> None:
    told = post(wired, f"{OLD}/rank", old_rank(50, eventId="fifty", excludedActions=["meal-0"]))
    assert told.status_code == 201, told.text
    found = told.json()
    assert set(found) == {"ranking", "eventId", "rewardActionId"} and found["eventId"] == "fifty"
    probabilities = {one["id"]: one["probability"] for one in found["ranking"]}
    assert set(probabilities) == {f"meal-{a}" for a in range(50)} and probabilities["meal-0"] == 0.0
    assert sum(probabilities.values()) == pytest.approx(1.0)
    assert found["ranking"][0]["id"] == found["rewardActionId"]
    record = wired.record("fifty", "personalizer").json()
    assert record["action_id"] == found["rewardActionId"]
    assert record["propensity"] == probabilities[found["rewardActionId"]]
    assert record["sent"]["baseline_action"] == "meal-1", "the first that is not excluded"


@pytest.mark.parametrize("base", [f"{OLD}/rank", f"{NEW}/rank?{VERSION}", f"/x/personalizer{OLD}/rank"])
def test_the_same_event_has_the_same_answer_whatever_was_learned_meanwhile(wired: Windowed, base: str) -> None:
    event = f"again {base}"
    first = post(wired, base, old_rank(eventId=event))
    assert first.status_code == 201
    post(wired, f"{OLD}/events/{event.replace('/', '%2F').replace('?', '%3F')}/reward", {"value": 1})
    wired.pass_time(601)
    assert post(wired, base, old_rank(eventId=event)).json() == first.json()
    assert post(wired, base, old_rank(eventId=event)).status_code == 201
    refused(post(wired, base, old_rank(50, eventId=event)), 409, "409", "decision_exists")


def test_without_an_event_id_the_service_gives_one_that_rewards_find(wired: Windowed) -> None:
    made = post(wired, f"{OLD}/rank", old_rank()).json()
    answer = post(wired, f"{OLD}/events/{made['eventId']}/reward", b'{"value": 0.5}')
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    wired.pass_time(601)
    assert wired.record(made["eventId"], "personalizer").json()["reward"]["value"] == 0.5


def test_the_earliest_reward_counts_silence_is_0_and_one_that_is_late_is_taken_and_not_learned(wired: Windowed) -> None:
    for event in ("two rewards", "silent"):
        post(wired, f"{OLD}/rank", old_rank(eventId=event))
    for value in (0.25, 0.75):
        assert post(wired, f"{OLD}/events/two rewards/reward", {"value": value}).status_code == 204
    assert post(wired, f"{OLD}/events/early/reward", {"value": -1}).status_code == 204
    post(wired, f"{OLD}/rank", old_rank(eventId="early"))
    wired.pass_time(601)
    assert post(wired, f"{OLD}/events/silent/reward", {"value": 1}).status_code == 204
    learned = {one: wired.record(one, "personalizer").json()["reward"]["value"] for one in ("two rewards", "silent")}
    assert learned == {"two rewards": 0.25, "silent": 0.0}
    assert wired.record("early", "personalizer").json()["reward"]["value"] == -1.0
    assert len(wired.record("two rewards", "personalizer").json()["outcomes"]) == 2


@pytest.mark.parametrize("body", [b'{"value": 1.5}', b'{"value": "1"}', b"{}", b"[", b'{"value": 1, "x": 2}'])
def test_a_reward_that_is_none_is_refused_with_400(wired: Windowed, body: bytes) -> None:
    event = post(wired, f"{OLD}/rank", old_rank()).json()["eventId"]
    answer = post(wired, f"{OLD}/events/{event}/reward", body)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "BadRequest", answer.text


def test_what_is_never_activated_is_not_learned_and_activation_says_nothing_new_of_the_others(wired: Windowed) -> None:
    for event in ("shown", "not shown"):
        post(wired, f"{OLD}/rank", old_rank(eventId=event, deferActivation=True))
        post(wired, f"{OLD}/events/{event}/reward", {"value": 1})
    post(wired, f"{OLD}/rank", old_rank(eventId="at once"))
    for event in ("shown", "shown", "at once"):
        assert post(wired, f"{OLD}/events/{event}/activate").status_code == 204
    refused(post(wired, f"{OLD}/events/nobody's/activate"), 404, "ResourceNotFound", "unknown_decision")
    wired.pass_time(1201)
    assert wired.record("shown", "personalizer").json()["reward"]["value"] == 1.0
    assert wired.record("not shown", "personalizer").json()["reward"] is None


def test_a_configuration_before_the_first_rank_makes_the_experiment(wired: Windowed) -> None:
    there = "/x/configured/personalizer/configurations/service"
    said = {"rewardWaitTime": "PT5M", "defaultReward": -0.5, "rewardAggregation": "sum", "explorationPercentage": 0.2}
    made = ask(wired, "PUT", there, said | {"learningMode": "Online", "modelExportFrequency": "PT0S"})
    assert made.status_code == 200 and said.items() <= made.json().items(), made.text
    assert ask(wired, "GET", there).json() == made.json()
    assert ask(wired, "PUT", there, made.json()).json() == made.json(), "what is read may be written"
    refused(ask(wired, "PUT", there, {"rewardWaitTime": "PT6M"}), 409, "409", "experiment_exists")
    refused(ask(wired, "PUT", there, {"rewardWaitTime": "soon"}), 400, "BadRequest", "bad_window")
    for later in ({"modelExportFrequency": "PT5M"}, {"learningMode": "LoggingOnly"}, {"logRetentionDays": 90}):
        assert next(iter(later)) in refused(ask(wired, "PUT", there, later), 501, "NotImplemented", "not_built")


def test_each_reward_counts_once_by_the_name_of_its_request(wired: Windowed) -> None:
    ask(wired, "PUT", "/x/summed/personalizer/configurations/service", {"rewardAggregation": "sum"})
    post(wired, f"/x/summed{NEW}/rank", old_rank(eventId="sum"))
    for request in ("one", "one", "two"):
        post(wired, f"/x/summed{NEW}/events/sum/reward", {"value": 0.25}, **{"x-ms-client-request-id": request})
    post(wired, f"/x/summed{NEW}/events/sum/reward", {"value": 0.25})
    wired.pass_time(601)
    assert wired.record("sum", "summed").json()["reward"]["value"] == 0.75


def test_an_apprentice_shows_the_clients_own_action_and_is_taught_to(wired: Windowed) -> None:
    service = "/x/taught/personalizer/configurations/service"
    assert ask(wired, "PUT", service, {"learningMode": "Apprentice"}).json()["learningMode"] == "Apprentice"
    for event in range(40):
        body = old_rank(eventId=f"{event}", excludedActions=[])
        shown = post(wired, f"/x/taught{NEW}/rank", body).json()
        assert shown["rewardActionId"] == "soup", "the first"
        assert [one["probability"] for one in shown["ranking"]] == [1.0, 0.0]
        post(wired, f"/x/taught{NEW}/events/{event}/reward", {"value": -1})
        wired.pass_time(601)
    assert ask(wired, "PUT", service, {"learningMode": "Online"}).json()["learningMode"] == "Online"
    free = [post(wired, f"/x/taught{NEW}/rank", old_rank(eventId=f"free {n}")).json() for n in range(20)]
    assert sum(one["rewardActionId"] == "soup" for one in free) > 14, "whatever that earned"
    assert post(wired, f"/x/taught{NEW}/rank", body).json() == shown
    assert wired.record("39", "taught").json()["given"] is True


def test_slots_get_actions_of_their_own_and_rewards_of_their_own(wired: Windowed) -> None:
    body = SHELF | {"slots": SLOTS, "eventId": "shelf"}
    made = post(wired, f"{NEW}/multislot/rank?{VERSION}", body)
    assert made.status_code == 201, made.text
    found = made.json()
    assert [slot["id"] for slot in found["slots"]] == ["top", "bottom"]
    top, bottom = (slot["rewardActionId"] for slot in found["slots"])
    assert top != bottom and top != "c"
    assert post(wired, f"{NEW}/multislot/rank?{VERSION}", body).json() == found
    told = {"reward": [{"slotId": "bottom", "value": 1.0}]}
    assert post(wired, f"{NEW}/multislot/events/shelf/reward?{VERSION}", told).status_code == 204
    wired.pass_time(601)
    slots = wired.record("shelf", "personalizer-multislot").json()["slots"]
    assert [(slot["slot_id"], slot["reward"]["value"]) for slot in slots] == [("top", 0.0), ("bottom", 1.0)]
    post(wired, f"{NEW}/multislot/rank?{VERSION}", body | {"eventId": "later", "deferActivation": True})
    assert post(wired, f"{NEW}/multislot/events/later/activate?{VERSION}").status_code == 204


@pytest.mark.parametrize("baseline", ["nobody", "c", "b"])
def test_slots_need_baseline_actions_of_their_own(wired: Windowed, baseline: str) -> None:
    slots = [SLOTS[0] | {"baselineAction": baseline}, SLOTS[1]]
    answer = post(wired, f"{NEW}/multislot/rank", SHELF | {"slots": slots[::-1]})
    refused(answer, 400, "BadRequest", "bad_baseline")


def test_another_policy_decides_and_the_first_one_comes_back(wired: Windowed) -> None:
    post(wired, f"{OLD}/rank", old_rank())
    first = ask(wired, "GET", "configurations/policy").json()
    assert first["name"] == "adaptive" and json.loads(first["arguments"])["policy"]["name"] == "fourier_softmax"
    other = ask(wired, "PUT", "configurations/policy", {"name": "squarecb", "arguments": "{}"}).json()
    assert other["name"] == "squarecb"
    assert ask(wired, "DELETE", "configurations/policy").json() == first
    vw = {"name": "app1", "arguments": "--cb_explore_adf --epsilon 0.2 --power_t 0 -l 0.001"}
    assert "Vowpal Wabbit" in refused(
        ask(wired, "PUT", "configurations/policy", vw), 501, "NotImplemented", "not_built"
    )


@pytest.mark.parametrize("mode", ["Online", "Apprentice"])
def test_the_same_policy_again_keeps_what_was_learned_and_the_mode(wired: Windowed, mode: str) -> None:
    name = f"kept-{mode.lower()}"
    there, policy = f"/x/{name}{NEW}/configurations", {"name": "squarecb", "arguments": "{}"}
    ask(wired, "PUT", f"{there}/service", {"learningMode": mode})
    first = ask(wired, "GET", f"{there}/policy").json()
    told = [ask(wired, "PUT", f"{there}/policy", policy).json() for _ in range(2)]
    assert told[0] == told[1] and told[0]["name"] == "squarecb"
    ask(wired, "PUT", f"{there}/policy", told[0])
    assert len(wired.get(f"/v1/experiments/{name}/policies").json()["policies"]) == 2
    assert ask(wired, "GET", f"{there}/service").json()["learningMode"] == mode
    assert ask(wired, "DELETE", f"{there}/policy").json() == first
    assert ask(wired, "GET", f"{there}/service").json()["learningMode"] == mode


def test_with_another_policy_and_a_canary_the_configuration_is_what_was_put(wired: Windowed) -> None:
    there = f"/x/tried{NEW}/configurations"
    made = ask(wired, "PUT", f"{there}/service", {"explorationPercentage": 0.2, "rewardWaitTime": "PT5M"}).json()
    put = ask(wired, "PUT", f"{there}/policy", {"name": "linear_greedy", "arguments": '{"epsilon": 0.5}'}).json()
    canary = {"policy": "squarecb", "role": "canary", "share": 0.1}
    assert wired.post("/v1/experiments/tried/policies", canary).status_code == 201
    assert ask(wired, "GET", f"{there}/policy").json() == put and put["name"] == "linear_greedy"
    again = ask(wired, "PUT", f"{there}/service", made)
    assert (again.status_code, again.json()) == (200, made)


def test_the_model_is_what_the_experiment_tells_the_digest_of(wired: Windowed) -> None:
    post(wired, f"{OLD}/rank", old_rank())
    model = ask(wired, "GET", "model")
    assert model.headers["content-type"] == "application/octet-stream"
    assert hashlib.sha256(model.content).hexdigest() == wired.digest("personalizer")
    times = ask(wired, "GET", "model/properties").json()
    dates = ask(wired, "GET", "logs/properties").json()["dateRange"]
    assert times["creationTime"] <= dates["from"] <= dates["to"] == times["lastModifiedTime"]
    assert ask(wired, "GET", "status").json()["apiStatus"] == "Valid"


@pytest.mark.parametrize(
    ("method", "call", "named"),
    [
        ("GET", "featureImportances", "feature importance"),
        ("PUT", "featureImportances/one", "feature importance"),
        ("GET", "evaluations/one", "evaluation"),
        ("POST", "configurations/applyFromEvaluation", "evaluation"),
        ("PUT", "model", "import of a model"),
        ("DELETE", "logs", "deletion of a log"),
    ],
)
def test_what_is_not_built_says_so_by_name(wired: Windowed, method: str, call: str, named: str) -> None:
    assert named in refused(ask(wired, method, call), 501, "NotImplemented", "not_built")


def test_what_is_no_call_or_no_version_is_refused(wired: Windowed) -> None:
    refused(ask(wired, "GET", "ranks"), 404, "ResourceNotFound", "no_such_path")
    refused(ask(wired, "GET", "rank"), 405, "405", "method_not_allowed")
    refused(post(wired, f"{NEW}/rank?api-version=2030-01-01", old_rank()), 400, "BadRequest", "bad_version")
    refused(post(wired, f"/x/nowhere{OLD}/rank", old_rank()), 404, "ResourceNotFound", "unknown_experiment")
    refused(post(wired, f"{OLD}/rank", {"actions": TWO, "userId": 7}), 400, "BadRequest", "bad_body")
    refused(post(wired, f"{OLD}/rank", {"actions": []}), 400, "BadRequest", "no_actions")


def test_an_experiment_of_ones_own_is_ranked_by_its_endpoint(wired: Windowed) -> None:
    problem = {"context": {"kind": "features"}, "actions": {"kind": "listed"}}
    wired.create("meals", arms=[], problem=problem, policy={"name": "squarecb"})
    made = post(wired, f"/x/meals{OLD}/rank", old_rank(eventId="own")).json()
    assert post(wired, f"/x/meals{OLD}/events/own/reward", {"value": 7}).status_code == 204
    assert post(wired, f"/x/meals{OLD}/events/own/reward", {"value": 7}).status_code == 204, "it waits for nothing"
    refused(post(wired, f"/x/meals{OLD}/events/own/reward", {"value": 8}), 409, "409", "reward_exists")
    record = wired.record("own", "meals").json()
    assert (record["action_id"], record["reward"]["value"]) == (made["rewardActionId"], 7.0)


def test_all_that_was_logged_verifies(wired: Windowed) -> None:
    post(wired, f"{OLD}/rank", old_rank())
    wired.close_due()
    assert [event for event in log_of(wired.store, "personalizer")[1] if event.kind == LEARN]
    assert not any(map(has_fault, verified(wired.url)))


def test_a_subscription_key_is_a_key_of_ours(tmp_path: Path) -> None:
    with Keyed(tmp_path, options={"wire": Wire()}) as keyed:
        with httpx.Client(base_url=keyed.url) as client:
            assert refused(client.post(f"{OLD}/rank", content=old_rank()), 401, "401", "key_needed")
            wrong = {"Ocp-Apim-Subscription-Key": "oa_wrong"}
            refused(client.post(f"{OLD}/rank", content=old_rank(), headers=wrong), 401, "401", "invalid_key")
            shop = {"Ocp-Apim-Subscription-Key": keyed.key("write", "read", tenant="shop")}
            made = client.post(f"{OLD}/rank", content=old_rank(eventId="1"), headers=shop)
            assert made.status_code == 201 and "content-length" in made.headers
            assert client.post(f"{OLD}/events/1/reward", json={"value": 1}, headers=shop).status_code == 204
            body = {"learningMode": "Apprentice"}
            told = client.put(f"{NEW}/configurations/service", json=body, headers=shop)
            refused(told, 403, "403", "role_needed")
            news = {"Ocp-Apim-Subscription-Key": keyed.key("write", tenant="news")}
            refused(
                client.post(f"{OLD}/events/1/activate", headers=news), 404, "ResourceNotFound", "unknown_experiment"
            )
        deeds = keyed.operator.get("/v1/audit").json()["deeds"]
        assert "~shop~personalizer" in [one["subject"] for one in deeds if one["action"] == "experiments.create"]


def test_the_calls_of_the_page_are_answered(tmp_path: Path) -> None:
    with Served(tmp_path, wire=Wire()) as served:
        ranked, rewarded, put, told = answers(served, "from-personalizer.md")
        assert (ranked.status_code, rewarded.status_code) == (201, 204)
        assert told.json() == put.json() and put.json()["learningMode"] == "Apprentice"


def test_a_rank_has_its_answer_after_a_compaction_too(tmp_path: Path) -> None:
    with Served(tmp_path, wire=Wire()) as served:
        problem = {"context": {"kind": "features"}, "actions": {"kind": "listed"}}
        served.create("meals", arms=[], problem=problem, policy={"name": "squarecb"})
        first = post(served, f"/x/meals{OLD}/rank", old_rank(eventId="1")).json()
        post(served, f"/x/meals{OLD}/events/1/reward", {"value": 1})
        post(served, f"/x/meals{OLD}/rank", old_rank(eventId="2"))
        assert served.post("/v1/experiments/meals:compact", {"archive": False}).status_code == 200
        served.restart()
        again = post(served, f"/x/meals{OLD}/rank", old_rank(eventId="1")).json()
        assert again == first
        assert served.get("/metrics").text.count("/personalizer/rank") > 0
