"""Policies of one experiment: they join, take parts, are promoted and retire, and every decision can be made again."""

from __future__ import annotations

import math
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support.corrected import changes_of
from support.lives import THOMPSON, TSALLIS, UNIFORM, Life, law
from support.old_logs import command
from support.served import Served, assert_refused, log_of

from onearm.api.cli.verify import has_fault, verified
from onearm.api.log_files import ROWS
from onearm.api.service import policies as policies_module
from onearm.api.service.watching import Watch

pytestmark = pytest.mark.usefixtures("coarse_quadrature")


@pytest.fixture
def served(tmp_path: Path) -> Any:
    with Served(tmp_path) as one:
        yield one


def test_a_canary_decides_on_its_share_and_the_propensity_is_that_of_the_mixture(served: Served) -> None:
    life = Life(served, law("fixed_arm", arm=0))
    life.play(5)
    joined = life.join(law("fixed_arm", arm=2), role="canary", share=0.25)
    assert (joined["policy"], joined["role"], joined["share"]) == (1, "canary", 0.25)
    made = life.play(100)
    canary = [one for one in made if one.get("policy_number") == 1]
    assert 14 < len(canary) < 37
    assert {(one["action_id"], one["propensity"]) for one in canary} == {("c", 0.25)}
    assert {(one["action_id"], one["propensity"]) for one in made if one not in canary} == {("a", 0.75)}
    assert served.record(canary[0]["decision_id"]).json()["policy_number"] == 1
    life.assert_verifies()


def test_what_a_policy_knows_does_not_depend_on_its_part(served: Served) -> None:
    """A shadow that learned the log, promoted, decides as one that was live from the beginning."""
    life = Life(served, UNIFORM)
    life.play(60)
    life.join(TSALLIS, role="shadow", start="log")
    life.play(40)
    life.do(1, "promote")
    assert life.roles() == {0: "shadow", 1: "live"}
    life.play(20)
    life.read_up()
    life.do(0, "promote")
    life.play(10)
    life.read_up()
    life.do(1, "promote")
    life.play(60)
    life.restart()
    life.do(0, "promote")  # back: it learned meanwhile as well
    life.play(20)
    life.do(1, "retire")
    assert life.lineup()["retired"] == [1]
    life.play(5)
    life.assert_verifies()


def test_the_live_policy_decides_the_same_as_before_where_nobody_else_decides(served: Served, tmp_path: Path) -> None:
    life = Life(served)
    life.join(THOMPSON, role="shadow", start="log")
    made = life.play(50)
    (tmp_path / "alone").mkdir()
    with Served(tmp_path / "alone") as other:
        alone = Life(other)
        assert [one["action_id"] for one in alone.play(50)] == [one["action_id"] for one in made]


