"""`onearm verify`: every decision of a log, made again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ...engine.columns import take
from ...engine.draws import POLICY, run_key
from ...engine.errors import InvalidInput
from ...engine.storage.log import Log
from ...engine.storage.store import Store
from ...engine.storage.tables import Event, Experiment
from ...engine.vocabulary import CHANGE, Problem
from ...policies import catalog
from ..console import print_json, print_table, progress
from ..experiment.spec import Spec
from ..kinds.table import KINDS, kind_of
from ..log_files import read_log
from ..service.artefacts import keep_all
from ..service.history import Part, change_of, changes_decoder, turn_of
from ..service.verification import Verification, verify_log
from ..service.verification import verify as verify_pages
from .json_option import as_json
from .options import DatabaseCommand, artefact_option, database_option, format_option, policy_file_option

FAULTS = ("bad_lines", "bad_snapshot")
PLURALS = {kind.action_kind: kind.plural for kind in KINDS}


@click.command(cls=DatabaseCommand)
@click.argument("log", required=False, type=click.Path(path_type=Path))
@format_option
@database_option
@policy_file_option
@artefact_option
@as_json
def verify(log: Path | None, form: str | None, database: str, as_json: bool) -> int:
    """Make every decision of a database, or of an export LOG, again; name the first that differs.

    Exit code 1 where one differs, where a stored snapshot is not what its log folds to, or where lines of the export
    cannot be read. A running service is not disturbed.

    \b
    Example:
      onearm verify --database sqlite:///run.db
    """
    found = [_file(log, form)] if log is not None else verified(database)
    if as_json:
        print_json({"experiments": found})
    else:
        columns = ["experiment", "decides", "events", "decisions", "first difference", "digest", "note"]
        rows = [
            [
                one["id"],
                PLURALS[one["decides"]],
                one["events"],
                one["decisions"],
                "none" if one["first_difference"] is None else f"decision {one['first_difference']}",
                one["digest"][:16],
                one.get("note", ""),
            ]
            for one in found
        ]
        print_table("Every decision made again, bit for bit", columns, rows, spare=("digest",))
    return 1 if any(map(has_fault, found)) else 0


def has_fault(found: dict[str, Any]) -> bool:
    """Tell whether a decision differs, a snapshot is not what the log folds to, or lines cannot be read."""
    return any(map(found.get, FAULTS)) or found["first_difference"] is not None


def verified(url: str) -> list[dict[str, Any]]:
    """Make every decision of a database again, and return what was found of each experiment."""
    store = Store.open(url, write=False)
    try:
        keep_all(store)
        return [_experiment(store, row) for row in store.experiments()]
    finally:
        store.close()


def _experiment(store: Store, row: Experiment) -> dict[str, Any]:
    spec = Spec.from_stored(json.loads(row.spec))
    total = store.counts(row.key).seq
    with progress(f"verifying {row.id}", total - store.base_seq(row.key), "events") as advance:
        found = verify_log(store, row.key, spec, kind_of(spec.problem), total, advance)
    then = json.loads(row.versions)
    now = spec.versions()
    other = ", ".join(f"{key} {then.get(key)}" for key in now if then.get(key) != now[key])
    return _report(row.id, spec.problem, found, f"created with {other}" if other else None)


def _file(path: Path, form: str | None) -> dict[str, Any]:
    log = read_log(path, form)
    if log.events is None or log.spec is None or "policy" not in log.spec or "seed" not in log.spec:
        raise InvalidInput(
            "no_events",
            f"{path} is a table of decisions, not an export of events: its policy is not on record",
        )
    if (arms := log.spec.get("arms")) and len(arms) != log.problem.n_arms:
        raise InvalidInput(
            "arms_joined",
            f"the experiment of {path} began with {len(arms)} arms and ends with {log.problem.n_arms}, and an export "
            "cannot say from which event on: run onearm verify --database URL on the database that it is from",
        )
    policy = catalog.from_stored(log.spec["policy"])
    with progress(f"verifying {path.name}", len(log.events.kind), "events") as advance:
        found = verify_pages(policy, log.problem, run_key(int(log.spec["seed"]), 0, POLICY), _parts(log), advance)
    report = _report(str(log.spec.get("experiment_id", path.name)), log.problem, found, None)
    if bad := log.bad_lines.count:
        report["bad_lines"] = dict(bad)
        why = {kind: f" ({reason})" for kind, reason in log.bad_lines.reasons.items()}
        kinds = (
            f"{kind} in lines {', '.join(map(str, lines))}{why.get(kind, '')}"
            for kind, lines in log.bad_lines.lines.items()
        )
        report["note"] = f"{bad.total()} bad lines: {'; '.join(kinds)}"
    return report


def _parts(log: Log) -> Iterator[Part]:
    """Yield the events of an export, and between them what a person said of the world."""
    assert log.events is not None
    decoder, before = changes_decoder(kind_of(log.problem).change_types), 0
    for rows, detail in log.changes:
        turn = turn_of(change_of(Event(0, rows, CHANGE, detail=detail), decoder))
        if turn is not None:
            yield take(log.events, slice(before, rows))
            yield turn
            before = rows
    yield take(log.events, slice(before, None))


def _report(name: str, problem: Problem, found: Verification, note: str | None) -> dict[str, Any]:
    report: dict[str, Any] = {"id": name, "decides": kind_of(problem).action_kind, **found._asdict()}
    for field in ("bad_snapshot", "base"):
        if report[field] is None:
            del report[field]
    notes = [text for text in (report.pop("note"), report.get("bad_snapshot"), note) if text is not None]
    return report | ({"note": "; ".join(notes)} if notes else {})
