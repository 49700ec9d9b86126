"""`onearm warm`: everything compiled that will be needed, before it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from ...engine.compiled.store import cache_folder
from ...engine.kernel import Entry
from ...engine.loop import simulate
from ...engine.simulation import Simulation
from ...engine.storage.store import Store
from ...envs import catalog as env_catalog
from ...policies import catalog as policy_catalog
from ..console import print_json, print_table, progress
from ..experiment.spec import Spec
from ..experiment.warming import default_specs, entries_of, specs_of
from ..service.artefacts import keep_all
from .json_option import as_json
from .options import artefact_option, policy_file_option

HORIZON = 100  # of a simulation that is compiled and not run


@click.command()
@click.option(
    "--policy", "policies", multiple=True, metavar="NAME[:JSON]", help="A policy; may be given several times."
)
@click.option("--env", "envs", multiple=True, metavar="NAME[:JSON]", help="An environment that they are simulated on.")
@click.option("--database", metavar="URL", help="The experiments of a database: sqlite:///file.db or postgresql://...")
@policy_file_option
@artefact_option
@as_json
def warm(policies: tuple[str, ...], envs: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Compile what is named, or what a database needs, so that nobody has to wait for it: in images, and after
    upgrades.

    Without arguments the default policies are compiled. What is compiled already is loaded; code of policies from
    outside cannot be kept.

    \b
    Example:
      onearm warm --policy linucb --database sqlite:///run.db
    """
    specs = [spec for policy in policies for spec in specs_of(policy_catalog.parse(policy).spec)]
    if database is not None:
        specs += _experiments(database)
    if not (policies or envs or database):
        specs = default_specs()
    entries = {entry: entry.compiled for spec in specs for entry in entries_of(spec)}
    simulations = [(policy, env) for env in envs for policy in policies]
    with progress("compiling", len(entries) + len(simulations), "entries") as advance:
        rows = [*_compiled(entries, advance), *_simulated(simulations, advance)]
    if as_json:
        print_json({"entries": rows, "folder": str(cache_folder())})
    else:
        there = sum(row["was_compiled"] for row in rows)
        shown = [[row["entry"], "-" if row["was_compiled"] else f"{row['seconds']:.1f}"] for row in rows]
        note = f"{len(rows) - there} compiled, {there} were there; a name may stand for several kinds of context"
        print_table(f"Compiled in {cache_folder()}", ["entry", "seconds"], shown, note)


def _experiments(url: str) -> list[Spec]:
    store = Store.open(url, write=False)
    try:
        keep_all(store)
        return [Spec.from_stored(json.loads(row.spec)) for row in store.experiments()]
    finally:
        store.close()


def _compiled(entries: dict[Entry, bool], advance: Any) -> Iterator[dict[str, Any]]:
    """Wait for entries, from the last one on: another process compiles from the first. Whether they were compiled."""
    for entry, was in reversed(entries.items()):
        start = time.perf_counter()
        entry.wait()
        advance(1)
        yield {"entry": entry.name, "seconds": time.perf_counter() - start, "was_compiled": was}


def _simulated(simulations: list[tuple[str, str]], advance: Any) -> Iterator[dict[str, Any]]:
    """Compile the simulation of policies on environments."""
    for policy, env in simulations:
        start, before = time.perf_counter(), simulate.compilations
        Simulation(policy_catalog.parse(policy), env_catalog.parse(env), horizon=HORIZON).compile()
        advance(1)
        name = f"simulate({policy.partition(':')[0]} on {env.partition(':')[0]})"
        was = simulate.compilations == before
        yield {"entry": name, "seconds": time.perf_counter() - start, "was_compiled": was}
