"""`onearm publish`: the log of a database as a stream."""

from __future__ import annotations

import dataclasses
from contextlib import closing, suppress

import click

from ...engine.errors import Unavailable, counted
from ..brokers.broker import address_of
from ..brokers.publishing import Publisher, open_publisher
from ..console import print_json
from .json_option import as_json
from .options import DatabaseCommand, Finite, database_option
from .stopping import until_stopped


@click.command(cls=DatabaseCommand)
@click.option(
    "--to", "address", required=True, metavar="ADDRESS", help="nats://HOST:4222/STREAM or kafka://HOST/TOPIC."
)
@database_option
@click.option(
    "--experiments",
    "pattern",
    default="*",
    show_default=True,
    metavar="PATTERN",
    help="Only experiments whose ids are like this, as banner-*.",
)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the NATS or Kafka library; may be repeated.",
)
@click.option(
    "--every",
    "seconds",
    type=Finite(0.01, 3600.0),
    default=0.2,
    show_default=True,
    help="Seconds between two looks for new events.",
)
@click.option("--once", is_flag=True, help="End when all is sent that is committed.")
@as_json
def publish(
    address: str, database: str, pattern: str, settings: tuple[str, ...], seconds: float, once: bool, as_json: bool
) -> None:
    """Send what a service commits to a stream, in the order of each log, at least once, until Ctrl-C.

    It runs beside the service, on the same database, and goes on where it ended; the service does not wait for it. Each
    event is a CloudEvent in JSON, whose data is its line of `onearm export`, and whose id tells those apart that come
    twice. Run one for each stream.

    \b
    Example:
      onearm publish --to nats://127.0.0.1:4222/onearm --database sqlite:///run.db
    """
    where = address_of(address, settings)
    publisher = open_publisher(database, where, pattern, lambda text: click.echo(text, err=True))
    with closing(publisher), until_stopped() as stop:
        publisher.run(seconds, stop, once=once)
        with suppress(Unavailable):  # it may be the database that is away; then the lag is what it was
            publisher.behind()
        _show(publisher, where.name, as_json)


def _show(publisher: Publisher, name: str, as_json: bool) -> None:
    tally = publisher.tally
    if as_json:
        print_json({"stream": name, **dataclasses.asdict(tally)})
    else:
        click.echo(f"{counted(tally.sent, 'event is', 'events are')} in {name}; waiting: {tally.lag:,}", err=True)
