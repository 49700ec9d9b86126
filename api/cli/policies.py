"""`onearm policies`: what there is, with params and one line each."""

from __future__ import annotations

import click

from onearm.api.cli.catalog import print_catalog
from onearm.api.cli.show import as_json
from onearm.policies import catalog


@click.command()
@as_json
def policies(as_json: bool) -> None:
    """List the policies with their params and one line each.

    \b
    Example:
      onearm policies
    """
    print_catalog(catalog, as_json)
