"""`onearm envs`: what there is, with params and one line each."""

from __future__ import annotations

import click

from onearm.api.cli.catalog import print_catalog
from onearm.api.cli.show import as_json
from onearm.envs import catalog


@click.command()
@as_json
def envs(as_json: bool) -> None:
    """List the environments with their params and one line each.

    \b
    Example:
      onearm envs
    """
    print_catalog(catalog, as_json)
