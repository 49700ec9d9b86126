"""Artefacts in a database: an experiment's log needs no file beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.small_artefacts import arm_artefact, flat_artefact

from onearm.api.service.artefacts import keep_all, stored
from onearm.engine.errors import Conflict, InvalidInput
from onearm.engine.problem import fitted, query_problem
from onearm.engine.storage.records import StoredArtefact
from onearm.engine.storage.store import Store
from onearm.engine.trained.artefact import Artefact, pack
from onearm.engine.trained.artefact_registry import ArtefactRegistry
from onearm.engine.vocabulary import Policy
from onearm.policies import catalog

MADE = arm_artefact()


@pytest.fixture(autouse=True)
def artefacts(monkeypatch: pytest.MonkeyPatch) -> ArtefactRegistry:
    return new_shelf(monkeypatch)


def new_shelf(monkeypatch: pytest.MonkeyPatch) -> ArtefactRegistry:
    """Return an empty artefacts, as a process has it that knows no artefact."""
    artefacts = ArtefactRegistry(list)
    for module in ("onearm.policies.queries.mapo", "onearm.api.service.artefacts"):
        monkeypatch.setattr(f"{module}.artefacts", artefacts)
    return artefacts


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_url")
    else:
        yield f"sqlite:///{tmp_path / 'run.db'}"


def row_of(made: Artefact) -> StoredArtefact:
    return StoredArtefact(made.sha256, made.name, *pack(made))


def policy_of(made: Artefact) -> Policy:
    return fitted(catalog.make("mapo", artefact=made.label), query_problem(made.task, made.budget))


def test_what_an_experiment_decides_with_is_written_with_it(url: str, artefacts: ArtefactRegistry) -> None:
    artefacts.add(MADE)
    store = Store.open(url)
    assert store.artefacts() == []
    store.add_experiment("a", "{}", b"", "{}", 0, stored(policy_of(MADE)))
    store.add_experiment("b", "{}", b"", "{}", 0, stored(policy_of(MADE)))  # the same is written once
    store.add_experiment("c", "{}", b"", "{}", 0, stored(catalog.make("ucb1")))
    assert store.artefacts() == [row_of(MADE)]
    store.close()


def test_another_process_decides_with_what_the_database_holds(
    url: str, artefacts: ArtefactRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefacts.add(MADE)
    spec = policy_of(MADE).spec
    store = Store.open(url)
    store.add_experiment("a", "{}", b"", "{}", 0, stored(policy_of(MADE)))
    new_shelf(monkeypatch)
    with pytest.raises(InvalidInput, match=f"there is no artefact '{MADE.label}'.*--artefact FILE"):
        catalog.from_spec(spec)
    keep_all(store)
    again = fitted(catalog.from_spec(spec), query_problem(MADE.task, MADE.budget))
    assert again.spec == spec
    assert again.params.net.w1.tolist() == MADE.arrays["w1"].T.tolist()
    store.close()


def test_an_experiment_that_is_refused_leaves_no_artefact(url: str) -> None:
    store = Store.open(url)
    store.add_experiment("a", "{}", b"", "{}", 0)
    with pytest.raises(Conflict):
        store.add_experiment("a", "{}", b"", "{}", 0, [row_of(MADE)])
    assert store.artefacts() == []
    store.close()


def test_a_damaged_one_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, artefacts: ArtefactRegistry
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'run.db'}")
    good = flat_artefact()
    store.add_experiment("a", "{}", b"", "{}", 0, [row_of(MADE), row_of(good)])
    with store._transaction() as connection:
        connection.execute(sa.text("UPDATE artefact SET arrays = :x WHERE name = :n"), {"x": b"PK", "n": MADE.name})
    with caplog.at_level(logging.WARNING):
        keep_all(store)
    assert "the artefact 'arms-3-6' of sqlite:///" in caplog.text
    assert artefacts.find(good.label).sha256 == good.sha256
    with pytest.raises(InvalidInput, match="there is no artefact"):
        artefacts.find(MADE.label)
    store.close()
