"""Bodies are read strictly: an error says which field it is about."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ...engine.errors import InvalidInput
from .schemas import LATER

Body = TypeVar("Body")


def read(decoder: msgspec.json.Decoder[Body], raw: bytes, what: str) -> Body:
    """Decode a body; errors say which field, and where it is not JSON at all."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _refusal(raw, what, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("malformed_json", f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("too_deep", f"{what} has brackets nested too deep: keep it flat") from None


def _refusal(raw: bytes, what: str, message: str) -> InvalidInput:
    try:
        body = msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        return InvalidInput("malformed_json", f"{what} is not JSON: {error}")
    except (msgspec.DecodeError, RecursionError):  # a number out of range, say: the message names it
        body = None
    if isinstance(body, dict) and (early := sorted(LATER.get(what.split()[-1], set()) & set(body))):
        return InvalidInput("not_built", f"{what} has the field {early[0]!r}, which is not built yet: leave it out")
    return InvalidInput("bad_body", f"{what} does not fit: {message[0].lower()}{message[1:]}")
