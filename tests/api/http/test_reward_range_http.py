"""Over HTTP a reward outside of the declared range, or of the one that a policy needs, is refused and not written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.served import ARMS, Served, assert_problem, assert_refused

import onearm
from onearm.api.experiment.explanation import notes_on, wrapped
from onearm.api.experiment.spec import Spec
from onearm.api.service.experiment_log import opened_log
from onearm.api.service.written import row_of
from onearm.policies import catalog

BETA = {"name": "thompson_beta", "params": {}}
ANY = {"name": "thompson_any", "params": {}}
EUROS = {"range": [-5, 15]}
PLAIN = {"kind": "arms", "context": {"kind": "none"}}


def policy_of(answer: Any) -> str:
    assert answer.status_code == 201, answer.text
    return wrapped(answer.json()["policy"])


def test_a_reward_that_no_beta_posterior_can_learn_is_refused(served: Served) -> None:
    created = served.create("beta", policy=BETA).json()
    assert created["reward"] == {"range": [0.0, 1.0], "supposed": True}
    served.decide({"decision_id": "d"}, "beta")
    before = served.everything()
    answer = served.reward("d", 7.3, "beta")
    assert_refused(answer, 422, "bad_reward")
    assert answer.json()["detail"] == (
        "the reward is 7.3: the rewards of this experiment lie in [0, 1]; at creation declare the range that rewards "
        "have (reward.range; in Python reward_range), or none with a policy that takes any, like thompson_any"
    )
    assert served.everything() == before
    assert served.reward("d", 1, "beta").json() == {"status": "accepted"}


@pytest.mark.parametrize("policy", [BETA, ANY, {"name": "floor", "params": {"policy": BETA, "minimum": 0.1}}])
def test_rewards_of_a_declared_range_are_taken_up_to_its_ends_and_no_farther(served: Served, policy: Any) -> None:
    created = served.create("euros", policy=policy, reward=EUROS).json()
    assert created["reward"] == {"range": [-5.0, 15.0]}
    decided = [served.decide({"decision_id": f"d{i}"}, "euros").json()["decision_id"] for i in range(4)]
    assert served.reward("d0", -5, "euros").json() == {"status": "accepted"}
    before = served.everything()
    for value in (15.000001, -6, 1e300):
        assert_refused(served.reward("d1", value, "euros"), 422, "bad_reward")
    sent = [{"decision_id": name, "value": value} for name, value in zip(decided[1:], (15, 16, 2.5), strict=True)]
    taken, refused, last = served.post("/v1/experiments/euros/rewards:batch", {"rewards": sent}).json()["rewards"]
    assert taken == last == {"status": "accepted"}
    assert_problem(refused, 422, "bad_reward")
    examples = [{"action_id": "a", "value": value, "propensity": 0.5} for value in (-5.1, 15.0)]
    bad, good = served.post("/v1/experiments/euros/examples:batch", {"examples": examples}).json()["examples"]
    assert_problem(bad, 422, "bad_reward")
    assert good["status"] == "accepted" and before != served.everything()
    served.assert_consistent("euros")
    served.restart()
    served.assert_consistent("euros")
    assert_refused(served.reward("d2", 16, "euros"), 422, "bad_reward")


def test_the_default_where_rewards_are_shares_is_made_for_them(served: Served) -> None:
    body: dict[str, Any] = {"arms": ARMS, "reward": {"range": [0, 1]}}
    assert policy_of(served.post("/v1/experiments", body)) == "adaptive(thompson_beta)"
    assert policy_of(served.post("/v1/experiments", {"arms": ARMS})) == "adaptive(thompson_any)"
    assert policy_of(served.post("/v1/experiments", {"arms": ARMS, "reward": {}})) == "adaptive(thompson_any)"
    euros = {"arms": ARMS, "reward": {"range": [0, 200]}}
    assert policy_of(served.post("/v1/experiments", euros)) == "adaptive(thompson_any)"
    dense = body | {"problem": {"context": {"kind": "dense", "length": 2}}}
    assert policy_of(served.post("/v1/experiments", dense)) == "adaptive(fourier_softmax)"
    many = body | {"arms": [{"id": str(i)} for i in range(2001)]}
    assert policy_of(served.post("/v1/experiments", many)) == "adaptive(thompson_any)"


NO_RANGES = [1, [], [1], [0, 1, 2], [1, 1], [1, 0], [False, True], ["0", "1"], [0, None], None, {}]


@pytest.mark.parametrize("limits", [*NO_RANGES, [0, 1e300], [0, 10**400], [0.0, 1e-300]])
def test_what_is_no_range_is_refused(standing: Served, limits: Any) -> None:
    found = assert_refused(standing.create("bad", policy=BETA, reward={"range": limits}), 422, "bad_range")
    assert "reward.range is" in found["detail"]
    assert standing.get("/v1/experiments/bad").status_code == 404


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"reward": 1}, "bad_body"),
        ({"reward": {"ranges": [0, 1]}}, "unknown_field"),
        ({"reward": {"wait_time": "30m", "learn": "at_once", "aggregation": "sum"}}, "bad_window"),
        ({"reward": EUROS, "policy": {"name": "tsallis_inf", "params": {"reward_max": 2}}}, "bad_range"),
        ({"reward": EUROS, "arms": [], "problem": {"kind": "arm_stream", "reward_range": [0, 1]}}, "bad_range"),
        ({"reward": EUROS, "arms": [], "problem": {"kind": "vector", "domain": {"kind": "ball"}}}, None),
        (
            {"reward": EUROS, "arms": [], "problem": {"kind": "queries", "task": "arms", "queries": 2, "horizon": 3}},
            None,
        ),
    ],
)
def test_what_no_experiment_can_have_is_refused(standing: Served, fields: Any, code: str | None) -> None:
    if code is None:
        if fields["problem"]["kind"] == "vector":
            fields["problem"]["domain"]["dimension"] = 2
        code = "unexpected_field"
        fields = fields | {"policy": {"name": "uniform", "params": {}}}
    assert_refused(standing.create("bad", **fields), 422, code)


def test_a_stream_reads_the_older_name_and_the_newer_as_the_same(served: Served) -> None:
    for name, fields in (
        ("older", {"problem": {"kind": "arm_stream", "reward_range": [-2, 3]}}),
        ("newer", {"problem": {"kind": "arm_stream"}, "reward": {"range": [-2, 3]}}),
    ):
        body = {"experiment_id": name, **fields}
        created = served.post("/v1/experiments", body).json()
        assert created["problem"]["reward_range"] == [-2.0, 3.0] and "reward" not in created
        assert created["policy"]["params"]["scale"] == 5.0
        assert served.service.live(name).problem.reward_range == (-2.0, 3.0)


def test_the_highest_declared_reward_is_that_of_a_policy_that_needs_to_know_it(served: Served) -> None:
    losses = {"name": "tsallis_inf", "params": {"scale": "running_mean"}}
    inside = {"name": "floor", "params": {"policy": losses}}
    created = served.create("inside", policy=inside, reward={"range": [-1000, -1]}).json()
    assert created["policy"]["params"]["policy"]["params"]["reward_max"] == -1.0
    told = {"name": "tsallis_inf", "params": {"scale": "running_mean", "reward_max": 0}}
    created = served.create("told", policy=told, reward={"range": [-1000, -1]}).json()
    assert created["policy"]["params"]["reward_max"] == 0.0
    for scale in ("unit", "running_mean"):
        low = {"name": "tsallis_inf", "params": {"scale": scale, "reward_max": -2}}
        assert_refused(served.create("low", policy=low, reward={"range": [-1000, -1]}), 422, "bad_range")


def test_losses_in_a_range_that_is_wide_are_parts_of_it(served: Served) -> None:
    policy = {"name": "tsallis_inf", "params": {}}
    created = served.create("wide", policy=policy, reward={"range": [0, 1e20]}).json()
    assert created["policy"]["params"]["reward_max"] == 1.0  # not used: the range says it
    served.decide({"decision_id": "d"}, "wide")
    assert served.reward("d", 1e20, "wide").status_code == 200
    assert not served.service.live("wide").state.loss.any()
    served.restart()
    served.assert_consistent("wide")


def test_an_experiment_from_before_clips_as_it_did_and_is_the_same_experiment(tmp_path: Path) -> None:
    """Its spec has no range, and nothing that its clients send is new to it."""
    body = {"experiment_id": "old", "arms": ARMS, "policy": BETA, "problem": PLAIN, "seed": 3}
    with Served(tmp_path) as served:
        named = catalog.make("thompson_beta").spec
        spec = Spec.from_stored({"experiment_id": "old", "arms": ARMS, "policy": named, "seed": 3})
        assert "reward" not in spec.to_json()
        served.store.add_experiment("old", *row_of(spec, 0))
        served.restart()
        assert served.post("/v1/experiments", body).status_code == 200
        assert_refused(served.post("/v1/experiments", body | {"reward": EUROS}), 409, "experiment_exists")
        served.decide({"decision_id": "d"}, "old")
        assert served.reward("d", 7.3, "old").json() == {"status": "accepted"}
        assert served.service.live("old").state.success.max() == 2.0
        served.restart()
        served.assert_consistent("old")
        assert "reward" not in served.get("/v1/experiments/old").json()


def test_a_range_that_nobody_declared_is_told_as_such_and_holds_all_the_same(served: Served) -> None:
    declared = {"experiment_id": "beta", "arms": ARMS, "policy": BETA, "reward": {"range": [0, 1]}}
    made = served.post("/v1/experiments", {**declared, "reward": {}})
    assert (made.status_code, made.json()["reward"]) == (201, {"range": [0.0, 1.0], "supposed": True})
    assert served.post("/v1/experiments", declared).status_code == 200, "it is the same one"
    served.restart()
    assert len(served.get("/v1/experiments/beta/diagnostics").json()["notes"]) == 1
    export = served.get("/v1/experiments/beta/log").content
    copy = served.post("/v1/experiments:import?experiment_id=copy", export).json()
    assert copy["reward"] == {"range": [0.0, 1.0], "supposed": True}


def test_the_log_of_an_experiment_carries_its_range(served: Served) -> None:
    served.create("euros", policy=BETA, reward=EUROS)
    with opened_log(served.url, "euros") as log:
        assert log.spec["reward"] == {"range": [-5.0, 15.0]}
        assert log.problem.reward_range == (-5.0, 15.0)


def test_an_arm_that_joins_leaves_the_range(served: Served) -> None:
    served.create("euros", policy=BETA, reward=EUROS)
    assert served.post("/v1/experiments/euros/arms", {"id": "d"}).status_code == 201
    served.decide({"decision_id": "x"}, "euros")
    assert_refused(served.reward("x", 16, "euros"), 422, "bad_reward")


def test_a_policy_that_never_draws_says_what_that_costs(served: Served) -> None:
    served.create("plain", policy={"name": "ucb1"})
    note, supposed = served.get("/v1/experiments/plain/diagnostics").json()["notes"]
    assert note.startswith("ucb1 never draws: while rewards are late it repeats itself unless its param wait is given")
    assert "wrap it in floor" in note
    made = served.decide({"decision_id": "x", "explain": True}, "plain").json()
    assert made["notes"] == served.record("x", "plain").json()["notes"] == [note, supposed]
    assert "notes" not in served.decide({}, "plain").json()
    served.create("waiting", policy={"name": "ucb1", "params": {"wait": 9}})
    note, _ = served.get("/v1/experiments/waiting/diagnostics").json()["notes"]
    assert note.startswith("ucb1 never draws: a log in which every propensity is 1")
    inner = {"name": "ucb1", "params": {"wait": 9}}
    served.create("looking", policy={"name": "adaptive", "params": {"policy": inner, "look": 0.0}})
    note, _ = served.get("/v1/experiments/looking/diagnostics").json()["notes"]
    assert note.startswith("adaptive never draws: a log in which every propensity is 1")
    served.create("rarely", policy={"name": "adaptive", "params": {"policy": "ucb1"}})
    note, _ = served.get("/v1/experiments/rarely/diagnostics").json()["notes"]
    assert note.startswith("ucb1 never draws: while rewards are late it repeats itself unless its param wait is given")
    assert note.endswith("but for the decisions that adaptive draws")
    served.create("counting", policy={"name": "adaptive", "params": {"policy": inner}})
    (supposed,) = served.get("/v1/experiments/counting/diagnostics").json()["notes"]
    assert "takes rewards to lie in [0, 1]" in supposed
    assert "notes" not in served.get("/v1/experiments/e/diagnostics").json()


def test_a_policy_that_takes_rewards_to_lie_in_a_range_says_so(served: Served) -> None:
    served.create("beta", policy=BETA)
    (note,) = served.get("/v1/experiments/beta/diagnostics").json()["notes"]
    assert note.startswith("thompson_beta takes rewards to lie in [0, 1], as it does where no range is declared: one ")
    assert "is refused" in note and "reward.range; in Python reward_range" in note
    assert onearm.open("kl_ucb", arms=2).explain()["notes"][1] == note.replace("thompson_beta", "kl_ucb")
    floored = {"name": "floor", "params": {"policy": BETA, "minimum": 0.1}}
    served.create("floored", policy=floored)
    assert served.get("/v1/experiments/floored/diagnostics").json()["notes"] == [note.replace("thompson_beta", "floor")]
    declared = {"policy": BETA, "reward": {"range": [0, 1]}}
    others = {"euros": {"policy": BETA, "reward": EUROS}, "any": {"policy": ANY}, "declared": declared}
    for name, fields in others.items():
        served.create(name, **fields)
        assert "notes" not in served.get(f"/v1/experiments/{name}/diagnostics").json()


def test_an_experiment_from_before_there_were_ranges_says_that_it_clips() -> None:
    said = {"experiment_id": "e", "arms": [{"id": "a"}], "policy": BETA}
    (note,) = notes_on(Spec.from_stored(said))
    assert "one outside counts as the nearest end" in note
