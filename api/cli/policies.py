"""`onearm policies`: what there is, with params and one line each."""

from __future__ import annotations

from typing import Any

import click

from ...engine.vocabulary import Policy
from ...policies import catalog
from ..kinds.table import KINDS
from .catalog import print_catalog
from .json_option import as_json


@click.command()
@as_json
def policies(as_json: bool) -> None:
    """List the policies with what they decide and learn from, their params and one line each.

    The line says of a default where that policy is taken if none is named.

    \b
    Example:
      onearm policies
    """
    print_catalog(catalog, _about, "learns_from", as_json)


def _about(name: str, policy: Policy | None) -> dict[str, Any]:
    default = next((kind.defaults[name] for kind in KINDS if name in kind.defaults), None)
    if policy is None:
        return {"decides": None, "learns_from": None, "default": default}
    return {"decides": list(policy.actions), "learns_from": list(policy.feedbacks), "default": default}
