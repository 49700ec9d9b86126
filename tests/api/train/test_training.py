"""Training from one end to the other: what is interrupted goes on, and the smallest gap is kept as an artefact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onearm.api.scheduling.scheduler import Threads
from onearm.api.train import spread as spread_module
from onearm.api.train import training
from onearm.api.train.bench import Bench
from onearm.api.train.networks import first_weights, network_for
from onearm.api.train.plan import Plan, name_of
from onearm.api.train.processes import Report, run_all
from onearm.api.train.training import train
from onearm.api.train.worker import duel_of
from onearm.engine.errors import Conflict, Damaged, InvalidInput
from onearm.engine.hardness.complexity import default_levels
from onearm.engine.hardness.worst_case import Effort, Player, WorstCase
from onearm.engine.task import Task, best_arm, hypotheses, thresholds
from onearm.engine.trained.artefact import Artefact, unpack

PLAN = Plan(thresholds(2), 3, (5.0, 20.0), seed=4, starts=1, iterations=6)
COMPARED = replace(PLAN, compared=True)
LITTLE = Effort(2, 1, 0.08, 4, 2, 0, kept=1, choice_rollouts=4, chosen=1, final_rollouts=30)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score with little effort."""
    monkeypatch.setattr(training, "Effort", lambda: LITTLE)
    monkeypatch.setattr(training, "FAIR", LITTLE)
    monkeypatch.setattr(training, "ROUGH", LITTLE)


class Interrupting:
    """Takes reports, and interrupts at the first one of a run, as Ctrl-C does."""

    def __init__(self, run: str) -> None:
        self.run: str | None = run

    def __call__(self, news: dict[str, Any]) -> None:
        if news["run"] == self.run:
            self.run = None
            raise KeyboardInterrupt


def run_here(folder: Path, runs: Sequence[str], processes: int, report: Report) -> None:
    """Make runs in this process: one of its own for each takes seconds to start."""
    bench = Bench(folder)
    for run in runs:
        duel = duel_of(bench, run)
        while duel.iteration < duel.recipe.iterations:
            duel.step()
        bench.save(run, duel.arrays())
        report({"run": run, "iteration": duel.iteration, "worst": duel.worst})


def first_here(folder: Path, runs: Sequence[str], processes: int, report: Report) -> None:
    """Make the first run in this process, and each of the others in one of its own."""
    run_here(folder, runs[:1], processes, report)
    run_all(folder, runs[1:], processes, report)


