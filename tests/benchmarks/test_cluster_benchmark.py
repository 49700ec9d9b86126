"""Faults happen to nodes and nobody is told what is not so; and whoever checks that would notice."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def histories(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("cluster_histories")


@pytest.fixture
def well(histories: ModuleType) -> tuple[list[Any], list[Any]]:
    """Return what clients were told and the log, where all is well."""
    told, row = histories.Told, histories.Row
    answer = {"action_id": "a"}
    clients = [
        told(0, 1, 0.0, 1.0, "decide", "e", "d1", None, answer),
        told(1, 1, 0.5, 2.0, "decide", "e", "d1", None, answer),
        told(0, 1, 2.0, 3.0, "reward", "e", "d1", 0.25, {"status": "accepted"}),
        told(0, 1, 3.5, 4.0, "report", "e", None, None, {"seq": 2}),
        told(0, 1, 4.5, 5.0, "report", "e", None, None, {"seq": 3}),
    ]
    log = [
        row("e", 1, 0, 0, "a", "d1", None, None),
        row("e", 2, 1, 0, None, None, 0.25, None),
        row("e", 3, 0, 1, "b", "d2", None, None),
    ]
    return clients, log


def test_what_fits_together_is_in_order(histories: ModuleType, well: tuple[list[Any], list[Any]]) -> None:
    assert histories.faults(*well) == []


@pytest.mark.parametrize(
    ("where", "change", "says"),
    [
        (1, {"answer": {"action_id": "b"}}, "was answered {'action_id': 'a'} and"),
        (0, {"decision": "d9"}, "is not in the log"),
        (2, {"said": 1.0}, "was 1.0, and is 0.25"),
        (2, {"decision": "d2"}, "the reward of d2 of e was acknowledged, and is not in the log"),
        (3, {"answer": {"seq": 1}}, "has 1 events, when 2 were acknowledged before"),
        (4, {"answer": {"seq": 1}}, "went from 2 back to 1"),
        (4, {"answer": {"seq": 9}}, "has 9 events, and the log 3"),
    ],
)
def test_wrong_answers_are_noticed(
    histories: ModuleType, well: tuple[list[Any], list[Any]], where: int, change: dict[str, Any], says: str
) -> None:
    told, log = well
    told[where] = told[where]._replace(**change)
    assert any(says in fault for fault in histories.faults(told, log))


@pytest.mark.parametrize(
    ("where", "change", "says"),
    [
        (2, {"seq": 4}, "has gaps"),
        (2, {"number": 0}, "was decided twice"),
        (2, {"decision": "d1"}, "has 2 decisions"),
        (2, {"kind": 1, "number": 0}, "was learned twice"),
        (1, {"detail": "closed"}, "a window closed"),
        (0, {"action": "c"}, "and the log has c"),
    ],
)
def test_wrong_logs_are_noticed(
    histories: ModuleType, well: tuple[list[Any], list[Any]], where: int, change: dict[str, Any], says: str
) -> None:
    told, log = well
    log[where] = log[where]._replace(**change)
    assert any(says in fault for fault in histories.faults(told, log))


def printed(monkeypatch: pytest.MonkeyPatch, capsys: Any, out: Path, *options: str) -> tuple[int, dict[str, Any]]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = importlib.import_module("cluster_faults")
    monkeypatch.setattr(sys, "argv", ["cluster_faults.py", "--json", "--out", str(out), *options])
    code = script.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


@pytest.mark.slow
def test_faults_lose_nothing_and_do_nothing_twice(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    code, found = printed(monkeypatch, capsys, tmp_path / "out.json", "--faults", "10", "--clients", "8")
    assert found["wrong"] == [] and code == bool(found["missed"])  # a gap that is too long is that of a busy machine
    assert json.loads((tmp_path / "out.json").read_text()) == found
    assert sum(found["faults"].values()) == 10
    assert min(found["answers"].values()) > 10


@pytest.mark.slow
@pytest.mark.parametrize("error", ["early", "stale", "mixed"])
def test_an_error_that_is_seeded_is_noticed(
    error: str, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    seeded = ("--faults", "18", "--clients", "48", "--seed", "5", "--seeded", error)
    code, found = printed(monkeypatch, capsys, tmp_path / "out.json", *seeded)
    assert not (tmp_path / "out.json").exists()
    assert found["n_wrong"] > 0 and code == 1
