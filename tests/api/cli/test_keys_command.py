"""`onearm keys` and `onearm audit`: alone, and beside a service that notices."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.processes import Process
from support.served import ARMS
from support.stored import new_database

URL = "sqlite:///run.db"
KEY = re.compile(r"oa_([0-9a-f]{12})_[A-Za-z0-9_-]{43}\n")


def made(onearm: Any, *options: str) -> tuple[str, str]:
    """Make a key; return it and its id."""
    done = onearm("keys", "create", "--database", URL, *options)
    assert done.code == 0, done.err
    found = KEY.fullmatch(done.out)
    assert found is not None, done.out
    return done.out.strip(), found[1]


def test_keys_are_made_listed_rotated_and_revoked(onearm: Any, tmp_path: Path) -> None:
    text, first = made(onearm, "--role", "write", "--tenant", "shop", "--name", "web")  # the database is made with it
    done = onearm("keys", "rotate", first, "--overlap", "0s", "--database", URL, "--json")
    assert done.code == 0
    second = done.json
    assert (second["tenant"], second["roles"], second["state"]) == ("shop", ["write"], "valid")
    _, third = made(onearm, "--role", "read", "--role", "admin", "--name", "me", "--expires-in", "90d")
    assert onearm("keys", "revoke", third, "--database", URL).err == f"{third} (me) is revoked\n"
    listed = onearm("keys", "list", "--database", URL, "--json").json["keys"]
    assert [(one["id"], one["state"]) for one in listed] == [
        (first, "ended"),
        (second["id"], "valid"),
        (third, "revoked"),
    ]
    assert listed[2]["roles"] == ["admin", "read"] and listed[2]["tenant"] is None
    shown = onearm("keys", "list", "--database", URL).out
    assert first in shown and "(operator)" in shown and "oa_" not in shown
    database = (tmp_path / "run.db").read_bytes()
    for secret in (text, second["key"]):
        assert secret.split("_", 2)[2].encode() not in database
    deeds = onearm("audit", "--database", URL, "--json").json["deeds"]
    assert [(one["action"], one["subject"], one["origin"]) for one in deeds[::-1]] == [
        ("keys.create", first, "command line"),
        ("keys.rotate", f"{first} {second['id']}", "command line"),
        ("keys.create", third, "command line"),
        ("keys.revoke", third, "command line"),
    ]
    assert len(onearm("audit", "--tenant", "shop", "--database", URL, "--json").json["deeds"]) == 2
    assert "keys.rotate" in onearm("audit", "--database", URL).out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "--name", "n"], "Missing option '--role'"),
        (["create", "--role", "root", "--name", "n"], "'root' is not one of"),
        (["create", "--role", "read"], "Missing option '--name'"),
        (["create", "--role", "read", "--name", "n", "--tenant", "a b"], "the tenant is 'a b'"),
        (["create", "--role", "read", "--name", "n", "--expires-in", "soon"], "'soon' is no duration: write 90d"),
        (["list"], "there is no file run.db"),
        (["revoke", "0"], "there is no file run.db"),
    ],
)
def test_wrong_use_is_explained_and_makes_nothing(onearm: Any, tmp_path: Path, arguments: list[str], says: str) -> None:
    done = onearm("keys", *arguments, "--database", URL)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert not (tmp_path / "run.db").exists()


def test_a_key_that_is_not_there_is_neither_rotated_nor_revoked(onearm: Any) -> None:
    made(onearm, "--role", "read", "--name", "n")
    for how in ("rotate", "revoke"):
        done = onearm("keys", how, "0", "--database", URL)
        assert done.code == 2 and "there is no key '0': onearm keys list shows all" in done.err


def test_a_service_that_runs_asks_for_keys_and_refuses_revoked_ones_within_a_second(
    onearm: Any, tmp_path: Path
) -> None:
    process = Process(new_database(tmp_path / "run.db"))
    try:
        process.wait()
        with httpx.Client(base_url=process.url) as client:
            assert client.post("/v1/experiments", json={"experiment_id": "e", "arms": ARMS}).status_code == 201
            text, id = made(onearm, "--role", "admin", "--name", "me")
            seconds = until(client, 401, {})
            assert seconds < 60  # a busy machine is no bug
            headers = {"Authorization": f"Bearer {text}"}
            assert client.get("/v1/experiments/e", headers=headers).status_code == 200
            revoked = onearm("keys", "revoke", id, "--database", URL)
            assert revoked.code == 0
            assert until(client, 401, headers) < 60
    finally:
        process.end()


def until(client: httpx.Client, status: int, headers: dict[str, str]) -> float:
    """Return after how many seconds a call is answered with a status."""
    began = time.monotonic()
    while client.get("/v1/experiments/e", headers=headers).status_code != status:
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    return time.monotonic() - began


def test_an_address_of_others_needs_a_key_and_the_two_commands_that_are_named_mend_it(onearm: Any) -> None:
    refused = onearm("serve", "--host", "0.0.0.0", "--port", "70000")
    assert refused.code == 2
    refused = onearm("serve", "--host", "0.0.0.0", "--database", "sqlite:///other.db", "--port", "0")
    first, second = re.findall(r"^  onearm (.+)$", refused.err, re.MULTILINE)
    assert second == "serve --host 0.0.0.0 --database sqlite:///other.db"
    assert not Path("other.db").exists()
    key = onearm(*first.split()).out.strip()
    process = Process("sqlite:///other.db", *second.split()[1:3])
    try:
        process.wait()
        asked = f"{process.url}/v1/experiments/hello"
        assert httpx.get(asked).status_code == 401
        assert httpx.get(asked, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    finally:
        process.end()
