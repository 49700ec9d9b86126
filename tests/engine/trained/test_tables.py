"""The README's tables are made from measured results, never typed."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "benchmarks"))  # where a script finds its neighbours
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
sys.path.pop(0)
RESULT = {
    "machine": {
        "cpu": "Abacus",
        "cores": 2,
        "python": "3.11.7",
        "numpy": "2.4.6",
        "numba": "0.68.1",
        "commit": "abc1234",
        "date": "2026-01-02",
    },
    "simulate": {
        "ucb1": {"onearm": 30e6, "c": 60e6, "ratio": 0.5, "asked": 0.5},
        "tsallis_inf": {"onearm": 12e6, "c": None, "ratio": None, "asked": 0.6},
    },
    "peers": {
        "river": {"version": "0.26.1", "steps_per_second": {"ucb1": 150_000.0}},
        "mabwiser": {"version": "2.7.4", "steps_per_second": {"ucb1": 14_000.0}},
        "obp": None,
    },
    "call_us": {"decide": 0.97, "learn": 1.07},
    "replications": {"replications": 16, "threads": 2, "speed_up": 1.87},
    "start": {"help": 0.1, "simulate": 1.25},
    "compilations_of_second_process": 0,
}
EXPECTED = """Before.
<!-- table:speed -->
| policy | steps/s | of C -O3 | fastest Python peer | times the peer |
| --- | ---: | ---: | ---: | ---: |
| `ucb1` | 30.0 M | 0.50 | river 0.26.1: 0.150 M | 200 |
| `tsallis_inf` | 12.0 M | - | - | - |

| what | measured |
| --- | ---: |
| a call of the compiled `loop.decide` / `loop.learn`, not through `onearm.open` | 0.97 / 1.07 us |
| 16 replications, 2 threads against one | 1.87 times as fast |
| loops compiled by a second process | 0 |
| `onearm --help` | 0.10 s of CPU |
| `onearm simulate` to its first step, warm | 1.25 s of CPU |

