"""The README's tables are made from measured results, never typed."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
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
| one decide / one learn from Python | 0.97 / 1.07 us |
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
        "decide": one,
        "reward": one,
        "decide_1": one,
        "decide_cpu_ratio": 0.65,
        "reward_cpu_ratio": 0.5,
        "fdatasync_ms": 4.0,
        "p50_fdatasync_ratio": 1.5,
        "machine": RESULT["machine"],
    }
    lines = TABLES["service"](result).splitlines()
    assert lines[2] == "| decide | 64 | 80 | 0.65 | 6,123 | 10.0 | 20.0 |"
    assert lines[4] == "| decide | 1 | 80 | - | 6,123 | 10.0 | 20.0 |"
    assert "1.50 of that" in lines[6]


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


def test_an_unknown_table_and_missing_results_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="table 'sped': known are speed, service"):
        TABLES["filled"]("<!-- table:sped -->\n<!-- /table -->", tmp_path)
    text = "<!-- table:speed -->\nold\n<!-- /table -->"
    assert TABLES["filled"](text, tmp_path) == text
    assert "!!! there is no" in capsys.readouterr().out


def test_the_tables_of_the_readme_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"], check=False)
    assert done.returncode == 0, "run `python benchmarks/tables.py`"
