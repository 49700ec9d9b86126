"""A log that somebody else made, as a new experiment whose policy has learned it.

Each decision of the log is one that was given, with its reward right behind it; so the experiment is a log like any
other, which folds and verifies.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.features import Encoder
from ...engine.problem import check_reward
from ...engine.storage.events import Events
from ...engine.storage.records import Event, Experiment
from ...engine.storage.spool import Joined
from ...engine.storage.store import Store
from ...engine.vocabulary import CORRECTED, EXTERNAL, LEARN, Problem
from ..experiment.context_intake import NUMBERS_MAX, ContextIntake
from ..experiment.ids import check_id, is_id
from ..experiment.intake import ACTIONS
from ..experiment.spec import Spec
from ..experiment.tenants import parts_of
from ..kinds.table import kind_of
from .folded import Recovered, finished, fold_log
from .history import History
from .importing import TIME_MAX, as_stored
from .written import row_of

TOGETHER = 2000  # events of one transaction
PURGED = 10_000  # events that are taken away at once


def spec_of(
    events: Events,
    name: str,
    policy: Any,
    reward_range: tuple[float, float] | None,
    seed: int,
    encoder: Encoder | None = None,
) -> Spec:
    """Return the experiment that such a log makes; its policy is the default where None is named.

    Of a table whose contexts are named features, `encoder` has hashed them. Raises `InvalidInput` where decisions are
    no single actions, or something is told beside their rewards.
    """
    problem = events.problem
    if kind_of(problem).external is None or problem.detail_length or problem.states is not None:
        raise InvalidInput(
            "cannot_learn",
            "a warm start is of single actions and their rewards, and this log is of something else: an export is "
            "taken over whole by POST /v1/experiments:import",
        )
    made = _problem(problem) if encoder is None else ContextIntake("features", encoder=encoder).to_json()
    body = {"experiment_id": parts_of(name)[1], "seed": seed, "problem": made, "arms": _arms(events, encoder)}
    said = {} if policy is None else {"policy": policy}
    reward = {} if reward_range is None else {"reward": {"range": list(reward_range)}}
    return Spec.from_json({**body, **said, **reward})


def _problem(problem: Problem) -> dict[str, Any]:
    """Return the problem as a client writes it; where actions are listed there may be more than the log ever had."""
    most = max(problem.n_arms, ACTIONS)
    if problem.layout == "named":
        bits = int(problem.context_shape[1]).bit_length() - 1
        return {"context": {"kind": "features", "bits": bits}, "actions": {"kind": "listed", "max": most}}
    if problem.layout == "actions":
        length = problem.context_shape[1]
        most = max(problem.n_arms, min(most, NUMBERS_MAX // length))
        return {"actions": {"kind": "listed", "max": most, "length": length}}
    (length,) = problem.context_shape
    return {"context": {"kind": "dense", "length": length}} if length else {}


def _arms(events: Events, encoder: Encoder | None) -> list[dict[str, Any]]:
    """Return the arms: those of an export by their ids, those of a table by its labels, and else by their numbers."""
    if events.problem.layout != "dense" and encoder is None:
        return []
    k = events.problem.n_arms
    arms: list[dict[str, Any]] = events.spec.get("arms", [])
    labels: list[str] = events.spec.get("labels", [])
    if len(arms) == k:
        return arms
    if encoder is not None:  # which has hashed them as the ids
        for label in labels:
            check_id("what was chosen", label)
    return [{"id": label} for label in (labels if len(labels) == k and all(map(is_id, labels)) else map(str, range(k)))]


def given(events: Events, spec: Spec) -> Iterator[Event]:
    """Yield each decision as one that was given, and its reward, as it was corrected, behind it.

    Raises `InvalidInput` where a reward is not in the declared range, or a propensity is missing that is divided by.
    """
    joined, corrected = Joined(), {}
    for event in events.rows:
        if event.kind == CORRECTED:
            corrected[event.number] = event.reward
        joined.append(event)
    ids: set[str] = set()
    seq = 0
    limits = spec.problem.reward_range or (-np.inf, np.inf)
    for number, (event, reward) in enumerate(joined):
        if spec.policy.divides and event.propensity is None:
            raise InvalidInput(
                "missing_propensity",
                f"decision {event.number} has no propensity, and {spec.policy.name!r} divides by it: take another",
            )
        seq += 1
        yield _given(event, number, seq, ids)
        told = corrected.get(event.number, reward)
        if told is not None:
            seq += 1
            yield Event(0, seq, LEARN, number, reward=check_reward(told, limits), reward_id="", time=_time(event))


def _given(event: Event, number: int, seq: int, ids: set[str]) -> Event:
    """Return a decision as one of somebody else; `ids` are those that are taken."""
    name = event.decision_id if event.decision_id is not None and is_id(event.decision_id) else None
    if name in ids:
        name = None
    elif name is not None:
        ids.add(name)
    unit = event.unit_id if event.unit_id is not None and is_id(event.unit_id) else None
    return event._replace(
        experiment=0,
        seq=seq,
        kind=EXTERNAL,
        number=number,
        detail=None,
        decision_id=name,
        unit_id=unit,
        policy=None,
        time=_time(event),
    )


def _time(event: Event) -> int:
    return min(max(event.time, 0), TIME_MAX)


def put(store: Store, name: str, spec: Spec, events: Iterator[Event], now: int) -> Recovered:
    """Write an experiment with these events; return what its log folds to. Where it does not, nothing is left of it."""
    kind, said = kind_of(spec.problem), row_of(spec, now)
    key = store.reserve(now)
    try:
        rows = as_stored(events, History(spec, [], kind.change_types), kind)
        while part := [event._replace(experiment=key) for event in islice(rows, TOGETHER)]:
            store.append(part)
        row = Experiment(key, name, said.spec, said.body_hash, said.versions, now)
        found = finished(fold_log(row, spec, kind, store))
        store.add_experiment(name, *said, key)
    except BaseException:
        while store.purge(key, PURGED):
            pass
        raise
    return found
