"""`onearm erase`: what is on record of a person in an experiment of a running service."""

from __future__ import annotations

import click

from ...engine.errors import counted
from ..console import print_json
from ..experiment.ids import in_url
from .calling import answered, client_of, key_option, url_option
from .json_option import as_json


@click.command()
@click.argument("experiment")
@click.option("--unit", "unit_id", metavar="UNIT_ID", help="The unit whose decisions are all erased.")
@click.option(
    "--decision", "decision_ids", metavar="ID", multiple=True, help="A decision to erase; may be given several times."
)
@url_option
@key_option("admin")
@as_json
def erase(
    experiment: str, unit_id: str | None, decision_ids: tuple[str, ...], url: str, key: str | None, as_json: bool
) -> None:
    """Erase what is on record about a person in an EXPERIMENT of a running service, or some of its decisions, for good.

    Their contexts, ids and whatever was sent are blanked; what was done and what it brought still counts.

    \b
    Example:
      onearm erase banner --unit visitor-7
    """
    if (unit_id is None) == (not decision_ids):
        raise click.UsageError("say whom, --unit UNIT_ID, or which decisions, --decision ID")
    body = {"decision_ids": list(decision_ids)} if unit_id is None else {"unit_id": unit_id}
    path = f"/v1/experiments/{in_url(experiment)}:erase"
    with client_of(url, key) as client:
        found = answered(path, lambda: client.post(path, json=body, timeout=None))
    if as_json:
        print_json(found)
    else:
        blank = counted(found["decisions"], "decision is", "decisions are")
        click.echo(f"{blank} blank, of which open: {found['open']:,}")
        for name in found.get("archives_left", []):
            click.echo(f"the archive {name} may still hold them: it could not be read or written", err=True)
