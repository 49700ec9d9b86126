"""`onearm train`: train a policy that asks, against an adversary, for all levels of difficulty at once."""

from __future__ import annotations

import csv
import importlib
import json
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from ...engine.errors import InvalidInput, Unavailable, installing
from ...engine.hardness.complexity import default_levels
from ...engine.storage.numerals import sure_number
from ...engine.task import Task, best_arm, hypotheses, thresholds
from ...engine.trained.artefact import Artefact
from ..console import print_json, print_table
from ..scheduling.scheduler import Scheduler, opened
from ..train.plan import Plan
from ..train.training import train as train_plan
from .json_option import as_json
from .options import Whole, scheduler_option, seed_option
from .task_options import ANSWERS, LOSSES, read_levels

_NEEDED_BY = {"arms": "arms", "thresholds": "points", "hypotheses": "table"}


@click.command()
@click.option("--task", "kind", required=True, type=click.Choice(list(_NEEDED_BY)), help="What is to be found.")
@click.option("--arms", type=Whole(), help="With --task arms: how many arms there are.")
@click.option("--points", type=Whole(), help="With --task thresholds: how many points there are on the line.")
@click.option(
    "--table", type=click.Path(path_type=Path), help="With --task hypotheses: a .csv or .json with a row for each."
)
@click.option(
    "--answers", type=click.Choice(ANSWERS), help="The kind of answers; default: normal for arms, otherwise signs."
)
@click.option(
    "--loss", type=click.Choice(LOSSES), help="Default: simple_regret for thresholds, otherwise identification."
)
@click.option("--budget", type=Whole(), required=True, help="How many queries there are before the recommendation.")
@click.option(
    "--levels", callback=read_levels, metavar="R1,R2,..", help="Levels of difficulty; default: four that span it."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The folder to train in, and for the policy."
)
@click.option(
    "--starts", type=Whole(), default=2, show_default=True, help="Runs of the second phase; the best is kept."
)
@click.option(
    "--iterations",
    type=Whole(),
    help="Iterations of each run; default: as many as the task takes. Take few to try it out.",
)
@click.option("--compared", is_flag=True, help="Also keep the policies for single levels, and one for a prior.")
@click.option("--processes", type=Whole(), help="Runs at a time; default: one for each processor.")
@scheduler_option
@click.option(
    "--exact", "grid", metavar="M1,M2,..", callback=read_levels, help="Solve for means on this grid, exactly."
)
@seed_option
@as_json
def train(
    kind: str,
    arms: int | None,
    points: int | None,
    table: Path | None,
    answers: str | None,
    loss: str | None,
    budget: int,
    levels: list[float] | None,
    out: Path,
    starts: int,
    iterations: int | None,
    compared: bool,
    processes: int | None,
    scheduler: str | None,
    grid: list[float] | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train a policy that asks, and keep it as NAME.npz and NAME.json in a folder.

    It is trained against an adversary, first for each level of difficulty and then for all levels at once; the policy
    with the smallest worst gap is kept. The same command goes on where it was stopped. With --exact a small problem of
    signs or bits is solved by a linear programme instead, which needs the extra `solver`.

    \b
    Examples:
      onearm train --task thresholds --points 10 --budget 20 --out out/policy
      onearm train --task arms --arms 2 --answers bits --budget 10 --levels 3.5,13,60 \\
        --exact 0.1,0.3,0.5,0.7,0.9 --out out/table
    """
    task = _task(kind, {"arms": arms, "points": points, "table": table}, answers, loss)
    spans = tuple(levels or default_levels(task, budget))
    command = shlex.join(["onearm", *sys.argv[1:]])
    if grid is not None and scheduler is not None:
        raise InvalidInput("not_spread", "--exact solves one linear programme, here: leave out --scheduler")
    if grid is not None:
        artefact = _solver().solve(task, budget, grid, list(spans), out, command)
    else:
        plan = Plan(task, budget, spans, seed, starts, iterations, compared)
        where: AbstractContextManager[Scheduler | None] = nullcontext(None) if scheduler is None else opened(scheduler)
        with where as spread, _bars(plan, as_json) as report:
            artefact = train_plan(plan, out, _processes(processes), command, report, spread)
    _show(artefact, out, as_json)


def _task(kind: str, sizes: dict[str, Any], answers: str | None, loss: str | None) -> Task:
    needed = _NEEDED_BY[kind]
    for name, value in sizes.items():
        if (value is None) == (name == needed):
            rule = "needs" if name == needed else "has no"
            raise InvalidInput("bad_task", f"--task {kind} {rule} --{name}")
    makers: dict[str, Callable[..., Task]] = {"arms": best_arm, "thresholds": thresholds, "hypotheses": hypotheses}
    size = _rows(sizes["table"]) if kind == "hypotheses" else sizes[needed]
    return makers[kind](
        size, **{name: word for name, word in (("answers", answers), ("loss", loss)) if word is not None}
    )


def _rows(path: Path) -> Any:
    """Return the table in a file: JSON, or CSV without a head."""
    try:
        text = path.read_text()
        if path.suffix == ".json":
            return json.loads(text)
        return [[sure_number(cell) for cell in row] for row in csv.reader(text.splitlines()) if row]
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "bad_table", f"{path} cannot be read as a table ({error}): rows of numbers are needed, as .csv or .json"
        ) from None


def _processes(asked: int | None) -> int:
    if asked is not None and not 1 <= asked <= 1024:
        raise InvalidInput("bad_processes", f"--processes is {asked}: it must be from 1 to 1024")
    return asked or os.cpu_count() or 1


def _solver() -> Any:
    """Import what needs SciPy, or say how to get it."""
    if find_spec("scipy") is None:
        raise Unavailable("no_scipy", f"solving needs SciPy, which is not installed: {installing('solver')}")
    return importlib.import_module("onearm.api.train.solving")


def _bars(plan: Plan, as_json: bool) -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
    """Show progress: lines of JSON on standard error with --json, bars on a terminal, else nothing."""
    if as_json:
        return nullcontext(lambda news: click.echo(json.dumps(news), err=True))
    if not sys.stderr.isatty():
        return nullcontext(lambda news: None)
    bars: AbstractContextManager[Callable[[dict[str, Any]], None]] = importlib.import_module(
        "onearm.api.cli.training_bars"
    ).bars({run: plan.recipe(run).iterations for run in plan.runs})
    return bars


def _show(artefact: Artefact, folder: Path, as_json: bool) -> None:
    if as_json:
        print_json({**artefact.description(), "file": str(folder / f"{artefact.name}.npz")})
        return
    columns = ["level", "least known", *artefact.worst_case]
    rows = [list(row) for row in zip(artefact.levels, artefact.offsets, *artefact.worst_case.values(), strict=True)]
    kept = artefact.made.get("candidate", "the optimum")
    note = f"kept: {kept}, play {artefact.play}, worst gap {artefact.made['gap']:.4f}"
    print_table(
        f"{artefact.label}: worst {artefact.task.loss.replace('_', ' ')} after {artefact.budget} queries",
        columns,
        rows,
        f"{note}; files: {folder / artefact.name}.npz and .json",
    )
