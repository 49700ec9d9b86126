"""Streams of arms on the command line: simulated, written to a file, verified from it, and not replayed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest

from onearm.engine import snapshot
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.storage.formats import jsonl, parquet
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

STREAM = 'arm_stream:{"arms":50,"means":"uniform"}'
TRIALS = 50_000
NAMES = golden.names("move")
READERS = {"jsonl": jsonl.read, "parquet": parquet.read}


def run_of(name: str) -> Simulation:
    return Simulation(policies.make(name), envs.parse(STREAM), horizon=TRIALS, seed=3)


def written(onearm: Any, name: str, ending: str) -> Path:
    """Return the file that holds the log of one run of a policy."""
    file = Path(f"{name}.{ending}")
    common = ("simulate", "--env", STREAM, "--policy", name, "--horizon", str(TRIALS), "--seed", "3")
    done = onearm(*common, "--log", str(file))
    assert (done.code, done.out) == (0, "")
    return file


@pytest.mark.parametrize("name", NAMES)
def test_a_simulation_as_json_has_the_figures_of_the_experiment(onearm: Any, name: str) -> None:
    common = ("simulate", "--env", STREAM, "--policy", name, "--horizon", str(TRIALS))
    done = onearm(*common, "--replications", "2", "--seed", "3", "--json")
    assert done.code == 0
    (run,) = done.json["runs"]
    curves = simulate(policies.make(name), envs.parse(STREAM), horizon=TRIALS, replications=2, seed=3)
    assert (run["policy"], run["horizon"], run["replications"]) == (name, TRIALS, 2)
    assert run["regret_mean"] == curves.regret[:, -1].mean() > 0.0
    assert run["reward_mean"] == curves.reward[:, -1].mean() / TRIALS
    assert run["regret_kind"] == "best arm of the whole stream, for each pull"


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_log_holds_every_move_and_verifies(
    onearm: Any, name: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onearm.engine.simulation.LOG_CHUNK", 70)
    file = written(onearm, name, ending)
    run = run_of(name)
    log, found = run.advance_logged(TRIALS), READERS[ending](file)
    assert found.problem == run.problem
    for column, other in zip(found.events, log, strict=True):
        assert np.array_equal(*np.broadcast_arrays(column, other), equal_nan=column.dtype.kind == "f")
    done = onearm("verify", str(file), "--json")
    assert done.code == 0
    assert done.json["experiments"] == [
        {
            "id": file.name,
            "decides": "move",
            "events": 2 * run.t,
            "decisions": run.t,
            "first_difference": None,
            "digest": snapshot.digest(run.state),
        }
    ]


@pytest.mark.parametrize(("kind", "field", "place", "value"), [("decide", "action", 2, 9), ("learn", "detail", 0, 7.0)])
def test_a_tampered_move_is_named_and_ends_with_1(onearm: Any, kind: str, field: str, place: int, value: float) -> None:
    """Pulls that were not done change a later move, be it the last one, which makes what is left."""
    file = written(onearm, "early_drop", "jsonl")
    lines = list(map(json.loads, file.read_text().splitlines()))
    row = next(row for row, line in enumerate(lines) if row > 20 and line.get("kind") == kind and 8 in line[field])
    lines[row][field][place] = value
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = onearm("verify", str(file), "--json")
    assert done.code == 1
    number, differs = lines[row]["number"], done.json["experiments"][0]["first_difference"]
    assert differs == number if kind == "decide" else differs > number


def test_bad_moves_are_named_and_the_log_does_not_verify(onearm: Any) -> None:
    file = written(onearm, "early_drop", "jsonl")
    lines = file.read_text().splitlines()
    lines[-1] = lines[-1].replace('"detail":[', '"detail":[-')
    file.write_text("\n".join(lines) + "\n")
    (found,) = onearm("verify", str(file), "--json").json["experiments"]
    assert found["bad_lines"] == {"bad_detail": 1}
    assert found["note"] == f"1 bad lines: bad_detail in lines {len(lines)}"


@pytest.mark.parametrize("policy", ["early_drop", "ucb1"])
@pytest.mark.parametrize("ending", READERS)
def test_a_log_of_moves_is_not_replayed_and_the_reason_is_said(onearm: Any, ending: str, policy: str) -> None:
    file = written(onearm, "early_drop", ending)
    done = onearm("replay", str(file), "--policy", policy)
    assert (done.code, done.out) == (2, "")
    assert "each move changes which are possible later" in done.err
    assert "onearm verify" in done.err


@pytest.mark.parametrize(
    ("env", "policy", "said"),
    [
        (STREAM, "ucb1", "'ucb1' decides on arms that are all there, but this problem has arms that stream past"),
        ("bernoulli", "early_drop", "'early_drop' decides on arms that stream past, but this problem has arms that"),
        (STREAM, 'floor:{"policy":"early_drop"}', "'early_drop' decides on arms that stream past, which have no"),
        ('delayed:{"env":"arm_stream"}', "early_drop", "env lets arms stream past"),
        ('arm_stream:{"slots":0}', "early_drop", "there are 0 slots: a stream has 1 to 64"),
        ('arm_stream:{"arms":0}', "early_drop", "arms is 0: it must be a whole number from 1"),
    ],
)
def test_wrong_use_is_explained_in_one_line_and_ends_with_2(onearm: Any, env: str, policy: str, said: str) -> None:
    done = onearm("simulate", "--env", env, "--policy", policy, "--horizon", "100")
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_the_demo_has_arms_that_are_all_there(onearm: Any) -> None:
    done = onearm("demo", "--env", STREAM, "--steps", "5")
    assert (done.code, done.out) == (2, "")
    assert "arm_stream lets arms stream past, and the demo has arms that are all there" in done.err


@pytest.mark.jit
def test_the_acceptance_command_prints_json_only(onearm: Any) -> None:
    """10,000 arms and 10^8 trials: the time does not grow with the trials."""
    command = ["simulate", "--env", STREAM.replace("50", "10000"), "--policy"]
    command += ["early_drop", "--horizon", "100000000", "--replications", "5", "--seed", "1", "--json"]
    done = onearm(*command)
    assert (done.code, done.err) == (0, "")
    (run,) = done.json["runs"]
    assert (run["horizon"], run["replications"]) == (10**8, 5)
    assert 0.0 < run["regret_mean"] < 0.4 * 10_000 ** (1 / 3) * (10**8) ** (2 / 3)
