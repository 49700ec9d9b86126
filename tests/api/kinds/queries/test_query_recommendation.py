"""What is recommended over HTTP: early, committed, archived, by hypotheses, and by a trained policy."""

from __future__ import annotations

import pytest
from support.query_service import ANIMALS, ask, assert_counted, create, recommendation, walk
from support.served import Served, assert_refused
from support.small_artefacts import flat_artefact, table_artefact

from onearm.api.kinds.queries.recommendation import SOLVED, SOUGHT
from onearm.engine.vocabulary import CHANGE
from onearm.policies import artefacts


@pytest.fixture
def small_artefacts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put artefacts of random weights into the registry, and nothing else."""
    monkeypatch.setattr(artefacts, "_found", {})
    monkeypatch.setattr(artefacts, "_read", True)
    artefacts.add(flat_artefact())
    artefacts.add(table_artefact())


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


def test_arms_have_no_recommendation(served: Served) -> None:
    assert served.create("arms").status_code == 201
    for answer in (served.get("/v1/experiments/arms/recommendation"), served.post("/v1/experiments/arms:commit")):
        refused = assert_refused(answer, 422, "no_stream")
        assert "arm_stream and queries" in refused["detail"]
