"""`onearm evaluate-active`: the table, JSON, the plot, and words for wrong use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onearm.api.cli.evaluate_active import EFFORTS
from onearm.engine.hardness.complexity import difficulty
from onearm.engine.hardness.exact.losses import exact_losses
from onearm.engine.hardness.exact.states import uniform
from onearm.engine.hardness.worst_case import Effort
from onearm.engine.task import thresholds

TASK = ("evaluate-active", "--task", "thresholds", "--points", "2", "--budget", "4", "--levels", "5,20")
TINY = Effort(4, 2, 0.08, 4, 2, 1, 0.03, 4, kept=1, choice_rollouts=8, chosen=1, final_rollouts=100)


@pytest.fixture(autouse=True)
def tiny(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("jit") is None:
        monkeypatch.setitem(EFFORTS, "usual", TINY)


def test_json_holds_every_policy_and_level_with_the_means_where_it_loses(onearm: Any) -> None:
    found = onearm(*TASK, "--policy", "uniform_budget", "--json").json
    assert [(row["policy"], row["level"]) for row in found["worst_case"]] == [
        ("uniform_budget", 5),
        ("uniform_budget", 20),
    ]
    means = np.array([row["means"] for row in found["worst_case"]])
    assert (difficulty(thresholds(2), means) <= [5.25, 21.0]).all()
    exact = exact_losses(uniform(thresholds(2), 4), means)
    for row, loss in zip(found["worst_case"], exact, strict=True):
        assert abs(row["loss"] - loss) <= 4.0 * row["stderr"]
    assert found["gap"] == {"uniform_budget": 0.0}
    assert found["task"] == thresholds(2).to_json()
    assert (found["budget"], found["plots"]) == (4, [])


def test_a_person_sees_a_table_from_the_smallest_gap_on(onearm: Any) -> None:
    done = onearm(*TASK, "--policy", "generalised_binary_search", "--policy", "uniform_budget")
    assert done.code == 0
    assert "thresholds, 2 points, 4 queries, answers signs" in done.out
    assert "r = 5" in done.out
    assert "r = 20" in done.out
    assert "gap" in done.out
    assert "uniform_budget" in done.out
    assert "generalised_binary_search" in done.out


def test_the_plot_is_drawn_and_the_same_each_time(onearm: Any, tmp_path: Path) -> None:
    files = []
    for folder in ("one", "two"):
        found = onearm(*TASK, "--policy", "uniform_budget", "--plots", str(tmp_path / folder), "--json").json
        files.append(Path(found["plots"][0]))
    one, two = (file.read_bytes() for file in files)
    assert one == two
    assert b"<svg" in one
    assert files[0] == tmp_path / "one" / "worst_losses.svg"


def test_one_policy_with_other_params_has_another_name(onearm: Any) -> None:
    other = 'generalised_binary_search:{"noise":0.4}'
    found = onearm(*TASK, "--policy", "generalised_binary_search", "--policy", other, "--json").json
    assert list(found["gap"]) == ["generalised_binary_search", other]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "ucb1"), "policy 'ucb1' decides on"),
        (("--policy", "uniform_budgets"), "there is no policy 'uniform_budgets': try uniform_budget"),
        (("--policy", "uniform_budget", "--policy", "uniform_budget"), "is given twice"),
        (("--policy", "uniform_budget", "--levels", "20,5"), "they must be numbers above 0 that ascend"),
        (("--policy", "uniform_budget", "--levels", "5;20"), "no list of numbers like 8,16,32,64"),
        (("--policy", "uniform_budget", "--levels", "0.1"), "take a larger level"),
        (("--policy", "uniform_budget", "--arms", "3"), "--task thresholds has no --arms"),
        (("--policy", "uniform_budget", "--budget", "0"), "the horizon is 0"),
        (("--policy", "uniform_budget", "--seed", "-1"), "the seed is -1"),
        ((), "Missing option '--policy'"),
    ],
)
def test_wrong_use_is_refused_in_words(onearm: Any, arguments: tuple[str, ...], words: str) -> None:
    done = onearm(*TASK, *arguments)
    assert done.code == 2
    assert words in " ".join(done.err.split())
    assert done.out == ""


def test_a_folder_that_cannot_be_made_is_refused_before_the_search(onearm: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = onearm(*TASK, "--policy", "uniform_budget", "--plots", str(tmp_path / "file" / "plots"))
    assert (done.code, "name a folder" in done.err) == (2, True)


def test_without_matplotlib_a_plot_is_refused_in_words(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onearm.api.cli.loss_plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = onearm(*TASK, "--policy", "uniform_budget", "--plots", "plots")
    assert (done.code, "matplotlib, which is not installed" in done.err) == (2, True)


def test_a_task_without_its_size_is_refused(onearm: Any) -> None:
    done = onearm("evaluate-active", "--task", "arms", "--budget", "4", "--policy", "uniform_budget")
    assert (done.code, "--task arms needs --arms" in done.err) == (2, True)


@pytest.mark.jit
def test_compiled_it_finds_what_uniform_loses_on_three_points(onearm: Any) -> None:
    arguments = ("--task", "thresholds", "--points", "3", "--budget", "6", "--levels", "6,40")
    found = onearm("evaluate-active", *arguments, "--policy", "uniform_budget", "--effort", "quick", "--json").json
    # On a grid of 25 means a point the exact worst losses are .2711 and .2939.
    for row, worst in zip(found["worst_case"], (0.2711, 0.2939), strict=True):
        assert 0.9 * worst <= row["loss"] <= 1.05 * worst + 4.0 * row["stderr"]