Measured on 2026-01-02 at abc1234: Abacus, 2 cores, python 3.11.7, numpy 2.4.6, numba 0.68.1.
<!-- /table -->
After.
"""


def test_a_table_is_replaced_and_what_stands_around_it_stays(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text(json.dumps(RESULT))
    text = "Before.\n<!-- table:speed -->\nold\n<!-- /table -->\nAfter.\n"
    assert TABLES["filled"](text, tmp_path) == EXPECTED
    assert TABLES["filled"](EXPECTED, tmp_path) == EXPECTED


def test_the_service_stands_beside_a_bare_endpoint() -> None:
    one = {"cpu_us": 80.4, "per_second": 6123.0, "p50_ms": 9.96, "p99_ms": 20.0}
    result = {
        "connections": 64,
        **dict.fromkeys(("plain", "context", "state", "actions", "batch", "reward", "one", "bare_one"), one),
        "ratios": {"plain": 0.65, "context": 0.7, "actions": 0.75, "reward": 0.5, "postgres": 0.8},
        "state_cost": 1.054,
        "batch_gain": 3.14,
        "fdatasync_ms": 0.4,
        "p50_beyond_fdatasync_ms": 0.256,
        "machine": RESULT["machine"],
    }
    lines = TABLES["service"](result).splitlines()
    assert lines[2] == "| decide, no context | 64 | 80 | 0.65 | 6,123 | 10.0 | 20.0 |"
    assert lines[8] == "| decide, no context | 1 | 80 | - | 6,123 | 10.0 | 20.0 |"
    assert "1.05 of the CPU" in lines[10] and "3.1 times" in lines[10] and "0.80 times" in lines[10]
    assert "0.26 ms more" in lines[10] and "answers in 9.96 ms" in lines[10]
    del result["ratios"]["postgres"]
    assert "PostgreSQL" not in TABLES["service"](result)


def test_contextual_policies_stand_beside_vowpal_wabbit() -> None:
    result = {
        "machine": RESULT["machine"],
        "sets": {
            "wine": {"default": [0.9, 0.01], "vw_best": [0.8, 0.02, "-l 3"]},
            "mnist_5k": {"default": [0.75, 0.01]},
        },
        "mean": {"default": [0.9, 0.01]},
        "margin": {"wine": [0.1, 4.47]},
        "speed": {
            "linucb": {
                "onearm": 9e5,
                "ratio": {"c": 0.85},
                "peers": {"obp": {"times": 60.0}, "river": {"times": 200.0}, "mabwiser": None},
            },
            "squarecb": {"onearm": 8e6, "ratio": {}, "vw": {"times": {"text": 140.2, "cache": 99.8}}},
        },
    }
    lines = TABLES["contextual"](result).splitlines()
    assert lines[2] == "| `default` | 0.900 ± 0.010 | 0.750 ± 0.010 | 0.900 ± 0.010 |"
    assert lines[3] == "| `vw_best` | 0.800 ± 0.020 | - | - |"
    assert lines[5] == "`default` beside `vw_best`: wine +0.100 (+4.5 standard errors)."
    assert lines[9] == "| `linucb` | 0.90 M | 0.85 | - | obp: 60 | - |"
    assert lines[10] == "| `squarecb` | 8.00 M | - | - | - | text: 140, cache: 100 |"


def stream_result() -> dict[str, Any]:
    """Return results for one rule: all of its ratios are 0.25."""
    row = {"rule": "levels", "ratio_to_uniform": 0.25, "ratio_to_uniform_stderr": 0.0123, "peak_held": 4}
    sizes = [(500, 500_000), (50_000, 50_000_000), (50_000, 1000 * 50_000**3)]
    worst = {"rule": "levels", "arms": 1000, "trials": 10**9, "scaled_mean": 0.5, "scaled_stderr": 1e-9}
    claim = {"claim": "it flies", "asked": 0.65, "found": 0.6, "holds": False}
    return {
        "machine": RESULT["machine"],
        "rows": [
            *[row | {"setting": s, "arms": k, "trials": t} for s in ("clear", "mix") for k, t in sizes],
            *[worst | {"setting": "hard", "gap": gap} for gap in (0.5, 1.0)],
            worst | {"setting": "stair"},
        ],
        "oracle": [{"within": True}, {"within": False}],
        "slopes": {"clear": {"levels": {"T": 0.6666, "K": None}}},
        "claims": [claim, claim | {"holds": True}],
        "plots": ["benchmarks/results/a.svg"],
        "speed": {
            "rules": {"levels": {"ns": {"1000000000": 104.4, "1000000": 99.0}, "of_c": {"1000000000": 0.3}}},
            "batch_us": {"levels": 1.84},
            "peak_mb": {"simulate": {"1000000": 176.4, "10000000": 176.2}},
        },
    }


def test_rules_for_streams_stand_beside_uniform_exploration(tmp_path: Path) -> None:
    lines = TABLES["streaming"](stream_result()).splitlines()
    assert lines[0].startswith("| regret over that of uniform exploration | clear, K = 500, T = 5e+05 |")
    assert lines[2] == "| `levels` |" + " 0.25 ± 0.01 |" * 6 + " 4 |"
    assert lines[4].startswith("1 of 2 figures agree")
    assert lines[8] == "| `levels`, simulated, T = 1e+09 | 104 ns an arm | 0.30 |"
    assert lines[9] == "| `levels`, simulated, T = 1e+06 | 99 ns an arm | - |"
    assert lines[10].endswith("| 1.8 us a batch | - |")
    assert lines[11] == "| peak memory of `simulate` over 1,000,000 / 10,000,000 arms | 176 MB / 176 MB | - |"
    more = TABLES["streaming_more"](stream_result()).splitlines()
    assert more[0] == "| regret over K^(1/3) T^(2/3) | f = 0.5 | f = 1 | stair |"
    assert more[2] == "| `levels` | 0.5 | 0.5 | 0.5 |"
    assert more[6] == "| `levels` | 0.667 | - |"
    assert more[10:12] == ["| it flies | 0.65 | 0.6 | **no** |", "| it flies | 0.65 | 0.6 | yes |"]
    assert more[13] == "![mean regret, log-log](../benchmarks/results/a.svg)"
    (tmp_path / "streaming.json").write_text(json.dumps(stream_result()))
    page = "<!-- table:streaming-more -->\n<!-- /table -->"  # a part has the results of the whole
    assert "\n".join(more) in TABLES["filled"](page, tmp_path)


def rule(mean: float, last: float, seconds: float | None = 0.5) -> dict[str, Any]:
    """Return what a rule for omega took, beside a best single omega of 10."""
    return {"mean": mean, "last1000": last, "ratio_to_best_fixed": mean / 10.0, "cpu_seconds": seconds}


def sor_result() -> dict[str, Any]:
    """Return results for shifts of low variance, and for heat at nx = 25, where Young's rule says nothing."""
    learned = {"maillard_chain": rule(6.0, 5.5), "maillard_chain_96": rule(5.0, 4.0), "chebcb": rule(8.0, 7.0)}
    point = {"best_grid_point": rule(5.0, 5.0, None)}
    claim = {"value": 1.0123, "low": None, "high": 1.0, "holds": False}
    return {
        "machine": RESULT["machine"],
        "rounds": 5000,
        "shift": {"low": {"young": rule(4.0, 4.0), **point, **learned, "omega_1.2": rule(12.0, 12.0)}},
        "heat": {"25": {**point, **learned, "chebcb": rule(9.0, 7.0), "cg": rule(65.0, 64.0)}},
        "exact_counts": {"all_equal": True},
        "claims": {
            "heat 25: seconds of chebcb / omega_1.5": claim,
            "low: young": {"value": 4.0, "low": 3.0, "high": 5.0, "holds": True},
        },
        "plots": ["benchmarks/results/sor_heat_cost.svg"],
    }


