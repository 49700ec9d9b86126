"""The service that the parity suite talks to, and a policy from outside in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.direct import Direct
from support.stored import new_database
from support.witness import witness

from onearm.api.http.app import create_app
from onearm.engine.storage.store import Store
from onearm.policies import catalog as policies


@pytest.fixture
def witness_in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the catalogue hold a policy that comes from outside the package."""
    monkeypatch.setattr(policies, "_outside", {"witness": witness})


@pytest.fixture(scope="session")  # compiled, the tests of a policy run one after another, whatever file they are in
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    """Yield a client of a service over a database of its own."""
    store = Store.open(new_database(tmp_path_factory.mktemp("parity") / "run.db"))
    with Direct(create_app(store)) as client:
        yield client
