"""`evaluate` on lists that the service filled: exports and databases, any policy as a target, by the cascade."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.served import Served
from support.shelves import create_lists

import onearm as onearm_python
from onearm.engine.errors import InvalidInput
from onearm.engine.estimate import cascade, slate_ips

ATTRACTION = {"a": 0.7, "b": 0.4, "c": 0.2}
ARMS = [{"id": label} for label in ATTRACTION]
N = 60  # lists, of which every tenth has one slot
CASCADE = ("--target", "uniform", "--target", "logged", "--method", "cascade", "--json")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Yield a service whose lists of two slots were filled evenly, for users who look from above; one has no reward.

    What tests add are experiments of other names.
    """
    rng = np.random.default_rng(4)
    with Served(tmp_path_factory.mktemp("lists")) as served:
        problem = {"kind": "lists", "slots": {"max": 2}}
        create_lists(served, {"name": "uniform", "params": {}}, arms=ARMS, problem=problem)
        for t in range(N):
            asked = {} if t % 10 else {"slots": [{"id": "0"}]}
            made = served.decide({"decision_id": f"p{t}"} | asked).json()["slots"]
            told, looks = [], True
            for slot in made:
                clicked = looks and bool(rng.random() < ATTRACTION[slot["action_id"]])
                told.append({"id": slot["id"], "value": float(clicked)})
                looks = looks and not clicked
            assert served.reward(f"p{t}", {"slots": told[:1] if t == 7 else told}).status_code == 200
        yield served


