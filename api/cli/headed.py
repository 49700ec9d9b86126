"""Options under headings, for the help of a command that has many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

READING, COLUMNS = "Reading the log", "Columns of a table"
ASKED, SHOWN, OTHER = "What is asked", "What is shown", "Other"
HEADINGS = (READING, COLUMNS, ASKED, SHOWN, OTHER)
HEADING = "heading"  # the attribute of an option
Command = TypeVar("Command", bound=Callable[..., Any])


class HeadedCommand(click.Command):
    """A command whose help shows options by their headings; those without one are the others."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each heading."""
        shown: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (line := parameter.get_help_record(ctx)) is not None:
                shown[vars(parameter).get(HEADING, OTHER)].append(line)
        for heading, lines in shown.items():
            with formatter.section(heading):
                formatter.write_dl(lines)


def under(heading: str, *options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return what gives a command some options, which its help shows under a heading."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
            vars(vars(command)["__click_params__"][-1])[HEADING] = heading
        return command

    return decorate
