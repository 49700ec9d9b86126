"""The service at a real port with keys, and clients that have one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
from support.listening import PATIENCE, Listening
from support.served import ARMS, RANDOM

from onearm.api.access.keys import new_key
from onearm.engine.storage.access import Access
from onearm.engine.storage.records import Deed

NEW = {"arms": ARMS, "policy": RANDOM}


class Keyed(Listening):
    """The service with the experiment `e` of the default tenant, and `banner` of the tenants `shop` and `news`."""

    def __init__(self, folder: Path, **guarded: Any) -> None:
        super().__init__(folder, **guarded)
        self.clients: list[httpx.Client] = []

    def begin(self) -> None:
        super().begin()
        self.operator = self.asking("admin")
        for name in ("~shop~banner", "~news~banner", "~news~secret"):
            made = self.operator.post("/v1/experiments", json=NEW | {"experiment_id": name})
            assert made.status_code == 201, made.text

    def __exit__(self, *given: Any) -> None:
        for client in self.clients:
            client.close()
        super().__exit__(*given)

    def asking(self, *roles: str, tenant: str | None = None, **options: Any) -> httpx.Client:
        """Return a client with a new key, which the service knows."""
        return self.client_of(self.key(*roles, tenant=tenant, **options))

    def key(self, *roles: str, tenant: str | None = None, **options: Any) -> str:
        """Make a key beside the service, and wait until it knows it."""
        text = make_key(self.folder / "run.db", *roles, tenant=tenant, **options)
        self.wait_until(lambda: self.service.keyring.find(text.split("_")[1]) is not None)
        return text

    def client_of(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        client = httpx.Client(base_url=self.url, timeout=PATIENCE, headers=headers)
        self.clients.append(client)
        return client


def make_key(database: Path, *roles: str, tenant: str | None = None, **options: Any) -> str:
    """Write a key into a database, as another process would, and return its text."""
    now = time.time_ns() // 1000
    made = new_key("a test", tenant, roles, now=now, **options)
    access = Access.open(f"sqlite:///{database}")
    access.add_key(made.row, Deed(None, now, None, tenant, "keys.create", made.row.id, "a test"))
    access.close()
    return made.text
