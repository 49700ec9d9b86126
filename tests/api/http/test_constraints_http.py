"""Constraints over HTTP: what answers and records say, what is refused, and that all who decide keep to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import ARMS, Served, assert_refused
from support.windowed import Windowed, assert_clean

import onearm
from onearm.api.cli.verify import has_fault, verified
from onearm.api.log_files import read_log
from onearm.policies import catalog

pytestmark = pytest.mark.usefixtures("coarse_quadrature")

E = "/v1/experiments/e"
NEW = {"name": "new", "arms": ["b", "c"], "floor": 0.4}
CONSTRAINTS: dict[str, Any] = {"floors": {"a": 0.1}, "caps": {"c": 0.5}, "groups": [NEW]}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        yield served


def create(served: Windowed, **fields: Any) -> dict[str, Any]:
    answer = served.create(**({"policy": "ucb1", "constraints": CONSTRAINTS} | fields))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def decide(served: Windowed, **said: Any) -> dict[str, Any]:
    answer = served.decide(said)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def play(served: Windowed, n: int, best: str = "a") -> list[dict[str, Any]]:
    """Decide, and let one arm pay."""
    made = []
    for i in range(n):
        made.append(decide(served, unit_id=f"u{i % 20}"))
        served.reward(made[-1]["decision_id"], float(made[-1]["action_id"] == best))
        served.pass_time(1)
    return made


def test_answers_and_records_say_which_constraints_moved_a_decision(served: Windowed) -> None:
    create(served)
    first = decide(served)
    assert first["constraints_applied"] == ["group_floor:new"] and "relaxed" not in first
    assert first["propensity"] == pytest.approx({"a": 0.6, "b": 0.2, "c": 0.2}[first["action_id"]])
    lacking = decide(served, eligible_actions=["b", "c"])
    assert lacking["constraints_applied"] == [] and lacking["relaxed"] == ["floor:a"]
    assert lacking["propensity"] == 1.0
    capped = decide(served, eligible_actions=["c"])
    assert (capped["constraints_applied"], capped["relaxed"]) == ([], ["floor:a", "cap:c"])
    for one in (first, lacking, capped):
        for _ in range(2):
            record = served.record(one["decision_id"]).json()
            assert record["constraints_applied"] == one["constraints_applied"]
            assert record.get("relaxed") == one.get("relaxed")
            served.service.live("e").records.clear()  # then it is read from the log


def test_an_explanation_tells_the_law_that_was_drawn_from(served: Windowed) -> None:
    create(served)
    told = decide(served, explain=True)
    law = {each["action_id"]: each["probability"] for each in told["ranking"]}
    assert law == pytest.approx({"a": 0.6, "b": 0.2, "c": 0.2})
    assert told["constraints_applied"] == ["group_floor:new"]


def test_an_experiment_tells_its_constraints_and_is_itself_when_it_is_created_again(served: Windowed) -> None:
    told = create(served)
    assert told["constraints"] == CONSTRAINTS
    assert told["policy"]["name"] == "constrained" and told["policy"]["params"]["policy"]["name"] == "ucb1"
    again = served.create(policy="ucb1", constraints=CONSTRAINTS)
    assert again.status_code == 200
    spec = {field: told[field] for field in ("policy", "constraints", "arms", "seed")}
    assert served.create(**spec).status_code == 200  # as it was told
    assert_refused(served.create(policy="ucb1", constraints=CONSTRAINTS | {"floors": 0.1}), 409, "experiment_exists")
    assert_refused(served.create(policy="ucb1"), 409, "experiment_exists")


def test_a_restart_an_import_and_a_base_go_on_and_verify(served: Windowed) -> None:
    create(served, policy="thompson_beta")
    play(served, 12)
    log = served.get(f"{E}/log").content
    assert served.post("/v1/experiments:import?experiment_id=f", log).status_code == 201
    for number in (0, 11):
        here, there = (served.record(f"~{number}", name).json() for name in ("e", "f"))
        assert here["constraints_applied"] == there["constraints_applied"]
    digest = served.digest()
    served.restart()
    assert (served.digest(), served.digest("f")) == (digest, digest)
    assert not any(map(has_fault, verified(served.url)))
    following = [served.decide({}, name).json() for name in ("e", "f")]
    for field in ("action_id", "propensity", "constraints_applied"):
        assert following[0][field] == following[1][field]
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    play(served, 4)
    assert_clean(served)


def test_python_decides_the_same(served: Windowed) -> None:
    create(served)
    engine = onearm.open("ucb1", arms=[arm["id"] for arm in ARMS], seed=5, constraints=CONSTRAINTS)
    for _ in range(20):
        here, there = engine.decide(), decide(served)
        assert (here.action_id, here.propensity) == (there["action_id"], there["propensity"])
        assert engine.constrained.applied == there["constraints_applied"]
        engine.learn(here, float(here.action_id == "a"))
        served.reward(there["decision_id"], float(here.action_id == "a"))
    assert engine.digest() == served.digest()


def test_whoever_joins_keeps_to_constraints_whatever_part_it_plays(served: Windowed) -> None:
    """Each of those that share traffic does, so that the propensity, which is of their mixture, does too."""
    create(served, reward={"range": [0, 1]})
    play(served, 10)
    control = {"policy": {"name": "fixed_arm", "params": {"arm": 2}}, "role": "control", "share": 0.3}
    assert served.post(f"{E}/policies", control).status_code == 201
    assert served.post(f"{E}/policies", {"policy": "exp3_ix", "role": "canary", "share": 0.3}).status_code == 201
    made = play(served, 40)
    assert {one.get("policy_number", 0) for one in made} == {0, 1, 2}
    for one in made:
        assert one["propensity"] <= {"a": 0.6, "b": 0.9, "c": 0.5}[one["action_id"]] + 1e-12
        assert "constraints_applied" in one
    by_control = next(one for one in made if one.get("policy_number") == 1)
    assert by_control["constraints_applied"] == ["cap:c"]
    assert served.post(f"{E}/policies/2:promote", {}).status_code == 200
    assert decide(served)["constraints_applied"] is not None
    play(served, 10)
    served.restart()
    assert not any(map(has_fault, verified(served.url)))


def test_a_floor_of_every_arm_lets_a_guard_judge_a_shadow(served: Windowed) -> None:
    """What was never tried tells nothing, so a guard of a shadow asks for a floor: that of constraints is one."""
    guarded = {"policy": "exp3_ix", "role": "shadow", "guard": {"against": "live"}}
    create(served, reward={"range": [0, 1]}, constraints={"floors": 0.1})
    assert served.post(f"{E}/policies", guarded).status_code == 201
    assert served.create("f", policy="ucb1", reward={"range": [0, 1]}, constraints={"caps": 0.9}).status_code == 201
    assert_refused(served.post("/v1/experiments/f/policies", guarded), 422, "bad_guard")


def told(decided: dict[str, Any]) -> list[Any]:
    return [decided.get(name) for name in ("action_id", "propensity", "constraints_applied", "relaxed")]


def test_a_batch_of_decisions_is_as_many_single_ones(served: Windowed) -> None:
    create(served)
    body = {"decisions": [{}, {"eligible_actions": ["c"]}, {}]}
    batch = served.post(f"{E}/decisions:batch", body).json()
    create(served, experiment_id="f")
    single = [served.decide(one, "f").json() for one in body["decisions"]]
    assert list(map(told, batch["decisions"])) == list(map(told, single))
    assert [one.get("relaxed") for one in single] == [None, ["floor:a", "cap:c"], None]


def test_units_keep_their_arm_and_a_repeat_is_no_decision_of_its_own(served: Windowed) -> None:
    create(served, constraints=CONSTRAINTS | {"sticky": {"seconds": 60}}, policy="exp3_ix")
    first, again = decide(served, unit_id="ann"), decide(served, unit_id="ann")
    assert first["constraints_applied"] == [] and again["sticky"] and "constraints_applied" not in again
    assert (first["action_id"], first["propensity"]) == (again["action_id"], again["propensity"])
    play(served, 20)
    served.restart()
    assert not any(map(has_fault, verified(served.url)))
    join = {"policy": "uniform", "role": "canary", "share": 0.1}
    assert_refused(served.post(f"{E}/policies", join), 422, "sticky_inside")


def test_an_arm_that_joins_is_under_the_constraints_of_every_arm(served: Windowed) -> None:
    create(served, constraints={"floors": 0.3})
    assert_refused(served.post(f"{E}/arms", {"id": "d"}), 422, "never_met")
    assert served.create("f", policy="ucb1", constraints={"floors": 0.2}).status_code == 201
    assert served.post("/v1/experiments/f/arms", {"id": "d"}).status_code == 201
    made = served.decide_all([{}] * 30, "f")
    assert {round(one["propensity"], 12) for one in made} == {0.2, 0.4}
    assert all(one["constraints_applied"] == ["floor"] for one in made)
    served.assert_consistent("f")


TAGGED: list[dict[str, Any]] = [{"id": "a"}, {"id": "b", "tags": ["new"]}, {"id": "c", "tags": ["old"]}]
OF_TAG: dict[str, Any] = {"groups": [{"name": "fresh", "tag": "new", "floor": 0.4}]}


def law_of(served: Windowed, name: str = "e") -> dict[str, float]:
    """Return the probabilities of the arms that are taken at all."""
    made = served.decide_all([{}] * 30, name)
    return {one["action_id"]: round(one["propensity"], 12) for one in sorted(made, key=lambda one: one["action_id"])}


def test_an_arm_that_joins_with_a_tag_is_of_its_group_from_then_on(served: Windowed) -> None:
    first = {"name": "fixed_arm", "params": {"arm": 0}}
    told = create(served, policy=first, arms=TAGGED, constraints=OF_TAG)
    assert (told["arms"], told["constraints"]) == (TAGGED, OF_TAG)
    assert law_of(served) == {"a": 0.6, "b": 0.4}
    play(served, 10)
    for arm in ({"id": "d", "tags": ["new", "red"]}, {"id": "f"}):
        assert served.post(f"{E}/arms", arm).status_code == 201
    play(served, 10)
    assert law_of(served) == {"a": 0.6, "b": 0.2, "d": 0.2}
    assert served.decide({"excluded_actions": ["b", "d"]}).json()["relaxed"] == ["group_floor:fresh"]
    assert served.post(f"{E}/arms/b:retire").status_code == 200
    assert law_of(served) == {"a": 0.6, "d": 0.4}
    assert served.post(f"{E}/policies", {"policy": "epsilon_greedy", "role": "shadow"}).status_code == 201
    play(served, 5)
    log = served.get(f"{E}/log").content
    assert served.post("/v1/experiments:import?experiment_id=g", log).status_code == 201
    digest = served.digest()
    assert served.digest("g") == digest
    served.restart()
    assert (served.digest(), served.digest("g")) == (digest, digest)
    assert law_of(served) == law_of(served, "g") == {"a": 0.6, "d": 0.4}
    assert_clean(served)
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    assert served.post(f"{E}/arms", {"id": "h", "tags": ["new"]}).status_code == 201
    play(served, 5)
    assert law_of(served) == {"a": 0.6, "d": 0.2, "h": 0.2}
    assert not any(map(has_fault, verified(served.url)))


def test_an_export_with_tags_is_verified_and_learned_by_a_policy_of_the_tag(served: Windowed, tmp_path: Path) -> None:
    create(served, arms=TAGGED, constraints=OF_TAG)
    assert served.post(f"{E}/arms", {"id": "d", "tags": ["new"]}).status_code == 201
    play(served, 10)
    file = tmp_path / "log.jsonl"
    file.write_bytes(served.get(f"{E}/log").content)
    log = read_log(file, "jsonl")
    assert log.problem.tags == ((), ("new",), ("old",), ("new",))
    group = OF_TAG["groups"][0]
    policy = catalog.make("constrained", policy=catalog.make("ucb1"), groups=[group])
    state = policy.init(policy.params, log.problem)
    assert state.scratch_work.member.tolist() == [1, 3]


def test_an_arm_that_joins_with_tags_that_fit_no_group_is_refused(served: Windowed) -> None:
    constraints = {"groups": [{"name": tag, "tag": tag, "floor": 0.1} for tag in ("new", "old")]}
    create(served, arms=TAGGED, constraints=constraints)
    before = served.digest()
    for tags, code in (
        (["old", "new"], "bad_constraints"),
        ("new", "bad_tags"),
        ([7], "bad_tags"),
        ([""], "bad_tags"),
        (["red", "red"], "bad_tags"),
        (["a\nb"], "bad_tags"),
        (["\u202e"], "bad_tags"),
    ):
        assert_refused(served.post(f"{E}/arms", {"id": "d", "tags": tags}), 422, code)
    assert served.digest() == before and served.get(f"{E}").json()["arms"] == TAGGED
    assert_refused(served.create("f", arms=[{"id": "a", "tags": "new"}], constraints=OF_TAG), 422, "bad_tags")
    assert served.create("f", arms=[{"id": "a", "tags": "new"}]).status_code == 201  # no group is of a tag


@pytest.mark.parametrize("arms", [TAGGED, TAGGED[:2]])
def test_a_policy_from_another_experiment_keeps_to_the_tags_of_this_one(
    served: Windowed, arms: list[dict[str, Any]]
) -> None:
    policy, tagged_there = {"name": "fixed_arm", "params": {"arm": 0}}, [{"id": "a", "tags": ["new"]}, {"id": "b"}]
    there = [*tagged_there, {"id": "c"}][: len(arms)]
    assert served.create("there", policy=policy, arms=there, constraints=OF_TAG).status_code == 201
    create(served, policy=policy, arms=TAGGED, constraints=OF_TAG)
    body = {"policy": policy, "role": "live", "start": {"experiment": "there"}}
    assert served.post(f"{E}/policies", body).status_code == 201
    assert law_of(served) == {"a": 0.6, "b": 0.4}
    served.restart()
    assert law_of(served) == {"a": 0.6, "b": 0.4}
    assert not any(map(has_fault, verified(served.url)))


def test_python_takes_arms_with_tags(served: Windowed) -> None:
    create(served, arms=TAGGED, constraints=OF_TAG)
    engine = onearm.open(
        "ucb1", arms=[arm if "tags" in arm else arm["id"] for arm in TAGGED], seed=5, constraints=OF_TAG
    )
    for _ in range(5):
        here, there = engine.decide(), decide(served)
        assert (here.action_id, here.propensity) == (there["action_id"], there["propensity"])
        assert engine.constrained.applied == there["constraints_applied"] == ["group_floor:fresh"]


def test_windows_corrections_and_ranges_go_on_beneath_constraints(served: Windowed) -> None:
    reward = {"wait_time": "5s", "default": 0, "range": [0, 2]}
    create(served, reward=reward, policy="thompson_beta")
    made = play(served, 12)
    served.pass_time(60)
    assert served.report()["rewards"] == 12
    served.client.put(f"{E}/decisions/{made[3]['decision_id']}/reward", content=b'{"value": 2}')
    play(served, 5)
    served.restart()
    assert not any(map(has_fault, verified(served.url)))


@pytest.mark.parametrize(
    ("constraints", "code", "says"),
    [
        ({}, "bad_constraints", "constraints are empty"),
        ({"minimum": 0.1}, "unknown_field", "constraints has the unknown field 'minimum'"),
        ({"floors": {"d": 0.1}}, "unknown_arm", "constraints.floors names the arm 'd', and the arms are a, b, c"),
        ({"floors": {"a": 1.1}}, "bad_param", "constraints.floors of 'a' is 1.1: it must be a number in [0, 1]"),
        ({"floors": "some"}, "bad_param", "constraints.floors is 'some'"),
        ({"floors": 0.4}, "never_met", "the floors of the arms are 1.2 together"),
        ({"caps": 0.3}, "never_met", "the caps of the arms are 0.9 together"),
        ({"floors": {"b": 0.5}, "caps": 0.4}, "never_met", "the floor of 'b' is 0.5, above its cap of 0.4"),
        ({"groups": 7}, "bad_constraints", "constraints.groups is 7"),
        ({"groups": [{"name": "g", "floor": 0.1}]}, "bad_constraints", "the group 'g' has no list of arms"),
        ({"groups": [NEW | {"tag": "new"}]}, "bad_constraints", "the group 'new' has arms and a tag"),
        ({"groups": [{"name": "g", "tag": "new", "floor": 0.1}]}, "unknown_tag", "and no arm has it: give it to one"),
        ({"groups": [NEW | {"arms": ["b", "z"]}]}, "unknown_arm", "the group 'new' names the arm 'z'"),
        ({"groups": [NEW, NEW | {"name": "h"}]}, "bad_constraints", "is twice in the groups"),
        ({"groups": [NEW | {"floor": 0.95}], "floors": {"a": 0.1}}, "never_met", "are 1.05 together"),
        ({"caps": {"b": 0.1, "c": 0.1}, "groups": [NEW]}, "never_met", "have caps of 0.2 together, below its floor"),
        ({"sticky": {"hours": 1}}, "unknown_field", "constraints.sticky has the unknown field 'hours'"),
        ({"sticky": {"seconds": -1}}, "bad_param", "seconds is -1"),
    ],
)
def test_what_can_never_be_met_is_refused_at_creation(standing: Served, constraints: Any, code: str, says: str) -> None:
    answer = standing.create(policy="ucb1", constraints=constraints)
    assert_refused(answer, 422, code)
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (
            {"policy": {"name": "budget", "params": {"policy": "uniform", "cost": [1, 2, 3], "limit": 2}}},
            "unconstrained",
        ),
        ({"policy": {"name": "sticky", "params": {"policy": "uniform"}}}, "two_constraints"),
        ({"policy": {"name": "constrained", "params": {"policy": "uniform", "floors": 0.2}}}, "two_constraints"),
        ({"policy": {"name": "thompson_beta", "params": {"propensities": False}}}, "no_law"),
        ({"problem": {"kind": "vector", "domain": {"kind": "box", "low": [0], "high": [1]}}, "arms": []}, None),
        ({"problem": {"kind": "arm_stream"}, "arms": []}, None),
        (
            {
                "problem": {"context": {"kind": "dense", "length": 2}, "actions": {"kind": "listed", "length": 2}},
                "arms": [],
                "policy": "squarecb",
            },
            "actions_are_listed",
        ),
    ],
)
def test_what_cannot_be_combined_is_refused_by_name(standing: Served, fields: dict[str, Any], code: str | None) -> None:
    if code is None:
        fields = {"policy": None} | fields
    body = {"experiment_id": "e", "arms": ARMS, "policy": "ucb1", "constraints": {"floors": 0.1}} | fields
    body = {name: value for name, value in body.items() if value is not None}
    assert_refused(standing.post("/v1/experiments", body), 422, code or "unexpected_field")


def test_named_features_of_arms_go_on_beneath_constraints(served: Windowed) -> None:
    problem = {"context": {"kind": "features", "bits": 8}}
    create(served, policy="squarecb", problem=problem)
    for n in range(12):
        made = decide(served, context={"user": n % 3})
        served.reward(made["decision_id"], float(made["action_id"] == "c"))
        assert made["propensity"] <= 0.9
    served.restart()
    assert not any(map(has_fault, verified(served.url)))


def test_costs_are_paid_back_beneath_constraints(served: Windowed) -> None:
    policy = {"name": "paced_budget", "params": {"policy": "squarecb", "cost": [1, 2, 3], "limit": 2}}
    create(served, policy=policy, problem={"feedback": "cost"})
    for _ in range(20):
        made = decide(served)
        served.reward(made["decision_id"], {"value": 1.0, "cost": 2.0})
    assert not any(map(has_fault, verified(served.url)))
