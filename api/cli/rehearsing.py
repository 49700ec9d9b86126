"""`onearm replay` on a log of vectors: what other policies would have lost, where all losses are on record."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.replay.rehearsal import check_losses, rehearse
from ...engine.storage.header import problem_in
from ...engine.storage.log import Log
from ...engine.vectors.hindsight import LinearLosses
from ...engine.vocabulary import LEARN, Certificate, Policy
from ...policies import catalog
from ..console import print_json, print_table, progress
from ..kinds.table import kind_of
from ..kinds.vectors.kind import VECTORS
from ..kinds.vectors.problem import domain_of
from ..log_files import EXPORTS, form_of, read_log, source_of
from ..rate import rate
from .catalog import named
from .telling import FEW, tell_bad_lines

FIELDS = ("loss_mean", "regret", "regret_by_segment", "certificate", "variation")


def vectors_of(place: str, form: str | None) -> Log | None:
    """Return a log of vectors; None for one of other decisions, of which only the header is read."""
    path = Path(place)
    if "://" in place or not path.is_file() or (known := form_of(path, form)) not in EXPORTS:
        return None
    problem = problem_in(source_of(path), known)
    return read_log(path, known) if problem is not None and kind_of(problem) is VECTORS else None


def rehearse_all(place: str, log: Log, policies: list[Policy], *, seed: int, segments: int, as_json: bool) -> None:
    """Play policies through a log of vectors, and print what each would have lost beside what was lost."""
    check_losses(log.problem)
    events = log.events
    assert events is not None, "a table of decisions has no vectors"
    runs: list[dict[str, Any]] = [_logged(log, segments)]
    rows, started = len(events.kind), time.process_time()
    with progress("replaying", rows * len(policies), "rows") as advance:
        for policy in policies:
            found = rehearse(policy, log.problem, events, seed=seed, segments=segments, progress=advance)
            runs.append(_figures(found.policy, found.losses, found.certificate))
    speed = rows * len(policies) / max(time.process_time() - started, 1e-9)
    if as_json:
        about = {"events": runs[0]["rounds"], "segments": segments, "logged": runs[0], "runs": runs[1:]}
        print_json(about | log.bad_lines.to_dict() | {"events_per_second": speed})
        return
    shown = [field for field in FIELDS if segments > 1 or field != "regret_by_segment"]
    body = [
        [named(catalog, {"name": run["policy"], "params": run["params"]}) if i else "as logged", *map(run.get, shown)]
        for i, run in enumerate(runs)
    ]
    words = {"loss_mean": "loss", "regret_by_segment": f"in {segments}\nsegments", "variation": "V_T"}
    title = f"{Path(place).name}: {runs[0]['rounds']:,} losses on record, decided by {runs[0]['policy']}"
    note = (
        f"loss per decision; regret in total, against the best fixed point{' (of each segment)' * (segments > 1)}\n"
        "the certificate is a bound on the regret against a fixed point\n"
        "exact where losses do not depend on what is decided"
        f"{f'; {rate(speed)} rows/s' if rows >= FEW else ''}"
    )
    tell_bad_lines(log.bad_lines)
    print_table(title, ["policy", *(words.get(field, field) for field in shown)], body, note)


def _logged(log: Log, segments: int) -> dict[str, Any]:
    """Return the figures of what was decided when the log was written."""
    assert log.events is not None
    learned = log.events.kind == LEARN
    losses = LinearLosses(domain_of(log.problem), segments=segments, rounds=int(learned.sum()))
    losses.add(log.events.action[learned], -log.events.detail[learned])
    spec = (log.spec or {}).get("policy") or {"name": "unknown", "params": {}}
    return _figures(spec, losses, Certificate(np.nan, np.nan))


def _figures(spec: dict[str, Any], losses: LinearLosses, proof: Certificate) -> dict[str, Any]:
    return {
        "policy": spec["name"],
        "params": spec["params"],
        "rounds": losses.rounds,
        "loss_mean": losses.lost / losses.rounds if losses.rounds else None,
        "regret": losses.regret,
        "regret_by_segment": losses.regret_by_segment,
        "certificate": proof.bound,
        "variation": proof.variation,
    }
