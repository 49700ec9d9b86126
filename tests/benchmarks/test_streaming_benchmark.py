"""The reproduction of the paper on streams of arms: what its script prints, and that it would notice a wrong figure."""

from __future__ import annotations

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
from support.needs import needed

from onearm.engine.simulation import Simulation
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ROOT / "benchmarks" / "papers"
SMALL = ["--arms", "20,40", "--trials", "20000,1e5", "--runs", "2", "--seed", "3"]
RULES = 'uniform_exploration,levels:{"kind":"loglog","constants":"practical"},early_drop'
ROW = {"setting", "arms", "trials", "rule", "regret_mean", "regret_stderr", "ratio_to_uniform", "peak_held"}


def read(text: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return result


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PAPERS))
    return importlib.import_module("streaming")


def row(setting: str, arms: int, trials: int, rule: str, **rest: Any) -> dict[str, Any]:
    return {"setting": setting, "arms": arms, "trials": trials, "rule": rule, "runs": 100} | rest


@pytest.mark.slow
def test_a_small_run_prints_rows_slopes_and_plots(tmp_path: Path) -> None:
    command = [sys.executable, str(PAPERS / "streaming.py"), *SMALL, "--rules", RULES, "--plots", str(tmp_path)]
    result = read(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)  # to a pipe: JSON
    rows = result["rows"]
    assert all(row.keys() >= ROW for row in rows)
    levels = 'levels:{"kind":"loglog","constants":"practical"}'
    assert list(dict.fromkeys(row["rule"] for row in rows)) == ["uniform_exploration", levels, "early_drop"]
    sizes = {(row["setting"], row["arms"], row["trials"]) for row in rows}
    assert sizes == {(s, k, t) for s in ("clear", "mix", "hard", "stair") for k in (20, 40) for t in (20_000, 100_000)}
    gaps = {row["gap"] for row in rows if (row["setting"], row["arms"], row["trials"]) == ("hard", 20, 20_000)}
    assert gaps == {0.5, 1.0, 2.0, 4.0}  # of 8 eps the better mean would be above 1
    for each in rows:
        assert each["runs"] == 2 and 0.0 <= each["regret_mean"] <= each["trials"]
        assert each["peak_held"] == (3 if each["rule"] == levels else 2)
        assert each["scaled_mean"] == pytest.approx(
            each["regret_mean"] / (each["arms"] * each["trials"] ** 2) ** (1 / 3)
        )
        assert each["rule"] != "uniform_exploration" or each["ratio_to_uniform"] == 1.0
    assert result["slopes"].keys() == {"clear", "mix"}
    assert all(isinstance(result["slopes"]["mix"]["early_drop"][axis], float) for axis in ("T", "K"))
    assert [Path(plot).name for plot in result["plots"]] == ["streaming_trials.svg", "streaming_arms.svg"]
    assert all(Path(plot).read_text().count("</svg>") == 1 for plot in result["plots"])
    assert "speed" not in result


def run_in_process(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["streaming.py", "--json", *options])
    module.main()


