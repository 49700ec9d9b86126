"""Browsers sign in with a key: the cookie, what it may do, what pages of others cannot do with it, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from support.keyed import Keyed
from support.listening import DECIDE, PATIENCE

from onearm.api.access.sessions import SESSIONS_MAX, Sessions


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with Keyed(tmp_path_factory.mktemp("sessions")) as keyed:
        yield keyed


@pytest.fixture
def browser(keyed: Keyed) -> Iterator[httpx.Client]:
    """Return a client that keeps cookies, and says from where it asks, as browsers do."""
    with httpx.Client(base_url=keyed.url, timeout=PATIENCE, headers={"Origin": keyed.url}) as browser:
        yield browser


def sign_in(browser: httpx.Client, key: str, back: str = "/") -> httpx.Response:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return browser.post("/sign-in", content=urlencode({"key": key, "next": back}), headers=headers)


def test_a_key_begins_a_session_that_no_script_reads(keyed: Keyed, browser: httpx.Client) -> None:
    key = keyed.key("admin")
    answer = sign_in(browser, f" {key} ", "/experiments/e?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/experiments/e?x=1")
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert morsel["httponly"] and morsel["samesite"] == "Strict" and morsel["path"] == "/" and not morsel["secure"]
    assert key not in answer.headers["set-cookie"] and key.split("_", 2)[2] not in morsel.value
    assert browser.get("/").status_code == browser.get("/openapi.json").status_code == 200
    assert "Sign out" in browser.get("/").text
    secure = httpx.post(f"{keyed.url}/sign-in", content=f"key={key}", headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in secure.headers["set-cookie"]


def test_a_wrong_key_begins_none(keyed: Keyed, browser: httpx.Client) -> None:
    for wrong in ("", "oa_1", keyed.key("admin")[:-1] + "!", "\u00e9"):
        answer = sign_in(browser, wrong)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert "This key is unknown" in answer.text and 'aria-invalid="true"' in answer.text
    writer = sign_in(browser, keyed.key("write"))
    assert writer.status_code == 403 and "may not read" in writer.text and "set-cookie" not in writer.headers
    assert browser.get("/").status_code == 401


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\r\nX: y"])
def test_nobody_is_led_to_another_site(keyed: Keyed, browser: httpx.Client, back: str) -> None:
    assert sign_in(browser, keyed.key("read"), back).headers["location"] == "/"
    assert browser.get("/sign-in", params={"next": back}).text.count('name="next" value="/"') == 1


def test_a_cookie_speaks_for_pages_of_ours_alone(keyed: Keyed, browser: httpx.Client) -> None:
    """A browser may send it with whatever another page asks for; without Origin it cannot be told who that is."""
    assert sign_in(browser, keyed.key("admin")).status_code == 303
    assert browser.post(DECIDE, json={}).status_code == 201
    for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": keyed.url + "1"}):
        answer = browser.post("/experiments/e/act/archive", headers=origin)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), origin
    del browser.headers["Origin"]
    assert browser.post("/experiments/e/act/archive").json()["code"] == "foreign_origin"
    assert browser.delete("/v1/experiments/e?confirm=e").json()["code"] == "foreign_origin"
    assert browser.get("/v1/experiments/e").json()["archived"] is False


def test_a_session_may_what_its_key_may(keyed: Keyed, browser: httpx.Client) -> None:
    assert sign_in(browser, keyed.key("read", tenant="shop")).status_code == 303
    front = browser.get("/").text
    assert "/experiments/banner" in front and "/experiments/e" not in front and "secret" not in front
    assert "New experiment" not in front and "Change it" not in browser.get("/experiments/banner").text
    refused = browser.post("/experiments/banner/act/archive")
    assert refused.status_code == 403 and "needs the role" in refused.text
    for path in ("/create", "/keys"):
        assert browser.get(path).status_code == 403
    assert browser.get("/experiments/e").status_code == 404


def test_how_fast_all_are_answered_is_told_to_the_operator_alone(keyed: Keyed) -> None:
    operator, tenant = keyed.operator, keyed.asking("read", tenant="shop")
    banners = keyed.asking("read", experiments="~shop~*")
    assert operator.post("/v1/experiments/~shop~banner/decisions", json={}).status_code == 201
    assert "Answered within" in operator.get("/experiments/~shop~banner").text
    for client, page in ((tenant, "/experiments/banner"), (banners, "/experiments/~shop~banner")):
        told = client.get(page)
        assert told.status_code == 200 and "Answered within" not in told.text


def test_it_ends_where_its_owner_signs_out_or_its_key_ends(keyed: Keyed, browser: httpx.Client) -> None:
    key = keyed.key("read")
    assert sign_in(browser, key).status_code == 303
    stolen = dict(browser.cookies)
    assert browser.post("/sign-out").headers["location"] == "/sign-in"
    assert httpx.get(keyed.url, cookies=stolen).status_code == 401, "the cookie is worth nothing any more"
    assert sign_in(browser, key).status_code == 303
    assert keyed.operator.post(f"/v1/keys/{key.split('_')[1]}:revoke").status_code == 200
    assert browser.get("/").status_code == 401


def test_it_ends_after_half_a_day(keyed: Keyed) -> None:
    now = [0.0]
    sessions = Sessions(keyed.service.keyring, clock=lambda: now[0])
    reader = sessions.caller_of(keyed.key("read"))
    assert reader is not None
    token = sessions.begin(reader)
    fields = {b"cookie": f"onearm={token}".encode()}
    now[0] = 12 * 3600 - 1
    assert sessions.caller(fields) is not None
    now[0] += 1
    assert sessions.caller(fields) is None
    assert sessions.caller({b"cookie": b"onearm=guess"}) is None


def test_who_signs_in_often_ends_sessions_of_their_own_key_alone(keyed: Keyed, browser: httpx.Client) -> None:
    sign_in(browser, keyed.key("admin"))
    key = keyed.key("read", tenant="shop")
    cookies = []
    with httpx.Client(base_url=keyed.url) as another:
        for _ in range(SESSIONS_MAX + 1):
            another.cookies.clear()
            signed_in = another.post("/sign-in", content=f"key={key}")
            cookies.append(signed_in.headers["set-cookie"].partition(";")[0])
        another.cookies.clear()
        known = [another.get("/", headers={"Cookie": one}).status_code for one in cookies]
    assert known == [401] + [200] * SESSIONS_MAX, "the oldest of the key has ended"
    assert browser.get("/").status_code == 200, "and none of another key"
    assert key.split("_", 2)[2] not in str(vars(keyed.service.sessions)), "nothing of a key is kept in clear"


def test_under_a_prefix_the_cookie_is_for_the_prefix(tmp_path: Path) -> None:
    with Keyed(tmp_path, options={"prefix": "/bandit"}) as keyed:
        key = keyed.key("read")
        answer = httpx.post(f"{keyed.url}/bandit/sign-in", content=f"key={key}&next=%2Fkeys")
        assert answer.headers["location"] == "/bandit/keys" and "Path=/bandit;" in answer.headers["set-cookie"]