@pytest.fixture(scope="module", params=["jsonl", "parquet", "database"])
def log(request: pytest.FixtureRequest, served: Served, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return where the log is, as commands are told."""
    if request.param == "database":
        return [served.url, "--experiment", "e"]
    file = tmp_path_factory.mktemp("log") / f"log.{request.param}"
    file.write_bytes(served.get(f"/v1/experiments/e/log?format={request.param}").content)
    return [str(file)]


def whole_lists(served: Served) -> tuple[Any, Any, Any, Any]:
    """Return reward, propensity, action, and which slots there are, of the lists that are whole; from the records."""
    found = [served.record(f"p{t}").json()["slots"] for t in range(N) if t != 7]
    length = np.array([len(slots) for slots in found])

    def column(of: Any) -> Any:
        return np.array([[of(slot) for slot in slots] + [np.nan] * (2 - len(slots)) for slots in found])

    reward, propensity = column(lambda slot: slot["reward"]["value"]), column(lambda slot: slot["propensity"])
    first = column(lambda slot: float(slot["action_id"] == (slot["eligible_actions"] or "abc")[0]))
    return reward, propensity, first, length


def test_policies_are_judged_by_what_they_put_below_what_was_shown(onearm: Any, log: list[str], served: Served) -> None:
    """ucb1 that learns nothing takes the first action that is left: so its chance of a list is known."""
    reward, propensity, first, length = whole_lists(served)
    asked = ("--target", "ucb1", "--learn", "nothing", "--method", "cascade", "--method", "slate-ips", "--json")
    done = onearm("evaluate", *log, *asked)
    assert done.code == 0, done.err
    found = {each["method"]: each["value"] for each in done.json["estimates"]}
    assert found == {
        "cascade": pytest.approx(cascade(reward, propensity, first, length).value),
        "slate-ips": pytest.approx(slate_ips(reward, propensity, first, length).value),
    }
    assert (done.json["events"], done.json["estimates"][0]["policy"]) == (N - 1, "ucb1")
    assert done.json["notes"] == [f"1 of {N} lists are left out, as not each of their slots has a reward"]


def test_what_was_logged_is_worth_its_mean(onearm: Any, log: list[str], served: Served) -> None:
    reward, *_ = whole_lists(served)
    for each in onearm("evaluate", *log, *CASCADE).json["estimates"]:
        assert each["value"] == pytest.approx(np.nansum(reward, axis=1).mean())


def test_no_interval_of_a_list_lies_beyond_what_its_rewards_can_be_together(onearm: Any, served: Served) -> None:
    served.create("few", policy="uniform", problem={"kind": "lists", "slots": {"max": 2}})
    for t in range(6):
        name = served.decide({}, "few").json()["decision_id"]
        assert served.reward(name, {"slots": [{"id": "0", "value": 1}, {"id": "1", "value": float(t > 0)}]}, "few")
    asked = (served.url, "--experiment", "few", "--target", "logged", "--method", "cascade", "--level", "0.9999")
    (free,) = onearm("evaluate", *asked, "--json").json["estimates"]
    (stated,) = onearm("evaluate", *asked, "--reward-range", "0:1", "--json").json["estimates"]
    assert free["high"] > 2.0 == stated["high"], "two slots of at most 1 each"
    assert stated["low"] == free["low"] > 1.0


def test_a_policy_that_learns_is_worth_more_than_one_that_does_not(onearm: Any, log: list[str]) -> None:
    asked = ("--target", "squarecb", "--target", "uniform", "--method", "cascade", "--learn", "logged", "--json")
    learned, uniform = (each["value"] for each in onearm("evaluate", *log, *asked).json["estimates"])
    assert learned > uniform


@pytest.mark.covering
@pytest.mark.parametrize("method", ["independent", "pseudo-inverse"])
def test_estimators_that_need_independent_slots_say_so(onearm: Any, log: list[str], method: str) -> None:
    done = onearm("evaluate", *log, "--target", "uniform", "--method", method)
    assert (done.code, f"{method} needs slots that were filled independently" in done.err) == (2, True)
    both = onearm("evaluate", *log, "--target", "uniform", "--method", method, "--method", "cascade", "--json")
    assert [each["value"] is None for each in both.json["estimates"]] == [True, False]


def test_methods_of_single_decisions_send_to_the_cascade(onearm: Any, log: list[str]) -> None:
    for command in ("evaluate", "replay"):
        target = ("--target", "uniform") if command == "evaluate" else ("--policy", "uniform")
        done = onearm(command, *log, *target)
        assert (done.code, "onearm evaluate --method cascade" in done.err) == (2, True), done.err


@pytest.mark.covering
@pytest.mark.parametrize("target", ["first", "action:1"])
def test_one_action_is_no_target_of_lists(onearm: Any, log: list[str], target: str) -> None:
    done = onearm("evaluate", *log, "--target", target, "--method", "cascade")
    assert (done.code, "a list has several" in done.err) == (2, True)


def test_a_log_of_single_decisions_has_no_lists(onearm: Any, tmp_path: Path, served: Served) -> None:
    served.create("single")
    served.decide(experiment_id="single")
    file = tmp_path / "single.jsonl"
    file.write_bytes(served.get("/v1/experiments/single/log").content)
    done = onearm("evaluate", str(file), *CASCADE)
    assert (done.code, "is a log of single decisions" in done.err) == (2, True)
    lines = served.get("/v1/experiments/e/log").text.splitlines()
    file.write_text("".join(line + "\n" for line in lines if "learn" not in json.loads(line).get("kind", "")))
    assert "has no list of which each slot has a reward" in onearm("evaluate", str(file), *CASCADE).err


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_export_of_lists_is_verified(onearm: Any, served: Served, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"log.{form}"
    file.write_bytes(served.get(f"/v1/experiments/e/log?format={form}").content)
    found = onearm("verify", str(file), "--json").json["experiments"][0]
    assert (found["first_difference"], found["decisions"]) == (None, N * 2 - N // 10)


@pytest.mark.parametrize("ending", ["dsjson", "vw"])
def test_lists_are_not_converted_to_what_has_no_place_for_them(
    onearm: Any, served: Served, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(served.get("/v1/experiments/e/log").content)
    done = onearm("convert", str(file), str(tmp_path / f"out.{ending}"))
    assert (done.code, "lists" in done.err) == (2, True), done.err
    assert onearm("convert", str(file), str(tmp_path / "copy.parquet")).code == 0
    again = onearm("evaluate", str(tmp_path / "copy.parquet"), *CASCADE).json["estimates"]
    assert again == onearm("evaluate", str(file), *CASCADE).json["estimates"]


def test_python_says_which_command_judges_lists(log: list[str]) -> None:
    asked = {"experiment": log[2]} if len(log) > 1 else {}
    with pytest.raises(
        InvalidInput, match=r"lists, which the command judges: `onearm evaluate FILE .* --method cascade`$"
    ):
        onearm_python.evaluate(log[0], "uniform", method="cascade", **asked)
    with pytest.raises(InvalidInput, match="lists are evaluated whole, by `onearm evaluate --method cascade`"):
        onearm_python.evaluate(log[0], "uniform", **asked)
