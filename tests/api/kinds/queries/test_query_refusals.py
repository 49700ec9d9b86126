"""What queries over HTTP refuse: a code, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from support.query_service import ANIMALS, TASK, UNIFORM, ask, create
from support.served import Served, assert_problem, assert_refused

from onearm.api.experiment.spec import Spec
from onearm.engine.errors import InvalidInput

REFUSED = [
    ({"horizon": None}, "no_budget", "it is the budget"),
    ({"horizon": 0}, "bad_horizon", "the horizon is 0"),
    ({"horizon": 2.5}, "bad_horizon", "the horizon is 2.5"),
    ({"task": "animals"}, "bad_task", "problem.task is 'animals': it must be arms, thresholds, hypotheses"),
    ({"task": None}, "bad_task", "problem.task is None"),
    ({"queries": ["a", "b"]}, "bad_task", "there are 2 queries, and the hypotheses have 3 answers each"),
    ({"queries": ["a", "b", "a"]}, "bad_task", "two of them have the id 'a'"),
    ({"queries": ["a", "b", "~c"]}, "bad_id", "the id of a query is '~c'"),
    ({"queries": 4}, "bad_task", "problem.queries is 4, and the hypotheses have 3 answers each"),
    ({"queries": "abc"}, "bad_task", "problem.queries is 'abc'"),
    ({"queries": True}, "bad_task", "problem.queries is True"),
    ({"hypotheses": []}, "bad_task", "problem.hypotheses must be a list"),
    ({"hypotheses": ANIMALS[:1]}, "bad_task", "there is one hypothesis"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": [1, 0, 1]}]}, "bad_task", "hypotheses 0 and 3 are the same"),
    ({"hypotheses": [*ANIMALS, {"id": "cat", "answers": [0, 1, 0]}]}, "bad_task", "two of them have the id 'cat'"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": [1, 0]}]}, "bad_task", "all of one length"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": [1, 0, True]}]}, "bad_task", "of the hypothesis 'dog' must be"),
    ({"hypotheses": [*ANIMALS, {"id": "dog", "answers": "101"}]}, "bad_task", "of the hypothesis 'dog' must be"),
    ({"hypotheses": [*ANIMALS, {"id": "dog"}]}, "bad_task", "of the hypothesis 'dog' must be"),
    ({"hypotheses": [*ANIMALS, {"answers": [1, 1, 1]}]}, "bad_id", "the id of a hypothesis is None: it must be"),
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
