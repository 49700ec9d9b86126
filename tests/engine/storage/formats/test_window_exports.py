"""Rewards that are on record beside what was learned, and why windows closed: exports carry them, readers pass over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.stored import NO_CONTEXT, decide, learn

from onearm.api.log_files import module_of, source_of
from onearm.engine.storage.formats.parquet.blanking import blanked
from onearm.engine.storage.records import Event
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.windows import (
    CLOSED_BY_DEFAULT,
    CLOSED_BY_REWARD,
    DEFERRED,
    DONE,
    LAPSED,
    LATE,
    early_detail,
    shown_detail,
    taken_detail,
)
from onearm.engine.vocabulary import ACTIVATION, BESIDE, EARLY, LEARN, OUTCOME

FORMS = {"jsonl": "log.jsonl", "parquet": "log.parquet"}
EVENTS = [
    decide(0, 1, 0),
    Event(0, 2, OUTCOME, 0, reward=0.25, reward_id="x", time=2),
    decide(0, 3, 1, action=0),
    Event(0, 4, OUTCOME, 0, reward=0.5, reward_id="", time=4),
    learn(0, 5, 0, 0.75, reward_id=None, detail=CLOSED_BY_REWARD),
    Event(0, 6, OUTCOME, 0, reward=0.125, reward_id="z", detail=LATE, time=6),
    learn(0, 7, 1, 0.0, action=0, reward_id=None, detail=CLOSED_BY_DEFAULT),
    Event(0, 8, EARLY, -8, reward=0.5, reward_id="e", detail=early_detail("d"), time=8),
    decide(0, 9, 2, decision_id="d"),
    Event(0, 10, OUTCOME, 2, reward=0.5, reward_id="e", detail=taken_detail(8), time=10),
    Event(0, 11, ACTIVATION, 2, detail=DEFERRED, time=11),
    Event(0, 12, ACTIVATION, 2, detail=DONE, time=12),
    Event(0, 13, ACTIVATION, 2, detail=LAPSED, time=13),
    Event(0, 14, ACTIVATION, 2, detail=shown_detail(3), time=14),
]


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(form: str, tmp_path: Path) -> Path:
    file = tmp_path / FORMS[form]
    with module_of(form).Writer(file, NO_CONTEXT, {"policy": {"name": "ucb1"}, "seed": "1"}) as writer:
        writer.write_events(EVENTS)
    return file


def test_all_of_it_comes_back(form: str, file: Path) -> None:
    events = module_of(form).read_events(source_of(file))
    found = list(events.rows)
    assert not events.bad_lines.count
    wanted = (
        EVENTS
        if form == "parquet"
        else [event._replace(action=None, propensity=None) if event.kind == LEARN else event for event in EVENTS]
    )
    assert found == wanted


def test_whoever_evaluates_reads_what_was_learned(form: str, file: Path) -> None:
    with module_of(form).read_rows(source_of(file), Wanted()) as rows:
        assert not rows.bad_lines.count
        assert rows.columns().reward.tolist() == [0.75, 0.0]
    log = module_of(form).read(file)
    assert not log.bad_lines.count
    assert log.events.reward[log.events.kind == LEARN].tolist() == [0.75, 0.0]
    assert not np.isin(log.events.kind, BESIDE).any()


def test_a_blank_archive_keeps_what_counts(tmp_path: Path) -> None:
    source, target = tmp_path / "one.parquet", tmp_path / "two.parquet"
    with module_of("parquet").Writer(source, NO_CONTEXT, {}) as writer:
        writer.write_events([EVENTS[0]._replace(detail='{"why": 1}'), *EVENTS[1:]])
    with target.open("wb") as out:
        assert blanked(source, out, {0, 2, -8})
    import pyarrow.parquet as pq

    rows = pq.read_table(target).to_pylist()
    assert [row["detail"] for row in rows] == [
        *(event.detail for event in EVENTS[:7]),
        None,
        None,
        taken_detail(8),
        DEFERRED,
        DONE,
        LAPSED,
        shown_detail(3),
    ]
    assert [row["reward_id"] for row in rows] == [None] * len(EVENTS)
