"""The service in a network: TLS, a prefix that a proxy has it under, and whom a proxy asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.keyed import make_key
from support.listening import DECIDE, Listening

from onearm.api.http.server import PLAIN, Network
from onearm.engine.errors import InvalidInput

TLS = Path(__file__).resolve().parents[2] / "fixtures" / "tls"
SECURE = Network(TLS / "cert.pem", TLS / "key.pem")
SHOP = "https://shop.example"


@pytest.mark.usefixtures("empty_database")
def test_the_service_speaks_tls(tmp_path: Path) -> None:
    with Listening(tmp_path, network=SECURE, trusted=TLS / "cert.pem") as listening:
        assert listening.url.startswith("https://")
        assert listening.client.post(DECIDE).status_code == 201
        page = listening.client.get("/").text
        assert f"curl -d '{{}}' {listening.url}/v1/experiments/hello/decisions" in page
        own = {"Origin": listening.url}
        assert listening.client.post(DECIDE, headers=own).status_code == 201
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(listening.url)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(listening.url.replace("https", "http"))


def test_a_connection_that_is_refused_ends_in_tls_too(tmp_path: Path) -> None:
    with Listening(tmp_path, network=SECURE, trusted=TLS / "cert.pem") as listening:
        answer = listening.client.get("/health/live", headers={"X": "x" * 100_000})
        assert answer.status_code == 431
        assert listening.client.post(DECIDE).status_code == 201


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        (None, "key.pem", "give its --tls-cert too"),
        ("cert.pem", None, "cannot be used"),
        ("nowhere.pem", "key.pem", "No such file"),
        ("cert.pem", "nowhere.pem", "No such file"),
        ("key.pem", "key.pem", "must be PEM files"),
        ("cert.pem", "locked.pem", "the key without a password"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_explained(certificate: str | None, key: str | None, says: str) -> None:
    network = Network(certificate and TLS / certificate, key and TLS / key)
    with pytest.raises(InvalidInput, match=says):
        network.checked()
    SECURE.checked()
    PLAIN.checked()


@pytest.mark.usefixtures("empty_database")
@pytest.mark.parametrize("prefix", ["", "/bandit"])
def test_a_proxy_may_take_its_prefix_off_or_not(tmp_path: Path, prefix: str) -> None:
    with Listening(tmp_path, options={"prefix": "/bandit"}) as listening:
        ask = listening.client
        page = ask.get(f"{prefix}/").text
        assert f"{listening.url}/bandit/v1/experiments/hello/decisions" in page
        links = re.findall(r'(?:href|src)="([^"#]+)"', page + ask.get(f"{prefix}/docs").text)
        assert len(links) > 5
        for link in links:
            assert link.startswith("/bandit/"), link
            assert ask.get(prefix + link.removeprefix("/bandit")).status_code == 200, link
        assert ask.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/bandit"}]
        assert ask.post(f"{prefix}{DECIDE}").status_code == 201
        assert ask.get(f"{prefix}/v1/experiments/e").status_code == 200
        assert ask.get(f"{prefix}/health/live", headers={"Host": "probe"}).status_code == 200
        assert ask.get(f"{prefix}/v1/experiments/a%2Fb").json()["detail"].startswith("there is no experiment 'a/b'")
        assert ask.get(f"{prefix}/nowhere").status_code == 404
        assert ask.get("/bandits/v1/experiments/e").status_code == 404


@pytest.mark.parametrize("prefix", ["", "/bandit"])
def test_a_prefix_opens_nothing(tmp_path: Path, prefix: str) -> None:
    with Listening(tmp_path, options={"prefix": "/bandit"}) as listening:
        text = make_key(tmp_path / "run.db", "read")
        listening.wait_until(lambda: listening.service.keyring.rows)
        for path in ("/v1/experiments", "/", "/openapi.json", "/bandit/bandit/v1/experiments", "/static%2f../docs"):
            answer = listening.client.get(prefix + path)
            assert answer.status_code == 401, path
        assert listening.client.get(f"{prefix}/", auth=("", text)).status_code == 200
        assert "<h1>Sign in</h1>" in listening.client.get(f"{prefix}/").text


@pytest.mark.parametrize(
    ("network", "said", "origin"),
    [
        (PLAIN, {"X-Forwarded-For": "10.1.2.3"}, "10.1.2.3"),
        (PLAIN, {"X-Forwarded-For": "9.9.9.9, 10.1.2.3"}, "10.1.2.3"),  # the first may be made up by whoever asks
        (PLAIN, {"X-Forwarded-For": "y" * 5000}, "y" * 100),
        (Network(proxies="10.0.0.1"), {"X-Forwarded-For": "10.1.2.3"}, "127.0.0.1"),
        (Network(proxies=""), {"X-Forwarded-For": "10.1.2.3"}, "127.0.0.1"),
        (PLAIN, {}, "127.0.0.1"),
    ],
    ids=["one", "two", "long", "others", "none", "no proxy"],
)
def test_a_proxy_that_is_believed_says_who_asks(tmp_path: Path, network: Network, said: Any, origin: str) -> None:
    with Listening(tmp_path, network=network) as listening:
        assert listening.client.post("/v1/experiments/e:archive", headers=said).status_code == 200
        assert listening.client.get("/v1/audit").json()["deeds"][0]["origin"] == origin


def test_a_proxy_that_is_believed_says_how_it_was_asked(tmp_path: Path) -> None:
    with Listening(tmp_path) as listening:
        page = listening.client.get("/", headers={"X-Forwarded-Proto": "https"}).text
        assert f"{listening.url.replace('http', 'https')}/v1/experiments" in page


def test_pages_of_a_listed_origin_may_send_a_key(tmp_path: Path) -> None:
    with Listening(tmp_path, origins=[SHOP]) as listening:
        asked = {
            "Origin": SHOP,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        assert listening.client.options(DECIDE, headers=asked).status_code == 200
        text = make_key(tmp_path / "run.db", "write")
        listening.wait_until(lambda: listening.service.keyring.rows)
        assert listening.client.options(DECIDE, headers=asked).status_code == 200  # no browser sends a key with this
        answer = listening.client.post(DECIDE, headers={"Origin": SHOP})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, SHOP)
        keyed = {"Origin": SHOP, "Authorization": f"Bearer {text}"}
        assert listening.client.post(DECIDE, headers=keyed).status_code == 201
