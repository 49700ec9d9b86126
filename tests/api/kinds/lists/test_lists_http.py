"""Lists over HTTP: slots that know those above, retries, rewards of slots, and every refusal, which writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.served import RANDOM, Served, assert_refused
from support.shelves import FOUR, LISTS, SHELF, create_lists, fill

import onearm
from onearm.api.cli.verify import has_fault, verified
from onearm.engine.vocabulary import DECIDE, LEARN

SLOTTED = {"kind": "dense", "length": 2 + 1 + 4}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        create_lists(served)
        yield served


def test_each_slot_is_the_decision_on_what_is_left_with_the_slot_in_its_context(served: Served) -> None:
    """By another experiment with the same seed, of arms, which is told the slot and what is taken."""
    arms = {"arms": SHELF, "problem": {"kind": "arms", "context": SLOTTED}, "policy": RANDOM, "seed": 5}
    assert served.post("/v1/experiments", {"experiment_id": "plain", **arms}).status_code == 201
    for t in range(6):
        made = fill(served, context=[t / 7, -1.0])["slots"]
        taken: list[str] = []
        for place, slot in enumerate(made):
            context = [t / 7, -1.0, place / 2, *(float(place == j) for j in range(4))]
            plain = served.decide({"context": context, "excluded_actions": taken}, "plain").json()
            assert (slot["action_id"], slot["propensity"]) == (plain["action_id"], plain["propensity"])
            taken.append(slot["action_id"])
        assert len(set(taken)) == 4
        for place in (2, 0):
            for name, number in (("e", f"~{4 * t + 3}"), ("plain", f"~{4 * t + place}")):
                said = {"slots": [{"id": f"s{place}", "value": place + t / 3}]} if name == "e" else place + t / 3
                assert served.reward(number, said, name).json() == {"status": "accepted"}
    assert served.digest() == served.digest("plain")
    served.assert_consistent()
    assert not any(map(has_fault, verified(served.url)))


def test_the_service_fills_lists_as_python_does(served: Served) -> None:
    engine = onearm.open(RANDOM, ["a", "b", "c"], slots={"max": 2, "length": 1}, context=1, seed=9)
    problem = {"kind": "lists", "context": {"kind": "dense", "length": 1}, "slots": {"max": 2, "length": 1}}
    fields = {"arms": [{"id": label} for label in "abc"], "problem": problem, "policy": RANDOM, "seed": 9}
    assert served.post("/v1/experiments", {"experiment_id": "p", **fields}).status_code == 201
    for t in range(8):
        slots = [{"id": "x", "features": [0.5]}, {"id": "y", "features": [t / 3], "excluded_actions": ["b"]}]
        made = served.decide({"context": [t / 2], "slots": slots}, "p").json()
        shelf = engine.decide(slots, [t / 2])
        assert [(one["action_id"], one["propensity"]) for one in made["slots"]] == [
            (one.action_id, one.propensity) for one in shelf.slots.values()
        ]
        rewards = {"y": t / 5, "x": 1.0} if t % 2 else t / 5
        said = {"slots": [{"id": key, "value": one} for key, one in rewards.items()]} if t % 2 else {"value": t / 5}
        engine.learn(shelf, rewards)
        assert served.reward(made["decision_id"], said, "p").json() == {"status": "accepted"}
    assert served.digest("p") == engine.digest()


def test_a_list_is_answered_with_what_each_slot_got_and_asked_again_the_same(served: Served) -> None:
    body = {"context": [0.0, 1.0], "slots": FOUR, "decision_id": "page", "unit_id": "u"}
    first = served.decide(body)
    made = first.json()
    assert list(made) == ["decision_id", "slots", "policy", "model_version"]
    assert made["decision_id"] == "page" and [slot["id"] for slot in made["slots"]] == ["s0", "s1", "s2", "s3"]
    before = served.everything()
    again = served.decide(body)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (200, made, "true")
    assert_refused(served.decide(body | {"context": [1.0, 1.0]}), 409, "decision_exists")
    assert served.everything() == before
    served.restart()
    assert served.decide(body).json() == made
    details = [json.loads(event.detail or "") for event in served.events()]
    assert [(one["list_id"], one["slot_id"], one["place"]) for one in details] == [
        ("page", f"s{place}", place) for place in range(4)
    ]


def test_the_header_names_a_list_too(served: Served) -> None:
    made = served.decide({"context": [0.0, 1.0], "slots": FOUR[:2]}, headers={"idempotency-key": "by-header"}).json()
    assert made["decision_id"] == "by-header"
    assert [json.loads(event.detail or "")["list_id"] for event in served.events()] == ["by-header"] * 2


def test_slots_that_are_left_out_are_as_many_as_may_be(served: Served) -> None:
    problem = {"kind": "lists", "slots": {"max": 3}}
    body = {"experiment_id": "plain", "arms": SHELF, "problem": problem, "policy": "uniform"}
    assert served.post("/v1/experiments", body).status_code == 201
    made = served.decide({}, "plain").json()
    assert [slot["id"] for slot in made["slots"]] == ["0", "1", "2"]
    assert [slot["propensity"] for slot in made["slots"]] == [1 / 8, 1 / 7, 1 / 6]


def test_slots_with_rules_of_their_own_leave_each_other_something(served: Served) -> None:
    for _ in range(10):
        slots = [{"id": "1"}, {"id": "2", "eligible_actions": ["a", "b"]}, {"id": "3", "eligible_actions": ["a"]}]
        made = fill(served, slots=[slot | {"features": [1.0]} for slot in slots], eligible_actions=["a", "b", "c"])
        assert [slot["action_id"] for slot in made["slots"]] == ["c", "b", "a"]
        assert [slot["propensity"] for slot in made["slots"]] == [1.0, 1.0, 1.0]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"slots": []}, "no_slots"),
    ({"slots": [*FOUR, {"id": "s4", "features": [0.0]}]}, "too_many_slots"),
    ({"slots": [FOUR[0], FOUR[0]]}, "duplicate_slot"),
    ({"slots": FOUR, "eligible_actions": ["a", "b", "c"]}, "too_few_actions"),
    ({"slots": [one | {"eligible_actions": ["a"]} for one in FOUR[:2]]}, "too_few_actions"),
    ({"slots": [FOUR[0] | {"eligible_actions": ["nobody"]}]}, "unknown_action"),
    ({"slots": [{"id": "x"}]}, "bad_slot"),
    ({"slots": [{"id": "x", "features": [1.0, 2.0]}]}, "bad_slot"),
    ({"slots": FOUR, "context": [1.0]}, "bad_context"),
    ({"slots": FOUR, "state": 1}, "unexpected_field"),
    ({"slots": FOUR, "baseline_action": "a"}, "unexpected_field"),
    ({"slots": FOUR, "defer_activation": True}, "unexpected_field"),
    ({"slots": FOUR, "actions": [{"id": "x"}]}, "unexpected_actions"),
]


@pytest.mark.parametrize(("body", "code"), REFUSED, ids=range(len(REFUSED)))
def test_a_list_that_cannot_be_filled_is_refused_and_nothing_is_written(
    body: dict[str, Any], code: str, served: Served
) -> None:
    before, digest = served.everything(), served.digest()
    assert_refused(served.decide({"context": [1.0, 0.5]} | body), 422, code)
    assert (served.everything(), served.digest()) == (before, digest)


@pytest.mark.parametrize(
    "slots", ["x", [1], [{"features": [1.0]}], [{"id": "x", "baseline_action": "a"}], [{"id": ""}]]
)
def test_slots_are_read_strictly(slots: Any, served: Served) -> None:
    before = served.everything()
    assert served.decide({"context": [1.0, 0.5], "slots": slots}).status_code in (400, 422)
    assert served.everything() == before


def test_the_rewards_of_slots_are_written_together(served: Served) -> None:
    fill(served, decision_id="page")
    said = {"slots": [{"id": "s2", "value": 1.0}, {"id": "s0", "value": 0.25}], "reward_id": "r"}
    assert served.reward("page", said).json() == {"status": "accepted"}
    learned = [(event.number, event.reward, event.reward_id) for event in served.events() if event.kind == LEARN]
    assert learned == [(2, 1.0, "r"), (0, 0.25, "r")]
    assert served.reward("page", said).json() == {"status": "duplicate"}
    more = {"slots": [{"id": "s2", "value": 1.0}, {"id": "s1", "value": 0.5}], "reward_id": "r"}
    assert served.reward("page", more).json() == {"status": "accepted"}
    assert [event.number for event in served.events() if event.kind == LEARN] == [2, 0, 1]
    served.assert_consistent()


def test_one_value_goes_to_each_slot(served: Served) -> None:
    fill(served, decision_id="page")
    assert served.reward("page", 0.5).json() == {"status": "accepted"}
    assert [event.reward for event in served.events() if event.kind == LEARN] == [0.5] * 4


BAD_REWARDS: list[tuple[str, dict[str, Any], int, str]] = [
    ("page", {}, 422, "one_of_two"),
    ("page", {"value": 1.0, "slots": [{"id": "s1", "value": 1.0}]}, 422, "one_of_two"),
    ("page", {"slots": []}, 422, "no_slots"),
    ("page", {"slots": [{"id": "s1", "value": 1.0}, {"id": "other", "value": 1.0}]}, 422, "unknown_slot"),
    ("page", {"slots": [{"id": "s1", "value": 1.0}, {"id": "s1", "value": 1.0}]}, 422, "duplicate_slot"),
    ("page", {"slots": [{"id": "s1", "value": 1.0}, {"id": "s0", "value": 0.5}]}, 409, "reward_exists"),
    ("page", {"value": 2.0}, 409, "reward_exists"),
    ("page", {"slots": [{"id": "s1", "value": 1e300}]}, 422, "bad_reward"),
    ("~1", {"value": 1.0}, 409, "part_of_a_list"),
    ("nobody", {"value": 1.0}, 404, "unknown_decision"),
]


@pytest.mark.parametrize(("name", "body", "status", "code"), BAD_REWARDS, ids=range(len(BAD_REWARDS)))
def test_a_reward_that_does_not_fit_is_refused_and_nothing_is_learned(
    name: str, body: dict[str, Any], status: int, code: str, served: Served
) -> None:
    fill(served, decision_id="page")
    assert served.reward("page", {"slots": [{"id": "s0", "value": 1.0}]}).status_code == 200
    before, digest = served.everything(), served.digest()
    assert_refused(served.reward(name, body), status, code)
    assert (served.everything(), served.digest()) == (before, digest)


def test_the_record_of_a_list_has_one_of_each_slot(served: Served) -> None:
    made = fill(served, decision_id="page", unit_id="u")
    served.reward("page", {"slots": [{"id": "s1", "value": 0.5}]})
    found = served.record("page").json()
    assert (found["decision_id"], found["action_id"], found["propensity"], found["reward"]) == (
        "page",
        None,
        None,
        None,
    )
    assert [(slot["slot_id"], slot["action_id"], slot["propensity"]) for slot in found["slots"]] == [
        (slot["id"], slot["action_id"], slot["propensity"]) for slot in made["slots"]
    ]
    assert [slot["reward"] and slot["reward"]["value"] for slot in found["slots"]] == [None, 0.5, None, None]
    assert found["slots"][1]["context"] == [1.0, 0.5, 0.5, 0.0, 1.0, 0.0, 0.0]
    assert made["slots"][0]["action_id"] not in found["slots"][1]["eligible_actions"]
    assert served.record("~1").json() == found["slots"][1]
    units = served.get("/v1/experiments/e/units/u/decisions").json()["decisions"]
    assert units == found["slots"]


def test_batches_of_lists_and_their_rewards(served: Served) -> None:
    bodies = [{"context": [1.0, 0.5], "slots": FOUR[:2], "decision_id": f"p{t}"} for t in range(3)]
    bodies.insert(1, {"slots": []})
    answers = served.post("/v1/experiments/e/decisions:batch", {"decisions": bodies}).json()["decisions"]
    assert [one.get("code") or len(one["slots"]) for one in answers] == [2, "no_slots", 2, 2]
    rewards = [{"decision_id": "p0", "value": 1.0}, {"decision_id": "p1", "slots": [{"id": "s1", "value": 0.5}]}]
    told = served.post("/v1/experiments/e/rewards:batch", {"rewards": rewards}).json()["rewards"]
    assert told == [{"status": "accepted"}] * 2
    served.assert_consistent()


def test_all_slots_of_a_list_are_erased_by_its_id(served: Served) -> None:
    fill(served, decision_id="page", unit_id="u")
    fill(served, decision_id="other")
    served.reward("page", 1.0)
    told = served.post("/v1/experiments/e:erase", {"decision_ids": ["page"]}).json()
    assert (told["decisions"], told["events"]) == (4, 8)
    assert_refused(served.record("page"), 404, "unknown_decision")
    assert [event.detail is None for event in served.events() if event.kind == DECIDE] == [True] * 4 + [False] * 4
    assert served.get("/v1/experiments/e/units/u/decisions").json()["decisions"] == []
    served.restart()
    assert served.reward("other", 1.0).json() == {"status": "accepted"}


def test_an_export_keeps_lists_and_an_import_answers_as_before(served: Served) -> None:
    body = {"context": [0.0, 1.0], "slots": FOUR, "decision_id": "page"}
    made = served.decide(body).json()
    served.reward("page", {"slots": [{"id": "s3", "value": 1.0}]})
    export = served.get("/v1/experiments/e/log").content
    lines = [json.loads(line) for line in export.splitlines()]
    assert lines[0]["problem"]["list_slots"] == 4
    assert [json.loads(line["detail"])["list_id"] for line in lines[1:5]] == ["page"] * 4
    assert served.post("/v1/experiments:import?experiment_id=copy", export).status_code == 201
    again = served.decide(body, "copy")
    assert (again.status_code, again.json()) == (200, made)
    assert served.reward("page", {"slots": [{"id": "s0", "value": 1.0}]}, "copy").json() == {"status": "accepted"}
    assert not any(map(has_fault, verified(served.url)))


def test_explanations_are_of_each_slot(served: Served) -> None:
    create = {"arms": SHELF, "problem": LISTS, "policy": "linucb", "experiment_id": "why"}
    assert served.post("/v1/experiments", create).status_code == 201
    body = {"context": [1.0, 0.5], "slots": FOUR[:2], "explain": True, "decision_id": "page"}
    first = served.decide(body, "why").json()
    for t in range(12):
        served.decide(body | {"explain": False, "decision_id": f"p{t}"}, "why")
        served.reward(f"p{t}", {"slots": [{"id": "s0", "value": t % 3}, {"id": "s1", "value": 0.5}]}, "why")
    made = served.decide(body | {"decision_id": "next"}, "why").json()
    for slots in (first["slots"], made["slots"]):
        assert [len(slot["ranking"]) for slot in slots] == [8, 7]
    names = {part["name"] for slot in made["slots"] for why in slot["explanation"] for part in why["features"]}
    assert {"place 0", "place 1", "slot[0]"} <= names
    record = served.record("next", "why").json()["slots"]
    assert [slot["ranking"] for slot in record] == [slot["ranking"] for slot in made["slots"]]


@pytest.mark.parametrize("form", ["numbers", "objects"])
def test_actions_may_come_with_the_list(form: str, served: Served) -> None:
    named = form == "objects"
    context = {"kind": "features", "bits": 10} if named else {"kind": "none"}
    actions = {"kind": "listed", "max": 5} | ({} if named else {"length": 2})
    slots = {"max": 3} if named else {"max": 3, "length": 1}
    problem = {"kind": "lists", "context": context, "actions": actions, "slots": slots}
    body = {"experiment_id": "listed", "problem": problem, "seed": 3, "policy": "squarecb"}
    assert served.post("/v1/experiments", body).status_code == 201
    for t in range(3):
        offer = [{"id": f"n{j}", **({"price": j} if named else {"features": [j / 2, 1.0]})} for j in range(4)]
        asked = [{"id": str(j), "features": {"size": j + 1} if named else [j / 3]} for j in range(3)]
        call = {"actions": offer, "slots": asked, "decision_id": f"p{t}"}
        made = served.decide(call | ({"context": {"hour": 9}} if named else {}), "listed")
        assert made.status_code == 201, made.text
        assert len({slot["action_id"] for slot in made.json()["slots"]}) == 3
        served.reward(f"p{t}", {"slots": [{"id": "1", "value": 1.0}]}, "listed")
    served.assert_consistent("listed")
    if not named:
        rows = np.array(served.record("p0", "listed").json()["slots"][1]["context"])
        assert rows.tolist() == [[1 / 3, 0.0, 1.0, 0.0, j / 2, 1.0] for j in range(4)]
    else:
        assert_refused(served.decide({"actions": offer, "context": {"slot": 1}}, "listed"), 422, "bad_slot")
    few = served.decide({"actions": offer[:2], "slots": asked}, "listed")
    assert_refused(few, 422, "too_few_actions")


@pytest.mark.parametrize(
    ("problem", "more", "code"),
    [
        ({"slots": {}}, {}, "bad_slots"),
        ({"slots": {"max": 0}}, {}, "bad_slots"),
        ({"slots": {"max": 51}}, {}, "bad_slots"),
        ({"slots": 3}, {}, "bad_body"),
        ({"slots": {"max": 3, "other": 1}}, {}, "unknown_field"),
        ({"slots": {"max": 3}, "states": {"count": 2}}, {}, "unknown_field"),
        ({"slots": {"max": 3}, "feedback": "cost"}, {}, "unknown_field"),
        ({"slots": {"max": 3, "length": 1}, "context": {"kind": "features"}}, {}, "bad_slots"),
        ({"slots": {"max": 3}}, {"constraints": {"floors": {"a": 0.1}}}, "unexpected_field"),
    ],
)
def test_what_lists_cannot_have_is_refused_by_name(
    problem: dict[str, Any], more: dict[str, Any], code: str, standing: Served
) -> None:
    body = {"experiment_id": "x", "arms": SHELF, "problem": {"kind": "lists"} | problem} | more
    assert_refused(standing.post("/v1/experiments", body), 422, code)


def test_policies_beside_and_corrections_are_refused_by_name(served: Served) -> None:
    fill(served, decision_id="page")
    served.reward("page", 1.0)
    before = served.everything()
    added = served.post("/v1/experiments/e/policies", {"policy": "uniform", "role": "shadow"})
    assert "decides lists" in assert_refused(added, 422, "not_built")["detail"]
    corrected = served.client.put("/v1/experiments/e/decisions/page/reward", content=b'{"value": 0.5}')
    assert "decides lists" in assert_refused(corrected, 422, "no_corrections")["detail"]
    assert served.everything() == before


def test_arms_join_and_retire_between_lists(served: Served) -> None:
    create_lists(served, "linucb", experiment_id="grows")
    assert served.post("/v1/experiments/grows/arms", {"id": "new"}).status_code == 201
    for label in "abcde":
        assert served.post(f"/v1/experiments/grows/arms/{label}:retire").status_code == 200
    body = {"context": [1.0, 0.5], "slots": FOUR}
    made = served.decide(body, "grows").json()
    assert sorted(slot["action_id"] for slot in made["slots"]) == ["f", "g", "h", "new"]
    served.post("/v1/experiments/grows/arms/f:retire")
    assert_refused(served.decide(body, "grows"), 422, "too_few_actions")
    assert served.post("/v1/experiments/grows/arms", {"id": "f"}).status_code == 201
    assert sorted(slot["action_id"] for slot in served.decide(body, "grows").json()["slots"]) == ["f", "g", "h", "new"]
    served.reward(made["decision_id"], 1.0, "grows")
    served.assert_consistent("grows")


def test_examples_of_somebody_else_are_not_imported_among_lists(served: Served) -> None:
    fill(served)
    export = served.get("/v1/experiments/e/log").content.replace(b'"kind":"decide"', b'"kind":"given"', 1)
    assert_refused(served.post("/v1/experiments:import?experiment_id=copy", export), 422, "no_examples")


def test_the_slot_that_has_its_reward_is_named_as_the_service_finds_it(served: Served) -> None:
    fill(served)
    fill(served, decision_id="d")
    told = {"slots": [{"id": "s1", "value": 1.0}]}
    assert served.reward("d", told).status_code == 200
    refused = served.reward("d", {"slots": [{"id": "s1", "value": 0.0}]})
    assert_refused(refused, 409, "reward_exists")
    assert "'~5'" in refused.json()["detail"]
    assert served.record("~5").json()["slot_id"] == "s1"
