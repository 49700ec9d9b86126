"""Logs of long vectors are read and written in pages of bounded memory, to the same rows as in one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from onearm.api.kinds.kind import learn_json
from onearm.engine.actions import pack_action
from onearm.engine.columns import concat
from onearm.engine.domain import ball
from onearm.engine.simulation import LOG_BYTES, LOG_CHUNK, Simulation
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN, Feedback, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

D, N = 64, 40
PROBLEM = Problem(0, domain=ball(D), feedback="gradient")


def written(folder: Path) -> Store:
    """Return a database with N decisions and their feedback."""
    store = Store.open(f"sqlite:///{folder}/run.db")
    key = store.add_experiment("v", "{}", b"", "{}", 0).key
    rng, events = np.random.default_rng(2), []
    for number in range(N):
        point, gradient = rng.normal(size=D), rng.normal(size=D)
        events.append(Event(key, 2 * number + 1, DECIDE, number, None, 1.0, vector=pack_action(point)))
        detail = learn_json(Feedback(0.0, gradient))
        events.append(Event(key, 2 * number + 2, LEARN, number, None, 1.0, 0.5, detail=detail, reward_id=""))
    store.append(events)
    return store


@pytest.mark.parametrize("room", [1, 8 * 2 * D * 3, 1 << 25])
def test_pages_are_as_short_as_vectors_are_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr("onearm.engine.storage.store.PAGE_BYTES", room)
    with closing(written(tmp_path)) as store:
        pages = [columns for columns, _, _ in store.columns(1, PROBLEM)]
        monkeypatch.setattr("onearm.engine.storage.store.PAGE_BYTES", 1 << 30)
        (whole,) = (columns for columns, _, _ in store.columns(1, PROBLEM))
    assert max(page.action.nbytes + page.detail.nbytes for page in pages) <= max(room, 8 * 2 * D)
    for column, other in zip(concat(pages)[:8], whole[:8], strict=True):
        assert np.array_equal(column, other, equal_nan=column.dtype.kind == "f")
    assert len(whole.kind) == 2 * N


def test_texts_of_numbers_shorten_the_next_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detail is text: about 20 bytes a number, where a vector has 8."""
    monkeypatch.setattr("onearm.engine.storage.store.PAGE_BYTES", 20_000)
    with closing(written(tmp_path)) as store:
        sizes = [len(columns.kind) for columns, _, _ in store.columns(1, PROBLEM)]
        first = store.read_events(1, 0, 19)
    assert sizes[0] == 20_000 // (8 * 2 * D + 1) == 19
    assert sizes[1] == 20_000 // (1 + max(len(event.detail or "") for event in first)) < 19


@pytest.mark.parametrize("d", [2, 500])
def test_a_page_of_a_simulated_log_takes_bounded_memory_however_long_vectors_are(d: int) -> None:
    run = Simulation(policies.make("ftrl"), envs.make("sea", dimension=d), horizon=4)
    size = 2 * (8 * 2 * d + 1)  # a decision and its feedback are two rows of a point and a gradient
    assert run.logged_at_once == min(LOG_CHUNK, LOG_BYTES // size)
    assert (run.logged_at_once < LOG_CHUNK) == (d == 500)
    log = run.advance_logged(4)
    assert log.action.nbytes + log.detail.nbytes <= 4 * size
