"""The probabilities of all actions, where a decision asks for them."""

from __future__ import annotations

import numpy as np
import pytest
from support.served import Served, assert_refused

from onearm.engine import loop
from onearm.engine.vocabulary import Instance, Problem
from onearm.policies import catalog

LISTED = {"context": {"kind": "features", "bits": 8}, "actions": {"kind": "listed", "max": 5}}
ACTIONS = [{"id": "a", "price": 1}, {"id": "b", "price": 2}, {"id": "c"}]


def test_the_ranking_has_every_available_action_with_its_probability_and_the_propensity_is_one_of_them(
    served: Served,
) -> None:
    body = {"decision_id": "1", "excluded_actions": ["b"], "rank": True}
    made = served.decide(body).json()
    assert {one["action_id"] for one in made["ranking"]} == {"a", "c"}
    probabilities = {one["action_id"]: one["probability"] for one in made["ranking"]}
    assert sum(probabilities.values()) == pytest.approx(1.0)
    assert probabilities[made["action_id"]] == made["propensity"]
    assert "explanation" not in made and "notes" not in made
    served.reward("1", 1.0)
    assert served.decide(body).json() == made, "a retry gets the ranking of then"
    assert served.record("1").json()["ranking"] == made["ranking"]


def test_actions_of_the_call_are_ranked_the_likeliest_first(served: Served) -> None:
    served.create("front", arms=[], problem=LISTED, policy={"name": "squarecb"})
    for turn in range(8):
        made = served.decide({"actions": ACTIONS, "rank": True, "decision_id": str(turn)}, "front").json()
        served.reward(str(turn), float(made["action_id"] == "c"), "front")
    probabilities = [one["probability"] for one in made["ranking"]]
    assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) == pytest.approx(1.0)
    assert made["ranking"][0]["action_id"] == "c"


def test_a_policy_that_does_not_know_its_probabilities_says_null(served: Served) -> None:
    served.create("draws", policy={"name": "thompson_beta", "params": {"propensities": False}})
    made = served.decide({"rank": True}, "draws").json()
    assert [one["probability"] for one in made["ranking"]] == [None, None, None]


def test_what_is_no_arm_has_no_ranking(served: Served) -> None:
    problem = {"kind": "vector", "domain": {"kind": "ball", "dimension": 2}}
    served.create("mix", arms=[], problem=problem, policy={"name": "gradient_descent"})
    assert_refused(served.decide({"rank": True}, "mix"), 422, "unexpected_field")


def test_the_ranking_of_a_decision_stays_as_it_was_over_a_start(served: Served) -> None:
    made = served.decide({"decision_id": "1", "rank": True}).json()
    served.reward("1", 1.0)
    served.restart()
    assert served.decide({"decision_id": "1", "rank": True}).json() == made


def test_where_policies_share_the_decisions_it_is_that_of_all_of_them(served: Served) -> None:
    canary = {"policy": "uniform", "role": "canary", "share": 0.5}
    assert served.post("/v1/experiments/e/policies", canary).status_code == 201
    for turn in range(12):
        made = served.decide({"rank": True, "decision_id": str(turn)}).json()
        served.reward(str(turn), float(made["action_id"] == "b"))
        probabilities = {one["action_id"]: one["probability"] for one in made["ranking"]}
        assert probabilities[made["action_id"]] == made["propensity"]
        assert sum(probabilities.values()) == pytest.approx(1.0)


def test_an_apprentice_has_no_ranking_as_it_does_not_decide(served: Served) -> None:
    served.post("/v1/experiments/e/policies/0:assign", {"role": "apprentice"})
    made = served.decide({"rank": True, "baseline_action": "a"}).json()
    assert made["given"] is True and "ranking" not in made


@pytest.mark.jit
def test_compiled_it_is_the_same_to_the_bit() -> None:
    policy, problem = catalog.make("epsilon_greedy", epsilon=0.1), Problem(3)
    state, instance = policy.init(policy.params, problem), Instance(0, np.zeros(0), np.array([True, False, True]))
    laws = np.zeros(3), np.zeros(3)
    for law, tell_law in zip(laws, (loop.tell_law, loop.tell_law.python), strict=True):
        tell_law(policy.params, state, instance, law)
    assert laws[0].tolist() == laws[1].tolist() and laws[0].sum() == pytest.approx(1.0)
