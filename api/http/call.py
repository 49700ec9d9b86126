"""A request, as what answers it sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.types import Scope

from ...engine.errors import InvalidInput
from ..access.caller import Caller


class Call(NamedTuple):
    """A request."""

    path: dict[str, str]
    fields: Mapping[bytes, bytes]  # its headers, by their lower-case names
    query: bytes
    body: bytes
    caller: Caller
    scope: Scope

    @property
    def origin(self) -> str:
        """Return the address that asks; behind a proxy that is trusted whom it asks for."""
        client = self.scope.get("client")
        return "" if client is None else str(client[0])

    @property
    def site(self) -> str:
        """Return what the addresses of this service begin with for whoever asks."""
        host = self.header(b"host") or "127.0.0.1:8080"
        return f"{self.scope['scheme']}://{host}{self.prefix}"

    @property
    def prefix(self) -> str:
        """Return what paths of this service begin with for whoever asks; mostly nothing."""
        return str(self.scope.get("root_path", ""))

    def header(self, name: bytes) -> str | None:
        """Return a header by its lower-case name; UTF-8, as in bodies."""
        value = self.fields.get(name)
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            raise InvalidInput("bad_header", f"the header {name.decode()} is not UTF-8: send UTF-8") from None

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the query, None where it is not there."""
        given = parse_qs(self.query.decode("latin-1"), keep_blank_values=True).get(name, [])
        if len(given) > 1:
            raise InvalidInput("repeated_parameter", f"the query has {name} {len(given)} times: send it once")
        return given[0] if given else None
