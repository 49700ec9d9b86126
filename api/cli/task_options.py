"""Options that say what a task of active learning is: arms or thresholds, how many, and how answers come."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from ...engine.errors import InvalidInput
from ...engine.storage.numerals import number_in
from ...engine.task import AnswerKind, LossKind, Task, best_arm, thresholds
from .options import Whole

Command = TypeVar("Command", bound=Callable[..., Any])

SIZES = {"arms": "arms", "thresholds": "points"}  # kinds of tasks, and what says their size
ANSWERS, LOSSES = get_args(AnswerKind), get_args(LossKind)


def task_options(command: Command) -> Command:
    """Give a command the options --task, --arms, --points, --answers and --loss: what `task_of` takes."""
    for option in (
        click.option("--loss", type=click.Choice(LOSSES), help="Default: that of the task."),
        click.option("--answers", type=click.Choice(ANSWERS), help="Default: normal for arms, signs for thresholds."),
        click.option("--points", type=Whole(), help="With --task thresholds: how many points there are on the line."),
        click.option("--arms", type=Whole(), help="With --task arms: how many arms there are."),
        click.option("--task", "kind", required=True, type=click.Choice(list(SIZES)), help="What is to be found."),
    ):
        command = option(command)
    return command


def task_of(kind: str, arms: int | None, points: int | None, answers: str | None, loss: str | None) -> Task:
    """Return the task; raise `InvalidInput` where its size is missing, or that of another kind is given."""
    for name, value in (("arms", arms), ("points", points)):
        if (value is None) == (name == SIZES[kind]):
            rule = "needs" if value is None else "has no"
            raise InvalidInput("bad_task", f"--task {kind} {rule} --{name}")
    make: Callable[..., Task] = best_arm if kind == "arms" else thresholds
    chosen = {"answers": answers, "loss": loss}
    return make(arms if kind == "arms" else points, **{name: word for name, word in chosen.items() if word})


def read_levels(ctx: click.Context, parameter: click.Parameter, text: str | None) -> list[float] | None:
    """Return the numbers of a list like 8,16,32,64: a callback of an option."""
    found = None if text is None else [number_in(part) for part in text.split(",")]
    if found is not None and any(map(math.isnan, found)):
        raise click.BadParameter(f"{text!r} is no list of numbers like 8,16,32,64")
    return found
