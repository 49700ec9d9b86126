"""Queries over HTTP: budgets, answers, batches, closed queries, and what is told of them."""

from __future__ import annotations

import numpy as np
import pytest
from support.query_service import BUDGET, DECISIONS, TASK, ask, assert_counted, create, of_cat, recommendation, walk
from support.served import Served, assert_problem, assert_refused

import onearm


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
    assert '<td class="n">5</td>' in page.partition('href="/experiments/q"')[2].partition("</tr>")[0]


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
