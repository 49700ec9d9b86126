"""The folder that a policy is trained in: its plan, where each run stands, and what was found between the phases.

plan.json     the plan; a folder has one for good
level-1.npz   a run, saved now and then: all that `Duel.restore` needs
first.json    what the policies of the levels lose at worst, and their offsets
Files are replaced whole, so one that is stopped at any moment leaves what was saved before.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import Conflict, Damaged, InvalidInput
from ...engine.task import Array
from .plan import PROCEDURE, Plan

PLAN, FIRST = "plan.json", "first.json"
KEPT = "kept."  # before the names of the weights that a run ends with


class Bench:
    """A folder of training. Raises `InvalidInput` where it cannot be used, and `Damaged` where a file was spoilt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, plan: Plan) -> None:
        """Begin a plan here, or go on with it. Raises `Conflict` where another plan or procedure was begun."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / PLAN).exists():
                self.write_json(PLAN, plan.to_json())
        except OSError as error:
            raise InvalidInput(
                "bad_folder", f"{self.folder} cannot be written to ({error.strerror}): take another folder"
            ) from None
        begun = self.read_json(PLAN)
        if begun.get("procedure", 1) != PROCEDURE:
            raise Conflict(
                "another_procedure",
                f"{self.folder} holds training by another version of onearm, in which the same plan leads to "
                f"other weights (procedure {begun.get('procedure', '1, with PyTorch')}; here it is {PROCEDURE}): take "
                "another folder and train anew; policies that were finished there stay good",
            )
        if begun != plan.to_json():
            differs = [name for name, value in plan.to_json().items() if begun.get(name) != value]
            raise Conflict(
                "another_plan",
                f"{self.folder} holds the training of another plan ({', '.join(differs) or 'more'} differ): give the "
                "options of that one to go on with it, or take another folder",
            )

    def plan(self) -> Plan:
        """Return the plan of this folder."""
        return Plan.from_json(self.read_json(PLAN))

    def save(self, run: str, arrays: dict[str, Array]) -> None:
        """Keep where a run stands, in place of what was kept before."""
        path = self.folder / f"{run}.npz"
        with _replaced(path).open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # its option allow_pickle is a bool
        _replaced(path).replace(path)

    def load(self, run: str) -> dict[str, Array] | None:
        """Return where a run stands, None where it was not begun."""
        path = self.folder / f"{run}.npz"
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise _spoilt(path, error) from None

    def weights(self, run: str) -> dict[str, Array]:
        """Return the weights of a run that was begun."""
        saved = self.load(run) or {}
        return {name.removeprefix(KEPT): value for name, value in saved.items() if name.startswith(KEPT)}

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a file of JSON; an empty object where there is none."""
        path = self.folder / name
        try:
            body = json.loads(path.read_text()) if path.exists() else {}
        except (OSError, ValueError) as error:
            raise _spoilt(path, error) from None
        if not isinstance(body, dict):
            raise _spoilt(path, TypeError("not an object"))
        return body

    def write_json(self, name: str, body: dict[str, Any]) -> None:
        """Write a file of JSON."""
        self.write(name, (json.dumps(body, indent=2) + "\n").encode())

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole."""
        path = self.folder / name
        _replaced(path).write_bytes(content)
        _replaced(path).replace(path)


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _spoilt(path: Path, error: Exception) -> Damaged:
    return Damaged(
        "bad_training_file",
        f"{path} cannot be read ({type(error).__name__}): remove it, and what it holds is made anew",
    )
