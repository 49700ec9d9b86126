"""The reproduction of optimistic mirror descent: what its script prints, and that it would notice a wrong figure."""

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
from scipy.optimize import linprog
from support.needs import needed

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ROOT / "benchmarks" / "papers"
ROW = {"case", "horizon", "policy", "regret_mean", "regret_stderr", "certificate", "margin", "expected_mean"}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PAPERS))
    return importlib.import_module("oomd")


def read(text: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return result


def printed(module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any, *options: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["oomd.py", "--json", *options])
    module.main()
    return read(capsys.readouterr().out)


@pytest.mark.slow
def test_golden_traces_are_equal_and_every_row_says_by_how_much() -> None:
    command = [sys.executable, str(PAPERS / "oomd.py"), "--golden", "--json"]
    result = read(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    rows = result["golden"]
    assert len(rows) == 50 and all(row["equal"] for row in rows)
    assert {len(row) for row in rows} == {6} and all(row["difference"] <= 1e-8 for row in rows)
    assert [each["holds"] for each in result["claims"]] == [True]
    assert "convex" not in result and "speed" not in result


def test_a_number_that_is_off_is_not_equal(module: ModuleType) -> None:
    row = importlib.import_module("oomd_golden").row
    assert row("a", "x", np.array([1.0, 2.0]), [1.0, 2.0 + 9e-9])["equal"]
    wrong = row("a", "x", np.array([1.0, 2.0]), [1.0, 2.0 + 2e-8])
    assert not wrong["equal"]
    assert not module.claims({"golden": [wrong]})[0]["holds"]


@pytest.mark.slow
def test_a_small_run_prints_rows_claims_and_plots(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    worlds = importlib.import_module("oomd_worlds")
    monkeypatch.setattr(worlds, "HORIZONS", (50, 100, 200))
    monkeypatch.setattr(worlds, "MOVING_HORIZON", 200)
    monkeypatch.setattr(module, "interpreted_golden", list)
    options = ["--tables", "convex,dynamic", "--horizon", "200", "--replications", "2", "--rounds", "0"]
    monkeypatch.setattr(sys, "argv", ["oomd.py", *options, "--plots", str(tmp_path)])
    module.main()
    result = read(capsys.readouterr().out)  # no terminal: JSON
    assert {row["horizon"] for row in result["convex"]} == {50, 100, 200}
    assert len(result["convex"]) == 3 * 6 * 6 and len(result["dynamic"]) == 6 * 9
    assert all(row.keys() >= ROW and "runs_" not in row for row in result["convex"] + result["dynamic"])
    held = {each["claim"]: each["holds"] for each in result["claims"]}
    assert [holds for name, holds in held.items() if name.startswith("certificate - regret")] == [True]
    assert held["the same against comparators that jump"]
    assert "100 pieces, noise 0.5: OGD / ensemble" in held
    assert len(result["plots"]) == 3
    assert all(Path(plot).read_text().count("</svg>") == 1 for plot in result["plots"])


def test_a_seed_gives_the_same_rows(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = importlib.import_module("oomd_worlds").all_cases(2, 1000)
    short = [case._replace(horizon=40, rules=dict(list(case.rules.items())[:2])) for case in cases[:2]]
    monkeypatch.setattr(module, "all_cases", lambda replications, horizon: short)
    monkeypatch.setattr(module, "interpreted_golden", list)
    options = ["--tables", "convex", "--horizon", "1000", "--replications", "2", "--rounds", "0"]
    results = [printed(module, monkeypatch, capsys, *options, "--seed", seed) for seed in ("5", "5", "6")]
    first, again, other = ([row["regret_mean"] for row in each["convex"]] for each in results)
    assert first == again != other
    assert results[0]["plots"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tables", "convex,concave"], "there is no table 'concave': known are convex, scaling"),
        (["--tables", "dynamic", "--horizon", "500"], "no case of dynamic is as short as 500 rounds"),
        (["--replications", "0"], "replications must be 1 or more"),
        (["--rounds", "-1"], "rounds and seed 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str],
    words: str,
    module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "interpreted_golden", list)
    monkeypatch.setattr(sys, "argv", ["oomd.py", *options])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    captured = capsys.readouterr()
    assert stopped.value.code == 2 and words in captured.err and not captured.out


def run_once(module: ModuleType, table: str, key: str, horizon: int, **where: Any) -> tuple[Any, Any, Any]:
    """Play one case by hand, at a horizon of its own; return the run, its job and a simulation that has played it."""
    runs = importlib.import_module("oomd_runs")
    cases = importlib.import_module("oomd_worlds").all_cases(1, 100_000)
    case = next(
        case for case in cases if case.table == table and key in case.rules and where.items() <= case._asdict().items()
    )
    job = runs.Job(case._replace(horizon=horizon), key, case.rules[key], 0)
    simulation = runs.simulation_of(job, 3)
    simulation.advance(horizon)
    return runs.play(job, 3), job, simulation


@pytest.mark.parametrize(("table", "name"), [("convex", "drift and noise"), ("strongly_convex", "noise .3")])
def test_regret_of_drawn_losses_is_that_of_a_general_solver(module: ModuleType, table: str, name: str) -> None:
    runs = importlib.import_module("oomd_runs")
    run, job, simulation = run_once(module, table, "optimistic_omd_paper", 50, name=name)
    again = runs.simulation_of(job, 3)
    events = again.advance_logged(50)
    learned = events.kind == 1
    convexity = job.case.convexity
    slopes = (-events.detail[learned] - convexity * events.action[learned]).sum(axis=0)
    part = simulation.problem.domain.parts[0]
    best = sum(
        min(s * x + 25.0 * convexity * x * x for x in np.linspace(low, high, 40_001))
        for s, low, high in zip(slopes, part.low, part.high, strict=True)
    )
    assert run.regret[-1] == pytest.approx(-events.reward[learned].sum() - best, abs=1e-6)
    assert run.bound[-1] == simulation.certificate.bound
    assert run.expected == simulation.totals.regret[0]
    assert run.t[-1] == 50 and (run.bound >= run.regret).all()


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_the_least_absolute_loss_is_that_of_the_whole_linear_program(module: ModuleType, spread: float) -> None:
    worlds = importlib.import_module("oomd_worlds")
    features, target = worlds.near_parallel(700, 1)
    n, rng = len(target), np.random.default_rng(2)
    target = target + spread * rng.exponential(size=n) ** 4  # least squares begin far away, and rows change sides
    rows = np.block([[features, -np.eye(n)], [-features, -np.eye(n)]])
    cost = np.concatenate([np.zeros(4), np.ones(n)])
    limits = [(None, None)] * 4 + [(0.0, None)] * n
    whole = linprog(cost, rows, np.concatenate([target, -target]), bounds=limits)
    assert worlds.least_absolute(features, target, 250) == pytest.approx(whole.fun, rel=1e-9)


def test_all_policies_are_compared_with_one_best_point(module: ModuleType) -> None:
    worlds = importlib.import_module("oomd_worlds")
    cases = [case for case in worlds.implicit(1) if case.horizon == 1000]
    known = worlds.least_absolute(*worlds.near_parallel(1000, 0), 1000)
    assert [case.least(0) for case in cases] == [known, known] and len(cases) == 2


def test_what_is_no_number_is_null_and_no_claim_holds_by_it(module: ModuleType) -> None:
    claims = importlib.import_module("oomd_claims")
    assert [claims.claim("a", value, 0.0, None)["holds"] for value in (1.0, math.inf, math.nan)] == [True, False, False]
    rows = [{"a": math.nan, "b": [1.0, -math.inf], "runs_": object(), "c": {"d": "text", "e": True}}]
    assert module.printable({"rows": rows}) == {"rows": [{"a": None, "b": [1.0, None], "c": {"d": "text", "e": True}}]}


def test_the_learners_are_those_of_the_ensemble(module: ModuleType) -> None:
    rules, (_, _, simulation) = (
        importlib.import_module("oomd_rules"),
        run_once(module, "dynamic", "optimistic_ensemble", 20),
    )
    alone = rules.learners(2.4, 1.0, 2.0, 20)
    assert [rule.params["step"] for rule in alone.values()] == pytest.approx(simulation.state.step.tolist())
    assert len(rules.learners(2.4, 1.0, 2.0, 20_000)) == 7


def row(table: str, policy: str, regret: float, **rest: Any) -> dict[str, Any]:
    made = {"case": table, "horizon": 1000, "policy": policy, "regret_mean": regret, "expected_mean": regret}
    return made | {"certificate": regret + 1.0, "margin": 1.0, "rounding": 1e-6, "compared": 12} | rest


def held(module: ModuleType, **tables: list[dict[str, Any]]) -> dict[str, bool]:
    return {each["claim"]: each["holds"] for each in module.claims(tables)}


def test_one_certificate_below_the_regret_is_noticed(module: ModuleType) -> None:
    rows = [
        row("noise", "ftrl", 5.0),
        row("noise", "gradient_descent", 5.0),
        row("noise", "exp3", 1.0, certificate=None),
    ]
    assert list(held(module, convex=rows).values()) == [True]
    rows[1]["margin"] = -0.9e-6
    assert list(held(module, convex=rows).values()) == [True]
    for margin in (-2e-6, math.nan):
        rows[1]["margin"] = margin
        assert list(held(module, convex=rows).values()) == [False]
    moving = [row("10 pieces", "optimistic_ensemble", 5.0, dynamic_margin=-0.1, dynamic_certificate=9.0)]
    assert held(module, dynamic=moving)["the same against comparators that jump"] is False


def drifting() -> list[dict[str, Any]]:
    rows = []
    for horizon in (1000, 10_000, 100_000):
        growing = math.sqrt(horizon / 1000)
        for policy, regret in (
            ("optimistic_omd_paper", 2.0),
            ("optimistic_ftrl_sachs", 3.0),
            ("optimistic_ftrl", 2.5),
            ("gradient_descent", 5.0 * growing),
            ("ftrl", 6.0 * growing),
        ):
            rows.append(row("slow drift", policy, regret, horizon=horizon))
    return rows


@pytest.mark.parametrize(
    ("policy", "factor", "claim"),
    [
        ("optimistic_omd_paper", 1.2, "slow drift: OOMD at 1e5 / at 1e3"),
        ("gradient_descent", 0.3, "slow drift: OGD / OOMD at 1e5"),
        ("gradient_descent", 2.6, "slow drift: slope of ln regret of OGD over ln T"),
        ("ftrl", 0.3, "slow drift: slope of ln regret of FTRL over ln T"),
        ("optimistic_ftrl", 1.1, "slow drift: default / better of OOMD and optimistic FTRL, worst T"),
    ],
)
def test_a_regret_of_slow_drift_that_is_off_fails_its_claim(
    module: ModuleType, policy: str, factor: float, claim: str
) -> None:
    rows = drifting()
    assert all(held(module, convex=rows).values()) and held(module, convex=rows)[claim]
    broken = copy.deepcopy(rows)
    next(row for row in broken if (row["policy"], row["horizon"]) == (policy, 100_000))["regret_mean"] *= factor
    assert not held(module, convex=broken)[claim]


def test_the_default_is_judged_where_the_better_regret_is_below_0(module: ModuleType) -> None:
    ratios = importlib.import_module("oomd_claims").default_ratios
    rows = [
        row("turning", policy, regret)
        for policy, regret in (
            ("optimistic_omd_paper", -50.0),
            ("optimistic_ftrl_sachs", 2.0),
            ("optimistic_ftrl", 1.0),
        )
    ]
    assert ratios(rows, "turning") == pytest.approx([1.0 + 51.0 / 50.0])


def test_a_slope_other_than_1_is_noticed(module: ModuleType) -> None:
    def rows(power: float) -> list[dict[str, Any]]:
        sizes = [(c, t) for c in (0.05, 0.2, 0.8) for t in (3000, 30_000)]
        return [
            row("noise", "optimistic_omd_paper", 0.5 * (c * math.sqrt(t)) ** power, size=c, horizon=t) for c, t in sizes
        ]

    name = "slope of ln regret over ln sqrt(sigma^2)"
    assert held(module, scaling=rows(1.05))[name]
    assert not held(module, scaling=rows(1.2))[name] and not held(module, scaling=rows(0.9))[name]
    assert not held(module, scaling=[{**each, "regret_mean": 40.0 * each["regret_mean"]} for each in rows(1.0)])[
        "regret / (D sqrt(sigma^2)), most"
    ]


def test_growth_like_the_root_is_not_logarithmic(module: ModuleType) -> None:
    def rows(*regrets: float) -> list[dict[str, Any]]:
        return [
            row("noise .3", "optimistic_ftl", regret, horizon=10**i)
            for i, regret in zip((3, 4, 5), regrets, strict=True)
        ]

    assert list(held(module, strongly_convex=rows(1.0, 1.2, 1.41)).values()) == [True, True]
    assert list(held(module, strongly_convex=rows(1.0, 3.2, 10.0)).values()) == [True, False]


def test_the_ensemble_is_measured_by_its_best_learner_and_by_ogd(module: ModuleType) -> None:
    def judged(ensemble: float) -> list[bool]:
        regrets = {"learner_0": 300.0, "learner_1": 100.0, "optimistic_ensemble": ensemble, "gradient_descent": 600.0}
        rows = [row("100 pieces, noise 0.5", policy, regret, certificate=None) for policy, regret in regrets.items()]
        return list(held(module, dynamic=rows).values())

    assert [judged(110.0), judged(130.0), judged(160.0)] == [[True, True], [True, False], [False, False]]


def test_hints_are_judged_kindly_and_unkindly(module: ModuleType) -> None:
    regrets = {"zero": 150.0, "zero_1": 160.0, "zero_0.3": 170.0, "zero_theory": 400.0}
    for hint in ("arm", "common"):
        regrets |= {hint: 80.0, f"{hint}_1": 49.0, f"{hint}_0.3": 120.0, f"{hint}_theory": 390.0}
    rows = [row("tide", f"log_barrier_{name}", regret, certificate=None) for name, regret in regrets.items()]
    assert list(held(module, bandits=rows).values()) == [True, True, False] * 2
    next(row for row in rows if row["policy"] == "log_barrier_zero_1")["regret_mean"] = 140.0  # the best without hints
    assert list(held(module, bandits=rows).values()) == [True, False, False] * 2


def test_implicit_steps_and_corruption_are_judged(module: ModuleType) -> None:
    rows = [
        row("near-parallel features", "implicit_omd", 9.0),
        row("near-parallel features", "optimistic_omd_paper", 8.0),
    ]
    assert not held(module, implicit=rows)["implicit / linearised, T = 1000"]
    poisoned = [
        row("C = 0", "optimistic_omd_paper", 2.0, corruption=0.0),
        row("C = 5", "optimistic_omd_paper", 8.0, corruption=5.0),
    ]
    assert held(module, corrupted=poisoned)["C = 5: regret added / (D sqrt(G C))"]
    poisoned[1]["regret_mean"] = 9.0
    assert not held(module, corrupted=poisoned)["C = 5: regret added / (D sqrt(G C))"]


def test_speed_is_judged_beside_pynol_and_c_and_points_to_the_digit(module: ModuleType) -> None:
    rates = {"optimistic_omd": {"onearm": 9e6, "times_pynol": 70.0, "times_c": 1.9, "same_as_c": True}}
    speed = {"rates": rates, "pynol_difference": 7e-16}
    speed["growth"] = {"euclidean": {"exponent": 1.0}, "newton": {"exponent": 2.0}}

    def judged() -> list[bool]:
        return [each["holds"] for each in module.claims({"speed": speed})]

    assert judged() == [True] * 6
    rates["optimistic_omd"] |= {"times_pynol": 19.0, "times_c": 2.1, "same_as_c": False}
    speed |= {"pynol_difference": 2e-12, "growth": {"euclidean": {"exponent": 1.3}, "newton": {"exponent": 3.0}}}
    assert judged() == [False] * 6
    rates["optimistic_omd"], speed["pynol_difference"] = {"onearm": 9e6}, None  # neither PyNOL nor a compiler
    assert len(judged()) == 2


def test_a_missing_pynol_is_said_loudly_and_never_where_the_json_goes(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speed = importlib.import_module("oomd_speed")

    def absent(pins: Path) -> None:
        print(f"!!! {pins.stem} could not be installed")

    monkeypatch.setattr(speed, "peer_python", absent)
    assert speed.pynol_on(np.zeros((2, 10))) == (None, None)
    monkeypatch.setattr(speed, "peer_python", lambda pins: sys.executable)  # an environment without PyNOL
    assert speed.pynol_on(np.zeros((2, 10))) == (None, None)
    said = capsys.readouterr()
    assert "pynol could not be installed" in said.err and "MISSING from this run: ModuleNotFoundError" in said.err
    assert not said.out


def test_c_and_ours_find_the_same(module: ModuleType) -> None:
    needed("compiler")
    speed = importlib.import_module("oomd_speed")
    c_loops = importlib.import_module("c_loops").c_loops
    policy = speed.ensemble_of(6)
    pool = policy.init(policy.params, speed.horizon_problem()).step
    assert len(pool) == 6
    with c_loops(speed.SOURCE) as c:
        for name, made in (("optimistic_omd", speed.catalog.make("optimistic_omd")), ("optimistic_ensemble", policy)):
            ours = speed.Descent(made).found(300)
            assert ours == pytest.approx(speed.c_found(c, name, pool, 300).tolist(), rel=1e-9)


def test_a_certificate_that_is_no_number_counts_and_a_regret_that_is_unknown_does_not(module: ModuleType) -> None:
    runs, worlds = importlib.import_module("oomd_runs"), importlib.import_module("oomd_worlds")
    case = next(case for case in worlds.all_cases(1, 1000) if case.table == "convex")
    t = np.array([10, 1000])

    def made(regret: list[float], bound: list[float]) -> dict[str, Any]:
        whole: dict[str, Any] = runs.row_of(
            case, "ftrl", [runs.Run(t, np.array(regret), np.array(bound), 1.0, 8.0, {})]
        )
        return whole

    unknown = made([math.nan, 2.0], [3.0, 4.0])
    assert (unknown["margin"], unknown["compared"], unknown["certificate"]) == (2.0, 1, 4.0)
    assert math.isnan(made([1.0, 2.0], [math.nan, 4.0])["margin"])
    assert made([1.0, 2.0], [0.5, 4.0])["margin"] == -0.5
    assert made([1.0, 2.0], [math.nan, math.nan])["certificate"] is None