@pytest.mark.jit
@pytest.mark.usefixtures("little")
def test_runs_that_workers_make_have_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads stand for workers: each makes its run in a process and a folder of its own, where it is not made here.

    What those processes run is compiled here first: each would compile it at the same time.
    """

    def some_here(folder: Path, runs: Sequence[str], processes: int, report: Report) -> None:
        make = run_here if runs in (["level-2"], ["robust-1"]) else run_all
        make(folder, runs, processes, report)

    monkeypatch.setattr(training, "run_all", run_here)
    whole = train(PLAN, tmp_path / "whole", 1, "command", lambda news: None)
    monkeypatch.setattr(spread_module, "run_all", some_here)
    spread = train(PLAN, tmp_path / "spread", 1, "command", lambda news: None, Threads(2))
    assert same(spread, whole)
    assert sorted(path.name for path in (tmp_path / "spread").iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )


def same(one: Artefact, other: Artefact) -> bool:
    arrays = all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    return arrays and one.worst_case == other.worst_case and one.made["candidates"] == other.made["candidates"]


@pytest.mark.jit
def test_training_that_was_interrupted_ends_as_if_it_had_not_been(
    tmp_path: Path, little: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "run_all", first_here)
    with pytest.raises(KeyboardInterrupt):
        train(PLAN, tmp_path / "parts", 1, "command", Interrupting("level-2"))
    stood = Bench(tmp_path / "parts").load("level-2")
    assert stood is not None, "what was interrupted should have saved itself"
    assert not (tmp_path / "parts" / f"{PLAN.name}.json").exists()
    monkeypatch.setattr(training, "run_all", run_here)
    parts = train(PLAN, tmp_path / "parts", 1, "command", lambda news: None)
    heard: list[dict[str, Any]] = []
    whole = train(PLAN, tmp_path / "whole", 1, "command", heard.append)
    assert same(whole, parts)
    files = (tmp_path / "whole" / f"{PLAN.name}{end}" for end in (".npz", ".json"))
    assert unpack(*(file.read_bytes() for file in files)).sha256 == whole.sha256
    assert {news["run"] for news in heard} == {*PLAN.runs, "levels", "candidates", "finalists"}
    assert [news["iteration"] for news in heard if news["run"] == "robust-1"][-1] == 6


LOSSES = {  # of two levels; what is not named loses .9 at both
    "level-1, sample": (0.1, 0.5),
    "level-2, sample": (0.3, 0.3),
    "robust-1, sample": (0.18, 0.42),
    "robust-1, greedy": (0.15, 0.36),
    "prior, sample": (0.0, 0.4),
}


def scored(task: Task, players: dict[str, Player], levels: tuple[float, ...], **options: Any) -> WorstCase:
    losses = np.array([LOSSES.get(name, (0.9, 0.9)) for name in players])
    best = np.minimum(losses.min(axis=0), options["baselines"] or np.inf)
    gaps = (losses - best).max(axis=1)
    return WorstCase(tuple(players), levels, losses, losses, np.zeros((len(players), 2, 2)), best, gaps)


def test_the_candidate_with_the_smallest_gap_is_kept_beside_what_it_is_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "worst_case", scored)
    bench = Bench(tmp_path)
    bench.open(COMPARED)
    for number, run in enumerate(COMPARED.runs):  # all runs are done: their last biases tell them apart
        weights = first_weights(network_for(COMPARED.task, COMPARED.budget), np.random.default_rng(number))
        weights["b3"][:] = number
        bench.save(run, {f"kept.{name}": value for name, value in weights.items()} | {"iteration": np.array(6)})
    kept = train(COMPARED, tmp_path, 1, "onearm train", lambda news: None)
    assert (kept.made["candidate"], kept.play) == ("robust-1", "greedy"), "a prior's policy is no candidate"
    assert kept.worst_case == {"sample": (0.18, 0.42), "greedy": (0.15, 0.36)}
    assert kept.offsets == (0.1, 0.3)
    assert kept.made["gap"] == pytest.approx(0.06)
    assert kept.made["candidates"]["level-2, sample"] == [0.3, 0.3]
    assert (kept.arrays["b3"] == 2.0).all()
    others = {}
    for file in tmp_path.glob(f"{COMPARED.name}-*.json"):
        others[file.stem.removeprefix(f"{COMPARED.name}-")] = unpack(
            file.with_suffix(".npz").read_bytes(), file.read_bytes()
        )
    assert set(others) == {"level-1", "level-2", "prior"}
    assert (others["level-2"].levels, others["level-2"].worst_case["sample"]) == ((20.0,), (0.3,))
    assert [others[run].made["compared_as"] for run in ("level-1", "prior")] == ["level", "prior"]
    assert [others[run].arrays["b3"][0] for run in ("level-1", "level-2", "prior")] == [0.0, 1.0, 4.0]


def test_a_folder_keeps_to_one_plan(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "deep" / "folder")
    bench.open(PLAN)
    bench.open(PLAN)
    assert bench.plan() == PLAN
    with pytest.raises(Conflict, match=r"another plan \(seed differ"):
        bench.open(Plan(PLAN.task, PLAN.budget, PLAN.levels, 5, PLAN.starts, PLAN.iterations))


@pytest.mark.parametrize("procedure", [None, 1, 3])
def test_runs_of_another_procedure_are_not_gone_on_with(tmp_path: Path, procedure: int | None) -> None:
    begun = PLAN.to_json() | {"procedure": procedure}
    if procedure is None:  # as with PyTorch: the plan did not say it
        del begun["procedure"]
    (tmp_path / "plan.json").write_text(json.dumps(begun))
    before = sorted(tmp_path.iterdir())
    said = "PyTorch" if procedure is None else f"procedure {procedure}"
    with pytest.raises(Conflict, match=rf"{said}.* take another folder and train anew"):
        Bench(tmp_path).open(PLAN)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="take another folder"):
        Bench(tmp_path / "file").open(PLAN)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no archive"])
def test_a_spoilt_file_is_named(tmp_path: Path, content: bytes) -> None:
    bench = Bench(tmp_path)
    assert bench.load("level-1") is None
    bench.save("level-1", {"kept.w1": np.ones(2, np.float32), "loss": np.zeros(3)})
    assert list(bench.weights("level-1")) == ["w1"]
    (tmp_path / "level-1.npz").write_bytes(content)
    with pytest.raises(Damaged, match=r"level-1.npz cannot be read .*remove it"):
        bench.load("level-1")


def test_saving_leaves_one_file(tmp_path: Path) -> None:
    for number in range(3):
        Bench(tmp_path).save("level-1", {"iteration": np.array(number)})
    assert [file.name for file in tmp_path.iterdir()] == ["level-1.npz"]


def test_plans_round_trip_and_name_what_is_unusual() -> None:
    table = Plan(hypotheses([[0.0, 1.0], [1.0, 0.0]]), 4, (2.0, 9.0), 2**64 - 1, 3, None)
    for plan in (PLAN, table):
        assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert name_of(best_arm(5), 15) == "arms-5-15"
    assert name_of(best_arm(3, "bits", "simple_regret"), 6) == "arms-3-6-bits-simple_regret"
    assert COMPARED.runs == ("level-1", "level-2", "robust-1", "refined-1", "prior")
    assert [PLAN.begins_with(run) for run in PLAN.runs] == [None, None, None, "robust-1"]
    assert replace(PLAN, task=best_arm(2)).refined_runs == (), "arms are not refined"
    assert PLAN.recipe("refined-1").drawn > PLAN.recipe("robust-1").drawn
    assert Plan(thresholds(2), 3, (5.0,)).runs == ("level-1",)


def test_default_levels_are_those_of_the_reports() -> None:
    assert default_levels(best_arm(5), 15) == (3.0, 8.0, 20.0, 50.0)
    assert default_levels(thresholds(10), 20) == (8.0, 16.0, 32.0, 64.0)
    assert default_levels(thresholds(10, "bits"), 20) == (8.0, 16.0, 32.0, 64.0), "they count as signs"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 0}, "budget is 0"),
        ({"budget": 1001}, "budget is 1001"),
        ({"seed": -1}, "seed is -1"),
        ({"starts": 17}, "starts is 17"),
        ({"iterations": 0}, "iterations is 0"),
        ({"levels": ()}, "levels are"),
        ({"levels": (8.0, 8.0)}, "levels are"),
        ({"levels": (float("nan"),)}, "levels are"),
        ({"levels": (1.0, float("inf"))}, "levels are"),
        ({"task": best_arm(1)}, "1 queries"),
        ({"task": best_arm(201)}, "201 queries"),
    ],
)
def test_a_plan_that_cannot_be_trained_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Plan(**({"task": PLAN.task, "budget": 3, "levels": (5.0, 20.0)} | change))
