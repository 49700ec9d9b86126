"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import click

from ...engine.errors import InvalidInput
from ...engine.storage.numerals import natural_in, number_in
from ..log_files import READERS, ROWS, read_artefact

Command = TypeVar("Command", bound=Callable[..., Any])


class Finite(click.FloatRange):
    """A number of a range, as formats write numbers: infinity and NaN would pass any comparison."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = number_in(str(value))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number, as 0.5.", param, ctx)
        found: float = super().convert(number, param, ctx)
        return found


class Whole(click.IntRange):
    """A whole number, of a range where it has one: digits, with a minus before them or without."""

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        super().__init__(least, most)
        self.name = "integer" if least is None and most is None else "integer range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        said = str(value)
        digits = natural_in(said.removeprefix("-"))
        if digits is None:
            self.fail(f"{said!r} is no whole number, as 1000.", param, ctx)
        found: int = super().convert(-digits if said.startswith("-") else digits, param, ctx)
        return found

    def _describe_range(self) -> str:
        return "" if self.name == "integer" else super()._describe_range()


DATABASE_DEFAULT = "sqlite:///onearm.db"

policy_option = click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    metavar="NAME[:JSON]",
    help="A policy, as name or name:{json params}; may be given several times.",
)
sweep_option = click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="POLICY.PARAM=RANGE",
    help="Try values of a param too: squarecb.gamma=1:1000:log, ucb1.alpha=0:2:linear:9, or ucb1.alpha=0.1,0.5,1.",
)
database_option = click.option(
    "--database",
    envvar="ONEARM_DATABASE_URL",
    default=DATABASE_DEFAULT,
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="The database of the log: sqlite:///file.db or postgresql://user@host/name.",
)


class DatabaseCommand(click.Command):
    """A command that takes --database; it says so where the URL of one stands alone, or where none is found."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for such a URL before the words are given their meaning."""
        for before, word in pairwise(["", *args]):
            if word.startswith(("sqlite:", "postgresql")) and "://" in word and before != "--database":
                raise InvalidInput("no_database_option", f"{word} is a database: say --database {word}")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where there is no such database, say also by what one is named."""
        try:
            return super().invoke(ctx)
        except InvalidInput as refusal:
            if refusal.code != "no_database":
                raise
            raise InvalidInput(refusal.code, f"{refusal} by --database") from None


def _load(ctx: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> tuple[str, ...]:
    if not files:
        return ()
    from ...policies import catalog

    return tuple(catalog.add_file(file) for file in files)


policy_file_option = click.option(
    "--policy-file",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=_load,
    type=click.Path(path_type=Path),
    help="A Python file with a policy of your own; its name is the file's name.",
)


def _load_envs(ctx: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    if files:
        from ...envs import catalog

        for file in files:
            catalog.add_file(file)


env_file_option = click.option(
    "--env-file",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=_load_envs,
    type=click.Path(path_type=Path),
    help="A Python file with an environment of your own; its name is the file's name.",
)


def _put(ctx: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    if files:
        from ...policies import artefacts

        for file in files:
            artefacts.add(read_artefact(file))


artefact_option = click.option(
    "--artefact",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=_put,
    type=click.Path(path_type=Path),
    help="A trained policy of your own for mapo, as `onearm train` writes it: its .npz or its .json.",
)
rows_option = click.option(
    "--rows",
    type=click.Choice(ROWS),
    default=ROWS[0],
    show_default=True,
    help="Of jsonl and parquet: a row for each event, or for each decision with its reward.",
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(READERS),
    help="The format of the file; default: by its ending (.jsonl, .parquet, .csv, .dsjson and .vw = Vowpal Wabbit's "
    "logs, .li = replay text), and by its header where it is the Open Bandit Dataset.",
)
seed_option = click.option("--seed", type=Whole(), default=0, show_default=True, help="The seed of every draw.")
scheduler_option = click.option(
    "--scheduler",
    metavar="local:N|tcp://HOST:PORT",
    help="Spread the work over N processes of this machine, or over the workers of a Dask scheduler; default: threads.",
)
