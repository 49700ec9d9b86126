"""`onearm verify`: every decision of a log, made again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...engine.columns import take
from ...engine.errors import InvalidInput, counted
from ...engine.problem import fitted
from ...engine.storage.connections import parse_url
from ...engine.storage.log import Log
from ...engine.storage.records import Event, Experiment
from ...engine.storage.source import STDIN
from ...engine.storage.store import Store
from ...engine.vocabulary import CHANGE, Problem
from ...policies import catalog
from ..console import print_json, print_table, progress
from ..experiment.context_intake import ContextIntake
from ..experiment.definition import Definition
from ..experiment.spec import Spec
from ..kinds.kind import Whole
from ..kinds.table import KINDS, kind_of
from ..log_files import form_of, module_of, read_log, source_of
from ..service.archives import Archives
from ..service.artefacts import keep_all
from ..service.chain import Link, verified_chain
from ..service.checkpoints import Pause
from ..service.company import Company
from ..service.history import History, Part, Roster
from ..service.verification import Verification, verify_log, with_whole
from ..service.verification import verify as verify_pages
from .archive_place import ArchivePlace
from .json_option import as_json
from .options import DatabaseCommand, artefact_option, database_option, format_option, policy_file_option

FAULTS = ("bad_lines", "bad_snapshot", "bad_archive")
PLURALS = {kind.action_kind: kind.plural for kind in reversed(KINDS)}  # a slot of a list gets an arm


@click.command(cls=DatabaseCommand)
@click.argument("log", required=False, type=click.Path(path_type=Path))
@format_option
@database_option
@policy_file_option
@artefact_option
@click.option(
    "--archives",
    type=ArchivePlace(click.Path()),
    metavar="FOLDER",
    help="Where the archives of compacted experiments are, such as s3://bucket/archives.  "
    "[default: NAME.archives beside the database]",
)
@as_json
def verify(log: Path | None, form: str | None, database: str, archives: Archives | None, as_json: bool) -> int:
    """Make every decision of a database, or of an export LOG, again; name the first that differs.

    A log that was compacted is verified from its base on, and what lies before by its archives: each must fold from one
    base to the next. Those that were dropped are named.

    Exit code 1 if a decision differs, if a stored snapshot is not what its log leads to, if an archive is missing or
    wrong, or if lines of the export cannot be read. A running service is not disturbed.

    \b
    Example:
      onearm verify --database sqlite:///run.db
    """
    if log is not None:
        found = [verify_file(log, form)]
    else:
        found = verified(database, Archives.beside(parse_url(database)) if archives is None else archives)
    if as_json:
        print_json({"experiments": found})
    elif not found:
        click.echo(f"there is no experiment in {database}: nothing was verified")
    else:
        columns = ["experiment", "decides", "events", "decisions", "first difference", "note"]
        rows = [
            [
                one["id"],
                PLURALS[one["decides"]],
                one["events"],
                one["decisions"],
                "none" if one["first_difference"] is None else f"decision {one['first_difference']}",
                one.get("note", ""),
            ]
            for one in found
        ]
        digests = [f"digest of {one['id']}: {one['digest'][:16]}" for one in found]
        print_table(_title(found), columns, rows, "\n".join(digests))
    return 1 if any(map(has_fault, found)) else 0


def _title(found: Sequence[dict[str, Any]]) -> str:
    """Return in a line what was found: first of all which decisions differ."""
    differing = [one for one in found if one["first_difference"] is not None]
    if differing:
        places = (f"{one['id']} differs at decision {one['first_difference']}" for one in differing[:3])
        more = f", and {len(differing) - 3} more" if len(differing) > 3 else ""
        return f"NOT the same: {', '.join(places)}{more}"
    if faulty := [one["id"] for one in found if has_fault(one)]:
        return f"NOT all in order: {', '.join(faulty[:3])}{', ...' if len(faulty) > 3 else ''}; see the note"
    return "Every decision made again, bit for bit"


def has_fault(found: dict[str, Any]) -> bool:
    """Tell whether a decision differs, a snapshot or an archive is not what it must be, or lines cannot be read."""
    return any(map(found.get, FAULTS)) or found["first_difference"] is not None


def verified(url: str, archives: Archives | None = None) -> list[dict[str, Any]]:
    """Make every decision of a database again, in archives too where given; return what was found, by experiment."""
    store = Store.open(url, write=False)
    try:
        keep_all(store)
        return [_experiment(store, row, archives) for row in store.experiments()]
    finally:
        store.close()


def _experiment(store: Store, row: Experiment, archives: Archives | None) -> dict[str, Any]:
    spec = Spec.from_stored(json.loads(row.spec))
    total = store.counts(row.key).seq
    with progress(f"verifying {row.id}", total - store.base_seq(row.key), "events") as advance:
        found = verify_log(store, row.key, spec, kind_of(spec.problem), total, advance)
    links = [] if archives is None else _links(store, row, spec, archives)
    then = json.loads(row.versions)
    now = spec.versions()
    other = ", ".join(f"{key} {then.get(key)}" for key in now if then.get(key) != now[key])
    report = _report(row.id, spec.problem, found, f"created with {other}" if other else None, links)
    if blank := store.erased(row.key):
        report["blank"] = blank
        erased = f"{counted(blank, 'decision is blank, as it was', 'decisions are blank, as they were')} erased"
        report["note"] = "; ".join(filter(None, [report.get("note"), erased]))
    return report


def _links(store: Store, row: Experiment, spec: Spec, archives: Archives) -> list[Link]:
    """Verify the archives of an experiment."""
    with progress(f"archives of {row.id}", store.base_seq(row.key), "events") as advance:
        return list(verified_chain(store, row, spec, kind_of(spec.problem), archives, advance))


def verify_file(path: Path, form: str | None) -> dict[str, Any]:
    """Make every decision of an export again; return what was found. Raises `InvalidInput` where it cannot be."""
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
    if log.begins:
        raise InvalidInput(
            "missing_events",
            f"nothing of {path} was verified: the log was compacted and begins behind event {log.begins}, and an "
            "export does not hold the state there: run onearm verify --database URL on the database that it is from",
        )
    policy = fitted(catalog.from_stored(log.spec["policy"]), log.problem)
    spec = Definition(path.name, policy, log.problem, (), int(log.spec["seed"]), ContextIntake())
    changes = [Event(0, seq, CHANGE, detail=detail) for seq, detail in log.changes]
    kind = kind_of(log.problem)
    history = History(spec, changes, kind.change_types)
    company = Company(spec, history, policy.init(policy.params, log.problem), corrections=log.corrections)
    with progress(f"verifying {path.name}", len(log.events.kind), "events") as advance:
        found = verify_pages(company, _parts(log, history, company.places), advance)
    ends = None
    if kind.several is not None and found.first_difference is None and not log.bad_lines.count:
        roster = Roster(tuple(log.spec.get("arms") or ()))
        found, ends = _with_lists(found, path, form, kind.several.whole(roster.labels_at))
    report = _report(str(log.spec.get("experiment_id", path.name)), log.problem, found, ends)
    if bad := log.bad_lines.count:
        report["bad_lines"] = dict(bad)
        why = {kind: f" ({reason})" for kind, reason in log.bad_lines.reasons.items()}
        kinds = (
            f"{kind} in {log.bad_lines.places[kind]}s {', '.join(map(str, lines))}{why.get(kind, '')}"
            for kind, lines in log.bad_lines.lines.items()
        )
        report["note"] = f"{bad.total()} bad lines: {'; '.join(kinds)}"
    return report


def _with_lists(found: Verification, path: Path, form: str | None, whole: Whole) -> tuple[Verification, str | None]:
    """Return what an export was found to be, read a second time for its lists; and what is to be said of its end."""
    if path == STDIN:
        return found, "whether its lists are whole was not looked at, as standard input is read once: name a file"
    found = with_whole(found, whole, module_of(form_of(path, form)).read_events(source_of(path)).rows)
    return found, whole.end() if found.first_difference is None else None


def _parts(log: Log, history: History, places: Sequence[int]) -> Iterator[Part | Pause]:
    """Yield the events of an export, between them changes of the world, of policies and of states, and some places."""
    assert log.events is not None
    after, last = 0, 2**62
    for place in [*places, last]:
        for spell in history.spells(after, place):
            if spell.after > after and spell.begins is not None:
                yield spell.begins
            rows = slice(*np.searchsorted(log.seqs, (spell.after, spell.until), side="right").tolist())
            yield take(log.events, rows)
        after = place
        if place < last:
            yield Pause(place)


def _report(
    name: str, problem: Problem, found: Verification, note: str | None, links: Sequence[Link] = ()
) -> dict[str, Any]:
    report: dict[str, Any] = {"id": name, "decides": kind_of(problem).action_kind, **found._asdict()}
    for field in ("bad_snapshot", "base"):
        if report[field] is None:
            del report[field]
    if links:
        report["archives"] = [link._asdict() for link in links]
    if bad := "; ".join(link.note for link in links if link.note is not None):
        report["bad_archive"] = bad
    before = f"from the base at seq {found.base} on" if found.base is not None else None
    kept = Counter(link.state for link in links)
    told = f"archives: {', '.join(f'{n} {state}' for state, n in kept.items())}" if kept else None
    said = (report.pop("note"), report.get("bad_snapshot"), before, told, bad or None, note)
    notes = [text for text in said if text is not None]
    return report | ({"note": "; ".join(notes)} if notes else {})
