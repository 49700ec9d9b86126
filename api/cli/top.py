"""`onearm top`: what a service is doing, in a terminal."""

from __future__ import annotations

import sys
import time

import click
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...engine.errors import InvalidInput, OnearmError, counted
from ..client.blocking.client import Client
from ..console import print_json, print_table
from ..rate import rate
from ..terminal import console
from . import overview
from .calling import key_option, url_option
from .json_option import as_json
from .options import Finite
from .overview import Overview, Row
from .reward_curve import COLUMNS, curve, means_of, sparkline

MOST = 200  # experiments of which `--once` reads the report
AROUND = 18  # lines of the screen beside the rows of the table
SPARK = 12  # columns
DAY = 86_400.0  # seconds
HEADS = ["experiment", "policy", "decisions/s", "rewards/s", "open", "join rate", "mean reward", "alarms"]


@click.command()
@url_option
@key_option("read")
@click.option("--once", is_flag=True, help="Look twice, print one table and end; JSON if the output is piped.")
@click.option(
    "--every", "seconds", type=Finite(0.1, DAY), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--experiment", help="The experiment whose curve is drawn; default: the busiest.")
@as_json
def top(url: str, key: str | None, once: bool, seconds: float, experiment: str | None, as_json: bool) -> None:
    """Show what a service is doing: its experiments with decisions and rewards a second, and what is wrong.

    Experiments with alarms come first, then the busiest. Below is the curve of one, that of `onearm demo` if it runs in
    another terminal. It ends with Ctrl-C.

    \b
    Examples:
      onearm top
      onearm top --once
      onearm top --url https://bandits.example --key oa_...
    """
    piped = not sys.stdout.isatty()
    with Client(url, key=key, deadline=5.0) as client:
        if once or as_json or piped:
            if experiment is not None:
                raise InvalidInput(
                    "no_curve",
                    "--experiment names the curve on the screen, and one table has no curve: leave it out, or look at "
                    "the screen, without --once, --json and a pipe",
                )
            rows, hidden = _looked_twice(client, seconds)
            if as_json or piped:
                print_json(overview.as_json(url, rows, hidden))
            else:
                print_table(_title(url, rows), HEADS, list(map(_cells, rows)), _note(hidden), spare=["policy"])
            return
        try:
            _watch(client, url, seconds, experiment)
        except KeyboardInterrupt:
            return


def _looked_twice(client: Client, seconds: float) -> tuple[list[Row], int]:
    """Return the rows with the rates of some seconds, and how many experiments are not among them."""
    looks = Overview(client, MOST)
    looks.look()
    time.sleep(seconds)
    return looks.look(), looks.hidden


def _watch(client: Client, url: str, seconds: float, experiment: str | None) -> None:
    """Look again and again, and draw, until somebody ends it. A service that is away for a while is waited for."""
    looks = Overview(client, max(3, console.height - AROUND))
    rows = looks.look()
    if experiment is not None and all(row.experiment != experiment for row in rows):
        client.experiment(experiment).about()  # says where there is none
    trouble: str | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(picture(url, rows, looks.hidden, experiment, trouble), refresh=True)
            time.sleep(seconds)
            try:
                rows, trouble = looks.look(), None
            except OnearmError as error:
                trouble = str(error)


def picture(url: str, rows: list[Row], hidden: int, experiment: str | None, trouble: str | None) -> Group:
    """Return the screen: the table, and the curve of one experiment."""
    table = Table(box=SIMPLE_HEAD, expand=True, caption=_note(hidden), caption_justify="left")
    for name in HEADS[:2]:
        table.add_column(name, overflow="fold")
    shown = [list(map(_shown, _cells(row)[2:7])) for row in rows]
    for name, *cells in zip(HEADS[2:7], *shown, strict=True):  # names may take a second line, figures never
        table.add_column(name, justify="right", min_width=max(map(len, [*name.split(), *cells])))
    table.add_column("", no_wrap=True)
    table.add_column(HEADS[7], overflow="ellipsis", no_wrap=True, ratio=1)
    for row, numbers in zip(rows, shown, strict=True):
        spark, alarms = Text(sparkline(row.means[-SPARK:]), style="cyan"), Text("; ".join(row.alarms), style="bold red")
        table.add_row(Text(row.experiment), Text(row.policy), *numbers, spark, alarms)
    title = Text(_title(url, rows), style="bold")
    said = Text("" if trouble is None else f"not answered: {trouble}", style="bold red")
    return Group(title, said, table, _curve_of(rows, experiment))


def _curve_of(rows: list[Row], experiment: str | None) -> Text:
    """Return the curve of an experiment, or of the busiest one."""
    busiest = max(rows, key=lambda row: row.decisions_per_second, default=None)
    chosen = next((row for row in rows if row.experiment == experiment), busiest)
    if chosen is None:
        return Text("no experiment yet: `onearm demo` makes one, or POST /v1/experiments")
    if not chosen.means:
        return Text(f"{chosen.experiment}: no rewards since this began")
    head = f"{chosen.experiment}: mean reward from look to look, {chosen.means[-1]:.3f} in the last one\n"
    return Text.assemble(head, (curve(means_of(chosen.means, COLUMNS)), "cyan"))


def _title(url: str, rows: list[Row]) -> str:
    decided, rewarded = overview.totals(rows)
    alarms = sum(bool(row.alarms) for row in rows)
    said = f", {alarms} with alarms" if alarms else ""
    shown = counted(len(rows), "experiment")
    return f"{url}   {rate(decided)} decisions/s   {rate(rewarded)} rewards/s   {shown}{said}"


def _note(hidden: int) -> str | None:
    return f"and {hidden} more experiments, which are less busy" if hidden else None


def _cells(row: Row) -> list[object]:
    """Return a row of the table, in the order of its heads."""
    rates = round(row.decisions_per_second, 1), round(row.rewards_per_second, 1)
    return [row.experiment, row.policy, *rates, row.open, row.join_rate, row.reward_mean, "; ".join(row.alarms)]


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
