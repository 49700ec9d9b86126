"""`onearm consume`: rewards from a stream, told to a service."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from ...engine.errors import counted
from ..brokers.broker import address_of
from ..brokers.consuming import Consumer
from ..console import print_json
from .calling import client_of, key_option, url_option
from .json_option import as_json
from .stopping import until_stopped


@click.command()
@click.option(
    "--from", "address", required=True, metavar="ADDRESS", help="nats://HOST:4222/STREAM or kafka://HOST/TOPIC."
)
@url_option
@key_option("write")
@click.option("--group", default="onearm", show_default=True, help="Those who share a name share the messages.")
@click.option(
    "--aside",
    type=click.Path(path_type=Path),
    default=Path("refused-rewards.jsonl"),
    show_default=True,
    help="The file for messages that the service will never take.",
)
@click.option(
    "--setting", "settings", multiple=True, metavar="NAME=VALUE", help="Of the client of the broker; may be repeated."
)
@click.option("--once", is_flag=True, help="End when nothing came for a second.")
@as_json
def consume(
    address: str,
    url: str,
    key: str | None,
    group: str,
    aside: Path,
    settings: tuple[str, ...],
    once: bool,
    as_json: bool,
) -> None:
    """Take rewards from a stream to a running service, each with its effect once, until Ctrl-C.

    A message is an object {"experiment", "decision_id", "value", "reward_id"}, or a CloudEvent with such data, and all
    that POST /v1/experiments/{id}/rewards:batch reads. Without a reward_id it is known by the message's own id.

    \b
    Example:
      onearm consume --from nats://127.0.0.1:4222/rewards --url http://127.0.0.1:8080
    """
    where = address_of(address, settings)
    with client_of(url, key) as service, until_stopped() as stop:
        consumer = Consumer(where, group, service, aside, lambda text: click.echo(text, err=True))
        consumer.run(stop, once=once)
    counts = consumer.counts
    if as_json:
        print_json({"stream": where.name, "aside": str(aside), **dataclasses.asdict(counts)})
    else:
        kept = f", and {counts.refused} kept aside in {aside}" if counts.refused else ""
        click.echo(f"{counted(counts.accepted, 'reward')} taken, {counts.duplicates:,} known before{kept}", err=True)
