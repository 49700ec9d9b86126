"""What `onearm simulate` compares, and the files that it writes for a paper."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from onearm.api.simulated import differences
from onearm.engine.estimate.tails import t_tails
from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

WORLD = 'bernoulli:{"mean":[0.2,0.8]}'
CONTENDERS = ("ucb1", "uniform", 'epsilon_greedy:{"epsilon":0.1}')
COMMAND = ["simulate", "--env", WORLD, *(word for one in CONTENDERS for word in ("--policy", one))]
RUN = [*COMMAND, "--horizon", "60", "--replications", "5", "--seed", "2"]


@pytest.fixture(scope="module")
def curves() -> list[Any]:
    world = envs.parse(WORLD)
    return [simulate(policies.parse(one), world, horizon=60, replications=5, seed=2) for one in CONTENDERS]


def test_policies_are_compared_with_the_best_pair_by_pair(curves: list[Any]) -> None:
    final = [one.regret[:, -1] for one in curves]
    best = int(np.argmin([one.mean() for one in final]))
    others = [i for i in range(3) if i != best]
    tests = {i: stats.ttest_rel(final[i], final[best]) for i in others}
    adjusted = dict[int, float]()
    small, large = sorted(others, key=lambda i: tests[i].pvalue)
    adjusted[small] = min(1.0, 2 * tests[small].pvalue)
    adjusted[large] = max(adjusted[small], tests[large].pvalue)
    for i, found in zip(others, differences(curves), strict=True):
        assert found.mean == pytest.approx((final[i] - final[best]).mean())
        assert found.mean / found.stderr == pytest.approx(tests[i].statistic)
        assert found.p == pytest.approx(adjusted[i], rel=1e-9)
        assert (found.of, found.policy) == ("regret", policies.label(curves[i].policy))


def test_one_policy_or_one_replication_is_not_compared(curves: list[Any]) -> None:
    assert differences(curves[:1]) == []
    world = envs.parse(WORLD)
    assert differences([simulate(policies.make(one), world, horizon=9, seed=1) for one in ("ucb1", "uniform")]) == []


def test_policies_that_do_the_same_are_not_told_apart(curves: list[Any]) -> None:
    (same,) = differences([curves[0], curves[0]])
    assert (same.mean, same.stderr, same.p) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("value", [0.0, -0.3, 2.0, 40.0])
def test_tails_of_t_are_those_of_scipy(value: float) -> None:
    for freedom in (1, 4, 200):
        assert t_tails(value, freedom) == pytest.approx(2 * stats.t.sf(abs(value), freedom), rel=1e-10)


def test_json_has_the_comparison_and_the_table_says_it(onearm: Any, curves: list[Any]) -> None:
    found = onearm(*RUN, "--json").json
    assert found["differences"] == [json.loads(json.dumps(each._asdict())) for each in differences(curves)]
    table = " ".join(onearm(*RUN).out.split())
    for each in differences(curves):
        said = f"than {each.best}" if each.p < 0.05 else f"not told apart from {each.best}"
        assert f"{each.policy} " in table and said in table


def test_files_hold_what_was_found(onearm: Any, tmp_path: Path, curves: list[Any]) -> None:
    files = {ending: tmp_path / "new" / f"run.{ending}" for ending in ("csv", "tex", "svg")}
    assert onearm(*RUN, "--csv", files["csv"], "--latex", files["tex"], "--plot", files["svg"]).code == 0
    with files["csv"].open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 3 * 5 * len(curves[0].t)
    ends = [float(row["regret"]) for row in rows if row["policy"] == "uniform" and row["t"] == "60"]
    assert ends == curves[1].regret[:, -1].tolist()
    latex = files["tex"].read_text()
    assert r"\begin{tabular}{lrr}" in latex and r"epsilon\_greedy" in latex
    assert rf"${curves[1].regret[:, -1].mean():.4g} \pm" in latex
    assert latex.count(r"\textbf") == 1 + sum(each.p >= 0.05 for each in differences(curves))
    ElementTree.parse(files["svg"])


def test_a_sweep_tries_values_once(onearm: Any) -> None:
    found = onearm(*RUN, "--sweep", "ucb1.alpha=0.5,1,2", "--json").json["runs"]
    assert [one["params"].get("alpha") for one in found] == [1.0, None, None, 0.5, 2.0]


def test_what_cannot_be_written_is_refused_before_anything_runs(onearm: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for option, name, said in (
        ("--plot", "run.txt", ".svg, .pdf, .png"),
        ("--csv", "", "is a folder"),
        ("--latex", "file/run.tex", "cannot be made"),
    ):
        done = onearm(*COMMAND, "--horizon", "1000000000", option, tmp_path / name)
        assert done.code == 2 and said in done.err
    done = onearm(*RUN, "--log", tmp_path / "log.jsonl", "--csv", tmp_path / "run.csv")
    assert done.code == 2 and "--log writes the events of one run" in done.err