def test_all_parts_arms_that_join_and_late_rewards(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"), reward={"range": [0, 1]})
    waiting = [served.decide({}).json() for _ in range(10)]
    life.join(THOMPSON, role="canary", share=0.2)
    life.join(UNIFORM, role="control", share=0.1)
    life.join(law("ucb1"), role="shadow", start="log")
    life.play(40)
    for decided in waiting:
        life.reward(decided)
    assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
    life.play(60)
    life.do(1, "assign", role="canary", share=0.4)
    life.play(40)
    life.restart()
    life.do(1, "promote", former="retired")
    life.play(20)
    life.assert_verifies()
    assert life.roles() == {1: "live", 2: "control", 3: "shadow"}


def test_what_each_is_worth_is_told_with_intervals(served: Served) -> None:
    life = Life(served, UNIFORM, reward={"range": [0, 1]})
    life.join(law("fixed_arm", arm=2), role="canary", share=0.5)
    life.join(law("fixed_arm", arm=0), role="shadow")
    life.play(300)
    found = life.read_up()
    by = {one["policy"]: one for one in found["policies"]}
    assert abs(by[1]["value"]["value"] - 0.8) < 0.1
    assert by[1]["value"]["low"] < 0.8 < by[1]["value"]["high"]
    assert abs(by[2]["value"]["value"] - 0.2) < 0.15
    assert by[2]["value"]["low"] < 0.2 < by[2]["value"]["high"]
    (against,) = by[1]["differences"]
    assert against["against"] == "live" and 0.0 < against["low"] < 0.3 < against["high"]
    (against,) = by[2]["differences"]
    assert against["high"] < 0.0


def test_a_guard_promotes_and_demotes_by_itself_and_says_why(served: Served) -> None:
    life = Life(served, UNIFORM, reward={"range": [0, 1]})
    life.join(law("fixed_arm", arm=2), role="canary", share=0.5, guard={"against": "live"})
    deadline = time.monotonic() + 120
    while life.roles().get(1) != "live":
        assert time.monotonic() < deadline
        life.play(60)
        life.read_up()
    assert life.roles() == {0: "shadow", 1: "live"}
    life.join(law("fixed_arm", arm=0), role="canary", share=0.5, guard={})
    while 2 in life.roles():
        assert time.monotonic() < deadline
        life.play(60)
        life.read_up()
    life.assert_verifies()
    changes = [event.detail for event in served.events() if event.detail and "policies_changed" in event.detail]
    assert ['"why":"promoted"' in changes[1], '"why":"demoted"' in changes[3]] == [True, True]
    assert all('"told":{"value":' in changes[place] for place in (1, 3))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"policy": "ucb1", "role": "canary", "share": 0.1, "start": "log"}, 422, "bad_start"),
        ({"policy": "ucb1", "role": "canary"}, 422, "missing_share"),
        ({"policy": "ucb1", "role": "shadow", "share": 0.1}, 422, "unexpected_share"),
        ({"policy": "ucb1", "role": "canary", "share": 1.0}, 422, "bad_param"),
        ({"policy": law("thompson_beta", propensities=False), "role": "canary", "share": 0.1}, 422, "no_law"),
        ({"policy": "linear_regression"}, 422, "unknown_policy"),
        ({"policy": "king"}, 422, "policy_does_not_fit"),
        ({"policy": "ucb1", "role": "boss"}, 422, "bad_body"),
        ({"policy": "ucb1", "role": "canary", "share": 0.1, "guard": {"alpha": 2}}, 422, "bad_guard"),
        ({"policy": "ucb1", "role": "canary", "share": 0.1, "guard": {"against": "control"}}, 422, "bad_guard"),
        ({"policy": "ucb1", "guard": {}}, 422, "bad_guard"),
        ({"policy": "ucb1", "role": "canary", "share": 0.1, "guard": {"alpha": 1e-300}}, 422, "bad_guard"),
        ({"policy": "ucb1", "role": "canary", "share": 0.1, "guard": {"promote_above": -1}}, 422, "bad_guard"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    served: Served, body: dict[str, Any], status: int, code: str
) -> None:
    life = Life(served, reward={"range": [0, 1]})
    before = served.everything()
    answer = served.post("/v1/experiments/e/policies", body)
    assert_refused(answer, status, code)
    assert served.everything() == before and life.roles() == {0: "live"}


def test_parts_that_are_taken_and_numbers_that_are_not_there(served: Served) -> None:
    life = Life(served)
    life.join(THOMPSON, role="canary", share=0.5)
    assert (
        served.post("/v1/experiments/e/policies", {"policy": THOMPSON, "role": "canary", "share": 0.5}).status_code
        == 200
    )
    control = {"policy": UNIFORM, "role": "control", "share": 0.5}
    assert_refused(served.post("/v1/experiments/e/policies", control), 422, "bad_share")
    for number, deed, status, code in [
        (0, "retire", 409, "is_live"),
        (7, "retire", 404, "unknown_member"),
        ("x", "promote", 404, "unknown_member"),
    ]:
        answer = served.post(f"/v1/experiments/e/policies/{number}:{deed}")
        assert_refused(answer, status, code)
    assert_refused(served.post("/v1/experiments/e/policies/0:assign", {"role": "shadow"}), 409, "is_live")


def lived(served: Served) -> Life:
    """An experiment with some changes of policies."""
    life = Life(served, law("epsilon_greedy"), reward={"range": [0, 1]})
    life.play(20)
    life.join(THOMPSON, role="shadow", start="log")
    life.play(10)
    life.join(UNIFORM, role="canary", share=0.3)
    life.play(10)
    life.do(1, "promote")
    life.play(20)
    life.do(2, "retire")
    life.play(5)
    return life


