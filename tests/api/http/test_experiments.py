"""Create, list, read, archive, health, documentation."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.served import ARMS, RANDOM, Served, assert_refused

from onearm.api.experiment.spec import INSIDE
from onearm.api.http.constraint_schemas import NewConstraints
from onearm.api.http.creation_schemas import NewPolicy, NewProblem, NewReward
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE
from onearm.policies import catalog

ASKED = {"kind": "queries", "task": "arms", "horizon": 60}


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("ucb1", {"name": "ucb1"}),
        ('ucb1:{"wait": 3}', {"name": "ucb1", "params": {"wait": 3}}),
        ('floor:{"policy": "exp3_ix"}', {"name": "floor", "params": {"policy": {"name": "exp3_ix"}}}),
    ],
)
def test_a_policy_may_be_named_as_in_python_and_on_the_command_line(
    served: Served, text: str, spec: dict[str, Any]
) -> None:
    created = served.create("named", policy=text)
    assert created.status_code == 201
    assert created.json()["policy"] == served.create("spelled", policy=spec).json()["policy"]
    for policy in (text, spec):
        assert served.create("named", policy=policy).status_code == 200
    assert_refused(served.create("named", policy="exp3_ix"), 409, "experiment_exists")


@pytest.mark.parametrize(
    ("policy", "code", "said"),
    [
        ("ucb", "unknown_policy", "there is no policy 'ucb': try ucb1"),
        ("", "unknown_policy", "there is no policy ''"),
        ("ucb1:{", "bad_params", 'write a policy as name or name:{"param": value}'),
        ("ucb1:3", "bad_spec", "they must be an object"),
        (None, "bad_spec", "policy is None"),
        (["ucb1"], "bad_spec", 'it must be {"name": ..., "params": {...}}'),
    ],
)
def test_what_names_no_policy_is_refused(standing: Served, policy: Any, code: str, said: str) -> None:
    assert said in assert_refused(standing.create("x", policy=policy), 422, code)["detail"]


@pytest.mark.usefixtures("empty_database")
def test_an_empty_database_gets_hello_and_any_other_does_not(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        assert [one["experiment_id"] for one in served.get("/v1/experiments").json()["experiments"]] == ["hello"]
        assert served.decide({}, "hello").json()["action_id"] in ("red", "blue")
        served.post("/v1/experiments/hello:archive")
        served.restart()
        assert len(served.store.experiments()) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"context": {"kind": "none"}}, "reward, seed; 'problem' has a field of that name"),
        ({"wait_time": "1m"}, "reward, seed; 'reward' has a field of that name"),
        ({"params": {"alpha": 1}}, "reward, seed; 'policy' has a field of that name"),
        ({"name": "shop"}, "'name': known are arms, constraints, experiment_id, policy, problem, reward, seed"),
    ],
)
def test_a_field_in_the_wrong_place_is_told_where_it_belongs(
    standing: Served, fields: dict[str, Any], said: str
) -> None:
    assert said in assert_refused(standing.create("x", **fields), 422, "unknown_field")["detail"]


def test_what_belongs_inside_of_a_field_is_what_the_schema_has_there() -> None:
    read = {"problem": NewProblem, "reward": NewReward, "constraints": NewConstraints, "policy": NewPolicy}
    assert {name: {*schema.__struct_fields__} - {"name"} for name, schema in read.items()} == INSIDE


def test_a_new_experiment_is_described_in_full(served: Served) -> None:
    answer = served.post("/v1/experiments", {"arms": [{"id": "x", "price": 3}], "policy": {"name": "ucb1"}})
    assert answer.status_code == 201
    found = answer.json()
    assert found.pop("created_at").endswith("+00:00")
    assert found == {
        "experiment_id": "e3",
        "problem": {"kind": "arms", "context": {"kind": "none"}},
        "policy": {"name": "ucb1", "params": {"alpha": 1.0, "wait": 0}},
        "arms": [{"id": "x", "price": 3}],
        "retired_arms": [],
        "seed": 0,
        "reward": {"range": [0.0, 1.0], "supposed": True},
        "archived": False,
        "decisions": 0,
        "rewards": 0,
        "pending": 0,
        "seq": 0,
        "digest": None,
    }
    read = served.get("/v1/experiments/e3").json()
    assert read | {"digest": None} == answer.json() and len(read["digest"]) == 64


def test_of_the_default_for_numbers_it_is_told_how_large_its_models_are(served: Served) -> None:
    problem = {"kind": "arms", "context": {"kind": "dense", "length": 3}}
    body = {"experiment_id": "size", "problem": problem, "arms": [{"id": str(a)} for a in range(200)]}
    answer = served.post("/v1/experiments", body)
    assert answer.json()["policy"]["params"]["policy"]["params"]["coordinates"] == 192
    found = served.get("/v1/experiments/size/diagnostics").json()
    assert found["constants"] == {
        "coordinates": {"value": 192.0, "source": "problem"},
        "model_bytes": {"value": 8.0 * 200 * (192 * 200 // 2 + 192), "source": "problem"},
    }
    assert served.post("/v1/experiments", body).status_code == 200, "what follows from the arms is the same again"


@pytest.mark.usefixtures("empty_database")
def test_the_same_spec_again_is_the_same_experiment(served: Served) -> None:
    for _ in range(2):
        again = served.create()
        assert (again.status_code, again.json()["experiment_id"]) == (200, "e")
        # Defaults spelled out are the same spec.
        assert served.create(problem={"kind": "arms", "context": {"kind": "none"}}).status_code == 200
        secret = [{**arm, "note": "a secret" if place else "another"} for place, arm in enumerate(ARMS)]
        for change, differs in (
            ({"seed": 6}, "seed is 5 there, sent was 6."),
            ({"arms": ARMS[:2]}, 'arms is ["a", "b", "c"] there, sent was ["a", "b"].'),
            ({"arms": secret}, 'arms is another description of "a" there, sent was this one.'),
            ({"policy": {"name": "uniform"}}, 'policy is "epsilon_greedy" there, sent was "uniform".'),
            ({"policy": RANDOM | {"params": {"epsilon": 0.25}}}, "policy.params.epsilon is 0.5 there, sent was 0.25."),
            ({"problem": {"horizon": 9}}, "problem.horizon is nothing there, sent was 9."),
            ({"reward": {"range": [0, 2]}}, 'reward is nothing there, sent was {"range": [0.0, 2.0]}.'),
        ):
            detail = assert_refused(served.create(**change), 409, "experiment_exists")["detail"]
            assert f"never changes: {differs} Send" in detail and "secret" not in detail, detail
        served.restart()
    assert len(served.store.experiments()) == 2


@pytest.mark.parametrize("seed", [0, 2**53, str(2**53 + 1), str(2**64 - 1), "7"])
def test_a_seed_keeps_all_its_digits(served: Served, seed: Any) -> None:
    answer = served.create("s", seed=seed)
    assert answer.status_code == 201
    assert int(answer.json()["seed"]) == int(seed)
    assert isinstance(answer.json()["seed"], str) == (int(seed) > 2**53)
    assert served.service.live("s").spec.seed == int(seed)
    served.restart()
    assert served.create("s", seed=seed).status_code == 200


@pytest.mark.usefixtures("empty_database")
def test_the_list_is_paged(served: Served) -> None:
    names = ["hello", "e", "ü&?", "b", "c"]
    for name in names[2:]:
        served.create(name)
    first = served.client.get("/v1/experiments", params={"limit": "3"}).json()
    assert [one["experiment_id"] for one in first["experiments"]] == names[:3] and first["next"] == "ü&?"
    second = served.client.get("/v1/experiments", params={"limit": "3", "after": first["next"]}).json()
    assert [one["experiment_id"] for one in second["experiments"]] == names[3:] and second["next"] is None
    exactly = served.client.get("/v1/experiments", params={"limit": "5"}).json()
    assert len(exactly["experiments"]) == 5 and exactly["next"] is None
    assert served.client.get("/v1/experiments", params={"after": "c"}).json() == {"experiments": [], "next": None}


def test_the_list_names_a_few_arms_of_each_and_how_many_there_are(served: Served) -> None:
    """One entry of 100,000 arms was 1.6 MB."""
    arms = [{"id": f"arm {number}", "text": "x" * 100} for number in range(2000)]
    served.create("many", arms=arms, policy={"name": "ucb1"})
    queries = [f"query {number}" for number in range(50)]
    served.create("asked", arms=[], policy={"name": "uniform_budget"}, problem=ASKED | {"queries": queries})
    served.create("in it", policy={"name": "adaptive", "params": {"policy": {"name": "ucb1"}}})
    served.post("/v1/experiments/e/arms", {"id": "d"})
    served.decide()
    answer = served.get("/v1/experiments")
    assert len(answer.content) < 2000
    listed = {one["experiment_id"]: one for one in answer.json()["experiments"]}
    told = {name: (one["kind"], one["policy"], one["arms"], one["n_arms"]) for name, one in listed.items()}
    assert told["many"] == ("arms", "ucb1", [arm["id"] for arm in arms[:5]], 2000)
    assert told["asked"] == ("queries", "uniform_budget", queries[:5], 50)
    assert told["in it"] == ("arms", "adaptive(ucb1)", ["a", "b", "c"], 3)
    assert told["e"] == ("arms", "epsilon_greedy", ["a", "b", "c", "d"], 4)
    whole = served.get("/v1/experiments/e").json()
    for name in ("created_at", "archived", "decisions", "rewards", "pending", "seq"):
        assert listed["e"][name] == whole[name]


def test_counters_follow_the_log(served: Served) -> None:
    for _ in range(3):
        served.decide()
    served.reward("~1", 1.0)
    for _ in range(2):
        found = served.get("/v1/experiments/e").json()
        assert [found[name] for name in ("decisions", "rewards", "pending", "seq")] == [3, 1, 2, 4]
        served.restart()


@pytest.mark.usefixtures("empty_database")
def test_archiving_closes_an_experiment(served: Served) -> None:
    served.decide()
    for _ in range(2):
        answer = served.post("/v1/experiments/e:archive")
        assert (answer.status_code, answer.json()["archived"], answer.json()["seq"]) == (200, True, 2)
        assert [event.kind for event in served.events()] == [0, CHANGE]
        assert_refused(served.decide(), 409, "archived")
        assert_refused(served.reward("~0", 1.0), 409, "archived")
        assert served.record("~0").json()["reward"] is None
        served.assert_consistent()
        served.restart()
    assert served.decide({}, "hello").status_code == 201


def test_health(served: Served) -> None:
    assert (served.get("/health/live").status_code, served.get("/health/live").json()) == (200, {"status": "alive"})
    assert (served.get("/health/ready").status_code, served.get("/health/ready").json()) == (200, {"status": "ready"})


@pytest.mark.usefixtures("empty_database")
def test_pages_ask_nobody_outside(served: Served) -> None:
    front = served.get("/")
    assert front.headers["content-type"] == "text/html; charset=utf-8"
    assert "hello" in front.text and "curl" in front.text
    docs = served.get("/docs")
    for page in (front, docs):
        assert page.status_code == 200
        for address in ("src=http", 'src="http', 'src="//', "cdn.", 'rel="stylesheet" href="http'):
            assert address not in page.text
    for file in ("swagger/swagger-ui-bundle.js", "swagger/swagger-ui.css", "favicon.svg"):
        assert f"/static/{file}" in docs.text and served.get(f"/static/{file}").status_code == 200


def test_the_front_page_names_the_policy_inside_a_wrapper(served: Served) -> None:
    served.create("kept", policy={"name": "floor", "params": {"policy": "exp3_ix", "minimum": 0.1}})
    page = served.get("/").text
    assert "<code>floor(exp3_ix)</code>" in page and "<code>epsilon_greedy</code>" in page


@pytest.mark.usefixtures("empty_database")
@pytest.mark.parametrize("experiment_id", ["a b", "a?b", "a#b", "50%", "caf\u00e9", "a&b:c"])
def test_links_of_the_front_page_lead_to_their_experiments(served: Served, experiment_id: str) -> None:
    served.post("/v1/experiments/e:archive")
    assert served.create(experiment_id).status_code == 201
    links = re.findall('href="(/experiments/[^"]*)"', served.get("/").text)
    titles = [re.findall("<h1>(.*)</h1>", served.get(html.unescape(link)).text)[0] for link in links]
    assert sorted(map(html.unescape, titles)) == sorted(["hello", "e", experiment_id])


def test_names_are_escaped_on_the_front_page(served: Served) -> None:
    name = "<script>alert(1)<\\script>"
    assert served.create(name).status_code == 201
    assert "<script>alert" not in served.get("/").text and "&lt;script&gt;alert" in served.get("/").text


POLICY_FILE = """
from onearm.engine.vocabulary import Policy
from onearm.policies.arms.ucb1 import Ucb1Params, init

