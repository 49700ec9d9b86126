"""An engine with a log is opened: its experiment is made, or found and compared with what is asked for."""

from __future__ import annotations

import json
import logging
from typing import Any

from ...engine.errors import Conflict, InvalidInput, NotFound, as_seen
from ...engine.storage.store import Store
from ...engine.storage.tables import Experiment
from ..experiment.ids import check_id
from ..experiment.lineup import Member
from ..experiment.sameness import asks_for
from ..experiment.spec import Spec
from ..kinds.table import kind_of
from ..service.artefacts import keep_all
from ..service.clocks import microseconds
from ..service.history import History
from ..service.refusals import INCOMPLETE
from ..service.written import check_free, row_of
from .journal import Journal
from .pace import pace_of

log = logging.getLogger("onearm")
SHOWN = 200  # characters of what differs


def opened(body: dict[str, Any], is_named_alone: bool, database: Any, commit: Any) -> Journal:
    """Return the journal of the experiment of a creation body in a database, which is made where there is none.

    Where it is `is_named_alone` the body has nothing but its id: then what is there is opened, whatever it is. Raises
    `NotFound` where nothing is, `Conflict` where something else is, `Unavailable` where another process has the
    database, and `InvalidInput` where only a service can go on with the experiment.
    """
    pace = pace_of(commit)
    name = check_id("experiment", body["experiment_id"])
    if not isinstance(database, str):
        raise InvalidInput("bad_database_url", f"database is {as_seen(database)}: write sqlite:///FILE")
    spec = None if is_named_alone else Spec.from_json(body)
    if spec is not None:
        _check_kind(spec)
    store = Store.open(database)
    try:
        if store.incomplete:
            log.warning("%s", INCOMPLETE)
        keep_all(store)
        row = _known(store, name)
        if row is None:
            row = _made(store, name, spec)
        elif spec is not None:
            _check_same(store, row, body, spec)
        created = Spec.from_stored(json.loads(row.spec))
        _check_alone(store, row, created)
        return Journal(store, row, created, kind_of(created.problem), pace)
    except BaseException:
        store.close()
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
    fields = [field for field in {**known, **said} if said.get(field) != known.get(field)]
    differ = "; ".join(f"{field} is {_shown(said.get(field))} and was {_shown(known.get(field))}" for field in fields)
    raise Conflict(
        "experiment_exists",
        f"the experiment {row.id!r} in {store.name} is another one ({differ}): open it with what was given then, or by "
        "database and experiment alone, or take another name",
    )


def _shown(value: Any) -> str:
    """Return a field of a spec in words; long ones are cut."""
    text = "not there" if value is None else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _check_alone(store: Store, row: Experiment, created: Spec) -> None:
    """Refuse what the service alone can do yet, by its name."""
    _check_kind(created)
    kind = kind_of(created.problem)
    history = History(created, store.changes(row.key), kind.change_types)
    members: tuple[Member, ...] = history.members(store.last(row.key)[0])
    if created.window is not None:
        what = f"waits {created.window.wait_time} for rewards"
    elif [member.role for member in members] != ["live"]:
        what = f"has several policies, or an apprentice ({', '.join(member.role for member in members)})"
    else:
        return
    raise InvalidInput("not_built", f"the experiment {row.id!r} {what}, which takes the service: onearm serve")


def _check_kind(spec: Spec) -> None:
    """Refuse decisions that are several moves, of which a journal cannot learn yet."""
    kind = kind_of(spec.problem)
    if kind.moves is not None:
        what = f"the experiment {spec.id!r} decides {kind.plural}"
        raise InvalidInput("not_built", f"{what}, which takes the service: onearm serve")
