"""The reproduction of "Learning to relax": what its script prints, and that it would notice a wrong figure."""

from __future__ import annotations

import copy
import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.protocol import observe, respond
from onearm.engine.vocabulary import Instance, Key
from onearm.envs import catalog as envs

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ROOT / "benchmarks" / "papers"
ROW = {"mean", "sd", "last1000", "ratio_to_best_fixed", "trials", "cpu_seconds"}


def read(text: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return result


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PAPERS))
    return importlib.import_module("sor")


@pytest.fixture
def quick(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with small systems, where kernels are not compiled."""
    make = envs.make

    def small(name: str, **params: Any) -> Any:
        sizes = {"shifted_laplacian": {"side": 3, "rtol": 1e-2}, "heat_equation": {"rtol": 1e-2}}
        return make(name, **{**params, **sizes[name]})

    monkeypatch.setattr(importlib.import_module("sor_runs").envs, "make", small)
    monkeypatch.setattr(module, "exact_counts", lambda: {"all_equal": True, "rows": []})
    return module


def run_in_process(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["sor.py", "--json", *options])
    module.main()


@pytest.mark.jit
@pytest.mark.slow
def test_a_small_run_prints_rows_counts_and_plots(tmp_path: Path) -> None:
    options = ["--shift", "low", "--heat", "5", "--rounds", "60", "--trials", "2", "--plots", str(tmp_path)]
    chosen = ["--policies", 'fixed_omega,best_grid_point,young,cg,uniform,ucb1:{"alpha":0.5}']
    command = [sys.executable, str(PAPERS / "sor.py"), *options, *chosen]
    result = read(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)  # to a pipe: JSON
    assert result["exact_counts"]["all_equal"] and len(result["exact_counts"]["rows"]) == 14
    others = ["fixed_omega", "best_grid_point", "uniform", 'ucb1:{"alpha":0.5}']
    assert set(result["shift"]["low"]) == {*others, "young"} and set(result["heat"]["5"]) == {*others, "cg"}
    for rows in (result["shift"]["low"], result["heat"]["5"]):
        assert all(row.keys() >= ROW for row in rows.values())
        assert rows["best_grid_point"]["mean"] <= rows["fixed_omega"]["mean"] < rows["uniform"]["mean"]
        assert rows["fixed_omega"]["ratio_to_best_fixed"] == 1.0 and 1.0 <= rows["fixed_omega"]["omega"] <= 1.95
    assert result["shift"]["low"]["young"]["mean"] < result["shift"]["low"]["best_grid_point"]["mean"]
    assert len(result["plots"]) == 6
    assert all(Path(plot).read_text().count("</svg>") == 1 for plot in result["plots"])


def test_a_seed_gives_the_same_rows_and_what_is_not_asked_for_is_not_run(
    quick: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--shift", "high", "--rounds", "12", "--trials", "2", "--policies", "uniform,ucb1"]
    results = []
    for seed in ("5", "5", "6"):
        run_in_process(quick, monkeypatch, *options, "--seed", seed)
        results.append(read(capsys.readouterr().out))
    first, again, other = (
        [[row[name] for name in ("mean", "sd", "last1000")] for row in each["shift"]["high"].values()]
        for each in results
    )
    assert first == again != other
    assert results[0]["heat"] == {} and results[0]["plots"] == []
    assert list(results[0]["shift"]) == ["high"] and list(results[0]["shift"]["high"]) == ["uniform", "ucb1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--shift", "medium"], "there is no variance 'medium': known are low, high"),
        (["--heat", "1"], "'1' intervals cannot be"),
        (["--heat", "x"], "'x' intervals cannot be"),
        (["--policies", "chebbc"], "there is no policy 'chebbc': try chebcb"),
        (["--policies", "ucb1:{alpha}"], "the params of 'ucb1' are not JSON"),
        (["--policies", "ucb1:[1]"], "the params of 'ucb1' are no object"),
        (["--heat", "5", "--policies", "young"], "none of the policies is for heat"),
        (["--rounds", "0"], "rounds and trials must be 1 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str],
    words: str,
    module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_in_process(module, monkeypatch, *options)
    captured = capsys.readouterr()
    assert stopped.value.code == 2 and words in captured.err and not captured.out


def test_every_rule_of_the_table_has_a_policy_in_its_worlds(module: ModuleType) -> None:
    rules = importlib.import_module("sor_rules")
    for key, rule in rules.RULES.items():
        for world in rule.worlds:
            if rule.policy:
                made = rules.policy_of(rule, world)
                low = made.spec["params"].get("low")
                assert low in (None, {"shift": -0.15, "heat": 0.0}[world])
                assert made.spec["params"].get("reward_max", -1.0) == -1.0, key
    assert rules.policy_of(rules.RULES["tsallis_inf_binned"], "heat").spec["params"]["bins"] == 6


def test_hindsight_is_that_of_the_same_systems(quick: ModuleType) -> None:
    """Each cost of the table is what the environment asks for that arm in that round."""
    runs_module, rules = importlib.import_module("sor_runs"), importlib.import_module("sor_rules")
    wanted = rules.read_rules("fixed_omega,best_grid_point,uniform")
    runs = runs_module.run_shift("low", wanted, 6, 2, 3, lambda made: None)
    env = runs_module.envs.make("shifted_laplacian", variance="low", points=20)
    table = np.zeros((2, 6, 20))
    for trial in range(2):
        key = run_key(3, trial, NATURE)
        state, context, mask = env.init(env.params, env.problem, key), np.zeros(1), np.ones(20, np.bool_)
        for t in range(6):
            observe(env.params, state, t, context, mask, Key(key, t))
            for arm in range(20):
                found = respond(env.params, state, Instance(t, context, mask), arm, np.zeros(0), Key(key, t))
                table[trial, t, arm] = -found[0]
            assert runs.of["uniform"][trial].context[t] == context[0]
    assert runs.table is not None and (runs.table == table[0]).all()
    best = table.mean(axis=(0, 1)).argmin()
    assert runs.omega == pytest.approx(1.0 + 0.05 * best)
    for trial in range(2):
        assert runs.of["fixed_omega"][trial].cost.tolist() == table[trial, :, best].tolist()
        assert runs.of["best_grid_point"][trial].cost.tolist() == table[trial].min(axis=1).tolist()


@pytest.mark.slow
def test_sampled_steps_begin_where_the_reference_stands(module: ModuleType) -> None:
    """While heat spreads fast, and counts depend on the temperature that a solve starts from."""
    runs_module, rules = importlib.import_module("sor_runs"), importlib.import_module("sor_rules")
    env = envs.make("heat_equation", side=4, points=20)
    table = runs_module.sample(env, 90, 721, lambda made: None)
    assert table.shape == (9, 20)
    reference = rules.policy_of(rules.RULES["omega_1.5"], "heat")
    simulation = runs_module.Simulation(reference, env, horizon=721)
    for row, t in zip(table, range(0, 721, 90), strict=True):
        simulation.advance(t - simulation.t)
        for arm in (0, 10, 19):
            state = copy.deepcopy(simulation.world.state)
            instance = Instance(t, np.zeros(1), np.ones(20, np.bool_))
            found = respond(env.params, state, instance, arm, np.zeros(0), Key(np.uint64(0), t))
            assert row[arm] == -found[0]


def test_conjugate_gradients_alone_make_all_steps(quick: ModuleType) -> None:
    """Of a system of four unknowns each takes four iterations at the most."""
    runs_module = importlib.import_module("sor_runs")
    told: list[int] = []
    course = runs_module.CgCourse(3, told.append)
    course.go(200)
    course.go(30)
    cost = course.run().cost
    assert told == [200, 30] and cost.shape == (230,)
    assert cost.max() <= 4.0 and cost.min() >= 0.0 and cost.sum() > 230.0


def run_of(module: ModuleType, *cost: float) -> Any:
    runs = importlib.import_module("sor_runs")
    return runs.Run(np.array(cost), np.zeros(len(cost), np.int64), np.zeros(len(cost)), 2.0)


def test_a_row_is_of_trials_and_of_the_last_rounds(module: ModuleType) -> None:
    runs = importlib.import_module("sor_runs")
    long = [run_of(module, *([10.0] * 3000 + [4.0] * 1000)), run_of(module, *([10.0] * 3000 + [8.0] * 1000))]
    sampled = [run_of(module, *([6.0] * 300 + [2.0] * 100))]
    of = {"ucb1": long, "fixed_omega": [run_of(module, *([5.0] * 4000))], "best_grid_point": sampled}
    rows = runs.summary(runs.Runs(of, 1.65, {}, None, None))
    assert (rows["ucb1"]["mean"], rows["ucb1"]["last1000"]) == (9.0, 6.0)
    assert rows["ucb1"]["sd"] == pytest.approx(math.sqrt(0.5)) and rows["fixed_omega"]["sd"] is None
    assert rows["ucb1"]["ratio_to_best_fixed"] == 1.8 and rows["fixed_omega"]["omega"] == 1.65
    assert (rows["best_grid_point"]["mean"], rows["best_grid_point"]["last1000"]) == (5.0, 2.0)


def row(mean: float, **rest: Any) -> dict[str, Any]:
    return {"mean": mean, "last1000": mean, "ratio_to_best_fixed": mean / 60.0, "cpu_seconds": mean} | rest


def test_claims_hold_or_not_by_the_figures(module: ModuleType) -> None:
    shift = {"low": {"fixed_omega": row(60.0, omega=1.65), "chebcb": row(51.0), "maillard_chain": row(44.0)}}
    heat = {"100": {"cg": row(67.5), "chebcb": row(10.9), "maillard_chain": row(11.0, cpu_seconds=68.0)}}
    found = module.claims(shift, heat, True, 5000)
    assert {name: each["holds"] for name, each in found.items()} == {
        "counts known to the integer are equal": True,
        "low: fixed_omega": True,
        "low: chebcb": False,
        "low: chebcb / best fixed": False,
        "low: best fixed omega": True,
        "low: chebcb < fixed_omega": True,
        "low: maillard_chain / chebcb": True,
        "low: maillard_chain / chebcb, last 1000": True,
        "heat 100: maillard_chain / chebcb": False,
        "heat 100: maillard_chain / chebcb, last 1000": False,
        "heat 100: cg": False,
        "heat 100: chebcb": True,
        "heat 100: seconds of chebcb / cg": True,
        "heat 100: seconds of maillard_chain / cg": False,
    }
    assert not module.claims({}, {}, False, 5000)["counts known to the integer are equal"]["holds"]
    assert "low: chebcb" not in module.claims(shift, heat, True, 4999)


def test_bands_of_orders_and_of_the_last_rounds(module: ModuleType) -> None:
    rows = {"chebcb": row(47.0, last1000=48.0), "tsallis_inf": row(46.0), "best_grid_point": row(43.0, last1000=42.0)}
    found = module.claims({"low": rows}, {}, True, 5000)
    assert not found["low: chebcb < tsallis_inf"]["holds"]
    assert not found["low: chebcb / best grid point, last 1000"]["holds"]
    rows["chebcb"]["last1000"] = 46.0
    assert module.claims({"low": rows}, {}, True, 5000)["low: chebcb / best grid point, last 1000"]["holds"]


def test_labels_at_the_ends_of_curves_stand_apart(module: ModuleType) -> None:
    apart = importlib.import_module("sor_plots").apart
    assert apart([0.0, 3.0, 7.0], 1.0, 9.0) == [0.0, 3.0, 7.0]
    assert apart([0.0, 0.5, 0.6, 5.0], 1.0, 9.0) == [0.0, 1.0, 2.0, 5.0]
    assert apart([7.0, 8.5, 8.6], 1.0, 9.0) == [7.0, 8.0, 9.0]
    assert apart([8.0, 8.5, 8.6], 1.0, 9.0) == [7.0, 8.0, 9.0]
