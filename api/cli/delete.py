"""`onearm delete`: an experiment of a running service, for good."""

from __future__ import annotations

import click

from ..console import print_json
from ..experiment.ids import in_url
from .calling import answered, client_of, key_option, url_option
from .json_option import as_json


@click.command()
@click.argument("experiment")
@click.option("--confirm", metavar="EXPERIMENT", help="The id once more; if left out, you are asked for it.")
@url_option
@key_option("admin")
@as_json
def delete(experiment: str, confirm: str | None, url: str, key: str | None, as_json: bool) -> None:
    """Delete an EXPERIMENT of a running service and everything on record about it, for good.

    Its id is never used again. `POST /v1/experiments/ID:archive` ends an experiment and keeps its log.

    \b
    Example:
      onearm delete banner --confirm banner
    """
    again = click.prompt("the id once more", err=True) if confirm is None else confirm
    path = f"/v1/experiments/{in_url(experiment)}"
    with client_of(url, key) as client:
        found = answered(path, lambda: client.delete(path, params={"confirm": again}))
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found['experiment_id']} is deleted; its log is taken away in the background")
