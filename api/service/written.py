"""A new experiment as the row that a database keeps of it."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from ...engine.errors import Conflict
from ...engine.storage.records import StoredArtefact
from ...engine.storage.store import Store
from ..experiment.spec import Spec
from .artefacts import stored


class NewRow(NamedTuple):
    """What `Store.add_experiment` writes beside the name."""

    spec: str
    body_hash: bytes  # what tells specs apart
    versions: str
    created_at: int  # microseconds
    artefacts: list[StoredArtefact]
    archived_at: int | None


def row_of(spec: Spec, created_at: int, archived_at: int | None = None) -> NewRow:
    """Return the row of a spec, with what its policy decides with."""
    said = spec.to_json()
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()
    return NewRow(json.dumps(said), digest, spec.versions_json(), created_at, stored(spec.policy), archived_at)


def check_free(store: Store, name: str) -> None:
    """Raise `Conflict` where there is an experiment of this name, or was one."""
    if any(row.id == name for row in store.experiments()):
        raise Conflict("experiment_exists", f"there is an experiment {name!r} already: choose another name")
    if name in store.buried():
        raise Conflict(
            "experiment_deleted",
            f"there was an experiment {name!r}, which was deleted: an id is never used again; take another",
        )
