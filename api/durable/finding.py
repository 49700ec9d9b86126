"""An engine with a log is opened: its experiment is made, or found and compared with what is asked for."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ...engine.errors import Conflict, InvalidInput, NotFound, as_seen
from ...engine.storage.records import Experiment
from ...engine.storage.store import Store
from ..experiment.ids import check_id
from ..experiment.lineup import Member
from ..experiment.sameness import asks_for, differences
from ..experiment.spec import Spec
from ..kinds.kind import Kind
from ..kinds.table import kind_of
from ..service.clocks import microseconds
from ..service.history import History
from ..service.written import check_free, row_of
from .owners import OWNERS, Share


class Found(NamedTuple):
    """An experiment that an engine goes on with, and the share of its database that the engine has."""

    share: Share
    row: Experiment
    created: Spec
    kind: Kind
    needs_service: str | None  # what the journal of an engine cannot write, in words


def found(body: dict[str, Any], is_named_alone: bool, database: Any) -> Found:
    """Return the experiment of a creation body in a database, which is made where there is none.

    Where it is `is_named_alone` the body has nothing but its id: then what is there is opened, whatever it is. Raises
    `NotFound` where nothing is, `Conflict` where something else is, and `Unavailable` where another process has the
    database, or another engine of this one the experiment.
    """
    name = check_id("experiment", body["experiment_id"])
    if not isinstance(database, str):
        raise InvalidInput("bad_database_url", f"database is {as_seen(database)}: write sqlite:///FILE")
    spec = None if is_named_alone else Spec.from_json(body)
    share = OWNERS.hold(database)
    try:
        share.claim(name)
        store = share.store
        row = _known(store, name)
        if row is None:
            row = _made(store, name, spec)
        elif spec is not None:
            _check_same(store, row, body, spec)
        created = Spec.from_stored(json.loads(row.spec))
        kind = kind_of(created.problem)
        return Found(share, row, created, kind, _needs_service(store, row, created, kind))
    except BaseException:
        share.give_up()
        raise


def _known(store: Store, name: str) -> Experiment | None:
    """Return an experiment by its name; None where there is none."""
    return next((row for row in store.experiments() if row.id == name), None)


def _made(store: Store, name: str, spec: Spec | None) -> Experiment:
    """Write a new experiment."""
    check_free(store, name)
    if spec is None:
        there = ", ".join(row.id for row in store.experiments()[:20]) or "none"
        raise NotFound(
            "unknown_experiment",
            f"there is no experiment {name!r} in {store.name} (there are: {there}): to make it, say what it decides, "
            "such as arms=[...], domain=... or task=...",
        )
    return store.add_experiment(name, *row_of(spec, microseconds()))


def _check_same(store: Store, row: Experiment, body: dict[str, Any], spec: Spec) -> None:
    """Refuse to go on with an experiment that is another one than is asked for, and say what differs."""
    said, known = spec.to_json(), json.loads(row.spec)
    if asks_for(body, said, known):
        return
    found = differences(said, known)
    fields = [one.field for one in found]
    names = " and ".join(filter(None, [", ".join(fields[:-1]), fields[-1]]))
    told = "; ".join(f"{one.field} is {one.sent} and was {one.there}" for one in found)
    raise Conflict(
        "experiment_exists",
        f"the experiment {row.id!r} in {store.name} is another one: its {names} differ{'s' * (len(fields) == 1)}. "
        f"Open it with what was given then, or by database and experiment alone, or take another name ({told})",
    )


def _needs_service(store: Store, row: Experiment, created: Spec, kind: Kind) -> str | None:
    """Return what of an experiment goes on in time, or beside the decisions, so that it takes a service; or None."""
    history = History(created, store.changes(row.key), kind.change_types)
    members: tuple[Member, ...] = history.members(store.last(row.key)[0])
    if kind.moves is not None:
        return f"decides {kind.plural}"
    if created.window is not None:
        return f"waits {created.window.wait_time} for rewards"
    if [member.role for member in members] != ["live"]:
        return f"has several policies, or an apprentice ({', '.join(member.role for member in members)})"
    return None
