"""Who is not answered: requests that name another host, pages of other sites, and bodies that only these send.

Whoever opens a web page lets it ask for anything that their browser can reach, a service on this machine too. A browser
says from where a page is (`Origin`, `Sec-Fetch-Site`) and which name it asked for (`Host`), and no page can change
that. So a name that is not the service's own is refused (it may lead here since a moment ago: DNS rebinding), and so is
what pages of other origins ask. Programs do not send the first two, and notice nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

from ...engine.errors import InvalidInput
from .deadline import TIMEOUT
from .endpoint import Answer, problem
from .routes import PROBES, is_page

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OF_FORMS = (b"text/plain", b"multipart/")  # what a page can send anywhere unasked, and no client of this service would
HOST = re.compile(r"[A-Za-z0-9._:-]+")
NAMED = re.compile(r"((?P<name>[^][:@/, ]+)|\[(?P<address>[0-9a-f:.]+)\])(:\d*)?")  # what a header Host may say
ORIGIN = re.compile(r"(?i:https?)://[A-Za-z0-9._-]+(:\d+)?|(?i:https?)://\[[0-9A-Fa-f:]+\](:\d+)?")
CORS_SECONDS = 600  # for which a browser need not ask again


class Guard:
    """Refuses what no client of the service would send.

    Hosts that are answered: the names of this machine to itself, the address that the connection came to, and
    `hosts`; names or addresses without a port. `origins` are those of pages that may ask, `https://shop.example`.
    """

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._hosts = frozenset((*LOOPBACK, *map(_checked_host, hosts)))
        self._origins = frozenset(_checked_origin(origin).encode() for origin in origins)

    def refusal(self, scope: Scope) -> Answer | None:
        """Return with what a request is refused, None where it is not; 1 us of CPU."""
        fields: Mapping[bytes, bytes] = scope["fields"]
        host, origin, site = fields.get(b"host"), fields.get(b"origin"), fields.get(b"sec-fetch-site")
        kind = fields.get(b"content-type")
        if host is not None and (called := _name_of(host)) not in self._hosts and called != _address(scope):
            refused = _wrong_host(called)
        elif origin is not None and origin not in self._origins and not _is_own(origin, host):
            refused = _foreign(_text(origin))
        elif site == b"cross-site" and origin not in self._origins and not _opens_page(scope):
            refused = UNASKED
        else:
            return None if kind is None or kind == b"application/json" else _wrong_kind(scope, kind)
        return None if scope["path"] in PROBES else refused

    def unasked(self, scope: Scope) -> Answer | None:
        """Return with what a request is refused that a browser's cookie speaks for; None where it is not.

        The cookie goes with whatever the browser sends here. So what changes something must say that a page of ours
        sent it, and not only be silent of others.
        """
        fields: Mapping[bytes, bytes] = scope["fields"]
        origin = fields.get(b"origin")
        if scope["method"] in ("GET", "HEAD") or (origin is not None and _is_own(origin, fields.get(b"host"))):
            return None
        return _foreign("none" if origin is None else _text(origin))

    def with_cors(self, app: ASGIApp) -> ASGIApp:
        """Return the application as pages of the listed origins may use it; itself where none is listed."""
        if not self._origins:
            return app
        return CORSMiddleware(
            app,
            allow_origins=sorted(map(bytes.decode, self._origins)),
            allow_methods=("GET", "POST", "PUT", "DELETE"),
            allow_headers=(
                "authorization",
                "content-type",
                "idempotency-key",
                "x-request-id",
                TIMEOUT.decode(),
                "traceparent",
            ),
            expose_headers=("retry-after", "x-request-id", "traceparent"),
            max_age=CORS_SECONDS,
        )


@functools.lru_cache(64)
def _name_of(host: bytes) -> str:
    """Return a Host header without its port, in lower case; what is no such header as it is.

    >>> _name_of(b"Localhost:8080"), _name_of(b"[::1]:8080"), _name_of(b"10.0.0.1"), _name_of(b"localhost:80@other")
    ('localhost', '::1', '10.0.0.1', 'localhost:80@other')
    """
    text = _text(host).lower()
    found = NAMED.fullmatch(text)
    return text if found is None else found["name"] or found["address"]


def _address(scope: Scope) -> str | None:
    """Return the address that a connection came to; whoever asks by an address was not led here by a name."""
    server = scope.get("server")
    return None if server is None else server[0].removeprefix("::ffff:")


def _is_own(origin: bytes, host: bytes | None) -> bool:
    """Tell whether a page is the service's own; behind a proxy with TLS it is https."""
    return host is not None and origin in (b"http://" + host, b"https://" + host)


def _opens_page(scope: Scope) -> bool:
    """Tell whether somebody follows a link to a page that is for people."""
    headers: Mapping[bytes, bytes] = scope["fields"]
    return (
        scope["method"] in ("GET", "HEAD")
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest", b"document") == b"document"
        and is_page(scope["path"])
    )


def _wrong_kind(scope: Scope, kind: bytes) -> Answer | None:
    if scope["method"] != "POST" or not kind.strip().lower().startswith(OF_FORMS):
        return None
    return problem(
        415,
        "unsupported_media_type",
        f"the body is sent as {_text(kind)}: bodies are JSON; set the header Content-Type: application/json",
    )


def _wrong_host(name: str) -> Answer:
    allowed = f", or start it with --allowed-host {name}" if HOST.fullmatch(name) else ""
    return problem(
        421,
        "wrong_host",
        f"the request names the host {name!r}, and this service answers to localhost and to the address that it "
        f"listens on: ask for it by one of these{allowed}",
    )


def _foreign(origin: str) -> Answer:
    allowed = f": if it may ask, start the service with --cors-origin {origin}" if ORIGIN.fullmatch(origin) else ""
    says = f"a page of the origin {origin} sent this, and pages of other sites are not answered{allowed}"
    return problem(403, "foreign_origin", says)


UNASKED = problem(
    403,
    "foreign_origin",
    "an image, a script or a link of another site asked for this, and none is answered: open it yourself, or fetch it "
    "by a page whose origin the service was started with (--cors-origin)",
)


def _text(header: bytes) -> str:
    return header.decode("latin-1")


def _checked_host(host: str) -> str:
    if not HOST.fullmatch(host) or (":" in host and host.count(":") < 2):
        raise InvalidInput(
            "bad_host", f"the host {host!r} is no name or address: write it without http:// and port, as shop.example"
        )
    return host.lower()


def _checked_origin(origin: str) -> str:
    if not ORIGIN.fullmatch(origin):
        raise InvalidInput(
            "bad_origin",
            f"the origin {origin!r} is none: write what the page's address begins with, as https://shop.example",
        )
    text = origin.lower()
    return text.removesuffix(":443" if text.startswith("https") else ":80")  # as browsers write it
