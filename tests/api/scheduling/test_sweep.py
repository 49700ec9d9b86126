"""`onearm simulate --scheduler`: the same bits as in threads, whatever the worker, and policies that it lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dask_workers import two_workers

from onearm.api.cli.main import run
from onearm.api.scheduling.scheduler import Threads, opened
from onearm.api.scheduling.sweep import sweep
from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

OWN = '''"""Always the last arm."""
from onearm.policies import catalog

def {name}():
    return catalog.make("{inside}")
'''


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    with two_workers() as address:
        yield address


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    capsys.readouterr()
    code = run(["simulate", "--env", "bernoulli", "--horizon", "200", "--json", *arguments])
    out, err = capsys.readouterr()
    runs = json.loads(out)["runs"] if out else []
    for each in runs:
        del each["steps_per_second"]
    return code, runs, err


@pytest.mark.parametrize("replications", [1, 5, 40])
def test_parts_of_any_size_are_one_experiment(replications: int) -> None:
    world = envs.make("bernoulli", mean=[0.2, 0.7, 0.6])
    contenders = [policies.make("ucb1"), policies.make("exp3_ix")]
    asked: Any = {"horizon": 30, "replications": replications, "seed": 4}
    spread = sweep(contenders, world, **asked, scheduler=Threads(1))
    for found, policy in zip(spread, contenders, strict=True):
        whole = simulate(policy, world, **asked)
        for name in ("policy", "env", "horizon", "task", "supposes", "changes", "regret_kind", "outside"):
            assert getattr(found, name) == getattr(whole, name)
        for name in ("t", "reward", "regret", "bound", "variation"):
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_the_command_gives_the_same_bits_on_workers(dask_address: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--policy", "ucb1", "--policy", "thompson_beta", "--replications", "7", "--seed", "9")
    here = told(capsys, *asked)
    assert here[0] == 0 and told(capsys, *asked, "--scheduler", dask_address) == here


def test_a_policy_of_ones_own_comes_with_the_work_and_again_once_it_was_edited(
    dask_address: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, found = tmp_path / "own_policy_for_workers.py", []
    for inside in ("uniform", "ucb1"):
        file.write_text(OWN.format(name=file.stem, inside=inside))
        policies._outside.pop(file.stem, None)  # as a new process has it
        asked = ("--policy-file", str(file), "--policy", file.stem, "--replications", "4")
        code, runs, _ = told(capsys, *asked, "--scheduler", dask_address)
        assert code == 0
        found.append(runs[0]["regret_mean"])
        assert told(capsys, "--policy", inside, "--replications", "4")[1][0]["regret_mean"] == found[-1]
    assert found[0] != found[1]


def test_a_log_is_of_one_run_and_not_spread(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = str(tmp_path / "log.jsonl")
    code, _, err = told(capsys, "--policy", "ucb1", "--log", log, "--scheduler", "local:2")
    assert (code, "--log writes the events of one run: leave out --scheduler" in err) == (2, True)


def test_threads_are_a_scheduler_too(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--policy", "ucb1", "--replications", "3")
    assert told(capsys, *asked, "--scheduler", "threads") == told(capsys, *asked)
    with opened("threads") as scheduler:
        assert scheduler.workers >= 1