def mine():
    return Policy("mine", Ucb1Params(2.0), init)
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Load a policy file, and return what makes it missing again."""
    monkeypatch.setattr(catalog, "_outside", dict(catalog._outside))
    file = tmp_path / "mine.py"
    file.write_text(POLICY_FILE)
    catalog.add_file(file)
    return lambda: catalog._outside.clear()


def test_a_missing_policy_file_closes_only_its_experiment(
    tmp_path: Path, mine: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    with Served(tmp_path) as served:
        served.create("ours", policy={"name": "mine"})
        served.create("other")
        served.decide({"decision_id": "d"}, "ours")
        before = served.everything()
        served.stop()
        mine()
        served.start()
        for answer in (
            served.decide({}, "ours"),
            served.reward("d", 1.0, "ours"),
            served.get("/v1/experiments/ours"),
            served.record("d", "ours"),
            served.post("/v1/experiments/ours:archive"),
            served.create("ours", policy=RANDOM),
        ):
            detail = assert_refused(answer, 503, "cannot_open")["detail"]
            assert "'ours' cannot be opened: there is no policy 'mine'" in detail
        assert "experiment 'ours' cannot be opened: there is no policy 'mine'" in caplog.text
        assert served.everything() == before
        assert served.get("/health/ready").status_code == 200
        assert served.decide({}, "other").status_code == 201
        assert served.post("/v1/experiments", {"arms": ARMS, "policy": RANDOM}).json()["experiment_id"] == "e4"


def test_a_database_of_which_nothing_can_be_opened_still_starts(tmp_path: Path, mine: Callable[[], None]) -> None:
    with Served(tmp_path) as served:
        served.stop()
        spec = {"experiment_id": "hello", "arms": ARMS, "policy": {"name": "mine", "params": {}}, "seed": 0}
        served.url = f"sqlite:///{tmp_path}/other.db"
        mine()
        store = Store.open(served.url)
        store.add_experiment("hello", json.dumps(spec), b"", "{}", 0)
        store.close()
        served.start()
        assert served.get("/v1/experiments").json() == {"experiments": [], "next": None}
        assert_refused(served.decide({}, "hello"), 503, "cannot_open")
        assert served.create("e").status_code == 201


def test_experiments_without_an_id_get_different_ones(served: Served) -> None:
    async def create() -> list[httpx.Response]:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            body = {"arms": ARMS, "policy": RANDOM}
            return await asyncio.gather(*(client.post("/v1/experiments", json=body) for _ in range(4)))

    assert served.client.portal is not None
    answers = served.client.portal.call(create)
    assert [answer.status_code for answer in answers] == [201] * 4
    assert {answer.json()["experiment_id"] for answer in answers} == {"e3", "e4", "e5", "e6"}
    assert served.post("/v1/experiments", {"arms": []}).status_code == 422
    assert served.post("/v1/experiments", {"arms": ARMS}).json()["experiment_id"] == "e7"


def test_nothing_is_kept_of_creations_that_are_over(served: Served) -> None:
    """Each id that anybody had asked for kept a lock for good."""
    for i in range(3):
        assert served.create(f"x{i}").status_code == 201
        assert served.create(f"x{i}", seed=6).status_code == 409
    assert len(served.service._creating) == 0
