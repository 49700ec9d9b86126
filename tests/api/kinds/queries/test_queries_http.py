"""Queries over HTTP: budgets, answers, recommendations; every refusal, every retry, the log and a restart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from support.served import Served, assert_problem, assert_refused, assert_sound
from support.small_artefacts import flat_artefact, table_artefact

import onearm
from onearm.api.cli.main import run
from onearm.api.experiment.spec import Spec
from onearm.api.kinds.queries.recommendation import SOLVED, SOUGHT
from onearm.api.service.live import Live
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.tables import SNAPSHOT
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN
from onearm.policies import artefacts

ANIMALS = [
    {"id": "cat", "answers": [1, 0, 1]},
    {"id": "cow", "answers": [0, 0, 1]},
    {"id": "bat", "answers": [1, 1, 0]},
]
TASK = {"task": "hypotheses", "queries": ["purrs?", "flies?", "walks?"], "hypotheses": ANIMALS}
BUDGET = 8
UNIFORM = {"name": "uniform_budget", "params": {}}
DECISIONS = "/v1/experiments/q/decisions"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service with the experiment `q`: which animal is it, by eight answers of -1 or 1?"""
    with Served(tmp_path) as served:
        assert create(served).status_code == 201
        yield served


@pytest.fixture
def small_artefacts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put artefacts of random weights into the registry, and nothing else."""
    monkeypatch.setattr(artefacts, "_found", {})
    monkeypatch.setattr(artefacts, "_read", True)
    artefacts.add(flat_artefact())
    artefacts.add(table_artefact())


def create(served: Served, experiment_id: str = "q", policy: Any = UNIFORM, **problem: Any) -> httpx.Response:
    asked = {"kind": "queries", "horizon": BUDGET} | (problem or TASK)
    body = {"experiment_id": experiment_id, "problem": asked, "seed": 5}
    return served.post("/v1/experiments", body | ({} if policy is None else {"policy": policy}))


def ask(served: Served, experiment_id: str = "q", **body: Any) -> dict[str, Any]:
    answer = served.decide(body, experiment_id)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def of_cat(made: dict[str, Any]) -> int:
    """Return what is answered about a cat."""
    return 2 * ANIMALS[0]["answers"][TASK["queries"].index(made["query_id"])] - 1  # type: ignore[index, union-attr]


def walk(served: Served, n: int, start: int = 0) -> list[str]:
    """Ask n times, and return the queries; every third is never answered."""
    asked = []
    for t in range(start, start + n):
        made = ask(served, decision_id=f"d{t}")
        asked.append(made["query_id"])
        if t % 3 < 2:
            assert served.reward(f"d{t}", of_cat(made), "q").json() == {"status": "accepted"}
    return asked


def recommendation(served: Served, experiment_id: str = "q") -> dict[str, Any]:
    before = served.everything()
    found = served.get(f"/v1/experiments/{experiment_id}/recommendation")
    assert found.status_code == 200, found.text
    assert served.everything() == before, "it only reads"
    told: dict[str, Any] = found.json()
    return told


def live(served: Served, experiment_id: str = "q") -> Live:
    return served.service.live(experiment_id)


def assert_counted(served: Served) -> None:
    """Check that the state has counted what is in the log, queries asked and answers, by another hand."""
    events = served.events("q")
    assert_sound(events)
    asked, answers = np.zeros(3, np.int64), [[] for _ in range(3)]  # type: ignore[var-annotated]
    for event in events:
        if event.kind == DECIDE:
            asked[event.action] += 1
        elif event.kind == LEARN:
            assert event.action is not None and event.reward == 0.0
            answers[event.action] += json.loads(event.detail or "")
    evidence = live(served).state.evidence
    assert evidence.asked.tolist() == asked.tolist()
    assert evidence.count.tolist() == [len(some) for some in answers]
    assert evidence.total.tolist() == [sum(some) for some in answers]


def test_the_service_decides_as_the_python_door(served: Served) -> None:
    engine = onearm.open("uniform_budget", task=TASK, horizon=BUDGET, seed=5)
    for t, query_id in enumerate(walk(served, BUDGET)):
        query = engine.ask()
        assert query.query_id == query_id
        if t % 3 < 2:
            engine.tell(query, of_cat({"query_id": query_id}))
    assert served.digest("q") == engine.digest()
    told = engine.recommend()
    assert recommendation(served) == {field: getattr(told, field) for field in told.__struct_fields__}
    assert told.hypothesis_id == "cat"
    assert_counted(served)


def test_the_service_breaks_ties_as_the_python_door(served: Served) -> None:
    engine = onearm.open("uniform_budget", task=TASK, horizon=BUDGET, seed=5)
    found = []
    for _ in range(BUDGET):  # without an answer all animals look alike
        found.append(recommendation(served)["hypothesis"])
        assert found[-1] == engine.recommend().hypothesis
        assert ask(served)["query_id"] == engine.ask().query_id
    assert len(set(found)) > 1


def test_a_query_is_answered_with_what_made_it(served: Served) -> None:
    assert ask(served) == {
        "decision_id": "~0",
        "number": 0,
        "query_id": "purrs?",
        "propensity": 1 / 3,
        "policy": "uniform_budget",
        "model_version": 0,
    }


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


def test_a_restart_goes_on_to_the_same_bits(served: Served) -> None:
    """What was asked and is not answered yet counts too, from a snapshot and from the log."""
    before = walk(served, 5)
    digest = served.digest("q")
    served.restart()
    assert served.digest("q") == digest
    with served.store._transaction() as connection:
        assert connection.execute(sa.delete(SNAPSHOT)).rowcount >= 1
    served.restart()  # without a snapshot the log is folded
    assert served.digest("q") == digest
    assert_counted(served)
    engine = onearm.open("uniform_budget", task=TASK, horizon=BUDGET, seed=5)
    for t, query_id in enumerate(before + walk(served, 3, start=5)):
        query = engine.ask()
        assert query.query_id == query_id
        if t % 3 < 2:
            engine.tell(query, of_cat({"query_id": query_id}))
    assert served.digest("q") == engine.digest()


def test_the_same_decision_again_is_the_first_answer(served: Served) -> None:
    first = served.decide({"decision_id": "x"}, "q")
    served.reward("x", 1, "q")
    for header in ({}, {"idempotency-key": "x"}):
        again = served.decide({"decision_id": "x"}, "q", headers=header)
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["idempotency-replayed"] == "true"
    assert_refused(served.decide({"decision_id": "x", "eligible_actions": ["flies?"]}, "q"), 409, "decision_exists")
    for _ in range(BUDGET - 1):
        ask(served)
    assert served.decide({"decision_id": "x"}, "q").status_code == 200, "a retry is answered when the budget is spent"


@pytest.mark.parametrize("restarted", [False, True])
def test_the_same_answer_again_is_a_duplicate_and_another_is_refused(served: Served, restarted: bool) -> None:
    ask(served, decision_id="x")
    assert served.reward("x", {"value": 1, "reward_id": "r"}, "q").json() == {"status": "accepted"}
    before = served.everything()
    if restarted:
        served.restart()
    assert served.reward("x", {"value": 1.0, "reward_id": "r"}, "q").json() == {"status": "duplicate"}
    for other in ({"value": -1, "reward_id": "r"}, {"value": 1}, {"value": 1, "reward_id": "s"}):
        refused = assert_refused(served.reward("x", other, "q"), 409, "reward_exists")
        assert "'x' has the answer 1 already (seq 2)" in refused["detail"]
    assert served.everything() == before


def test_answers_may_come_late_and_in_any_order(served: Served) -> None:
    """Sums commute: the state is that of answers in time."""
    made = [ask(served) for _ in range(6)]
    for t in (3, 0, 5, 1):
        assert served.reward(f"~{t}", of_cat(made[t]), "q").status_code == 200
    assert_counted(served)
    engine = onearm.open("uniform_budget", task=TASK, horizon=BUDGET, seed=5)
    for t in range(6):
        query = engine.ask()
        assert query.query_id == made[t]["query_id"]
        if t in (0, 1, 3, 5):
            engine.tell(query, of_cat(made[t]))
    assert served.digest("q") == engine.digest()
    assert (recommendation(served)["answered"], recommendation(served)["pending"]) == (4, 2)


def test_batches_answer_in_order_and_a_bad_one_fails_alone(served: Served) -> None:
    bodies = [{}, {"hint": [1.0]}, {"eligible_actions": ["flies?"]}]
    first, second, third = served.post(f"{DECISIONS}:batch", {"decisions": bodies}).json()["decisions"]
    assert (first["decision_id"], third["decision_id"], third["query_id"]) == ("~0", "~1", "flies?")
    assert_problem(second, 422, "unexpected_field")
    rewards = [{"decision_id": "~0", "value": 1}, {"decision_id": "~1", "value": 0}, {"decision_id": "~1", "value": -1}]
    found = served.post("/v1/experiments/q/rewards:batch", {"rewards": rewards}).json()["rewards"]
    assert [one.get("status") for one in found] == ["accepted", 422, "accepted"]
    assert_problem(found[1], 422, "bad_answer")
    assert_counted(served)


def test_a_batch_beyond_the_budget_is_answered_as_far_as_it_goes(served: Served) -> None:
    ids = [{"decision_id": f"b{i}"} for i in range(BUDGET + 2)]
    made = served.post(f"{DECISIONS}:batch", {"decisions": ids}).json()["decisions"]
    assert [one.get("number") for one in made[:BUDGET]] == list(range(BUDGET))
    for refused in made[BUDGET:]:
        assert_problem(refused, 409, "budget_spent")
    assert len(served.events("q")) == BUDGET


@pytest.mark.parametrize(
    ("answers", "good", "bad"),
    [
        ("signs", [1, -1.0], ["0", "0.5", "2", "1e400", "true", '"1"', "null", "[1]"]),
        ("bits", [0, 1.0], ["-1", "0.5", "false"]),
        ("normal", [0, -2.5, 1e100], ["1e101", "-1e101", "1e400", "NaN", '"2"']),
    ],
)
def test_an_answer_that_the_task_does_not_have_is_refused(
    served: Served, answers: str, good: list[float], bad: list[str]
) -> None:
    assert create(served, "n", task="arms", queries=2, answers=answers).status_code == 201
    made = [ask(served, "n")["decision_id"] for _ in good]
    before, digest = served.everything(), served.digest("n")
    for text in bad:
        refused = served.reward(made[0], b'{"value": %s}' % text.encode(), "n")
        assert refused.status_code == 422 and refused.json()["code"] in ("bad_answer", "bad_body", "malformed_json")
    assert_refused(served.reward(made[0], 1e101, "n"), 422, "bad_answer")
    assert (served.everything(), served.digest("n")) == (before, digest)
    for decision_id, value in zip(made, good, strict=True):
        assert served.reward(decision_id, value, "n").json() == {"status": "accepted"}


def test_minus_zero_is_zero(served: Served) -> None:
    assert create(served, "b", task="arms", queries=2, answers="bits").status_code == 201
    ask(served, "b")
    assert served.reward("~0", b'{"value": -0.0}', "b").status_code == 200
    assert served.events("b")[1].detail == "[0.0]"


def test_no_query_is_asked_beyond_the_budget(served: Served) -> None:
    walk(served, BUDGET)
    before = served.everything()
    refused = assert_refused(served.decide({}, "q"), 409, "budget_spent")
    assert refused["detail"].startswith("8 queries are asked of 8 (problem.horizon)")
    assert served.everything() == before
    for t in (2, 5):
        assert served.reward(f"d{t}", 1, "q").json() == {"status": "accepted"}
    found = recommendation(served)
    assert (found["answered"], found["pending"], found["final"], found["warning"]) == (8, 0, True, None)
    served.restart()
    assert_refused(served.decide({}, "q"), 409, "budget_spent")


def test_closed_queries_are_never_asked(served: Served) -> None:
    closed = served.post("/v1/experiments/q/arms/walks?:retire".replace("?", "%3F"))
    assert closed.json() == {"arm_id": "walks?", "retired": True}
    assert {ask(served)["query_id"] for _ in range(4)} == {"purrs?", "flies?"}
    assert_refused(served.decide({"eligible_actions": ["walks?"]}, "q"), 422, "no_arm_available")
    assert_refused(served.decide({"eligible_actions": ["barks?"]}, "q"), 422, "unknown_action")
    assert_refused(served.post("/v1/experiments/q/arms/barks%3F:retire"), 404, "unknown_arm")
    assert served.post("/v1/experiments/q/arms/flies%3F:retire").status_code == 200
    refused = assert_refused(served.post("/v1/experiments/q/arms/purrs%3F:retire"), 409, "last_arm")
    assert "commit, or archive, instead" in refused["detail"]
    found = served.get("/v1/experiments/q").json()
    assert (found["retired_arms"], found["arms"]) == (["flies?", "walks?"], [])
    assert "2 queries were closed" in recommendation(served)["warning"]
    served.restart()
    assert ask(served)["query_id"] == "purrs?"
    assert_counted(served)


def test_a_recommendation_asked_early_carries_a_warning(served: Served) -> None:
    found = recommendation(served)
    assert found == recommendation(served), "ties are broken in the same way until something is asked"
    assert found["warning"] == "asked early: 0 of 8 answers are in, and what is promised holds after 8"
    assert (found["answered"], found["pending"], found["budget"], found["final"]) == (0, 0, 8, False)
    assert {found[field] for field in ("worst_case", "measured", "artefact", "play")} == {None}
    assert found["hypothesis_id"] == ANIMALS[found["hypothesis"]]["id"]


def test_hypotheses_of_arms_are_the_queries_and_of_thresholds_the_cuts(served: Served) -> None:
    assert create(served, "a", task="arms", queries=["x", "y"], answers="bits").status_code == 201
    for _ in range(4):
        made = ask(served, "a")
        served.reward(made["decision_id"], int(made["query_id"] == "y"), "a")
    assert recommendation(served, "a")["hypothesis_id"] == "y"
    assert create(served, "t", task="thresholds", queries=["p", "q", "r"]).status_code == 201
    for _ in range(6):
        made = ask(served, "t")
        served.reward(made["decision_id"], 1 if made["query_id"] in "pq" else -1, "t")
    assert (recommendation(served, "t")["hypothesis_id"], recommendation(served, "t")["hypothesis"]) == ("2", 2)


def test_a_commit_is_final_and_on_record(served: Served) -> None:
    walk(served, 4)
    promised = recommendation(served)
    committed = served.post("/v1/experiments/q:commit").json()
    assert committed == promised | {"committed": True}
    assert served.events("q")[-1].kind == CHANGE
    before = served.everything()
    for again in (served.post("/v1/experiments/q:commit"), served.get("/v1/experiments/q/recommendation")):
        assert again.json() == committed
    refused = assert_refused(served.decide({}, "q"), 409, "committed")
    assert "is committed to 'cat'" in refused["detail"]
    assert served.everything() == before
    assert served.reward("d2", -1, "q").json() == {"status": "accepted"}, "what is under way may still arrive"
    served.restart()
    assert served.post("/v1/experiments/q:commit").json() == committed
    assert_refused(served.decide({}, "q"), 409, "committed")
    assert_counted(served)


def test_an_archived_experiment_recommends_and_does_not_commit(served: Served) -> None:
    walk(served, 4)
    served.post("/v1/experiments/q:archive")
    assert recommendation(served)["hypothesis_id"] == "cat"
    assert_refused(served.post("/v1/experiments/q:commit"), 409, "archived")
    assert_refused(served.decide({}, "q"), 409, "archived")
    assert_refused(served.reward("d2", 1, "q"), 409, "archived")


@pytest.mark.usefixtures("small_artefacts_alone")
def test_a_trained_policy_is_the_usual_one_where_it_fits_and_tells_its_worst_case(served: Served) -> None:
    made = flat_artefact()
    assert create(served, "t", None, task="thresholds", queries=3, horizon=6).status_code == 201
    policy = served.get("/v1/experiments/t").json()["policy"]
    assert policy == {"name": "mapo", "params": {"artefact": made.label, "play": "sample"}}
    found = recommendation(served, "t")
    assert found["worst_case"] == [{"level": 2.0, "loss": 0.12}, {"level": 8.0, "loss": 0.33}]
    assert (found["artefact"], found["play"], found["measured"]) == (made.label, "sample", SOUGHT)
    greedy = {"name": "mapo", "params": {"play": "greedy"}}
    assert create(served, "g", greedy, task="thresholds", queries=3, horizon=6).status_code == 201
    assert [one["loss"] for one in recommendation(served, "g")["worst_case"]] == [0.2, 0.5]
    assert create(served, "e", None, task="arms", queries=2, answers="bits", horizon=3).status_code == 201
    assert recommendation(served, "e")["measured"] == SOLVED
    refused = assert_refused(create(served, "x", greedy, task="thresholds", queries=3), 422, "no_artefact")
    assert "budget 8" in refused["detail"] and made.name in refused["detail"]


@pytest.mark.usefixtures("small_artefacts_alone")
def test_of_several_artefacts_for_a_problem_the_client_names_one(served: Served) -> None:
    artefacts.add(flat_artefact(name="other", seed=1))
    assert_refused(create(served, "t", None, task="thresholds", queries=3, horizon=6), 422, "several_artefacts")
    named = {"name": "mapo", "params": {"artefact": "other"}}
    assert create(served, "t", named, task="thresholds", queries=3, horizon=6).status_code == 201


def test_an_experiment_is_created_once_with_its_spec_as_it_is_shown(served: Served) -> None:
    shown = served.get("/v1/experiments/q").json()
    again = {name: shown[name] for name in ("experiment_id", "problem", "policy", "arms", "seed")}
    assert served.post("/v1/experiments", again).status_code == 200
    assert shown["problem"]["queries"] == TASK["queries"] and shown["problem"]["answers"] == "signs"
    assert shown["problem"]["hypotheses"][0] == {"id": "cat", "answers": [1.0, 0.0, 1.0]}
    again["problem"]["horizon"] = BUDGET + 1
    assert_refused(served.post("/v1/experiments", again), 409, "experiment_exists")


def test_the_front_page_counts_the_queries(served: Served) -> None:
    for _ in range(5):
        ask(served)
    page = served.get("/").text
    assert '<td class="number">3</td>\n<td class="number">5</td>' in page.partition("/v1/experiments/q")[2]


def test_the_report_tells_of_each_query(served: Served) -> None:
    engine: dict[str, list[int]] = {label: [] for label in TASK["queries"]}  # type: ignore[union-attr]
    for t in range(7):
        made = ask(served)
        if t != 3:
            value = 1 if t % 2 else -1
            served.reward(made["decision_id"], value, "q")
            engine[made["query_id"]].append(value)
        else:
            waiting = made["query_id"]
    found = served.get("/v1/experiments/q/report").json()
    assert (found["decisions"], found["rewards"], found["reward_mean"]) == (7, 6, None)
    assert "arms" not in found
    for query in found["queries"]:
        answers = engine[query["query_id"]]
        assert query["answered"] == len(answers) and query["asked"] == len(answers) + (query["query_id"] == waiting)
        assert query["answer_mean"] == pytest.approx(np.mean(answers))
        if len(set(answers)) > 1:
            assert query["answer_stderr"] == pytest.approx(np.std(answers, ddof=1) / np.sqrt(len(answers)))
    assert_refused(served.get("/v1/experiments/q/report?segments=2"), 422, "no_segments")


REFUSED = [
    ({"horizon": None}, "no_budget", "it is the budget"),
    ({"horizon": 0}, "bad_horizon", "the horizon is 0"),
    ({"horizon": 2.5}, "bad_horizon", "the horizon is 2.5"),
    ({"task": "animals"}, "bad_task", 'problem.task is "animals": it must be arms, thresholds, hypotheses'),
    ({"task": None}, "bad_task", "problem.task is null"),
    ({"queries": ["a", "b"]}, "bad_task", "there are 2 queries, and the hypotheses have 3 answers each"),
    ({"queries": ["a", "b", "a"]}, "bad_task", "two of them have the id 'a'"),
    ({"queries": ["a", "b", "~c"]}, "bad_id", "the id of a query is '~c'"),
    ({"queries": 4}, "bad_task", "problem.queries is 4, and the hypotheses have 3 answers each"),
    ({"queries": "abc"}, "bad_task", 'problem.queries is "abc"'),
    ({"queries": True}, "bad_task", "problem.queries is true"),
    ({"hypotheses": []}, "bad_task", "problem.hypotheses must be a list"),
    ({"hypotheses": ANIMALS[:1]}, "bad_task", "there is one hypothesis"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": [1, 0, 1]}]}, "bad_task", "hypotheses 0 and 3 are the same"),
    ({"hypotheses": [*ANIMALS, {"id": "cat", "answers": [0, 1, 0]}]}, "bad_task", "two of them have the id 'cat'"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": [1, 0]}]}, "bad_task", "all of one length"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": [1, 0, True]}]}, "bad_task", "of the hypothesis 'dog' must be"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": "101"}]}, "bad_task", "of the hypothesis 'dog' must be"),
    ({"hypotheses": [*ANIMALS, {"id": "dog"}]}, "bad_task", "of the hypothesis 'dog' must be"),
    ({"hypotheses": [*ANIMALS, {"answers": [1, 1, 1]}]}, "bad_id", "the id of a hypothesis must be"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": [1, 1, 1], "x": 1}]}, "unknown_field", "'x'"),
    ({"hypotheses": ["cat"]}, "bad_body", "a hypothesis is"),
    ({"answers": "yes"}, "bad_task", "answers is 'yes'"),
    ({"answers": ["bits"]}, "bad_task", "problem.answers is"),
    ({"loss": "regret"}, "bad_task", "loss is 'regret'"),
    ({"task": "arms", "queries": 3}, "bad_task", "the task 'arms' has hypotheses of its own"),
    ({"task": "thresholds", "queries": 3}, "bad_task", "the task 'thresholds' has hypotheses of its own"),
    ({"context": {"kind": "dense", "length": 2}}, "unknown_field", "'context'"),
    ({"memory": 3}, "not_built", "memory"),
]


@pytest.mark.parametrize(("change", "code", "words"), REFUSED)
def test_a_problem_that_breaks_a_rule_is_refused(change: dict[str, Any], code: str, words: str) -> None:
    problem = {"kind": "queries", "horizon": 8} | TASK | change
    with pytest.raises(InvalidInput) as refused:
        Spec.from_json({"experiment_id": "x", "problem": problem, "policy": UNIFORM})
    assert refused.value.code == code and words in str(refused.value)


@pytest.mark.parametrize("queries", [0, -1, 10_001, 2**60, []])
def test_there_are_1_to_10000_queries(queries: Any) -> None:
    for task in ("arms", "thresholds"):
        problem = {"kind": "queries", "task": task, "queries": queries, "horizon": 5}
        with pytest.raises(InvalidInput, match=r"a task has 1 to 10000|there is one hypothesis"):
            Spec.from_json({"experiment_id": "x", "problem": problem, "policy": UNIFORM})


def test_what_queries_do_not_have_is_refused(served: Served) -> None:
    given = {"experiment_id": "x", "problem": {"kind": "queries", "horizon": 5, **TASK}, "arms": [{"id": "a"}]}
    assert_refused(served.post("/v1/experiments", given), 422, "bad_arms")
    assert_refused(create(served, "x", {"name": "ucb1"}, **TASK), 422, "policy_does_not_fit")
    for body in ({"context": [1.0]}, {"actions": [{"id": "a"}]}, {"explain": True}, {"hint": [1.0]}):
        assert_refused(served.decide(body, "q"), 422, "unexpected_field")
    ask(served)
    before = served.everything()
    assert_refused(served.reward("~0", {"value": 1, "pulls": 1}, "q"), 422, "unexpected_pulls")
    assert_refused(served.reward("~0", {"value": 1, "detail": {}}, "q"), 422, "not_built")
    assert_refused(served.reward("~0", {"value": 1, "reward_id": "~"}, "q"), 422, "bad_id")
    assert_refused(served.reward("~1", 1, "q"), 404, "unknown_decision")
    assert_refused(served.post("/v1/experiments/q/arms", {"id": "new?"}), 422, "queries_are_fixed")
    assert_refused(served.post("/v1/experiments/q/arms:close"), 422, "no_stream")
    example = {"examples": [{"action_id": "flies?", "value": 1, "propensity": 1}]}
    found = served.post("/v1/experiments/q/examples:batch", example).json()["examples"]
    assert_problem(found[0], 422, "no_examples")
    assert served.everything() == before


def test_arms_have_no_recommendation(served: Served) -> None:
    assert served.create("arms").status_code == 201
    for answer in (served.get("/v1/experiments/arms/recommendation"), served.post("/v1/experiments/arms:commit")):
        refused = assert_refused(answer, 422, "no_stream")
        assert "arm_stream and queries" in refused["detail"]


def test_a_decision_waits_while_another_thread_reads_the_state(served: Served) -> None:
    """Policies take note of what they ask: a digest of a state that changes meanwhile would be of no state."""
    found = live(served)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            found._lock()
            made = asyncio.create_task(client.post(DECISIONS, json={}))
            for _ in range(20):
                await asyncio.sleep(0)
            assert found.number == 0 and not made.done()
            found._unlock()
            return await made

    assert served.client.portal is not None
    assert served.client.portal.call(asked).status_code == 201
    assert_counted(served)


def test_after_a_commit_that_fails_the_state_is_what_the_log_holds(served: Served) -> None:
    walk(served, 4)
    before, digest = served.everything(), served.digest("q")
    writer = served.store._writer
    assert writer is not None
    pages = writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    writer.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    writer.rollback()
    big = b" " * 30_000 + b"{}"  # kept as it was sent, so it needs pages
    assert_refused(served.decide(big, "q", headers={"idempotency-key": "big"}), 503, "commit_failed")
    deadline = time.monotonic() + 10
    while live(served).unusable is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (served.everything(), served.digest("q")) == (before, digest)
    assert_counted(served)
    writer = served.store._writer
    assert writer is not None
    writer.exec_driver_sql("PRAGMA max_page_count = 1000000000")
    writer.rollback()
    assert served.decide(big, "q", headers={"idempotency-key": "big"}).json()["number"] == 4


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
