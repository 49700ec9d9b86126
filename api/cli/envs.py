"""`onearm envs`: what there is, with params and one line each."""

from __future__ import annotations

from typing import Any

import click

from ...engine.vocabulary import Environment
from ...envs import catalog
from ..console import as_json
from .catalog import print_catalog


@click.command()
@as_json
def envs(as_json: bool) -> None:
    """List the environments with what is decided in them and what they reveal, their params and one line each.

    \b
    Example:
      onearm envs
    """
    print_catalog(catalog, _about, "reveals", as_json)


def _about(env: Environment | None) -> dict[str, Any]:
    """Tell of an environment as it is if its params are left out."""
    if env is None:
        return {"decides": None, "reveals": None, "domain": None}
    domain = env.problem.domain
    about = {"decides": env.problem.action_kind, "reveals": env.problem.feedback}
    return about | {"domain": None if domain is None else domain.to_json()}
