"""The command table. Commands are imported when they run, so `onearm --help` loads neither numba nor FastAPI."""

from __future__ import annotations

import sys
from typing import Any

import click

from ...engine.errors import Damaged, OnearmError
from ...engine.storage.arrow import needing_arrow
from ..console import tell_what_compiles

COMMANDS = {
    "serve": "Run the decision service.",
    "keys": "Make keys for callers of the service, list, rotate and revoke them.",
    "audit": "List who did what to experiments and keys.",
    "demo": "Stream a data set through a running service and watch it learn.",
    "top": "Show what a running service is doing: rates, rewards, alarms.",
    "simulate": "Run policies against an environment and compare their regret.",
    "replay": "Let policies decide on a log, and estimate what they are worth.",
    "evaluate": "Estimate what policies would have earned on a log, and how certain that is.",
    "plan": "Find from a log what is best in the long run where decisions move a state.",
    "train": "Train a policy that asks questions, against an adversary.",
    "evaluate-active": "Find the worst losses of policies that ask questions, by difficulty.",
    "warm": "Compile beforehand what will be needed.",
    "warm-start": "Make an experiment from a log, with a policy that has learned it.",
    "verify": "Make every decision of a log again and name the first that differs.",
    "backup": "Copy a database while it is in use.",
    "restore": "Replace a database by a backup, if the backup verifies.",
    "compact": "Shorten the log of an experiment of a running service, and keep what is removed as a file.",
    "delete": "Delete an experiment of a running service for good.",
    "erase": "Erase what is on record about a person, or some decisions.",
    "export": "Write the log of an experiment to a file.",
    "publish": "Send the log to a stream of NATS or Kafka, event after event.",
    "consume": "Take rewards from a stream of NATS or Kafka to a running service.",
    "convert": "Write a log in another format.",
    "new": "Begin a policy or an environment of your own: a file that works, and its test.",
    "policies": "List the policies with their params.",
    "envs": "List the environments with their params.",
}


class Table(click.Group):
    """A group that knows the names and one line of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command by its name."""
        if name not in COMMANDS:
            return None
        module = name.replace("-", "_")
        command: click.Command = getattr(needing_arrow(f"onearm.api.cli.{module}", f"onearm {name}"), module)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Table, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="onearm")
def main() -> None:
    """onearm: an online decision engine. One compiled loop behind a service, a simulator and a replay command.

    \b
    Example:
      onearm simulate --env 'bernoulli:{"mean":[0.1,0.5,0.9]}' --policy ucb1 --horizon 10000
    """


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 a check failed, 2 wrong use."""
    tell_what_compiles()
    try:
        result: Any = main.main(arguments, prog_name="onearm", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except OnearmError as error:
        click.echo(f"onearm: {error}", err=True)
        return 1 if isinstance(error, Damaged) else 2
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(run())
