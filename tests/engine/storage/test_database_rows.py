"""The log of an experiment in a database: the same rows and the same events as its export has."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from onearm.engine.columns import every_mask
from onearm.engine.errors import InvalidInput
from onearm.engine.storage import database
from onearm.engine.storage.formats import jsonl
from onearm.engine.storage.records import Event
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE, DECIDE, EXTERNAL, LEARN, Array, Problem

PROBLEM = Problem(3, (2,))


def context(number: int) -> bytes:
    return np.array([number % 2, -1.5]).tobytes()


def events(key: int) -> list[Event]:
    """A reward that is late, one of two parts, a decision without one, one of others, changes in between."""
    mask = np.packbits([True, False, True]).tobytes()
    first = Event(
        key, 1, DECIDE, 0, 2, 0.5, context=context(0), available=mask, decision_id="a", sent='{"x":1}', time=5
    )
    return [
        first,
        Event(key, 2, CHANGE, detail='{"change": "archived"}', time=6),
        Event(key, 3, EXTERNAL, 1, 0, 0.125, context=context(1), time=7),
        Event(key, 4, DECIDE, 2, 1, None, context=context(2), detail='{"why":1}', time=8),
        Event(key, 5, LEARN, 1, 0, 0.125, 1.0, reward_id="", time=9),
        Event(key, 6, CHANGE, detail='{"change": "archived"}', time=10),
        Event(key, 7, LEARN, 0, 2, 0.5, 2.0, reward_id="r", time=11),
        Event(key, 8, DECIDE, 3, 1, 0.25, context=context(3), time=12),
        Event(key, 9, LEARN, 0, 2, 0.5, 0.5, reward_id="s", time=13),
    ]


@pytest.fixture
def key(store: Store) -> int:
    experiment = store.add_experiment("e", "{}", b"", "{}", 0).key
    store.append(events(experiment))
    return experiment


@pytest.mark.parametrize("page", [2, 5000])
def test_rows_are_those_of_the_export(
    store: Store, key: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(database, "PAGE", page)
    with jsonl.Writer(tmp_path / "log.jsonl", PROBLEM, {}) as out:
        out.write_events(database.read_events(store, key, PROBLEM, {}).rows)
    for wanted in (Wanted(), Wanted(contexts=False), Wanted(segment="context[0]")):
        with (
            database.read_rows(store, key, PROBLEM, wanted) as found,
            jsonl.read_rows(Source(tmp_path / "log.jsonl"), wanted) as exported,
        ):
            assert found.problem == exported.problem
            assert found.decisions == exported.decisions == 4
            assert found.columns().reward.tolist() == [2.5, 1.0]
            for one, other in zip(found.columns()[:7], exported.columns()[:7], strict=True):
                np.testing.assert_array_equal(one, other)
            assert every_mask(found.columns()).tolist() == every_mask(exported.columns()).tolist()
            assert next(found.pages()).line[0] == 1  # the seq of the decision
            if wanted.segment is not None:
                assert found.segments == exported.segments == ["0", "1"]
                assert np.concatenate([page.segment for page in found.pages()]).tolist() == [0, 1]


def test_events_of_a_database_are_all_of_it_and_no_more_than_was_there(store: Store, key: int) -> None:
    told: list[int] = []
    read = database.read_events(store, key, PROBLEM, {"policy": 1}, progress=told.append)
    store.append([Event(key, 10, LEARN, 2, 1, 0.25, 1.0, reward_id="late")])  # a service is at work meanwhile
    assert list(read.rows) == events(key)
    assert read.spec == {"policy": 1}
    assert sum(told) == 9


def test_events_come_back_from_json_lines_as_they_were(store: Store, key: int, tmp_path: Path) -> None:
    """But for what an export does not repeat: the action and propensity of a reward."""
    with jsonl.Writer(tmp_path / "log.jsonl", PROBLEM, {}) as out:
        out.write_events(events(key))
    wanted = [event._replace(experiment=0) for event in events(key)]
    wanted = [e._replace(action=None, propensity=None) if e.kind == LEARN else e for e in wanted]
    assert list(jsonl.read_events(Source(tmp_path / "log.jsonl")).rows) == wanted


def test_an_arm_that_joined_later_could_not_be_chosen_before(store: Store, key: int) -> None:
    larger = dataclasses.replace(PROBLEM, n_arms=4)

    def sizes(numbers: Array) -> Array:
        return np.where(numbers >= 1, 4, 3)

    with database.read_rows(store, key, larger, Wanted(), sizes) as found:
        assert every_mask(found.columns()).tolist() == [[True, False, True, False], [True] * 4]


def test_a_log_without_decisions_is_refused_in_words(store: Store) -> None:
    empty = store.add_experiment("empty", "{}", b"", "{}", 0).key
    with pytest.raises(InvalidInput, match="the log holds not one good decision: there"):
        database.read_rows(store, empty, PROBLEM, Wanted())
