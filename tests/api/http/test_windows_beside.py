"""Windows where something is told beside each reward: what the decision has cost, or which state came next."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.old_logs import command
from support.served import assert_refused, log_of
from support.windowed import Windowed, assert_clean, learned

from onearm.api.cli.verify import has_fault, verified
from onearm.api.log_files import ROWS
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, LATE, with_beside
from onearm.engine.vocabulary import LEARN, OUTCOME

WAIT: dict[str, Any] = {"wait_time": "10s", "default": 0}
STATES: dict[str, Any] = {"states": {"ids": ["empty", "half", "full"]}}
PACED = {"name": "paced_budget", "params": {"policy": "squarecb", "cost": [1.0, 2.0, 8.0], "limit": 2.0}}
E = "/v1/experiments/e"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        yield served


def create_states(served: Windowed, policy: str = "half_visit", **reward: Any) -> Any:
    answer = served.create(policy=policy, problem=STATES, reward=WAIT | reward)
    assert answer.status_code == 201, answer.text
    return answer.json()


def decide(served: Windowed, state: Any, **more: Any) -> str:
    answer = served.post(f"{E}/decisions", {"state": state, **more})
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["decision_id"]
    return name


def status(served: Windowed, name: str, **body: Any) -> str:
    answer = served.reward(name, body)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["status"]
    return found


def plan(served: Windowed) -> Any:
    return served.report()["plan"]


def seen(served: Windowed, state: str) -> int:
    """Return how many steps from a state the policy has learned."""
    return sum(n for one in plan(served)["states"] if one["state"] == state for n in one["decisions"].values())


@pytest.mark.parametrize("learn", ["at_close", "at_once"])
def test_the_first_reward_is_learned_with_its_next_state(served: Windowed, learn: str) -> None:
    create_states(served, learn=learn)
    one, two = decide(served, "empty", begins=True), decide(served, "half")
    assert status(served, one, value=0.5, next_state="full") == "accepted"
    assert status(served, one, value=1.0, next_state="half", reward_id="again") == "accepted"
    assert status(served, two, value=0.25, ended=True) == "accepted"
    served.pass_time(11)
    said = f'{{"closed": "{"reward" if learn == "at_close" else "at_once"}", "beside": '
    assert learned(served) == {0: (0.5, f"{said}[2.0]}}"), 1: (0.25, f"{said}[3.0]}}")}
    record = served.record(one).json()
    assert record["reward"]["next_state"] == "full" and record["reward"]["value"] == 0.5
    assert [outcome["next_state"] for outcome in record["outcomes"]] == ["full", "half"]
    assert served.record(two).json()["reward"]["ended"] is True
    assert (seen(served, "empty"), seen(served, "half")) == (1, 1)
    assert_clean(served)


def test_silence_says_nothing_of_the_next_state(served: Windowed) -> None:
    (warning,) = create_states(served)["warnings"]
    assert "which state came next" in warning
    decide(served, "empty")
    name = decide(served, "half")
    assert status(served, name, value=1.0, next_state="empty") == "accepted"
    served.pass_time(11)
    assert learned(served)[0] == (0.0, CLOSED_BY_DEFAULT)
    assert (seen(served, "empty"), seen(served, "half")) == (0, 1)
    told = served.report()
    assert (told["rewards"], told["closed_by_default"], told["reward_mean"]) == (2, 1, 0.5)
    assert_clean(served)


def test_the_same_again_is_a_duplicate_and_another_next_state_is_not(served: Windowed) -> None:
    create_states(served)
    name = decide(served, "empty")
    for expected in ("accepted", "duplicate"):
        assert status(served, name, value=1.0, next_state="full") == expected
    for body in ({"value": 1.0, "next_state": "half"}, {"value": 1.0, "ended": True}):
        told = assert_refused(served.reward(name, body), 409, "reward_exists")
        assert "[2.0]" in told["detail"]
    assert_refused(served.reward(name, {"value": 1.0, "reward_id": "b"}), 422, "missing_next_state")


def test_late_and_early_rewards_teach_nothing(served: Windowed) -> None:
    create_states(served, late="record")
    name = decide(served, "empty")
    served.pass_time(11)
    assert status(served, name, value=1.0, next_state="full") == "late"
    _, events = log_of(served.store, "e")
    assert [event.detail for event in events if event.kind == OUTCOME] == [with_beside(LATE, [2.0])]
    assert served.report()["late"] == 1
    assert served.record(name).json()["outcomes"][0]["next_state"] == "full"
    assert_refused(served.reward("to-come", {"value": 1.0, "next_state": "full"}), 409, "not_made")
    assert seen(served, "empty") == 0
    assert_clean(served)


def test_a_late_reward_is_refused_without_a_way_out_that_there_is_not(served: Windowed) -> None:
    create_states(served)
    name = decide(served, "empty")
    served.pass_time(11)
    told = assert_refused(served.reward(name, {"value": 1.0, "next_state": "full"}), 409, "late")
    assert told["detail"].endswith('"late": "record", which keeps them')


def test_what_was_shown_instead_takes_the_next_state_over(served: Windowed) -> None:
    create_states(served, policy="uniform")
    name = decide(served, "empty", defer_activation=True)
    assert status(served, name, value=1.0, next_state="half") == "accepted"
    other = "c" if served.record(name).json()["action_id"] != "c" else "b"
    answer = served.post(f"{E}/decisions/{name}:activate", {"action_id": other, "propensity": 0.5})
    assert answer.status_code == 200, answer.text
    served.pass_time(11)
    assert learned(served) == {1: (1.0, '{"closed": "reward", "beside": [1.0]}')}
    assert_clean(served)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_exports_and_a_start_keep_what_was_told(served: Windowed, tmp_path: Path, form: str) -> None:
    create_states(served, policy="half_visit", late="record")
    for n in range(12):
        name = decide(served, n % 3, begins=n == 0)
        if n % 4 != 1:
            status(served, name, value=n % 3 / 2, **({"ended": True} if n == 6 else {"next_state": (n + 1) % 3}))
        served.pass_time(4)
    status(served, "~1", value=1.0, next_state=0)
    before = plan(served)
    served.restart()
    assert plan(served) == before
    served.pass_time(30)
    file = tmp_path / f"log.{form}"
    for rows in ROWS:
        file.write_bytes(served.get(f"{E}/log?format={form}&rows={rows}").content)
        assert command("verify", str(file))[0] == 0
    copied = served.post("/v1/experiments:import?experiment_id=copy", served.get(f"{E}/log").content)
    assert copied.status_code == 201, copied.text
    assert served.report("copy")["plan"] == plan(served)
    _, events = log_of(served.store, "e")
    _, again = log_of(served.store, "copy")
    told = [(event.kind, event.number, event.reward, event.detail) for event in events]
    assert told == [(event.kind, event.number, event.reward, event.detail) for event in again]
    assert_clean(served)


@pytest.mark.parametrize("detail", [[99.0], [-1.0], [0.5], [1.0, 2.0]])
def test_an_import_of_a_next_state_that_there_is_not_is_refused(served: Windowed, detail: list[float]) -> None:
    """Its window is open, and would learn it."""
    create_states(served)
    status(served, decide(served, "empty"), value=1.0, next_state="full")
    log = served.get(f"{E}/log").content
    assert log.count(b'"detail":[2.0]') == 1
    log = log.replace(b"[2.0]", json.dumps(detail).encode())
    told = assert_refused(served.post("/v1/experiments:import?experiment_id=copy", log), 422, "bad_detail")
    assert "line 3: the outcome of decision 0 has the detail" in told["detail"]


def test_another_next_state_than_came_is_found(served: Windowed, tmp_path: Path) -> None:
    create_states(served)
    name = decide(served, "empty")
    status(served, name, value=1.0, next_state="full")
    served.pass_time(11)
    changed = with_beside('{"closed": "reward"}', [1.0])
    with closing(sqlite3.connect(tmp_path / "run.db")) as database, database:
        database.execute("UPDATE event SET detail = ? WHERE kind = ? AND number = 0", (changed, LEARN))
    (found,) = [one for one in verified(served.url) if has_fault(one)]
    assert "beside" in str(found)


def test_an_erased_decision_says_nothing_of_where_it_led(served: Windowed) -> None:
    create_states(served, late="record")
    name = decide(served, "empty")
    status(served, name, value=1.0, next_state="full")
    served.pass_time(11)
    status(served, name, value=1.0, next_state="half", reward_id="late")
    served.post(f"{E}/decisions", {"state": "empty"})
    answer = served.post(f"{E}:erase", {"decision_ids": [name]})
    assert answer.status_code == 200, answer.text
    served.restart()
    _, events = log_of(served.store, "e")
    assert not any("beside" in (event.detail or "") for event in events)
    assert LATE in [event.detail for event in events]


def test_a_cost_that_is_told_counts_and_silence_has_cost_what_is_listed(served: Windowed) -> None:
    answer = served.create(policy=PACED, problem={"feedback": "cost"}, reward=WAIT)
    assert answer.status_code == 201, answer.text
    names = [served.decide().json()["decision_id"] for _ in range(2)]
    charged = [PACED["params"]["cost"]["abc".index(served.record(name).json()["action_id"])] for name in names]  # type: ignore[index]
    assert status(served, names[0], value=1.0, cost=0.5) == "accepted"

    def spent() -> float:
        value: float = served.get(f"{E}/diagnostics").json()["constants"]["spent"]["value"]
        return value

    assert spent() == sum(charged)
    served.pass_time(11)
    assert spent() == pytest.approx(0.5 + charged[1])
    assert served.record(names[0]).json()["reward"]["cost"] == 0.5
    assert "cost" not in served.record(names[1]).json()["reward"]
    assert_clean(served)


@pytest.mark.parametrize("problem", [STATES, {"feedback": "cost"}])
@pytest.mark.parametrize("reward", [{"aggregation": "mean"}, {"late": "learn"}])
def test_what_would_make_one_of_several_is_refused(served: Windowed, problem: Any, reward: Any) -> None:
    policy = PACED if "feedback" in problem else "half_visit"
    told = assert_refused(served.create(policy=policy, problem=problem, reward=WAIT | reward), 422, "bad_window")
    assert ("next state" if "states" in problem else "cost") in told["detail"]
