"""The benchmark of evaluation and replay: that each figure is measured, and that it would notice a wrong one."""

from __future__ import annotations

import copy
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    *("parquet export", "parquet joined", "parquet table", "csv table", "obd campaign", "jsonl export", "jsonl table"),
    "dsjson actions",
]
ECHO = """
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    if job["what"] == "end":
        sys.exit(0)
    answer = {"error": "no\\nway"} if job["what"] == "fail" else {"value": job["what"], "seconds": 0.5}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture
def script(module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    found = module("evaluate_speed")
    monkeypatch.setattr(found, "RESULT", tmp_path / "result.json")
    return found


@pytest.fixture
def peers(module: Callable[[str], ModuleType]) -> ModuleType:
    return module("evaluate_peers")


@pytest.fixture
def echo(peers: ModuleType, tmp_path: Path) -> Iterator[Any]:
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    found = peers.Peer(Path(sys.executable), script)
    yield found
    found.close()


def rates(**per_second: float) -> dict[str, Any]:
    names = {name.replace("_", " "): rate for name, rate in per_second.items()}
    return {name: {"per_second": rate, "seconds": [1.0], "value": 0.5} for name, rate in names.items()}


def result() -> dict[str, Any]:
    """Return a run in which everything is just as fast as it must be."""
    ways = ("onearm, uniform", "onearm, uniform, no diagnostics", "onearm, action:0, no diagnostics")
    fast = {"parquet table": (10e6, 30e6), "parquet joined": (3e6, 12e6)}
    files = {
        name: {
            "events": 10,
            "bytes": 2_000_000,
            "rates": {
                **dict(zip(ways, (rates(a=whole)["a"], *both(alone)), strict=True)),
                **rates(polars=8e6, pandas=1e6),
            },
        }
        for name in FILES[:-1]
        for whole, alone in [fast.get(name, (3e6, 6.4e6))]
    }
    dsjson = {"onearm, action:0": rates(a=3e5)["a"], "onearm, action:0, no diagnostics": rates(a=5e5)["a"]}
    vw = {"vowpalwabbit, workspace": rates(a=1e5)["a"], "vowpalwabbit, command": rates(a=9e4)["a"]}
    files["dsjson actions"] = {"events": 10, "bytes": 9_000_000, "rates": {**dsjson, **vw}}
    ours = rates(ips=1e8, snips=1e8, dr=3e7) | {
        "dr, normal": rates(a=2e7)["a"],
        "dr, of all actions": rates(a=1.4e7)["a"],
        "dr, empirical likelihood": rates(a=1e6)["a"],
        "dr, bootstrap of 1000": rates(a=1e6)["a"],
        "snips, confidence sequence": rates(a=1e6)["a"],
    }
    theirs = rates(ips=1e7, snips=1e7, dr=7e6) | {"dr, bootstrap": None}
    learning = rates(onearm=2e6, bare_numba=4e6, obp=1e4) | {"onearm, no scaling": rates(a=3.6e6)["a"], "river": None}
    return {
        "machine": {"cpu": "c", "cores": 2, "python": "3", "numpy": "2", "numba": "0", "date": "d", "commit": "abc"},
        "files": files,
        "arrays": {"events": 10, "arms": 10, "onearm": ours, "obp": theirs, "obp_resamples": 100},
        "replay": {"rows": 10, "arms": 10, "length": 5, "logged": learning, "matched": copy.deepcopy(learning)},
        "memory": [
            {"asked": "one target", "bytes": 2e9, "events": 14_000_000, "peak_bytes": 5e8, "peak_own_bytes": 2e8},
            {"asked": "one target", "bytes": 6e9, "events": 42_000_000, "peak_bytes": 9e8, "peak_own_bytes": 5e8},
        ],
    }


def both(per_second: float) -> tuple[Any, Any]:
    slow, fast = rates(slow=per_second, fast=2 * per_second).values()
    return slow, fast | {"value": 0.25}


@pytest.mark.slow
def test_a_quick_run_measures_every_figure_and_keeps_no_result(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate_speed.py", "--json", "--quick", "--no-peers"])
    script.main()
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert not script.RESULT.exists()
    assert list(found["files"]) == FILES
    measured = [rate for file in found["files"].values() for rate in file["rates"].values()]
    measured += [*found["arrays"]["onearm"].values(), *found["replay"]["logged"].values()]
    measured += [*found["replay"]["matched"].values()]
    assert len(measured) == (len(FILES) - 1) * 3 + 2 + 8 + 2 * 3
    for rate in measured:
        assert len(rate["seconds"]) == 1 and rate["per_second"] > 0.0 and np.isfinite(rate["value"])
    assert [memory["asked"] for memory in found["memory"]] == ["one target", "three targets"]
    for memory in found["memory"]:
        assert memory["bytes"] >= 20_000 and memory["peak_bytes"] > memory["peak_own_bytes"] > 30_000_000
    assert len(found["claims"]) == 17
    assert next(each for each in found["claims"] if "difference" in each["claim"])["holds"]


def test_all_files_hold_the_same_log_without_a_bad_line(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    files = module("evaluate_files")
    written = files.make_files(tmp_path, 300, 50)
    assert [file.name for file in written] == FILES and len(written) == files.FILES
    columns = []
    for file in written:
        with files.read(file) as rows:
            assert len(rows) == file.events and not rows.bad_lines.count
            columns.append(rows.columns())
    for other in columns[1:-1]:
        for name in ("action", "reward", "propensity"):
            assert np.array_equal(getattr(other, name), getattr(columns[0], name))
    reward, propensity = columns[0].reward, columns[0].propensity
    assert len(set(propensity.tolist())) > 100
    expected = (reward / propensity).sum() / (1.0 / propensity).sum()
    values = [files.value_of(file, "uniform", diagnostics=False) for file in written[:-1]]
    assert values == pytest.approx([expected] * 7, rel=1e-12)
    assert files.value_of(written[3], "uniform", diagnostics=True) == pytest.approx(expected, rel=1e-12)
    took_first = columns[-1].action == 0
    weight = took_first / columns[-1].propensity
    of_first = files.value_of(written[-1], "action:0", diagnostics=False)
    assert of_first == pytest.approx((weight * columns[-1].reward).sum() / weight.sum())


def test_the_bare_loop_takes_the_actions_of_our_linucb_without_scaling(module: Callable[[str], ModuleType]) -> None:
    replay = module("evaluate_replay")
    log = replay.uniform_log(400)
    logged, matched = (replay.bare_actions(log, learn) for learn in replay.LEARNING)
    assert np.array_equal(logged, replay.our_actions(log, "logged", "none"))
    assert np.array_equal(matched, replay.our_actions(log, "matched", "none"))
    assert not np.array_equal(logged, matched)


def test_estimates_of_all_actions_are_those_of_the_columns(module: Callable[[str], ModuleType]) -> None:
    arrays = module("evaluate_arrays")
    ways = arrays.our_ways(arrays.arrays(200))
    assert ways["dr, of all actions"]().value == pytest.approx(ways["dr"]().value, rel=1e-12)


def test_rates_are_medians_of_all_rounds_but_the_first(peers: ModuleType, capsys: Any) -> None:
    seconds = iter([9.0, 1.0, 4.0, 2.0])
    left = iter([True, True])

    def fails_later() -> Any:
        next(left)  # fails the third time
        return peers.Answer(None, 1.0)

    def failing() -> Any:
        try:
            return fails_later()
        except StopIteration:
            raise peers.PeerFailed("it broke") from None

    rounds: list[int] = []
    ways = {"ours": lambda: peers.Answer(0.5, next(seconds)), "theirs": failing}
    found = peers.turns(ways, 100, 3, lambda: rounds.append(1))
    assert found["ours"] == {"per_second": 50.0, "seconds": [1.0, 4.0, 2.0], "value": 0.5}
    assert found["theirs"] is None and len(rounds) == 4
    assert capsys.readouterr().err.count("theirs failed and is MISSING from this run: it broke") == 1


def test_a_peer_answers_jobs_until_it_ends(peers: ModuleType, echo: Any) -> None:
    assert echo.way(what=3.0)() == peers.Answer(3.0, 0.5)
    with pytest.raises(peers.PeerFailed, match="no way"):
        echo.ask({"what": "fail"})
    with pytest.raises(peers.PeerFailed, match="it ended"):
        echo.ask({"what": "end"})


def test_a_library_that_cannot_be_installed_is_told(
    peers: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(peers, "peer_python", lambda pins: print(f"!!! {pins.stem} is MISSING"))
    with peers.peer("polars", "files.py") as found:
        assert found is None
    captured = capsys.readouterr()
    assert captured.out == "" and "polars is MISSING" in captured.err


def test_every_peer_has_its_pins_and_its_scripts(peers: ModuleType) -> None:
    assert all(pins.is_file() for pins in peers.PINS.values())
    for script in ("files.py", "obp_files.py", "vw_files.py", "obp_arrays.py", "replay.py"):
        assert (peers.SCRIPTS / script).is_file()


def test_claims_hold_to_the_figure(module: Callable[[str], ModuleType]) -> None:
    claims = module("evaluate_claims").claims
    good = claims(result())
    assert len(good) == 16 and all(each["holds"] for each in good)
    by_name = {each["claim"]: each for each in good}
    assert by_name["SNIPS from obd campaign, of polars"]["value"] == 0.8
    assert by_name["SNIPS from parquet table (uniform, no diagnostics), million events a second"]["value"] == 30.0
    times = by_name["SNIPS from dsjson, times Vowpal Wabbit's own pass"]
    assert times == {**times, "value": 5.0, "low": 5.0, "high": None}  # of the faster of its two ways
    assert [each["low"] for each in good].count(2.0) == 2


def test_claims_fail_where_a_figure_is_off(module: Callable[[str], ModuleType]) -> None:
    claims = module("evaluate_claims").claims
    worse = result()
    for file in worse["files"].values():
        for name, rate in file["rates"].items():
            rate["per_second"] *= 0.99 if name.startswith("onearm") else 1.0
    for rate in worse["arrays"]["onearm"].values():
        rate["per_second"] *= 0.99
    for part in (worse["replay"]["logged"], worse["replay"]["matched"]):
        for name in ("onearm", "onearm, no scaling"):
            part[name]["per_second"] *= 0.99
    for each in worse["memory"]:
        each["peak_own_bytes"] *= 1.01
    worse["files"]["csv table"]["rates"]["polars"]["value"] = 0.5 + 1e-8
    assert not any(each["holds"] for each in claims(worse))


def test_what_is_missing_holds_no_claim_and_what_was_not_asked_makes_none(module: Callable[[str], ModuleType]) -> None:
    claims = module("evaluate_claims").claims
    without = result()
    for name in ("workspace", "command"):
        without["files"]["dsjson actions"]["rates"][f"vowpalwabbit, {name}"] = None
    without["arrays"]["onearm"]["dr"] = None
    missed = [each for each in claims(without) if not each["holds"]]
    assert [each["value"] for each in missed] == [None, None]
    assert claims({"replay": result()["replay"]})[0]["claim"].startswith("replay of LinUCB learning logged")
    assert len(claims({"replay": result()["replay"]})) == 4 and claims({"memory": []}) == []


def test_tables_show_rates_beside_the_fastest_peer(module: Callable[[str], ModuleType]) -> None:
    tables = module("evaluate_tables")
    found = result() | {"claims": module("evaluate_claims").claims(result())}
    short = tables.evaluate_speed(found)
    assert "| Parquet, our export in the joined form | 12 M | polars: 8 M | 1.50 |" in short
    assert "| dsjson | 0.5 M | vowpalwabbit, workspace: 0.1 M | 5.00 |" in short
    assert "| `dr` | 30 M | obp: 7 M | 4.29 |" in short
    assert "| `dr` with its normal interval | 20 M | - | - |" in short
    assert "| replay of `linucb`, learning matched | 2 M | obp: 0.01 M | 200 |" in short
    assert "Of 16 figures that were to be reached 16 are." in short
    assert "500 MB over 2.0 GB (14,000,000 events, one target), 200 MB of them its own; 900 MB over" in short
    assert "| replay of `linucb`, learning logged, no scaling | 3.6 M | bare numba: 4 M | 0.9 |" in short
    more = tables.evaluate_speed_more(found)
    assert "| onearm, action:0, no diagnostics | 24 M |" in more and "| river | - | - |" in more
    assert {"evaluate_speed", "evaluate_speed-more"} <= set(module("tables").TABLES)


def test_the_table_of_coverage_shows_what_was_found(module: Callable[[str], ModuleType]) -> None:
    def row(estimator: str, interval: str, covered: float) -> dict[str, Any]:
        found = {"estimator": estimator, "interval": interval, "covered": covered, "width": 0.0925}
        return found | {"repeats": 500, "decisions": 2000}

    def path(world: str, miscovered: float) -> dict[str, Any]:
        return {"world": world, "variant": "plain", "miscovered": miscovered, "paths": 2000, "decisions": 5000}

    found = {
        "machine": result()["machine"],
        "level": 0.95,
        "intervals": [row("ips", "normal", 0.952), row("dr", "normal", 0.956), row("dr", "empirical_bernstein", 1.0)],
        "sequences": [path("heavy", 0.0155), path("rare", 0.014)],
    }
    lines = module("evaluate_tables").coverage(found).splitlines()
    assert "| 95% intervals: covered, and mean width | `ips` | `dr` |" in lines
    assert "| normal | 95.2%, 0.092 | 95.6%, 0.092 |" in lines
    assert "| empirical-bernstein | - | 100.0%, 0.092 |" in lines
    assert "| plain | 1.55% | 1.40% |" in lines


def test_the_table_of_alarms_shows_what_was_found(module: Callable[[str], ModuleType]) -> None:
    def row(law: str, decisions: int, share: float) -> dict[str, Any]:
        found = {"law": law, "decisions": decisions, "logs": 100, "any": share, "any with the law": 0.0}
        return found | {"limit": 0.04}

    found = {
        "machine": result()["machine"],
        "false": [row("even", 20, 0.01), row("even", 1000, 0.02), row("odd", 20, 0.0), row("odd", 1000, 0.03)],
        "power_decisions": [100],
        "power": [{"law": "odd", "fault": "swapped", "logs": 100, "100": 0.12, "100 with the law": 0.75}],
    }
    lines = module("evaluate_tables").propensity_alarms(found).splitlines()
    assert "| even | 1.0%; 0.0% | 2.0%; 0.0% |" in lines and "| logs of each | 100 | 100 |" in lines
    assert "| swapped: odd | 12%; 75% |" in lines
    assert any("odd, 1,000 decisions, which came nearest, 3.0% of 4.0%" in line for line in lines)


def test_an_evaluation_that_fails_ends_the_measurement(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory = module("evaluate_memory")
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(SystemExit, match="failed with the exit code 1"):
        memory.peak(tmp_path / "log.jsonl", "one target")


def test_a_run_without_rounds_is_refused(script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate_speed.py", "--rounds", "0"])
    with pytest.raises(SystemExit):
        script.main()
    assert "at least one round" in capsys.readouterr().err
