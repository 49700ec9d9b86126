"""What calls of `decide` are asked for from Python, as the kernels read it and as the log has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from ....engine.contexts import as_contexts, concat_contexts, empty_contexts
from ....engine.errors import InvalidInput, as_seen
from ....engine.features import units_of
from ....engine.vocabulary import Array, Columns, Problem
from ...experiment.ids import check_id, ids_of
from ...experiment.intake import Intake, mask_of
from ..kind import Asked, Request


def checked_unit(unit_id: str | None) -> str | None:
    """Return whom a decision is for; raise `InvalidInput` where that is no id."""
    return unit_id if unit_id is None else check_id("unit_id", unit_id)


def units_seen(unit_ids: Sequence[str | None] | None) -> Array:
    """Return whom n decisions are for, uint64[n], or for nobody, uint64[1]; raise `InvalidInput` for what is no ids."""
    if unit_ids is None:
        return units_of([None])
    if isinstance(unit_ids, str) or not isinstance(unit_ids, Sequence):
        raise InvalidInput("bad_units", f"unit_ids is {as_seen(unit_ids)}: it must be a list of ids, or of None")
    return units_of([checked_unit(unit_id) for unit_id in unit_ids])


def check_listed(intake: Intake, actions: Sequence[dict[str, Any]] | None) -> None:
    """Refuse actions of a call where there are arms, and a call without any where it is to list them."""
    if intake.per_call != (actions is not None):
        rule = "list the actions of this call" if intake.per_call else "this engine has arms, so leave them out"
        raise InvalidInput("bad_actions", f"actions is {'missing' if actions is None else 'given'}: {rule}")


def eligible_mask(numbers: dict[str, int], active: Array, eligible: Iterable[str] | None) -> Array:
    """Return bool[k]: which of the `active` actions are eligible."""
    ids = ids_of("eligible", eligible)
    return active if ids is None else mask_of(numbers, active, ids, None)


def calls_of(contexts: Any, eligible: Iterable[str] | None, actions: Any) -> list[tuple[Any, Any, Any]]:
    """Return the arguments of each of n calls."""
    if isinstance(contexts, int) and not isinstance(contexts, bool):
        contexts = [None] * contexts
    if isinstance(contexts, (str, dict)) or not isinstance(contexts, Iterable):
        raise InvalidInput(
            "bad_context", f"contexts is {as_seen(contexts)}: it must be a list of them, or how many there are"
        )
    seen = list(contexts)
    if isinstance(actions, (str, dict)) or not (actions is None or isinstance(actions, Iterable)):
        raise InvalidInput("bad_actions", f"actions is {as_seen(actions)}: it must be a list of actions for each call")
    offers = [None] * len(seen) if actions is None else list(actions)
    if len(offers) != len(seen):
        raise InvalidInput(
            "bad_actions", f"there are {len(offers)} lists of actions for {len(seen)} contexts: give each one"
        )
    ids = ids_of("eligible", eligible)
    return [(context, ids, offer) for context, offer in zip(seen, offers, strict=True)]


def joined(requests: Sequence[Request], problem: Problem) -> tuple[Any, Array]:
    """Return contexts of n rows and masks bool[n, k]; actions that fewer calls had are padded."""
    if not requests:
        return empty_contexts(0, problem), np.ones((1, problem.n_choices), np.bool_)
    k = max(len(request.available) for request in requests)
    masks = [np.pad(request.available, (0, k - len(request.available))) for request in requests]
    return concat_contexts([as_contexts(request.context) for request in requests]), np.array(masks)


def sent_of(context: Any, actions: Any, slots: Any = None) -> str | None:
    """Return what is on record of names that the log has as numbers alone: JSON, as clients send it.

    Raises `InvalidInput` where JSON cannot say it.
    """
    said = {"context": context} if isinstance(context, dict) else {}
    said |= {} if actions is None else {"actions": actions}
    said |= {} if slots is None else {"slots": slots}
    return msgspec.json.encode(said, enc_hook=_as_json).decode() if said else None


def _as_json(thing: Any) -> Any:
    """Return what arrays and NumPy's numbers are in JSON; raise `InvalidInput` for anything else."""
    if isinstance(thing, np.ndarray | np.generic):
        return thing.tolist()
    raise InvalidInput(
        "bad_feature",
        f"what was sent has {as_seen(thing)} in it, which JSON cannot say: it is written to the log as it was sent, "
        "with what stands behind a name with an underscore; leave it out",
    )


def asked_of(
    requests: Sequence[Request],
    listed: Sequence[Sequence[str]] | None,
    rows: Columns,
    unit_ids: Sequence[str | None] | None,
    sent: Iterable[str | None],
) -> Iterator[Asked]:
    """Yield what n decisions were asked for; `listed` are the ids of the actions that came with each call."""
    units, time = np.broadcast_to(rows.unit, len(requests)), int(rows.time[0])
    for row, (request, text) in enumerate(zip(requests, sent, strict=False)):
        labels = None if listed is None else listed[row]
        full = request._replace(labels=labels, unit=units[row], time=time)
        yield Asked(full, None if unit_ids is None else unit_ids[row], text)
