"""The table of what rates need: its arithmetic, what it says is missed, and the command in its smallest form."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("scale_model")


@pytest.fixture
def costs(model: ModuleType) -> Any:
    """Return what decisions cost: alone 700 us, or 100 us in batches of 100 where no request is passed on."""
    cost = model.Cost
    return model.Costs(
        node=cost(600.0, 94.0),
        beside=cost(100.0, 1.0),
        passed=cost(200.0, 8.0),
        database=cost(100.0, 20.0),
        database_beside=cost(100.0, 2.0),
        idle=0.01,
        row_bytes=500.0,
    )


def test_a_line_goes_through_both_sizes_of_batches(model: ModuleType) -> None:
    cost = model.fitted(1, 430.0, 100, 34.0)
    assert (cost.at(1), cost.at(100)) == pytest.approx((430.0, 34.0))
    assert cost.at(20) == pytest.approx(30 + 400 / 20)


def test_all_but_one_of_the_nodes_pass_a_request_on(model: ModuleType, costs: Any) -> None:
    assert model.node_us(costs, 1, 100) == pytest.approx(100.0)
    assert model.node_us(costs, 4, 100) == pytest.approx(100.0 + 2.0 + 3 / 4 * 10.0)
    assert model.database_us(costs, 1, 100) == pytest.approx(21.0)
    assert model.database_us(costs, 2, 100) == pytest.approx(24.0)


def test_nodes_that_share_cores_make_what_these_carry(model: ModuleType, costs: Any) -> None:
    # 100 us of the node, 21 of PostgreSQL and 4 of the clients: 8,000 decisions take a core
    assert model.predicted(costs, 1, 100, cores=0.51, clients_us=4.0) == pytest.approx(4_000)
    # two nodes take 107 us, and PostgreSQL 24
    assert model.predicted(costs, 2, 100, cores=1.37, clients_us=4.0) == pytest.approx(10_000)


def test_a_process_has_no_more_than_one_core(model: ModuleType, costs: Any) -> None:
    assert model.predicted(costs, 1, 100, cores=64.0, clients_us=4.0) == pytest.approx(10_000)


def test_a_rate_needs_as_many_nodes_as_are_busy_for_seven_tenths(model: ModuleType, costs: Any) -> None:
    assert model.needed(costs, 100, 7_000).nodes == 1
    assert model.needed(costs, 100, 7_001).nodes == 2
    # 16 nodes take 102 + 15 / 16 * 10 us
    assert model.needed(costs, 100, 100_000)[:2] == (1, 16)
    # half of it in each of two databases: there 8 nodes take 102 + 7 / 8 * 10 us
    assert model.needed(costs, 100, 101_000)[:2] == (2, 16)


def test_what_gives_way_first_is_the_smallest_limit(model: ModuleType, costs: Any) -> None:
    found = model.limits(costs, 100)
    assert list(found) == ["one process", "shards", "database", "disk"]
    assert found == pytest.approx(
        {"one process": 7_000, "shards": 16 * 0.7e6 / 111.375, "database": 16 * 0.7e6 / 24, "disk": 0.7e6}
    )
    assert model.needed(costs, 100, 1_000).stops == "one process"
    assert model.needed(costs, 100, 10_000).stops == "shards"
    dear = costs._replace(database=model.Cost(0.0, 500.0))
    assert model.needed(dear, 100, 10_000).stops == "database"
    wide = costs._replace(row_bytes=1e5)
    assert model.needed(wide, 100, 1_000).stops == "disk"


def test_a_rate_takes_cores_of_the_database_and_bytes_of_its_disk(model: ModuleType, costs: Any) -> None:
    need = model.needed(costs, 100, 10_000)
    assert need.database_cores == pytest.approx(10_000 * 24e-6 / 0.7)
    assert need.written == 5_000_000


@pytest.fixture
def result() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "scale.json").read_text())
    return found


def test_the_pages_show_the_table(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    shown = importlib.import_module("scale_tables").scale(result)
    for page in ("scale.md", "figures.md"):
        assert shown in (ROOT / "docs" / page).read_text()


def test_what_was_measured_is_judged_as_it_says(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = importlib.import_module("scale")
    assert script.missed(result) == result["missed"]
    assert [one["nodes"] for one in result["checked"]] == [1, 2, 3]
    assert json.loads(json.dumps(script.capacity(script.costs_of(result)))) == result["capacity"]
    for off in (-0.21, 0.21):
        spoilt = copy.deepcopy(result)
        spoilt["checked"][1]["off"] = off
        assert any(f"2 nodes: {spoilt['checked'][1]['predicted']:,.0f}" in each for each in script.missed(spoilt))


@pytest.mark.slow
def test_the_smallest_form_measures_and_compares(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "scale.py"),
        "--check",
        "--json",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [*command, "--sorts", "arms", "--nodes", "2", "--seconds", ".5"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == bool(found["missed"]) and json.loads((tmp_path / "out").read_text()) == found
    assert list(found["sorts"]) == ["arms"] and [one["nodes"] for one in found["checked"]] == [1, 2]
    assert all(one["measured"] > 0 and one["predicted"] > 0 and one["failed"] == 0 for one in found["checked"])
    assert found["sorts"]["arms"]["row_bytes"] > 100
    for one in found["checked"]:  # the median of three rounds is shown
        assert len(one["offs"]) == 3 and one["off"] == sorted(one["offs"])[1]


def test_an_unknown_sort_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", ["scale.py", "--sorts", "arms,cats"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("scale").main()
    assert ended.value.code == 2
    assert "--sorts 'cats': there are arms, features-8" in capsys.readouterr().err