def test_rules_for_omega_stand_in_words_beside_what_could_be_known() -> None:
    lines = TABLES["sor"](sor_result()).splitlines()
    assert lines[0] == ("| iterations a solve | low: mean | low: of best single | low: last 1000 | heat, nx = 25 |")
    assert lines[2] == "| Young's omega, of the spectrum | 4 | 0.4 | 4 | - |"
    assert lines[3] == "| best of 20 omegas for each system, known afterwards | 5 | 0.5 | 5 | 5 |"
    assert lines[5] == "| chain of arms, 96 omegas (ours) | 5 | 0.5 | 4 | 5 |"
    assert lines[7:9] == ["| omega = 1.2 | 12 | 1.2 | 12 | - |", "| CG without SSOR | - | - | - | 65 |"]
    assert "all equal" in lines[10]
    assert "**not all** equal" in TABLES["sor"](sor_result() | {"exact_counts": {"all_equal": False}})


def test_sequences_of_heat_show_iterations_and_seconds_of_what_was_run() -> None:
    lines = TABLES["sor_heat"](sor_result()).splitlines()
    assert lines[0] == "| 5000 steps | nx = 25: iterations | CPU seconds |"
    assert lines[2] == "| chain of arms, 20 omegas (ours) | 30,000 | 0.50 |"  # hindsight is not run
    assert lines[5] == "| CG without SSOR | 325,000 | 0.50 |"


