"""`onearm.simulate` in Python: what the command says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from matplotlib.figure import Figure

import onearm
from onearm.api import console
from onearm.api.cli.main import run
from onearm.engine.compiled.waiting import WAITING
from onearm.engine.errors import InvalidInput
from onearm.envs import catalog as envs
from onearm.policies import catalog

WORLD = 'bernoulli:{"mean":[0.1,0.9]}'


def test_simulate_says_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    asked: dict[str, Any] = {"horizon": 60, "replications": 3, "seed": 2}
    found = onearm.simulate(WORLD, ["ucb1", "uniform"], **asked)
    policies = ("--policy", "ucb1", "--policy", "uniform", "--horizon", "60", "--replications", "3", "--seed", "2")
    assert run(["simulate", "--env", WORLD, *policies, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    data = found.to_dict()
    for each in (*told["runs"], *data["runs"]):
        assert each.pop("steps_per_second") > 0.0
    assert data == told
    made = onearm.simulate(envs.parse(WORLD), catalog.make("ucb1"), **asked)
    assert made.to_dict()["runs"][0]["regret_mean"] == told["runs"][0]["regret_mean"]


def test_runs_show_themselves() -> None:
    names = onearm.simulate(WORLD, ["thompson_beta", 'ucb1:{"alpha":2}'], horizon=5).names
    assert names == ["thompson_beta", "ucb1(alpha=2)"]
    found = onearm.simulate(WORLD, ["ucb1", "uniform"], horizon=40, replications=2)
    frame = found.to_frame()
    assert list(frame["label"]) == ["ucb1", "uniform"]
    assert list(frame["regret_mean"]) == [each["regret_mean"] for each in found.to_dict()["runs"]]
    assert repr(found).startswith("bernoulli, 40 trials, 2 replications\nlabel ")
    assert found._repr_html_().count("<tr>") == 3
    axes = found.plot(ax=Figure().subplots())
    assert [line.get_label() for line in axes.get_lines()] == ["ucb1", "uniform"]
    assert axes.get_lines()[1].get_ydata()[-1] == found.to_dict()["runs"][1]["regret_mean"]


def test_what_policies_are_not_made_for_is_a_note() -> None:
    found = onearm.simulate('bernoulli:{"mean":[0.5,0.5]}', "ucb1", horizon=5)
    assert found.notes == []
    found = onearm.simulate('normal:{"mean":[3.0,4.0]}', "ucb1", horizon=20)
    assert len(found.notes) == 1 and found.notes[0] in repr(found)


def test_simulations_of_nothing_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one policy"):
        onearm.simulate(WORLD, [], horizon=5)
    with pytest.raises(InvalidInput, match="no end of its own"):
        onearm.simulate(WORLD, "ucb1")


def test_differences_are_a_table_of_their_own() -> None:
    found = onearm.simulate(WORLD, ["ucb1", "uniform"], horizon=60, replications=3)
    frame = found.to_frame("differences")
    assert [list(frame[name]) for name in ("policy", "best")] == [["uniform"], ["ucb1"]]
    assert list(frame["mean"]) == [found.to_dict()["differences"][0]["mean"]]
    with pytest.raises(InvalidInput, match="there is no table 'segments': there are runs, differences"):
        found.to_frame("segments")
    with pytest.raises(InvalidInput, match=r"there is no table 'differences': there are runs$"):
        onearm.simulate(WORLD, ["ucb1", "uniform"], horizon=5).to_frame("differences")


def test_a_person_is_told_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WAITING, "listener", None)
    onearm.simulate(WORLD, "ucb1", horizon=5)
    assert WAITING.listener is None
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True)
    onearm.simulate(WORLD, "ucb1", horizon=5)
    assert WAITING.listener is console.say_what_compiles
