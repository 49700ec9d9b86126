"""Solve a small problem exactly, by a linear programme, and keep the optimum as a table. Needs SciPy."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ...engine.errors import InvalidInput
from ...engine.hardness.exact.optimum import robust
from ...engine.task import Task
from ...engine.trained.artefact import Artefact, pack
from .plan import name_of


def solve(task: Task, budget: int, grid: list[float], levels: list[float], folder: Path, command: str) -> Artefact:
    """Find the policy with the least worst gap over means on a grid; write NAME.npz and NAME.json into the folder.

    Its worst losses are exact, for means on the grid. Cost: seconds at a thousand states.
    """
    found = robust(task, budget, grid, levels)
    artefact = Artefact(
        name=f"{name_of(task, budget)}-table",
        architecture="table/1",
        task=task,
        budget=budget,
        levels=tuple(levels),
        offsets=tuple(map(float, found.offsets)),
        worst_case={"sample": tuple(map(float, found.losses))},
        play="sample",
        made={
            "command": command,
            "source": "the robust objective of Zhang, Jain, Jamieson, arXiv 2010.15382, as a linear programme",
            "losses": "exact, for means on the grid",
            "grid": grid,
            "gap": found.gap,
            "versions": {name: version(name) for name in ("onearm", "scipy", "numpy")},
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        },
        arrays={"query": found.policy.query, "recommendation": found.policy.recommendation},
    )
    npz, description = pack(artefact)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{artefact.name}.npz").write_bytes(npz)
        (folder / f"{artefact.name}.json").write_bytes(description)
    except OSError as error:
        raise InvalidInput(
            "bad_folder", f"{folder} cannot be written to ({error.strerror}): take another folder"
        ) from None
    return artefact