def test_a_seed_gives_the_same_rows_and_uniform_is_run_for_the_ratio(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--setting", "mix", "--arms", "30", "--trials", "3000", "--runs", "3", "--rules", "early_drop"]
    results = []
    for seed in ("5", "5", "6"):
        run_in_process(module, monkeypatch, *options, "--seed", seed)
        results.append(read(capsys.readouterr().out))
    first, again, other = results
    assert first["rows"] == again["rows"] != other["rows"]
    assert [row["rule"] for row in first["rows"]] == ["early_drop"]
    assert 0.0 < first["rows"][0]["ratio_to_uniform"] != 1.0
    assert first["slopes"] == {"mix": {"early_drop": {"T": None, "K": None}}} and first["plots"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--setting", "cleer"], "there is no setting 'cleer': known are clear, mix, hard, stair"),
        (["--arms", "0"], "'0' must be a whole number from 1 on"),
        (["--trials", "1000,x"], "'x' must be a whole number from 1 on"),
        (["--rules", "erly_drop", "--arms", "9"], "there is no policy 'erly_drop': try early_drop"),
        (["--rules", "ucb1", "--arms", "9"], "policy 'ucb1'"),
        (["--runs", "1"], "at least 2 runs"),
        (["--setting", "hard", "--arms", "90", "--trials", "9"], "no instance is left: allow more trials"),
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


def test_without_options_all_sizes_of_the_paper_are_run(module: ModuleType) -> None:
    cells = module.cells_of(list(module.SETTINGS), [], [])
    for setting in ("clear", "mix"):
        sizes = {(cell.arms, cell.trials): cell.runs for cell in cells if cell.setting == setting}
        assert sizes[50_000, 1000 * 50_000**3] == 10 and sizes[500, 500_000] == 100
        assert [sizes[1000, t] for t in (10**6, 10**7, 10**8, 10**9)] == [200] * 4
        assert all((k, 10**9) in sizes for k in (100, 316, 1000, 3162, 10_000))
    assert {cell.gap for cell in cells if cell.setting == "hard"} == {0.5, 1.0, 2.0, 4.0, 8.0}
    assert [(cell.arms, cell.trials) for cell in cells if cell.setting == "stair"] == list(module.WORST)


def test_a_slope_is_that_of_a_power_law_over_the_last_three_trials(module: ModuleType) -> None:
    bent = {10**6: 1.0, 10**8: 1e9}  # the first T does not count, and that in the middle of three has no weight
    rows = [
        row("mix", k, t, "king", regret_mean=bent.get(t, k**0.4 * t**0.7), regret_stderr=1.0)
        for k, t in [(1000, 10**6), (1000, 10**7), (1000, 10**8), (1000, 10**9), (100, 10**9), (500, 10**5)]
    ]
    found = module.slopes_of(rows)["mix"]["king"]
    assert found == {"T": pytest.approx(0.7), "K": pytest.approx(0.4)}
    assert module.curve(rows, "mix", "king", "T").fixed == 1000


def test_claims_hold_or_not_by_the_figures(module: ModuleType) -> None:
    rows = [
        row("mix", 500, 500_000, "early_drop", ratio_to_uniform=0.25),
        row("clear", 500, 500_000, "early_drop", ratio_to_uniform=0.27),
        row("clear", 500, 1000 * 500**2, "early_drop", ratio_to_uniform=0.02),
        row("clear", 50_000, 1000 * 50_000**3, "levels", ratio_to_uniform=0.36),
        row("clear", 50_000, 1000 * 50_000**3, "king", ratio_to_uniform=0.3),  # alone, it is not in the paper
        row("hard", 1000, 10**9, "early_drop", gap=1.0, scaled_mean=0.86),
        row("hard", 1000, 10**9, "early_drop", gap=2.0, scaled_mean=0.1),
    ]
    found = {each["claim"].split(":")[0]: (each["found"], each["holds"]) for each in module.claims(rows)}
    assert found == {
        "clear, K = 50 000, T = 1000 K^3": (pytest.approx(0.64), False),
        "K = 500, T = 1000 K": (pytest.approx(0.73), False),
        "K = 500, T = 1000 K^2 and more": (pytest.approx(0.98), True),
        "hard, K = 1000, T = 1e+09": (0.86, False),
    }


def test_a_figure_is_compared_within_its_tolerance(module: ModuleType) -> None:
    oracle = module.oracle
    assert oracle.Figure.read("8.661e4(1e3)") == (86610.0, 1000.0, pytest.approx(5.0))
    assert oracle.Figure.read("0.0138", 0.001) == (0.0138, 0.001, pytest.approx(0.00005))
    close = row("clear", 1000, 10**6, "levels", regret_mean=58_900.0, regret_stderr=200.0, peak_held=4)
    far = row("clear", 1000, 10**6, "naive_commit", regret_mean=224_700.0, regret_stderr=100.0, peak_held=2)
    few = row(
        "clear", 1000, 10**6, 'early_drop:{"lend":false}', regret_mean=1.0, regret_stderr=0.0, peak_held=2, runs=9
    )
    first, second = oracle.compare([close, far, few], {})
    assert (first["rule"], first["theirs"], first["within"]) == ("naive_commit", 222_400.0, True)
    assert first["standard_errors"] == pytest.approx(2300 / math.hypot(100, 300))
    assert (second["rule"], second["theirs"], second["within"]) == ("levels", 58_320.0, True)
    far["regret_mean"], close["regret_mean"] = 224_900.0, 56_800.0
    assert [each["within"] for each in oracle.compare([close, far], {})] == [False, False]


def test_slopes_and_peaks_are_compared_where_all_points_were_run(module: ModuleType) -> None:
    oracle = module.oracle
    rows = [
        row("mix", 1000, t, "levels", regret_mean=1.0, regret_stderr=1e9, peak_held=4) for t in (10**7, 10**8, 10**9)
    ]
    rows.append(row("mix", 500, 500_000, "levels", ratio_to_uniform=None, peak_held=5))
    found = {
        each["quantity"]: each["within"]
        for each in oracle.compare(rows, {"mix": {"levels": {"T": 0.69, "K": 0.342}}})
        if each["quantity"] != "regret_mean"
    }
    assert found == {"slope_T": False, "peak_held": False}


@pytest.mark.jit
@pytest.mark.parametrize("rule", ["uniform_exploration", "early_drop"])
@pytest.mark.slow
def test_the_c_loops_have_the_regret_of_ours(rule: str, module: ModuleType) -> None:
    needed("compiler")
    arms, trials, runs = 300, 10**6, 400
    policy, env = policies.make(rule), envs.make("arm_stream", arms=arms)
    ours = np.empty(runs)
    for r in range(runs):
        simulation = Simulation(policy, env, horizon=trials, seed=1, replication=r)
        simulation.advance(trials)
        ours[r] = simulation.totals.regret[0]
    with module.streaming_speed.c_loops(module.streaming_speed.SOURCE) as c:
        theirs = np.array([module.streaming_speed.c_regret(c, rule, arms, trials, seed) for seed in range(runs)])
    error = math.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / runs)
    assert abs(ours.mean() - theirs.mean()) <= 4.0 * error
    assert 0.8 < ours.std() / theirs.std() < 1.25
