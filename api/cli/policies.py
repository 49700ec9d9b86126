"""`onearm policies`: what there is, with params and one line each."""

from __future__ import annotations

import click

from .json_option import as_json


@click.command()
@as_json
def policies(as_json: bool) -> None:
    """List the policies with what they decide and learn from, their params and one line each.

    For a default, the line says where the policy is taken if none is named.

    \b
    Example:
      onearm policies
    """
    from ..catalogue import listed_policies
    from .catalog import print_catalog

    print_catalog(listed_policies(), "policies", "learns_from", as_json)
