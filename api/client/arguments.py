"""What a client is made with, checked before anything is asked."""

from __future__ import annotations

import numbers
from typing import Any

from ...engine.errors import InvalidInput, as_seen


def check_service(base_url: Any, key: Any) -> None:
    """Refuse a URL that leads nowhere, and a key that no header can hold."""
    if not isinstance(base_url, str) or not base_url.lower().startswith(("http://", "https://")):
        raise InvalidInput(
            "bad_client",
            f"base_url is {as_seen(base_url)}: it must begin with http:// or https://, as http://127.0.0.1:8080",
        )
    if key is not None and not (isinstance(key, str) and key.isascii() and key.isprintable()):
        raise InvalidInput(
            "bad_client",
            "the key has characters that no header can hold: give the text that `onearm keys` printed, without the "
            "end of its line",
        )


def check_above_0(name: str, value: Any) -> None:
    """Refuse what is no number above 0."""
    if not (_is_number(value) and value > 0):
        raise InvalidInput("bad_client", f"{name} is {as_seen(value)}: it must be a number above 0")


def check_from_0(name: str, value: Any) -> None:
    """Refuse what is no number from 0 on."""
    if not (_is_number(value) and value >= 0):
        raise InvalidInput("bad_client", f"{name} is {as_seen(value)}: it must be a number from 0 on")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
