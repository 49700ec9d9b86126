"""What no client of the service would send is refused: other hosts, pages of other sites, bodies of forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.listening import DECIDE, Line, Listening

from onearm.api.http.guard import Guard
from onearm.engine.errors import InvalidInput

SHOP = "https://shop.example"
NAVIGATES = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """Yield a service that also answers to one more name, and to pages of one shop."""
    with Listening(tmp_path_factory.mktemp("guard"), hosts=["Bandit.Example"], origins=[SHOP]) as listening:
        yield listening


@pytest.fixture
def line(listening: Listening) -> Iterator[Line]:
    line = listening.connect()
    yield line
    line.close()


def refused(line: Line, status: int, code: str) -> str:
    """Read an answer, and return what it says; the connection goes on."""
    found, headers, body = line.answer()
    problem: dict[str, Any] = json.loads(body)
    assert (found, problem["status"], problem["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    detail: str = problem["detail"]
    return detail


def decisions(listening: Listening) -> int:
    found: int = listening.client.get("/v1/experiments/e").json()["decisions"]
    return found


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "[::2]"])
def test_a_host_that_is_not_the_services_own_is_refused(listening: Listening, line: Line, host: str) -> None:
    before = decisions(listening)
    for method, path in (("POST", DECIDE), ("GET", "/v1/experiments"), ("GET", "/"), ("GET", "/static/front.css")):
        line.ask(method, path, b"{}" if method == "POST" else b"", Host=host)
        detail = refused(line, 421, "wrong_host")
        assert f"--allowed-host {host.partition(':8')[0].strip('[]')}" in detail
    assert decisions(listening) == before


@pytest.mark.parametrize("host", ["", "localhost:80@other", "a b"])
def test_what_is_no_name_is_not_told_as_one_to_allow(line: Line, host: str) -> None:
    line.ask("POST", DECIDE, b"{}", Host=host)
    assert "--allowed-host" not in refused(line, 421, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080", "bandit.example:443"])
def test_the_services_own_hosts_are_answered(line: Line, host: str) -> None:
    line.ask("POST", DECIDE, b"{}", Host=host)
    assert line.answer()[0] == 201


@pytest.mark.parametrize("host", ["localhost:80@evil", "localhost:80:81", "localhost:x", "[::1]x", "[localhost]"])
def test_what_only_begins_like_an_own_host_is_refused(line: Line, host: str) -> None:
    line.ask("GET", "/v1/experiments", Host=host)
    refused(line, 421, "wrong_host")


@pytest.mark.parametrize(
    ("twice", "code"),
    [
        ("Host: evil.example\r\nHost: localhost", "wrong_host"),
        ("Host: localhost:80\r\nHost: evil.example", "wrong_host"),
        ("Host: localhost\r\nOrigin: http://evil.example\r\nOrigin: http://localhost", "foreign_origin"),
    ],
)
def test_a_header_that_is_sent_twice_counts_as_a_whole(line: Line, twice: str, code: str) -> None:
    """Of two hosts a proxy in front may have looked at the other one."""
    line.send(f"POST {DECIDE} HTTP/1.1\r\n{twice}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert json.loads(line.answer()[2])["code"] == code


def test_probes_may_name_any_host_and_come_from_anywhere(line: Line) -> None:
    for path in ("/health/live", "/health/ready"):
        line.ask("GET", path, Host="10.1.2.3:8080", Origin="null", Sec_Fetch_Site="cross-site")
        assert line.answer()[0] == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1", "https://shop.example.evil"])
def test_a_page_of_another_origin_can_neither_write_nor_read(listening: Listening, line: Line, origin: str) -> None:
    before = decisions(listening)
    for method, path, body in (
        ("POST", DECIDE, b"{}"),
        ("POST", "/v1/experiments", b'{"experiment_id": "foreign", "arms": [{"id": "a"}]}'),
        ("POST", "/v1/experiments/e:archive", b""),
        ("GET", "/v1/experiments", b""),
        ("OPTIONS", DECIDE, b""),
    ):
        line.ask(method, path, body, Origin=origin)
        says = refused(line, 403, "foreign_origin")
        assert f"of the origin {origin}" in says
        assert (f"--cors-origin {origin}" in says) == (origin != "null")  # which the option does not take
    assert decisions(listening) == before
    assert listening.client.get("/v1/experiments/foreign").status_code == 404
    assert listening.client.get("/v1/experiments/e").json()["archived"] is False


def test_what_a_browser_says_comes_from_another_site_is_refused(line: Line) -> None:
    """An image or a script of a foreign page is asked for without Origin."""
    line.ask("GET", "/v1/experiments", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")
    assert "fetch" in refused(line, 403, "foreign_origin")  # no option lets an image in: it names no origin
    line.ask("GET", "/v1/experiments", **NAVIGATES)
    refused(line, 403, "foreign_origin")
    line.ask("POST", "/", **NAVIGATES)
    refused(line, 403, "foreign_origin")
    line.ask("GET", "/", **NAVIGATES | {"Sec_Fetch_Dest": "iframe"})
    refused(line, 403, "foreign_origin")


def test_a_link_of_another_site_leads_to_the_pages_for_people(line: Line) -> None:
    for path in ("/", "/docs"):
        line.ask("GET", path, **NAVIGATES)
        assert line.answer()[0] == 200


def test_the_services_own_pages_may_ask(line: Line) -> None:
    for scheme in ("http", "https"):  # behind a proxy with TLS the page is https
        line.ask(
            "POST", DECIDE, b"{}", Host="localhost:81", Origin=f"{scheme}://localhost:81", Sec_Fetch_Site="same-origin"
        )
        assert line.answer()[0] == 201


def test_what_curl_sends_is_answered(line: Line) -> None:
    line.ask("POST", DECIDE, b"{}", User_Agent="curl/8", Accept="*/*", Content_Type="application/x-www-form-urlencoded")
    assert line.answer()[0] == 201


@pytest.mark.parametrize("kind", ["text/plain", "Text/Plain;charset=UTF-8", "multipart/form-data; boundary=x"])
def test_bodies_of_forms_are_refused(listening: Listening, line: Line, kind: str) -> None:
    before = decisions(listening)
    line.ask("POST", DECIDE, b"{}", Content_Type=kind)
    assert "set the header Content-Type: application/json" in refused(line, 415, "unsupported_media_type")
    line.ask("POST", DECIDE, b"{}", Content_Type=kind, Origin=SHOP)
    refused(line, 415, "unsupported_media_type")
    assert decisions(listening) == before


def test_pages_of_a_listed_origin_may_ask_and_read(line: Line) -> None:
    line.ask(
        "OPTIONS",
        DECIDE,
        Origin=SHOP,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type,idempotency-key",
    )
    status, headers, _ = line.answer()
    assert (status, headers["access-control-allow-origin"]) == (200, SHOP)
    assert "POST" in headers["access-control-allow-methods"]
    line.ask("POST", DECIDE, b"{}", Origin=SHOP, Content_Type="application/json", Sec_Fetch_Site="cross-site")
    status, headers, _ = line.answer()
    assert (status, headers["access-control-allow-origin"]) == (201, SHOP)


@pytest.mark.parametrize("listed", ["https://shop.example:443", "HTTPS://SHOP.EXAMPLE"])
def test_a_listed_origin_is_written_as_browsers_write_it(listed: str) -> None:
    """They leave the port out where it goes without saying."""
    fields = {b"host": b"localhost", b"origin": SHOP.encode()}
    assert Guard(origins=[listed]).refusal({"fields": fields, "path": "/v1/experiments"}) is None
    assert Guard(origins=["https://shop.example:80"]).refusal({"fields": fields, "path": "/"}) is not None


def test_without_a_list_no_origin_is_told_that_it_may_read(tmp_path: Any) -> None:
    with Listening(tmp_path) as listening:
        line = listening.connect()
        line.ask("OPTIONS", DECIDE, Origin=SHOP, Access_Control_Request_Method="POST")
        status, headers, _ = line.answer()
        assert status == 403 and "access-control-allow-origin" not in headers
        line.close()


def test_a_slash_at_the_end_of_a_path_leads_nowhere(line: Line) -> None:
    for path in ("/v1/experiments/", "/v1/experiments/e/", "/docs/", "/static"):
        line.ask("GET", path)
        status, headers, _ = line.answer()
        assert status == 404 and "location" not in headers


@pytest.mark.parametrize("host", ["http://shop.example", "shop.example:80", "", "a b", "*"])
def test_a_host_that_is_none_is_explained(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"without http:// and port, as shop.example"):
        Guard([host])


@pytest.mark.parametrize("origin", ["shop.example", "*", "null", "https://shop.example/", "https://a.example/b"])
def test_an_origin_that_is_none_is_explained(origin: str) -> None:
    with pytest.raises(InvalidInput, match=r"as https://shop.example"):
        Guard(origins=[origin])
