"""`--artefact FILE`; and logs of trained policies, which need no file, whatever ships meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.direct import Direct
from support.old_logs import until_ready
from support.small_artefacts import arm_artefact, flat_artefact

from onearm.api.http.app import create_app
from onearm.engine.storage.store import Store
from onearm.engine.trained.artefact import Artefact, pack
from onearm.policies import artefacts

URL = "sqlite:///run.db"
MADE = flat_artefact()
POINTS = 'thresholds:{"points":3,"change":1}'


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with a artefacts of nothing, as in a process of another version."""
    monkeypatch.setattr(artefacts, "_found", {})
    monkeypatch.setattr(artefacts, "_read", True)


def forget() -> None:
    artefacts._found.clear()


def save(made: Artefact, folder: Path, name: str = "mine") -> Path:
    for suffix, data in zip((".npz", ".json"), pack(made), strict=True):
        (folder / f"{name}{suffix}").write_bytes(data)
    return folder / f"{name}.npz"


def simulate(onearm: Any, file: Path, *arguments: str, horizon: int = 6) -> Any:
    forget()
    given = ("--env", POINTS, "--policy", "mapo", "--horizon", str(horizon), "--artefact", str(file))
    return onearm("simulate", *given, *arguments)


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_a_file_of_ones_own_is_decided_with(onearm: Any, tmp_path: Path, suffix: str) -> None:
    done = simulate(onearm, save(MADE, tmp_path).with_suffix(suffix), "--json")
    assert done.json["runs"][0]["params"] == {"artefact": MADE.label, "play": "sample"}


def test_another_budget_is_refused_with_what_there_is(onearm: Any, tmp_path: Path) -> None:
    done = simulate(onearm, save(MADE, tmp_path), horizon=7)
    assert done.code == 2
    assert (
        "no artefact is for 3 points, answers signs, loss simple_regret, budget 7: there are thresholds-3-6" in done.err
    )


def test_files_that_are_no_artefact_are_refused(onearm: Any, tmp_path: Path) -> None:
    file = save(MADE, tmp_path)
    assert "does not end in .npz or .json" in simulate(onearm, tmp_path / "mine.txt").err
    (tmp_path / "half.npz").write_bytes(file.read_bytes())
    done = simulate(onearm, tmp_path / "half.npz")
    assert (done.code, "half.json cannot be read (No such file or directory)" in done.err) == (2, True)
    save(arm_artefact(), tmp_path, "other")
    (tmp_path / "other.npz").write_bytes(file.read_bytes())
    done = simulate(onearm, tmp_path / "other.npz")
    assert (done.code, "the artefact 'other' cannot be used, for its arrays have the shapes" in done.err) == (1, True)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_log_names_its_artefact_and_is_verified_with_it_alone(onearm: Any, tmp_path: Path, form: str) -> None:
    file, log = save(MADE, tmp_path), tmp_path / f"log.{form}"
    assert simulate(onearm, file, "--log", str(log)).code == 0
    forget()
    done = onearm("verify", str(log))
    assert done.code == 2
    assert f"there is no artefact '{MADE.label}'" in done.err
    assert "--artefact FILE" in done.err
    done = onearm("verify", str(log), "--artefact", str(save(flat_artefact(seed=1), tmp_path, "newer")))
    assert (done.code, f"there is no artefact '{MADE.label}'" in done.err) == (2, True)
    done = onearm("verify", str(log), "--artefact", str(file), "--json")
    assert done.code == 0
    assert (done.json["experiments"][0]["decisions"], done.json["experiments"][0]["first_difference"]) == (6, None)


def test_a_database_is_opened_verified_and_exported_without_the_file(onearm: Any, tmp_path: Path) -> None:
    artefacts.add(MADE)
    problem = {"kind": "queries", "task": "thresholds", "queries": 3, "horizon": 6}
    body = {"experiment_id": "q", "problem": problem, "policy": {"name": "mapo"}, "seed": 5}
    path = "/v1/experiments/q"
    with Direct(create_app(Store.open(URL))) as client:
        assert client.post("/v1/experiments", json=body).status_code == 201
        for _ in range(3):
            made = client.post(f"{path}/decisions", json={}).json()
            client.post(f"{path}/decisions/{made['decision_id']}/reward", json={"value": 1})
        before = client.get(path).json()["digest"]
    forget()
    artefacts.add(flat_artefact(seed=1))  # what ships now, of the same name
    with Direct(create_app(Store.open(URL))) as client:
        until_ready(client)
        assert client.get(path).json()["digest"] == before
        assert client.get(f"{path}/recommendation").json()["artefact"] == MADE.label
        assert client.post(f"{path}/decisions", json={}).status_code == 201
    forget()
    done = onearm("verify", "--database", URL, "--json")
    assert done.code == 0
    (found,) = (one for one in done.json["experiments"] if one["id"] == "q")
    assert (found["decisions"], found["first_difference"]) == (4, None)
    forget()
    assert onearm("export", "q", "q.jsonl", "--database", URL).code == 0
    assert MADE.label in Path("q.jsonl").read_text()
