"""Runs of training on the workers of a scheduler: each is given what it stands on, and gives back where it ended.

A run that is lost with its worker begins where it began before. Its bits are those of `processes.run_all`, which makes
it here, and which also makes it there: in a process of its own, with one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ..scheduling.scheduler import Scheduler
from .bench import FIRST, PLAN, Bench
from .processes import Report, run_all


class Run(NamedTuple):
    """A run, and the files of the folder that it needs."""

    name: str
    files: dict[str, bytes]


def run_spread(scheduler: Scheduler, folder: Path, runs: Sequence[str], report: Report) -> None:
    """Make runs on workers, and save each in the folder; `report` hears of each run when it is done."""
    bench = Bench(folder)
    plan = bench.plan()
    specs = [Run(run, _files(folder, run, plan.begins_with(run))) for run in runs]

    def done(place: int) -> None:
        report({"run": runs[place], "iteration": plan.recipe(runs[place]).iterations})

    for run, content in zip(runs, scheduler.map(make_run, specs, done), strict=True):
        bench.write(_saved(run), content)


def make_run(run: Run) -> bytes:
    """Make a run in a folder of this machine, and return what it saved in the end."""
    with TemporaryDirectory(prefix="onearm-train-") as name:
        folder = Path(name)
        for file, content in run.files.items():
            (folder / file).write_bytes(content)
        run_all(folder, [run.name], 1, lambda news: None)
        return (folder / _saved(run.name)).read_bytes()


def _files(folder: Path, run: str, before: str | None) -> dict[str, bytes]:
    names = [PLAN, FIRST, _saved(run), *([] if before is None else [_saved(before)])]
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def _saved(run: str) -> str:
    return f"{run}.npz"
