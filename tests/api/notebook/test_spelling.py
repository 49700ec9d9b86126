"""What Python refuses, it refuses by the command's rules, and in the names of its own arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars
import pytest

import onearm
from onearm.api.cli.main import run
from onearm.engine.errors import InvalidInput

LOG = {"action": [0, 1], "reward": [0, 1], "propensity": [0.5, 0.5], "age": [1, 2]}


@pytest.mark.parametrize(
    ("asked", "options", "said"),
    [
        ({"level": 0.3}, ["--level", "0.3"], "level is 0.3: it must be a number from 0.5 to 0.9999"),
        ({"weight_max": 0.5}, ["--weight-max", "0.5"], "weight_max=0.5: weights average 1"),
        ({"weight_limit": 0}, ["--weight-limit", "0"], "weight_limit=0: it must be a finite number above 0"),
        ({"method": "mips"}, ["--method", "mips"], "name it by embedding"),
        ({"model": "linear"}, ["--model", "linear"], "there is no model 'linear'"),
        ({"target": "linucb"}, ["--target", "linucb"], "'age' by features='A,B,C', and leave out"),
        ({"method": "nothing"}, ["--method", "nothing"], "there is no method 'nothing'"),
        ({"target": []}, [], "there is no target: name at least one"),
    ],
)
def test_the_command_and_python_refuse_the_same(
    asked: dict[str, Any], options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.csv"
    polars.DataFrame(LOG).write_csv(log)
    with pytest.raises(InvalidInput) as refused:
        onearm.evaluate(log, **({"target": "uniform"} | asked))
    assert said in str(refused.value) and "--" not in str(refused.value)
    target = [] if "target" in asked else ["--target", "uniform"]
    assert run(["evaluate", str(log), *target, *options]) == 2
    assert capsys.readouterr().err


def test_what_policies_need_is_named_as_an_argument() -> None:
    log = polars.DataFrame(LOG | {"reward": [3, 7]})
    with pytest.raises(InvalidInput, match=r"by reward_range=\(LOW, HIGH\)"):
        onearm.replay(log, "thompson_beta")
    with pytest.raises(InvalidInput, match=r"has no end of its own: give horizon$"):
        onearm.simulate("bernoulli", "ucb1")


def test_a_simulation_without_a_run_is_refused_by_the_engines_rule() -> None:
    with pytest.raises(InvalidInput, match="there are 0 replications: at least 1 is needed"):
        onearm.simulate("bernoulli", "ucb1", horizon=10, replications=0)
