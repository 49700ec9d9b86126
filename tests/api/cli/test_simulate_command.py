"""`onearm simulate`, and what all commands have in common: help, catalogues, exit codes, words for wrong use."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.worlds import BERNOULLI as WORLD

from onearm.api.cli.main import COMMANDS
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.vocabulary import DECIDE
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

ACCEPTANCE = [
    *("simulate", "--env", WORLD, "--policy", "ucb1", "--policy", 'epsilon_greedy:{"epsilon":0.1}'),
    *("--horizon", "200", "--replications", "4", "--seed", "1", "--json"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_names_the_command(onearm: Any, command: str) -> None:
    for flag in ("--help", "-h"):
        done = onearm(command, flag)
        assert done.code == 0
        assert "Example" in done.out
        assert f"  onearm {command}" in done.out


def test_the_table_of_commands_is_the_help(onearm: Any) -> None:
    done = onearm("--help")
    assert done.code == 0
    for command, line in COMMANDS.items():
        assert f"\n  {command} " in done.out
        assert line in " ".join(done.out.split())


def test_the_version_is_told(onearm: Any) -> None:
    done = onearm("--version")
    assert (done.code, "onearm" in done.out, "0." in done.out) == (0, True, True)


@pytest.mark.parametrize("command", ["policies", "envs"])
def test_catalogues_name_everything_with_params_and_a_line(onearm: Any, command: str) -> None:
    catalog = {"policies": policies, "envs": envs}[command]
    done = onearm(command, "--json")
    assert [entry["name"] for entry in done.json] == catalog.names()
    more = {"policies": {"learns_from", "default"}, "envs": {"reveals", "domain"}}[command]
    assert all(set(entry) == {"name", "params", "line", "decides"} | more for entry in done.json)
    assert all(entry["line"].endswith(".") for entry in done.json)
    table = onearm(command)
    assert table.code == 0
    assert all(name in table.out for name in catalog.names())


def test_a_simulation_as_json_has_the_fields_and_figures_of_the_experiment(onearm: Any) -> None:
    done = onearm(*ACCEPTANCE)
    assert done.code == 0
    assert set(done.json) == {"runs", "differences"}
    first, second = done.json["runs"]
    needed = {
        "policy",
        "params",
        "horizon",
        "replications",
        "reward_mean",
        "regret_mean",
        "regret_stderr",
        "regret_kind",
        "steps_per_second",
    }
    assert needed <= set(first) == set(second)
    assert (first["policy"], first["params"]) == ("ucb1", {"alpha": 1.0, "wait": 0})
    assert (second["policy"], second["params"]["epsilon"]) == ("epsilon_greedy", 0.1)
    assert (first["horizon"], first["replications"]) == (200, 4)
    curves = simulate(policies.make("ucb1"), envs.parse(WORLD), horizon=200, replications=4, seed=1)
    assert first["reward_mean"] == curves.reward[:, -1].mean() / 200
    assert first["regret_mean"] == curves.regret[:, -1].mean()
    assert math.isclose(first["regret_stderr"], curves.regret[:, -1].std(ddof=1) / 2, rel_tol=1e-12)
    assert first["regret_kind"] == "best arm's mean"
    assert first["steps_per_second"] > 0


def test_one_replication_has_no_standard_error(onearm: Any) -> None:
    done = onearm("simulate", "--env", WORLD, "--policy", "ucb1", "--horizon", "10", "--json")
    assert done.json["runs"][0]["regret_stderr"] is None


def test_a_simulation_as_a_table_shows_the_best_first_and_no_bar_when_piped(onearm: Any) -> None:
    done = onearm(*ACCEPTANCE[:-1])
    assert done.code == 0
    assert done.err == ""
    told = done.out.split("reward per trial;")[0]
    rows = [line.split()[0] for line in told.splitlines() if line.split()[:1] in (["ucb1"], ["epsilon_greedy"])]
    runs = {run["policy"]: run["reward_mean"] for run in onearm(*ACCEPTANCE).json["runs"]}
    assert rows == sorted(runs, key=lambda name: -runs[name])
    assert "best arm's mean" in done.out


def test_an_environment_with_an_end_needs_no_horizon_and_can_be_passed_several_times(onearm: Any) -> None:
    table = 'classification:{"features":[[0],[1],[2],[3]],"label":[0,1,0,1]}'
    common = ("simulate", "--env", table, "--policy", "uniform", "--json")
    assert onearm(*common).json["runs"][0]["horizon"] == 4
    assert onearm(*common, "--passes", "3").json["runs"][0]["horizon"] == 12
    assert onearm(*common, "--horizon", "5").json["runs"][0]["horizon"] == 5
    assert "give one of them" in onearm(*common, "--horizon", "5", "--passes", "1").err


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_log_holds_every_event_of_the_simulation(
    onearm: Any, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onearm.engine.simulation.LOG_CHUNK", 7)
    file = tmp_path / "new folder" / f"out.{ending}"
    common = ("simulate", "--env", WORLD, "--policy", "exp3_ix", "--horizon", "25", "--seed", "18446744073709551615")
    done = onearm(*common, "--log", str(file))
    assert (done.code, done.out) == (0, "")
    assert f"25 decisions of exp3_ix in {file}" in done.err
    found = {"jsonl": jsonl.read, "parquet": parquet.read}[ending](file)
    expected = Simulation(policies.make("exp3_ix"), envs.parse(WORLD), horizon=25, seed=2**64 - 1).advance_logged(25)
    assert found.problem.horizon == 25
    assert found.spec == {
        "policy": {"name": "exp3_ix", "params": {}},
        "env": envs.parse(WORLD).spec,
        "seed": "18446744073709551615",
    }
    for column, other in zip(found.events, expected, strict=True):
        assert np.array_equal(*np.broadcast_arrays(column, other), equal_nan=column.dtype.kind == "f")


@pytest.mark.parametrize("policy", ["thompson_beta", "thompson_normal"])
def test_every_decision_of_a_log_has_its_propensity(onearm: Any, tmp_path: Path, policy: str) -> None:
    file = tmp_path / "out.jsonl"
    assert onearm("simulate", "--env", WORLD, "--policy", policy, "--horizon", "9", "--log", str(file)).code == 0
    events = jsonl.read(file).events
    propensity = events.propensity[events.kind == DECIDE]
    assert len(propensity) == 9 and ((propensity > 0.0) & (propensity <= 1.0)).all()
    assert onearm("verify", str(file)).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env", "bernouli", "--policy", "ucb1"], "there is no env 'bernouli': try bernoulli"),
        (["--env", WORLD, "--policy", "ucb2"], "there is no policy 'ucb2': try ucb1"),
        (["--env", 'bernoulli:{"means":[1]}', "--policy", "ucb1"], "env 'bernoulli' has no param 'means': its params"),
        (["--env", WORLD, "--policy", 'ucb1:{"alpa":1}'], "policy 'ucb1' has no param 'alpa': its params are alpha"),
        (["--env", WORLD, "--policy", 'ucb1:{"alpha":-1}'], "alpha is -1: it must be a number in (0, inf)"),
        (
            ["--env", 'bernoulli:{"mean":[0.1,2]}', "--policy", "ucb1"],
            "mean[1] is 2: it must be a finite number from 0",
        ),
        (["--env", WORLD, "--policy", "ucb1:{alpha:1}"], "the params of 'ucb1' are not JSON"),
        (["--env", "bernoulli:[1]", "--policy", "ucb1"], "params of 'bernoulli' are [1]: they must be an object"),
        (["--env", WORLD, "--policy", "ucb1", "--horizon", "0"], "the horizon is 0: it must be a whole number"),
        (["--env", WORLD, "--policy", "ucb1", "--passes", "2"], "bernoulli is no table that could be passed through"),
        (["--env", "adversarial", "--policy", "ucb1", "--passes", "0"], "the horizon is 0: it must be a whole number"),
        (["--env", WORLD, "--policy", "ucb1", "--replications", "0", "--horizon", "5"], "0 replications: at least 1"),
        (["--env", WORLD, "--policy", "ucb1", "--seed", "-1", "--horizon", "5"], "the seed is -1: it must be a whole"),
        (["--env", WORLD, "--policy", "ucb1", "--horizon", "ten"], "'ten' is no whole number"),
        (["--env", WORLD, "--horizon", "5"], "Missing option '--policy'"),
        (["--policy", "ucb1"], "Missing option '--env'"),
        (["--env", WORLD, "--policy", "ucb1", "--horizont", "5"], "No such option"),
        (["--env", WORLD, "--policy", "ucb1", "--horizon", "5", "--log", "x.csv"], "x.csv does not end in .jsonl"),
        (["--env", WORLD, "--policy", "ucb1", "--horizon", "5", "--log", "/dev/null/x.jsonl"], "cannot write"),
        (
            ["--env", WORLD, "--policy", "ucb1", "--policy", "moss", "--horizon", "5", "--log", "x.jsonl"],
            "--log writes one run: give one --policy",
        ),
    ],
)
def test_wrong_use_is_explained_in_one_line_and_ends_with_2(onearm: Any, arguments: list[str], said: str) -> None:
    if "--horizon" not in arguments and "--passes" not in arguments:
        arguments = [*arguments, "--horizon", "5"]
    done = onearm("simulate", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""
    assert not Path("x.jsonl").exists()


def test_a_horizon_must_be_given_where_the_world_has_no_end(onearm: Any) -> None:
    done = onearm("simulate", "--env", WORLD, "--policy", "ucb1")
    assert (done.code, "bernoulli has no end of its own: give --horizon" in done.err) == (2, True)


def test_an_unknown_command_is_wrong_use(onearm: Any) -> None:
    done = onearm("simulat")
    assert (done.code, "No such command 'simulat'" in done.err) == (2, True)


def test_an_interrupt_ends_with_130_and_a_word(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("onearm.api.cli.simulate.run_experiment", interrupted)
    done = onearm("simulate", "--env", WORLD, "--policy", "ucb1", "--horizon", "5")
    assert done.code == 130
    assert done.err.strip() == "stopped"


def test_an_error_of_ours_is_no_excuse_for_a_bug_to_hide(monkeypatch: pytest.MonkeyPatch, onearm: Any) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("onearm.api.cli.simulate.run_experiment", broken)
    with pytest.raises(ZeroDivisionError):
        onearm("simulate", "--env", WORLD, "--policy", "ucb1", "--horizon", "5")


@pytest.mark.jit
def test_the_acceptance_command_runs_as_a_process_and_prints_json_only(onearm: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onearm", *ACCEPTANCE]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [run["policy"] for run in json.loads(done.stdout)["runs"]] == ["ucb1", "epsilon_greedy"]
    wrong = onearm(*ACCEPTANCE, "--policy", "ucb2")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith("onearm: there is no policy 'ucb2'")