def test_gaps_are_measured_from_the_best_that_could_be_known(tmp_path: Path) -> None:
    lines = TABLES["sor_more"](sor_result()).splitlines()
    assert lines[0].endswith("| chain of arms, 96 omegas (ours) | gap, 20 omegas (ours) | gap, 96 omegas (ours) |")
    assert lines[2] == "| shifts of low variance: mean | 4 | 5 | 8 | 6 | 5 | 0.50 | 0.25 |"
    assert lines[3] == "| shifts of low variance: last 1000 | 4 | 5 | 7 | 5.5 | 4 | 0.50 | 0.00 |"
    assert lines[4] == "| heat, nx = 25: mean | - | 5 | 9 | 6 | 5 | 0.25 | 0.00 |"
    assert lines[5] == "| heat, nx = 25: last 1000 | - | 5 | 7 | 5.5 | 4 | 0.25 | -0.50 |"
    assert lines[9].endswith(
        "known afterwards: chain of arms, 20 omegas (ours) 20.0 to 20.0 %; "
        "chain of arms, 96 omegas (ours) 0.0 to 0.0 %; ChebCB 60.0 to 80.0 %."
    )
    assert lines[11:14] == [
        "Of 2 figures that were to be reached 1 are. Missed:",
        "",
        "- heat 25: seconds of ChebCB / omega = 1.5: 1.012, where at most 1 was asked",
    ]
    assert lines[15] == "![sor heat cost](../benchmarks/results/sor_heat_cost.svg)"
    (tmp_path / "sor.json").write_text(json.dumps(sor_result()))
    page = "<!-- table:sor-more -->\n<!-- /table -->"
    assert "\n".join(lines) in TABLES["filled"](page, tmp_path)


def test_what_was_not_compared_has_no_gap() -> None:
    result = sor_result()
    del result["shift"]["low"]["maillard_chain_96"]
    assert "low variance" not in TABLES["sor_more"](result)


def test_solvers_stand_beside_pyamg_and_scipy() -> None:
    names = ("sweep", "pyamg_sweep", "pyamg_sweep_and_residual", "ratio", "red_black", "ssor_cg_row", "cg_row")
    grid = {name: i + 0.126 for i, name in enumerate((*names, "scipy_cg_row"))}
    result = {
        "machine": RESULT["machine"] | {"pyamg": "5.4.1", "scipy": "1.17.1"},
        "grid": {"10000": grid, "1000000": grid},
        "small": {"solve_alone_us": 17.94, "solve_in_lanes_us": 8.06, "scipy_cg_solve_us": 638.4},
        "learners_us": {"chebcb": {"1000": 2.58, "100000": 3.12}},
        "tuners_us": {"chebcb": 11.4},
    }
    lines = TABLES["solver_speed"](result).splitlines()
    assert lines[0] == "| five-point matrix, one core | n = 1e+04 | n = 1e+06 |"
    assert lines[2] == "| SOR sweep, exact residual and norm: ns per entry | 0.13 | 0.13 |"
    assert lines[5] == "| times as fast as that | 3.13 | 3.13 |"
    assert lines[9] == "| SciPy 1.17.1, CG: ns per row and step | 7.13 | 7.13 |"
    assert lines[13:15] == [
        "| one solve, n = 100, omega 1.55: alone / of 16 in lanes | 17.9 / 8.1 us |",
        "| SciPy's CG on the same | 638 us |",
    ]
    assert lines[15] == "| a round of `chebcb` from Python, after 1,000 / 100,000 rounds | 2.6 / 3.1 us |"
    assert lines[16] == '| a round of `Tuner("chebcb")` with a context: ask and tell | 11 us |'


def test_an_unknown_table_and_missing_results_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="table 'sped': known are short, regret, speed"):
        TABLES["filled"]("<!-- table:sped -->\n<!-- /table -->", tmp_path)
    text = "<!-- table:speed -->\nold\n<!-- /table -->"
    assert TABLES["filled"](text, tmp_path) == text
    assert "!!! there is no" in capsys.readouterr().out


def test_the_tables_of_the_readme_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"], check=False)
    assert done.returncode == 0, "run `python benchmarks/tables.py`"