def test_an_export_carries_the_life_and_an_import_goes_on_with_it(served: Served) -> None:
    life = lived(served)
    body = served.get("/v1/experiments/e/log?format=jsonl").content
    answer = served.post("/v1/experiments:import?experiment_id=twin", body)
    assert answer.status_code == 201, answer.text
    assert served.digest("twin") == served.digest()
    assert served.get("/v1/experiments/twin/policies").json()["policies"][0]["role"] == "shadow"
    made = [served.decide({}, name).json() for name in ("e", "twin")]
    assert made[0]["action_id"] == made[1]["action_id"] and made[0]["policy_number"] == made[1]["policy_number"] == 1
    served.restart()
    assert served.digest("twin") == served.digest()
    assert not any(map(has_fault, verified(served.url)))
    assert life.roles() == {0: "shadow", 1: "live"}


def test_an_export_verifies_alone(served: Served, tmp_path: Path) -> None:
    lived(served)
    for form, rows in product(("jsonl", "parquet"), ROWS):
        file = tmp_path / f"log.{form}"
        file.write_bytes(served.get(f"/v1/experiments/e/log?format={form}&rows={rows}").content)
        status, found = command("verify", str(file))
        assert status == 0 and found["experiments"][0]["first_difference"] is None
        assert found["experiments"][0]["digest"] == served.digest()


def test_a_compacted_and_an_erased_life_go_on_and_verify(served: Served) -> None:
    life = lived(served)
    assert served.post("/v1/experiments/e:compact", {"before": 40}).status_code == 200
    life.play(10, unit_id="x")
    life.do(0, "promote")
    assert served.post("/v1/experiments/e:erase", {"unit_id": "x"}).status_code == 200
    life.play(10)
    life.assert_verifies()
    answer = served.post("/v1/experiments/e/policies", {"policy": UNIFORM, "start": "log"})
    assert_refused(answer, 409, "compacted")
    assert served.post("/v1/experiments/e:compact").status_code == 200
    life.play(5)
    life.assert_verifies()


def test_an_apprentice_lets_be_done_what_it_is_told_learns_from_it_and_is_set_free_by_one_call(served: Served) -> None:
    life = Life(served, law("epsilon_greedy", epsilon=0.1))
    life.do(0, "assign", role="apprentice")
    assert_refused(served.decide({}), 422, "missing_baseline")
    assert_refused(served.decide({"baseline_action": "x"}), 422, "unknown_action")
    assert_refused(served.decide({"baseline_action": "a", "explain": True}), 422, "no_explanation")
    made = []
    for n in range(60):
        made += life.play(1, baseline_action="abc"[n % 3], decision_id=f"d{n}")
    assert [one["action_id"] for one in made] == ["a", "b", "c"] * 20
    assert all(one["given"] and one["propensity"] is None for one in made)
    assert served.decide({"baseline_action": "a", "decision_id": "d0"}).json() == made[0]
    (found,) = life.read_up()["policies"]
    assert found["role"] == "apprentice" and 0.2 < found["agreement"] < 0.5
    assert 1.0 < found["effective_decisions"] < 60 and found["value"]["low"] is None
    canary = {"policy": UNIFORM, "role": "canary", "share": 0.5}
    assert_refused(served.post("/v1/experiments/e/policies", canary), 409, "is_apprentice")
    life.do(0, "promote")
    free = life.play(40, baseline_action="a")
    assert {one["action_id"] for one in free} != {"a"} and all("given" not in one for one in free)
    assert all(one["agrees"] == (one["action_id"] == "a") for one in free)
    assert sum(one["action_id"] == "c" for one in free) > 25  # it has learned which is best
    life.assert_verifies()


def test_an_apprentice_that_divides_by_propensities_asks_for_them(served: Served) -> None:
    life = Life(served, law("exp3_ix"))
    life.do(0, "assign", role="apprentice")
    assert_refused(served.decide({"baseline_action": "a"}), 422, "missing_propensity")
    (made,) = life.play(1, baseline_action="a", baseline_propensity=0.5)
    assert made["propensity"] == 0.5
    life.assert_verifies()


def test_a_baseline_is_refused_where_no_arms_are_chosen(served: Served) -> None:
    body = {"experiment_id": "v", "problem": {"kind": "vector", "domain": {"kind": "simplex", "dimension": 3}}}
    assert served.post("/v1/experiments", body).status_code == 201
    assert_refused(served.decide({"baseline_action": "a"}, "v"), 422, "unexpected_field")
    assert_refused(served.post("/v1/experiments/v/policies", {"policy": "ftrl"}), 422, "not_built")
    assert_refused(served.post("/v1/experiments/v/policies/0:assign", {"role": "apprentice"}), 422, "not_built")


