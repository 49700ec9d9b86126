"""`onearm evaluate-active`: what policies that ask lose at worst, by difficulty."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ...engine.errors import InvalidInput, Unavailable, installing
from ...engine.hardness.complexity import default_levels
from ...engine.hardness.worst_case import Effort, WorstCase, player, rounds_of, worst_case
from ...engine.problem import check_problem, check_seed, fitted, query_problem
from ...engine.task import Task
from ...engine.vocabulary import Policy, Problem
from ...policies import catalog
from ..console import print_json, print_table, progress
from .json_option import as_json
from .options import Whole, artefact_option, policy_file_option, policy_option, seed_option
from .task_options import read_levels, task_of, task_options

_USUAL = Effort()
EFFORTS = {
    "quick": _USUAL._replace(steps=15, refining_steps=15, choice_rollouts=256, final_rollouts=2048),
    "usual": _USUAL,
    "thorough": _USUAL._replace(particles=64, refining_steps=100, refining_rollouts=512, final_rollouts=32768),
}


@click.command("evaluate-active")
@task_options
@click.option("--budget", type=Whole(), required=True, help="How many queries there are before the recommendation.")
@click.option("--levels", callback=read_levels, metavar="R1,R2,..", help="Levels of difficulty, ascending.")
@policy_option
@policy_file_option
@artefact_option
@click.option(
    "--effort", type=click.Choice(list(EFFORTS)), default="usual", show_default=True, help="How hard to search."
)
@click.option("--plots", type=click.Path(path_type=Path), help="Draw worst losses over levels into this folder.")
@seed_option
@as_json
def evaluate_active(
    kind: str,
    arms: int | None,
    points: int | None,
    answers: str | None,
    loss: str | None,
    budget: int,
    levels: list[float] | None,
    policies: tuple[str, ...],
    effort: str,
    plots: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Find the worst losses of policies, at levels of difficulty.

    An adversary climbs against each policy at each level; all policies are scored on everything that was found. The
    true worst may be a little larger: these are the worst losses found. The gap is how much worse than the best of the
    policies one is, at its worst level.

    \b
    Example:
      onearm evaluate-active --task thresholds --points 10 --budget 20 --levels 8,16,32,64 \\
        --policy mapo --policy uniform_budget
    """
    task = task_of(kind, arms, points, answers, loss)
    problem = query_problem(task, budget)
    check_problem(problem)
    contenders = _contenders(policies, problem)
    players = {name: player(policy, problem, check_seed(seed)) for name, policy in contenders.items()}
    chosen = list(default_levels(task, budget)) if levels is None else levels
    draw = None if plots is None else _plotter(plots)
    with progress("searching", rounds_of(len(players), len(chosen)), "searches") as advance:
        found = worst_case(
            task,
            players,
            chosen,
            seed=seed,
            effort=EFFORTS[effort],
            workers=os.cpu_count() or 1,
            progress=advance,
        )
    files = [] if draw is None or plots is None else [draw(found, _title(task, budget), plots)]
    if as_json:
        print_json(_summary(found, task, budget, contenders, files))
    else:
        _print(found, _title(task, budget), files)


def _contenders(texts: tuple[str, ...], problem: Problem) -> dict[str, Policy]:
    """Return the policies by name, or as they were given where a name is there twice; refuse what does not fit."""
    made = [fitted(catalog.parse(text), problem) for text in texts]
    names = [text.partition(":")[0] for text in texts]
    keys = [name if names.count(name) == 1 else text for name, text in zip(names, texts, strict=True)]
    for key in keys:
        if keys.count(key) > 1:
            raise InvalidInput("same_policy", f"policy {key!r} is given twice: give each once, or with other params")
    return dict(zip(keys, made, strict=True))


def _plotter(folder: Path) -> Callable[[WorstCase, str, Path], Path]:
    """Return what draws; make the folder, so that a long search does not end in an error."""
    try:
        drawing = importlib.import_module("onearm.api.cli.loss_plot")
    except ImportError:
        raise Unavailable(
            "no_matplotlib",
            f"plots need matplotlib, which is not installed: {installing('report')}, or leave --plots out",
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput("bad_folder", f"--plots {folder} cannot be made: {error.strerror}; name a folder") from None
    return drawing.draw_losses


def _title(task: Task, budget: int) -> str:
    size = f"{task.n_queries} {'arms' if task.kind == 'arms' else 'points'}"
    return f"{task.kind}, {size}, {budget} queries, answers {task.answers}"


def _summary(
    found: WorstCase, task: Task, budget: int, contenders: dict[str, Policy], files: list[Path]
) -> dict[str, Any]:
    rows = [
        {
            "policy": name,
            "level": level,
            "loss": float(found.losses[p, r]),
            "stderr": float(found.stderr[p, r]),
            "means": found.means[p, r].tolist(),
        }
        for p, name in enumerate(found.names)
        for r, level in enumerate(found.levels)
    ]
    return {
        "task": task.to_json(),
        "budget": budget,
        "policies": {name: policy.spec for name, policy in contenders.items()},
        "worst_case": rows,
        "gap": dict(zip(found.names, found.gaps.tolist(), strict=True)),
        "plots": [str(file) for file in files],
    }


def _print(found: WorstCase, title: str, files: list[Path]) -> None:
    rows: list[list[Any]] = [
        [name, *(f"{loss:.4f}" for loss in losses), float(round(gap, 4)), float(round(error, 4))]
        for name, losses, gap, error in zip(
            found.names, found.losses, found.gaps, found.stderr.max(axis=1), strict=True
        )
    ]
    rows.sort(key=lambda row: row[-2])
    columns = ["policy", *(f"r = {level:g}" for level in found.levels), "gap", "+-"]
    note = "worst losses found at each difficulty; gap: to the best of these policies, at its worst level"
    print_table(f"{title}, worst losses", columns, rows, note, spare=("+-",))
    for file in files:
        click.echo(f"plot: {file}", err=True)
