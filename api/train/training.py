"""Train a policy: one for each level, then one for all, and of these keep the one with the smallest worst gap.

1. Each level has a run of its own, from scratch, against means of its difficulty.
2. What these lose at worst at all levels, the least at each being the offset of the level.
3. Runs against the means of all levels at once, less their offsets, from scratch; then refined, where the recipe says.
4. Every network of 1 and 3 is a candidate: all are scored roughly, sampled, and the best few with care, sampled and
   greedy, each time on one pool of worst means. The smallest gap wins, whichever run it is from.

Source: Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382, whose result is that
of 3. Departs from the paper: 4, for the second phase does not always end closer to the optimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...engine.hardness.worst_case import Effort, WorstCase, player, rounds_of, worst_case
from ...engine.kernel import source_digest
from ...engine.problem import query_problem
from ...engine.task import Array
from ...engine.trained.artefact import PLAYS, Artefact, pack
from ...policies.queries.mapo import with_weights
from ..scheduling.scheduler import Scheduler
from .bench import FIRST, Bench
from .plan import PRIOR, Plan
from .processes import Report, run_all
from .spread import run_spread

Candidate = tuple[str, str]  # a run and how it is played
ROUGH = Effort(
    refining_steps=10, particles=24, steps=12, rollouts=32, kept=3, choice_rollouts=256, chosen=4, final_rollouts=2048
)
FAIR = Effort(steps=20, refining_steps=20, choice_rollouts=256, final_rollouts=4096)
FINALISTS = 3  # networks that are scored with care, both ways to play


def train(
    plan: Plan, folder: Path, processes: int, command: str, report: Report, scheduler: Scheduler | None = None
) -> Artefact:
    """Train, or go on training, in a folder; write NAME.npz and NAME.json there and return the artefact.

    `report` is told {"run", "iteration", "worst"} of runs, and {"run", "done", "of"} of scoring. Runs are made in so
    many processes at once, or by the workers of a scheduler.
    """
    bench = Bench(folder)
    bench.open(plan)

    def make(runs: Sequence[str]) -> None:
        left = [run for run in runs if not _is_done(bench, plan, run)]
        if scheduler is None:
            run_all(folder, left, processes, report)
        else:
            run_spread(scheduler, folder, left, report)

    make(plan.level_runs)
    if not bench.read_json(FIRST):
        bench.write_json(FIRST, _first(bench, plan, processes, report))
    make([run for run in plan.runs if run not in (*plan.level_runs, *plan.refined_runs)])
    make(plan.refined_runs)
    artefact, *others = _artefacts(bench, plan, processes, command, report)
    for made in (*others, artefact):
        npz, description = pack(made)
        bench.write(f"{made.name}.npz", npz)
        bench.write(f"{made.name}.json", description)
    return artefact


def _is_done(bench: Bench, plan: Plan, run: str) -> bool:
    saved = bench.load(run)
    return saved is not None and int(saved["iteration"]) >= plan.recipe(run).iterations


def _first(bench: Bench, plan: Plan, processes: int, report: Report) -> dict[str, Any]:
    """Score the policies of the levels; return the offsets and which policy has the smallest gap."""
    candidates = [(run, "sample") for run in plan.level_runs]
    found = _score(bench, plan, candidates, FAIR, "levels", processes, report)
    return {
        "offsets": [float(loss) for loss in found.best],
        "best": plan.level_runs[int(found.gaps.argmin())],
        "losses": {run: losses for (run, _), losses in zip(candidates, found.losses.tolist(), strict=True)},
    }


def _artefacts(bench: Bench, plan: Plan, processes: int, command: str, report: Report) -> list[Artefact]:
    """Score all candidates; return the best one, and what it is compared with."""
    offsets = bench.read_json(FIRST)["offsets"]
    everyone = [(run, "sample") for run in plan.runs]
    rough = _score(bench, plan, everyone, ROUGH, "candidates", processes, report, offsets)
    candidates = [run for run in plan.runs if run != PRIOR]
    order = sorted(candidates, key=lambda run: _gap(rough, run, "sample"))
    finalists = [(run, play) for run in order[:FINALISTS] for play in PLAYS]
    found = _score(bench, plan, finalists, Effort(), "finalists", processes, report, offsets)
    run, play = finalists[int(found.gaps.argmin())]
    kept = {"candidate": run, "gap": float(found.gaps.min()), **_tables(rough, found)}
    worst = {way: _losses(found, run, way) for way in PLAYS}
    best = tuple(float(loss) for loss in found.best)
    chosen = _artefact(bench, plan, command, plan.name, run, plan.levels, best, worst, play, kept)
    if not plan.compared:
        return [chosen]
    others = []
    for k, run in enumerate(plan.level_runs):
        worst = {"sample": _losses(rough, run, "sample")[k : k + 1]}
        parts = (f"{plan.name}-{run}", run, plan.levels[k : k + 1], best[k : k + 1], worst, "sample")
        others.append(_artefact(bench, plan, command, *parts, {"compared_as": "level"}))
    worst = {"sample": _losses(rough, PRIOR, "sample")}
    parts = (f"{plan.name}-{PRIOR}", PRIOR, plan.levels, best, worst, "sample")
    return [chosen, *others, _artefact(bench, plan, command, *parts, {"compared_as": PRIOR})]


def _artefact(
    bench: Bench,
    plan: Plan,
    command: str,
    name: str,
    run: str,
    levels: tuple[float, ...],
    offsets: tuple[float, ...],
    worst: dict[str, tuple[float, ...]],
    play: str,
    made: dict[str, Any],
) -> Artefact:
    return Artefact(
        name=name,
        architecture=plan.architecture,
        task=plan.task,
        budget=plan.budget,
        levels=levels,
        offsets=offsets,
        worst_case=worst,
        play=play,
        made={**_provenance(plan, command), **made},
        arrays=bench.weights(run),
    )


def _score(
    bench: Bench,
    plan: Plan,
    candidates: Sequence[Candidate],
    effort: Effort,
    what: str,
    processes: int,
    report: Report,
    offsets: Sequence[float] | None = None,
) -> WorstCase:
    problem = query_problem(plan.task, plan.budget)
    players = {}
    for run, play in candidates:
        policy = with_weights(plan.architecture, plan.task, plan.budget, bench.weights(run), play)
        players[_named(run, play)] = player(policy, problem, plan.seed)
    total, done = rounds_of(len(players), len(plan.levels)), 0

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        report({"run": what, "done": done, "of": total})

    return worst_case(
        plan.task,
        players,
        plan.levels,
        seed=plan.seed,
        effort=effort,
        baselines=offsets,
        workers=processes,
        progress=advance,
    )


def _named(run: str, play: str) -> str:
    return f"{run}, {play}"


def _gap(found: WorstCase, run: str, play: str) -> float:
    return float(found.gaps[found.names.index(_named(run, play))])


def _losses(found: WorstCase, run: str, play: str) -> tuple[float, ...]:
    return tuple(found.losses[found.names.index(_named(run, play))].tolist())


def _tables(rough: WorstCase, found: WorstCase) -> dict[str, Any]:
    """Return the worst losses of all candidates, rounded: of the finalists those that were found with care."""
    losses: dict[str, Array] = dict(zip(rough.names, rough.losses, strict=True))
    losses |= dict(zip(found.names, found.losses, strict=True))
    return {"candidates": {name: [round(float(x), 4) for x in row] for name, row in losses.items()}}


def _provenance(plan: Plan, command: str) -> dict[str, Any]:
    recipes: Mapping[str, Any] = {run: vars(plan.recipe(run)) for run in plan.runs}
    return {
        "command": command,
        "source": "the procedure of Zhang, Jain, Jamieson, arXiv 2010.15382, with constants of our own",
        "seed": str(plan.seed),
        "losses": "worst found by an adversary: lower bounds of the true worst",
        "iterations": {run: recipe["iterations"] for run, recipe in recipes.items()},
        "versions": {name: version(name) for name in ("onearm", "numpy", "numba")},
        "kernels": source_digest()[:16],
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