def test_corrections_and_rollbacks_go_with_a_life(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(law("adaptive", policy={"name": "ucb1", "params": {}}), role="shadow", start="log")
    made = life.play(30)
    life.join(law("epsilon_greedy", epsilon=0.3), role="canary", share=0.3)
    life.play(20)
    path = f"/v1/experiments/e/decisions/{made[4]['decision_id']}/reward"
    assert served.client.put(path, json={"value": 0.25}).status_code == 200
    deadline = time.monotonic() + 60
    while "corrections_left" in served.get("/v1/experiments/e").json():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    life.play(10)
    assert life.read_up()["lag"] == 0
    life.do(1, "promote")
    life.play(10)
    assert served.post("/v1/experiments/e/policies:rollback", {"to": 40}).status_code == 200
    life.play(10)
    life.read_up()
    life.assert_verifies()


def test_a_promotion_is_taken_back_at_once(served: Served) -> None:
    """Nothing happened in between: what the former policy knows is where the log ends."""
    life = Life(served, law("epsilon_greedy"))
    life.join(law("ucb1"), role="shadow")
    life.play(10)
    life.do(1, "promote")
    life.do(0, "promote")
    life.play(5)
    life.assert_verifies()


def test_an_apprentice_beside_a_shadow_learns_each_reward_once(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.do(0, "assign", role="apprentice")
    life.play(5, baseline_action="a")
    life.read_up()
    life.join(law("ucb1"), role="shadow")
    for action in "abcab":
        life.play(4, baseline_action=action)
    life.read_up()
    life.assert_verifies()


def test_a_shadow_is_compared_with_the_live_policy_and_not_with_the_mixture(served: Served) -> None:
    life = Life(served, UNIFORM, reward={"range": [0, 1]})
    life.join(law("fixed_arm", arm=2), role="canary", share=0.5)
    life.join(UNIFORM, role="shadow")
    life.play(150)
    (found,) = {one["policy"]: one for one in life.read_up()["policies"]}[2]["differences"]
    assert found["low"] <= 0.0 <= found["high"] and abs(found["value"]) < 0.15


def test_the_same_part_with_another_share_is_refused_and_a_guard_can_be_taken_off(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"), reward={"range": [0, 1]})
    life.join(UNIFORM, role="canary", share=0.1, guard={})
    other = {"policy": UNIFORM, "role": "canary", "share": 0.4}
    assert_refused(served.post("/v1/experiments/e/policies", other), 409, "policy_exists")
    assert "guard" in life.do(1, "assign", role="canary", share=0.2)
    assert "guard" not in life.do(1, "assign", role="canary", share=0.2, guard=None)


def test_a_live_policy_that_is_added_again_leads_already(served: Served) -> None:
    Life(served, UNIFORM)
    path = "/v1/experiments/e/policies"
    told = [served.post(path, {"policy": policy, "role": "live"}) for policy in ("ucb1", "ucb1", UNIFORM, "ucb1")]
    numbers = [(one.status_code, one.json()["policy"]) for one in told]
    assert numbers == [(201, 1), (200, 1), (201, 2), (201, 3)], "whoever led before does so no more"
    assert served.post(f"{path}/1:retire").status_code == 200
    anew = served.post(path, {"policy": "ucb1", "role": "shadow", "start": "empty"})
    assert (anew.status_code, anew.json()["policy"]) == (201, 4)
    assert served.post(f"{path}/4:promote").json()["role"] == "live"


def test_two_policies_never_play_a_part_that_one_alone_plays(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(UNIFORM, role="control", share=0.2)
    life.join(law("ucb1"), role="shadow")
    former = {"former": "control", "share": 0.3}
    assert_refused(served.post("/v1/experiments/e/policies/2:promote", former), 409, "part_taken")
    assert life.roles() == {0: "live", 1: "control", 2: "shadow"}


def test_who_loses_a_part_to_another_is_named(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    assert "displaced" not in life.join(UNIFORM, role="canary", share=0.1)
    assert "displaced" not in life.join(law("ucb1"), role="shadow")
    assert life.join(THOMPSON, role="canary", share=0.2)["displaced"] == {"policy": 1, "role": "shadow"}
    assert life.do(1, "assign", role="canary", share=0.2)["displaced"] == {"policy": 3, "role": "shadow"}
    assert "displaced" not in life.do(1, "assign", role="canary", share=0.3)
    assert life.do(2, "promote", former="retired")["displaced"] == {"policy": 0, "role": "retired"}


def test_a_shadow_says_what_it_lost_in_a_compaction(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(law("ucb1"), role="shadow")
    life.play(10)
    assert "learned_since" not in life.read_up()["policies"][1]
    seq = served.get("/v1/experiments/e").json()["seq"]
    assert served.post("/v1/experiments/e:compact", {"archive": False}).status_code == 200
    assert "learned_since" not in life.read_up()["policies"][1]
    served.restart()
    life.play(5)
    assert life.read_up()["policies"][1]["learned_since"] == seq


def test_what_a_shadow_took_is_given_back(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(law("ucb1"), role="shadow")
    life.play(5)
    life.read_up()
    taken = served.service.room.taken
    life.do(1, "retire")
    deadline = time.monotonic() + 30
    while served.service.room.taken >= taken:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_an_apprentice_is_told_has_a_window_as_any_decision(served: Served) -> None:
    reward = {"wait_time": "1s", "default": 0, "late": "record", "range": [0, 1]}
    assert served.create(reward=reward).status_code == 201
    assert served.post("/v1/experiments/e/policies/0:assign", {"role": "apprentice"}).status_code == 200
    assert served.reward("x1", 1).json() == {"status": "early"}
    for name in ("x1", "x2"):
        assert served.decide({"decision_id": name, "baseline_action": "a"}).status_code == 201
    assert served.reward("x2", {"value": 1, "reward_id": "r"}).json() == {"status": "accepted"}
    deadline = time.monotonic() + 60
    while any(served.record(name).json()["reward"] is None for name in ("x1", "x2")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert served.record("x1").json()["reward"]["value"] == 1.0
    assert served.reward("x2", {"value": 1, "reward_id": "r"}).json() == {"status": "duplicate"}
    assert served.reward("x2", {"value": 1, "reward_id": "s"}).json() == {"status": "late"}


def test_a_page_that_was_not_read_to_the_end_is_learned_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(law("ucb1"), role="shadow", start="log")
    whole, failed = Watch._count, []

    def failing(self: Watch, *given: Any) -> None:
        if not failed:
            failed.append(self)
            raise OSError("as if a disk had failed")
        whole(self, *given)

    monkeypatch.setattr(policies_module, "LATER", 0.0)
    monkeypatch.setattr(Watch, "_count", failing)
    life.play(30)
    life.read_up()
    assert failed
    life.do(1, "promote")
    life.play(10)
    life.assert_verifies()


def test_a_shadow_that_takes_no_new_arms_retires_where_one_joins(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    life = Life(served, law("epsilon_greedy"), reward={"range": [0, 1]})
    life.join(law("exp3_ix"), role="shadow")
    life.join(law("ucb1"), role="shadow", start="log")
    life.play(20)
    before = served.get("/v1/experiments/e").json()["seq"]
    for arm, code in (({"id": "a", "colour": "red"}, 409), ({"id": "a"}, 200), ({"id": "~d"}, 422)):
        assert served.post("/v1/experiments/e/arms", arm).status_code == code
    assert served.get("/v1/experiments/e").json()["seq"] == before and life.roles()[1] == "shadow"
    assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
    assert (life.roles(), life.lineup()["retired"]) == ({0: "live", 2: "shadow"}, [1])
    told = [change for _, change in changes_of(log_of(served.store, "e")[1])][-2:]
    assert [(one["change"], one.get("why"), one.get("policy")) for one in told] == [
        ("policies_changed", "arm_joined", 1),
        ("arm_added", None, None),
    ]
    assert "policy 1, exp3_ix, takes no new arms and is retired, as one joins" in caplog.text
    life.play(30)
    life.read_up()
    life.do(2, "promote")
    life.play(10)
    life.assert_verifies()


def test_an_arm_is_refused_where_one_that_decides_takes_none(served: Served) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(law("ucb1"), role="shadow")
    life.join(law("exp3_ix"), role="canary", share=0.1)
    assert_refused(served.post("/v1/experiments/e/arms", {"id": "d"}), 422, "arms_are_fixed")
    assert life.roles() == {0: "live", 1: "shadow", 2: "canary"}


def test_a_policy_that_divides_by_propensities_joins_where_all_are_known(served: Served) -> None:
    life = Life(served, law("thompson_beta", propensities=False))
    answer = served.post("/v1/experiments/e/policies", {"policy": TSALLIS})
    assert_refused(answer, 422, "missing_propensity")
    life.join(law("ucb1"), role="shadow")


def values(life: Life) -> dict[int, tuple[Any, ...]]:
    """Return what is told of the value of each policy, once all is read: decisions, units, value, low, high."""
    found = {}
    for one in life.read_up()["policies"]:
        value = [one["value"][name] for name in ("value", "low", "high")]
        found[one["policy"]] = (one["decisions"], one["units"], *(math.nan if end is None else end for end in value))
    return found


def assert_the_same_after_a_start(life: Life) -> dict[int, tuple[Any, ...]]:
    """Return what is told, which the log alone tells as well."""
    before = values(life)
    gaps = [one["differences"] for one in life.lineup()["policies"]]
    life.restart()
    again = values(life)
    assert again.keys() == before.keys()
    for number, told in before.items():
        assert again[number] == pytest.approx(told, rel=1e-9, nan_ok=True)  # pages are others, and so are the sums
    for told, one in zip(gaps, life.lineup()["policies"], strict=True):
        assert [gap["value"] for gap in one["differences"]] == pytest.approx([gap["value"] for gap in told], rel=1e-9)
    return before


@pytest.mark.parametrize("start", ["empty", "log"])
def test_values_stay_through_a_promotion_and_back(served: Served, start: str) -> None:
    life = Life(served, law("epsilon_greedy"), reward={"range": [0, 1]})
    life.join(UNIFORM, role="shadow", start=start)
    life.play(40)
    first = values(life)
    late = served.decide({}).json()
    life.do(1, "promote")
    for number, told in values(life).items():
        assert told[:3] == first[number][:3], "nothing was learned since"
        assert told[3:] == pytest.approx(first[number][3:], abs=0.01), "bets that need a bound are given up"
    life.play(40)
    life.reward(late)  # of the part before
    second = assert_the_same_after_a_start(life)
    assert second[0][0] > first[0][0] and second[1][0] >= first[1][0] + 40
    life.do(0, "promote")
    assert values(life)[1] == second[1]
    life.play(30)
    third = assert_the_same_after_a_start(life)
    assert third[0][0] >= second[0][0] + 30
    life.do(1, "assign", role="canary", share=0.2)
    life.play(40)
    life.do(1, "assign", role="canary", share=0.5)
    life.play(20)
    told = assert_the_same_after_a_start(life)
    for n, units, value, low, high in told.values():
        assert n > 40 and units == 0 and low < value < high
    assert abs(told[1][2] - 0.5) < 0.15
    life.assert_verifies()


def test_a_shadow_that_reads_the_log_is_worth_something_by_what_was_decided_before(served: Served) -> None:
    life = Life(served, UNIFORM, reward={"range": [0, 1]})
    life.play(60)
    life.join(law("fixed_arm", arm=2), role="shadow", start="log")
    life.join(law("fixed_arm", arm=0), role="shadow")
    told = assert_the_same_after_a_start(life)
    assert told[0][0] == 60 and 10 < told[1][0] < 30 and told[2][0] == 0
    assert abs(told[1][2] - 0.8) < 0.2 and told[1][3] < 0.8 < told[1][4]
    assert math.isnan(told[2][2])
    assert life.lineup()["policies"][1]["differences"] == [], "since it joined nothing was decided"


def test_of_a_unit_the_first_decision_counts_and_units_are_told_apart(served: Served) -> None:
    life = Life(served, UNIFORM, reward={"range": [0, 1]})
    life.join(law("uniform"), role="shadow")
    for n in range(30):
        life.play(1, unit_id=f"u{n % 6}")
    life.play(4)
    assert {number: told[:2] for number, told in values(life).items()} == {0: (10, 6), 1: (10, 6)}
    page = served.get("/experiments/e").text
    assert "6 units, 4 decisions" in page
    life.do(1, "promote")
    for n in range(12):
        life.play(1, unit_id=f"u{n % 8}")
    told = assert_the_same_after_a_start(life)
    assert told[1][:2] == (12, 8), "two units are new"
