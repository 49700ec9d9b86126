"""Trained policies in the database of the experiments that decide with them: a log needs no file beside it."""

from __future__ import annotations

import logging
from typing import Any

from ...engine.errors import OnearmError
from ...engine.storage.records import StoredArtefact
from ...engine.storage.store import Store
from ...engine.trained.artefact import pack, unpack
from ...engine.vocabulary import Policy
from ...policies import artefacts

log = logging.getLogger("onearm")


def keep_all(store: Store) -> None:
    """Put what a database holds into the registry; of what is damaged there is a warning, and its experiments fail."""
    for row in store.artefacts():
        try:
            artefacts.keep(unpack(row.arrays, row.description, f"the artefact {row.name!r} of {store.name}"))
        except OnearmError as error:
            log.warning("%s", error)


def stored(policy: Policy) -> list[StoredArtefact]:
    """Return what a policy decides with, as rows of a database."""
    return [StoredArtefact(made.sha256, made.name, *pack(made)) for made in map(artefacts.find, _named(policy.spec))]


def _named(spec: dict[str, Any]) -> list[str]:
    """Return the artefacts that a policy's spec names, by a param of that name, those of inner policies included."""
    params = spec.get("params", {})
    names = [params["artefact"]] if params.get("artefact") else []
    return names + [name for inner in params.values() if isinstance(inner, dict) for name in _named(inner)]