def vector_result() -> dict[str, Any]:
    """Return results of few policies and cases, one of whose claims does not hold."""

    def row(case: str, policy: str, horizon: int, regret: float, proven: float | None, **more: Any) -> dict[str, Any]:
        made = {"case": case, "policy": policy, "horizon": horizon, "certificate": proven}
        return made | {"regret_mean": regret, "regret_stderr": 0.1} | more

    jumping = {"expected_mean": 50.0, "expected_stderr": 0.2}
    settings = [
        row("tide", f"log_barrier_{hint}{step}", 20_000, 80.0, None)
        for hint in ("arm", "common", "zero")
        for step in ("", "_1", "_0.3", "_theory")
    ]
    learners = [row("1 piece", f"learner_{i}", 20_000, 1.0, 9.0, expected_mean=30.0 * (i + 1)) for i in range(2)]
    ensemble = row("1 piece", "optimistic_ensemble", 20_000, 1.0, 9.0, dynamic_certificate=250.0, **jumping)
    claim = {"claim": "it flies", "value": 2.5, "low": None, "high": 2.0, "holds": False}
    return {
        "machine": RESULT["machine"],
        "convex": [
            row("noise", "ftrl", 1000, 6.0, 11.0),
            row("noise", "ftrl", 100_000, 63.0, 107.0),
            row("slow drift", "ftrl", 100_000, 65.0, 106.0),
        ],
        "strongly_convex": [row("noise .3", "optimistic_ftl", 10**i, 0.9, 0.95) for i in (3, 4)],
        "dynamic": [ensemble, *learners],
        "bandits": [*settings, row("tide", "exp3_ix", 20_000, 600.0, None)],
        "speed": {
            "dimension": 10,
            "pynol": {"version": "0.1.0"},
            "pynol_difference": 6.7e-16,
            "rates": {
                "optimistic_omd": {"onearm": 9.1e6, "times_pynol": 70.1, "times_c": 2.4},
                "ftrl": {"onearm": 1e7},
            },
            "growth": {"euclidean": {"exponent": 1.0}, "newton": {"exponent": 2.1}},
            "call_us": {"decide": 1.47, "learn": 1.53},
        },
        "claims": [claim, claim | {"holds": True}, claim | {"value": None, "low": 1.0, "high": None}],
        "plots": ["benchmarks/results/oomd_regret.svg"],
    }


def test_regret_of_vectors_stands_beside_what_was_proven(tmp_path: Path) -> None:
    lines = TABLES["oomd"](vector_result()).splitlines()
    assert lines[0] == "| regret, T = 100,000 | noise | proven | slow drift | proven |"
    assert lines[2] == "| `ftrl` | 63 ± 0.1 | 107 | 65 ± 0.1 | 106 |"
    assert lines[4].startswith("| a round in 10 dimensions | rounds/s | times PyNOL 0.1.0 |")
    assert lines[6:8] == ["| `optimistic_omd` | 9.1 M | 70 | 2.4 times |", "| `ftrl` | 10.0 M | - | - |"]
    assert lines[9].endswith("PyNOL's points and ours differ by 7e-16 at most.")
    assert lines[11:14] == [
        "Of 3 figures that were to be reached 1 are. Missed:",
        "",
        "- it flies: 2.5, where at most 2 was asked",
    ]
    assert lines[14] == "- it flies: no number, where at least 1 was asked"
    more = TABLES["oomd_more"](vector_result()).splitlines()
    assert more[0].endswith("| noise .3, T = 1e3 | noise .3, T = 1e4 | proven |")
    assert more[2] == "| `optimistic_ftrl`, λ known | 0.9 ± 0.1 | 0.9 ± 0.1 | 0.95 |"
    assert more[6:10] == [
        "| `optimistic_ensemble` | 50 ± 0.2 |",
        "| best learner of the ensemble, alone | 30 |",
        "| worst learner | 60 |",
        "| proven by the ensemble | 250 |",
    ]
    assert more[13] == "| `log_barrier_omd`, a hint per arm |" + " 80 ± 0.1 |" * 4
    assert more[16] == "| `exp3_ix` | 600 | - | - | - |"
    assert "![oomd regret](../benchmarks/results/oomd_regret.svg)" in more
    (tmp_path / "oomd.json").write_text(json.dumps(vector_result()))
    page = "<!-- table:oomd-more -->\n<!-- /table -->"
    assert "\n".join(more) in TABLES["filled"](page, tmp_path)
