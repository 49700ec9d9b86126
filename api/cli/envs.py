"""`onearm envs`: what there is, with params and one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .json_option import as_json

if TYPE_CHECKING:
    from ...engine.vocabulary import Environment


@click.command()
@as_json
def envs(as_json: bool) -> None:
    """List the environments: what is decided in them, what they reveal, their params, and one line each.

    \b
    Example:
      onearm envs
    """
    from ...envs import catalog
    from ..catalogue import entries_of
    from .catalog import print_catalog

    print_catalog(entries_of(catalog, _about), "envs", "reveals", as_json)


def _about(name: str, env: Environment | None) -> dict[str, Any]:
    """Tell of an environment as it is if its params are left out."""
    from ..kinds.table import kind_of
    from ..kinds.vectors.kind import VECTORS
    from ..kinds.vectors.problem import domain_of

    if env is None:
        return {"decides": None, "reveals": None, "domain": None}
    kind = kind_of(env.problem)
    domain = domain_of(env.problem).to_json() if kind is VECTORS else None
    return {"decides": kind.action_kind, "reveals": env.problem.feedback, "domain": domain}
