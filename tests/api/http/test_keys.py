"""Keys over the real HTTP: none, unknown ones, roles, rotation and revocation, and how browsers get in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.keyed import NEW, Keyed
from support.listening import DECIDE, Listening
from support.served import assert_problem

from onearm.api.http.gate import is_open
from onearm.api.http.routes import TABLE
from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import StoredKey


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with Keyed(tmp_path_factory.mktemp("keys")) as keyed:
        yield keyed


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    assert_problem(found, status, code)
    detail: str = found["detail"]
    return detail


def filled(path: str) -> str:
    ids = {"experiment_id": "none", "decision_id": "~0", "arm_id": "a", "unit_id": "u", "key_id": "0" * 12}
    return path.format(**ids, policy="0", deed="archive", number="1")


OPEN_POSTS = {"/sign-in": 401, "/sign-out": 303}  # without a key, or a session


def test_every_call_needs_a_key_but_those_that_are_open(keyed: Keyed) -> None:
    for entry in TABLE:
        answer = keyed.client.request(entry.method, filled(entry.path))
        if entry.role == "open":
            assert answer.status_code == (200 if entry.method == "GET" else OPEN_POSTS[entry.path]), entry
        elif entry.page and entry.method == "GET":
            assert answer.status_code == 401 and "<h1>Sign in</h1>" in answer.text, entry
            assert answer.headers["www-authenticate"].startswith('Bearer realm="onearm"')
        else:
            refused(answer, 401, "key_needed")
            assert answer.headers["www-authenticate"].startswith('Bearer realm="onearm"')
    for path in ("/openapi.json", "/no/such/path", "/v1", "/static", "//v1/experiments"):
        refused(keyed.client.get(path), 401, "key_needed")
    open_paths = sorted(entry.path for entry in TABLE if entry.role == "open")
    assert open_paths == ["/health/live", "/health/ready", "/sign-in", "/sign-in", "/sign-out"]
    assert keyed.client.get("/static/dashboard.css").status_code == 200
    refused(keyed.client.get("/static/%2e%2e%2fopenapi.json"), 404, "no_such_path")


@pytest.mark.parametrize("role", ["read", "write", "admin"])
def test_a_role_may_do_what_the_table_says_and_nothing_else(keyed: Keyed, role: str) -> None:
    client = keyed.asking(role, tenant="default")
    for entry in TABLE:
        if entry.path == "/events":  # it has no end
            continue
        answer = client.request(entry.method, filled(entry.path), content=b"no JSON")
        if entry.page:
            may = entry.role in ("open", role) or (role == "admin" and entry.role != "operator")
            assert (answer.status_code == 403) == (not may), (entry, answer.text)
            continue
        if entry.role == "operator":
            refused(answer, 403, "operator_needed")
        elif role == "admin" or entry.role in ("open", role):
            assert answer.status_code not in (401, 403), (entry, answer.text)
        else:
            assert f"needs the role '{entry.role}'" in refused(answer, 403, "role_needed")


def test_roles_add_up(keyed: Keyed) -> None:
    client = keyed.asking("read", "write")
    assert client.post(DECIDE).status_code == 201
    assert client.get("/v1/experiments/e").status_code == 200
    refused(client.post("/v1/experiments/e:archive"), 403, "role_needed")


def test_a_key_that_is_unknown_or_cut_off_is_refused(keyed: Keyed) -> None:
    text = keyed.key("admin")
    for wrong in (text[:-1], text + "a", text.replace("oa_", "ob_"), text.swapcase(), "oa", "oa_0_0"):
        answer = keyed.client.post(DECIDE, headers={"Authorization": f"Bearer {wrong}"})
        assert text.split("_", 2)[2] not in refused(answer, 401, "invalid_key")


def test_an_expired_key_is_refused(keyed: Keyed) -> None:
    client = keyed.asking("write", seconds=1.0)
    deadline = time.monotonic() + 30
    while (answer := client.post(DECIDE)).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    refused(answer, 401, "invalid_key")


def test_keys_are_made_rotated_and_revoked_over_http(keyed: Keyed) -> None:
    wanted = {"name": "web", "roles": ["write"], "tenant": "shop", "expires_in": 3600}
    answer = keyed.operator.post("/v1/keys", json=wanted)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["roles"], made["tenant"], made["experiments"]) == ("web", ["write"], "shop", "*")
    first = keyed.client_of(made["key"])
    decide = "/v1/experiments/banner/decisions"
    assert first.post(decide).status_code == 201  # it is known with the answer
    answer = keyed.operator.post(f"/v1/keys/{made['id']}:rotate", json={"overlap": 600})
    assert answer.status_code == 201
    second = keyed.client_of(answer.json()["key"])
    assert first.post(decide).status_code == second.post(decide).status_code == 201
    assert keyed.operator.post(f"/v1/keys/{answer.json()['id']}:rotate", json={"overlap": 0}).status_code == 201
    refused(second.post(decide), 401, "invalid_key")
    revoked = keyed.operator.post(f"/v1/keys/{made['id']}:revoke")
    assert revoked.status_code == 200 and revoked.json()["revoked_at"] is not None
    refused(first.post(decide), 401, "invalid_key")
    assert keyed.operator.post(f"/v1/keys/{made['id']}:revoke").json() == revoked.json()
    refused(keyed.operator.post(f"/v1/keys/{made['id']}:rotate"), 409, "key_ended")
    listed = keyed.operator.get("/v1/keys")
    assert made["id"] in {one["id"] for one in listed.json()["keys"]}
    assert "oa_" not in listed.text and made["key"].split("_", 2)[2] not in listed.text


def test_a_rotation_whose_answer_was_lost_is_mended_by_rotating_the_new_key(keyed: Keyed) -> None:
    """The old key ends with the overlap then: one like it would end as soon."""
    made = keyed.operator.post("/v1/keys", json={"name": "web", "roles": ["write"]}).json()
    lost = keyed.operator.post(f"/v1/keys/{made['id']}:rotate", json={"overlap": 600}).json()
    says = refused(keyed.operator.post(f"/v1/keys/{made['id']}:rotate", json={"overlap": 600}), 409, "key_replaced")
    assert f"'{lost['id']}': rotate that one" in says
    again = keyed.operator.post(f"/v1/keys/{lost['id']}:rotate", json={"overlap": 0})
    assert (again.status_code, again.json()["expires_at"]) == (201, None)
    assert keyed.client_of(again.json()["key"]).post(DECIDE).status_code == 201


def test_a_key_that_was_made_is_shown_though_the_keys_cannot_be_read_then(
    keyed: Keyed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> list[StoredKey]:
        raise Unavailable("read_failed", "run.db could not be read (disk I/O error): try again")

    with monkeypatch.context() as patch:
        patch.setattr(keyed.service.access, "all_keys", unreadable)
        made = keyed.operator.post("/v1/keys", json={"name": "n", "roles": ["write"]})
        assert made.status_code == 201, made.text
        refused(keyed.operator.post(f"/v1/keys/{made.json()['id']}:revoke"), 503, "read_failed")
    keyed.wait_until(lambda: keyed.service.keyring.find(made.json()["id"]) is not None)
    assert keyed.client_of(made.json()["key"]).post(DECIDE).status_code == 201


def test_the_first_key_can_manage_the_others(tmp_path: Path) -> None:
    admin = {"name": "me", "roles": ["admin"]}
    with Listening(tmp_path) as listening:
        client = listening.client
        for other in (
            {"roles": ["read"]},
            {"roles": ["read", "write"]},
            {"tenant": "shop"},
            {"experiments": "ban*"},
            {"expires_in": 0},
        ):
            assert "an admin" in refused(client.post("/v1/keys", json=admin | other), 409, "first_key")
        assert client.get("/v1/keys").json() == {"keys": []}
        made = client.post("/v1/keys", json=admin)
        assert made.status_code == 201
        refused(client.post("/v1/keys", json=admin), 401, "key_needed")
        client.headers["Authorization"] = f"Bearer {made.json()['key']}"
        assert client.post("/v1/keys", json={"name": "n", "roles": ["read"], "expires_in": 60}).status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "n", "roles": ["root"]}, 422, "bad_role"),
        ({"name": "n", "roles": []}, 422, "bad_role"),
        ({"name": "n", "roles": ["admin"] * 4}, 422, "bad_body"),
        ({"name": "", "roles": ["read"]}, 422, "bad_name"),
        ({"name": "n", "roles": ["read"], "tenant": "A b"}, 422, "bad_tenant"),
        ({"name": "n", "roles": ["read"], "expires_in": -1}, 422, "bad_seconds"),
        ({"name": "n", "roles": ["read"], "secret": "mine"}, 422, "bad_body"),
    ],
)
def test_a_wrong_key_is_not_made(keyed: Keyed, body: dict[str, Any], status: int, code: str) -> None:
    before = keyed.operator.get("/v1/keys").json()
    refused(keyed.operator.post("/v1/keys", json=body), status, code)
    assert keyed.operator.get("/v1/keys").json() == before


def test_an_admin_of_a_tenant_manages_the_tenants_keys_alone(keyed: Keyed) -> None:
    admin, others = keyed.asking("admin", tenant="shop"), keyed.key("read", tenant="news")
    made = admin.post("/v1/keys", json={"name": "n", "roles": ["admin"]}).json()
    assert made["tenant"] == "shop"
    for tenant in ("news", "default"):
        wanted = {"name": "n", "roles": ["read"], "tenant": tenant}
        refused(admin.post("/v1/keys", json=wanted), 403, "other_tenant")
    assert {one["tenant"] for one in admin.get("/v1/keys").json()["keys"]} == {"shop"}
    operators = keyed.operator.headers["authorization"].split("_")[1]
    for known, how in ((others.split("_")[1], "revoke"), (operators, "revoke"), (operators, "rotate")):
        unknown = admin.post(f"/v1/keys/{'0' * 12}:{how}")
        answer = admin.post(f"/v1/keys/{known}:{how}")
        assert answer.text.replace(known, "0" * 12) == unknown.text
        refused(answer, 404, "unknown_key")
    assert keyed.operator.get("/v1/experiments/e").status_code == 200


def test_a_key_for_some_experiments_gives_nobody_more_than_it_has(keyed: Keyed) -> None:
    some = keyed.asking("admin", tenant="shop", experiments="ban*")
    for answer in (
        some.post("/v1/keys", json={"name": "n", "roles": ["admin"]}),
        some.get("/v1/keys"),
        some.post(f"/v1/keys/{'0' * 12}:rotate"),
        some.post(f"/v1/keys/{'0' * 12}:revoke"),
        some.get("/v1/audit"),
    ):
        refused(answer, 403, "limited_key")


def test_a_page_asks_for_a_key_and_takes_it_as_a_password_too(keyed: Keyed) -> None:
    text = keyed.key("read")
    for path in ("/", "/docs"):
        asked = keyed.client.get(path)
        assert asked.status_code == 401
        assert "Basic" not in asked.headers["www-authenticate"]  # a browser would ask its user before the page does
        assert f'name="next" value="{path}"' in asked.text
        page = keyed.client.get(path, auth=("", text))
        assert page.status_code == 200
        assert page.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert keyed.client.get("/openapi.json", auth=("me", text)).status_code == 200
    foreign = {"Origin": "https://evil.example"}  # a browser sends the password by itself, whoever asks
    refused(keyed.client.post(DECIDE, auth=("", text), headers=foreign), 403, "foreign_origin")


def test_no_route_is_without_a_role(keyed: Keyed) -> None:
    """What is in the table has one; what is not is the document and the files, and they are told here."""
    for entry in TABLE:
        assert entry.role in ("open", "read", "write", "admin", "operator"), entry
        assert is_open(entry.path) == (entry.role == "open")
    served = {getattr(route, "path", None) for route in keyed.app.routes}
    plain = {path.replace(":path}", "}") for path in served if path is not None}
    assert plain - {entry.path for entry in TABLE} == {"/openapi.json", "/static", "/static/report"}


def test_creating_needs_a_name_that_fits_the_key(keyed: Keyed) -> None:
    some = keyed.asking("admin", tenant="shop", experiments="ban*")
    for body in (NEW, NEW | {"experiment_id": "other"}, NEW | {"experiment_id": 5}):
        assert "ban*" in refused(some.post("/v1/experiments", json=body), 403, "other_experiments")
    assert some.post("/v1/experiments", json=NEW | {"experiment_id": "bank"}).status_code == 201
