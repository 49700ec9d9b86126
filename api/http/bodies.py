"""Bodies are read strictly: an error says which field it is about.

Reading one takes up to 30 ms a megabyte, and the event loop does nothing else meanwhile. So long lists are taken apart,
and read item by item, and others have their turn in between.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, TypeVar

import msgspec

from ...engine.errors import InvalidInput
from .enums import with_values
from .schemas import LATER

LARGE = 100_000  # bytes: 2 ms
SPLIT = 4_000_000  # bytes that are taken apart into the items of a list, and no further, in 10 ms
ITEMS = 200  # of a long list, between two looks at the clock
PIECE_S = 0.002

Body = TypeVar("Body")
_lists = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any = msgspec.json.Decoder()
_scan = json.JSONDecoder(strict=False).raw_decode
_space = re.compile(r"[ \t\n\r]*")


def read(decoder: msgspec.json.Decoder[Body], raw: bytes, what: str) -> Body:
    """Decode a body; errors say which field, and where it is not JSON at all."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _refusal(raw, what, with_values(str(error), decoder.type)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("malformed_json", f"{what} is not JSON: {_why(raw, error)}") from None
    except RecursionError:
        raise InvalidInput("too_deep", f"{what} has brackets nested too deep: keep it flat") from None


def _why(raw: bytes, error: Exception) -> str:
    """Return why a body is not JSON; half a character at its end is told as a cut by what decodes it."""
    if not raw.strip():
        return "it is empty; send an object"
    constants: list[str] = []
    try:
        json.loads(raw[:SPLIT], strict=False, parse_constant=constants.append)
    except (ValueError, RecursionError):
        return str(error)
    if constants:
        return f"{constants[0]} is no number of JSON; send null, or leave it out"
    return "its text has half a character, one \\ud800 to \\udfff alone; send whole characters"


async def read_list(decoder: msgspec.json.Decoder[Any], field: str, raw: bytes, what: str, most: int) -> list[Any]:
    """Return the items of the list that a body is, in its one `field`, as they were sent; at most so many.

    Raises `InvalidInput` ("batch_too_large") where there are more.
    """
    items = None if _splits_at_once(raw) else await _pieces(raw, field, most, alone=True)
    if items is None:
        items = getattr(read(decoder, raw, what), field)
    if len(items) > most:
        count = f"more than {most}" if len(items) == most + 1 else len(items)
        raise InvalidInput("batch_too_large", f"{what} has {count} items: send at most {most} at once")
    return items


def _splits_at_once(raw: bytes) -> bool:
    """Tell whether a list is taken apart in 10 ms, 30 times as fast as in pieces: it must not be one of tiny items."""
    return len(raw) <= LARGE or (len(raw) <= SPLIT and 4 * raw.count(b",") <= len(raw))


async def read_object(
    decoder: msgspec.json.Decoder[dict[str, Any]], field: str, raw: bytes, what: str
) -> dict[str, Any]:
    """Return an object of JSON whose `field` may be a long list."""
    items = await _pieces(raw, field, len(raw), alone=False)
    if items is None:
        return read(decoder, raw, what)
    try:
        found = {name: _any.decode(value) for name, value in _lists.decode(raw).items() if name != field}
        many: list[Any] = []
        for start in range(0, len(items), ITEMS):
            many += map(_any.decode, items[start : start + ITEMS])
            await asyncio.sleep(0)
        found[field] = many
    except (msgspec.DecodeError, ValueError, RecursionError):
        return read(decoder, raw, what)
    return found


async def _pieces(raw: bytes, field: str, most: int, *, alone: bool) -> list[bytes] | None:
    """Return the items of a list in a field of an object, up to one more than `most`, and let others work meanwhile.

    None where it is none, where the field is not `alone` and must be, or is written as `read` may understand better.
    """
    clock = asyncio.get_running_loop().time
    try:
        fields = _lists.decode(raw)
        if alone and len(fields) > 1:
            return None
        text = bytes(fields[field]).decode()
        place, since = _after(text, 0), clock()
        found: list[bytes] = []
        if text[place] != "[":
            return None
        place = _after(text, place + 1)
        while text[place] != "]" and len(found) <= most:
            _, end = _scan(text, place)
            found.append(text[place:end].encode())
            place = _after(text, end)
            if text[place] == ",":
                place = _after(text, place + 1)
            if len(found) % 8 == 0 and clock() - since > PIECE_S:
                await asyncio.sleep(0)
                since = clock()
    except (msgspec.DecodeError, ValueError, LookupError, RecursionError):
        return None
    return found


class _Context(msgspec.Struct):
    """A body of which all but the context is not read."""

    context: msgspec.Raw = msgspec.Raw()


def numbers_of_context(raw: bytes) -> int | None:
    """Return how long the list is that a body has as its context, without making it; None where it is none."""
    try:
        context = bytes(_contexts.decode(raw).context)
    except (msgspec.DecodeError, RecursionError):
        return None
    return context.count(b",") + 1 if context.startswith(b"[") else None


_contexts = msgspec.json.Decoder(_Context)


def _after(text: str, place: int) -> int:
    """Return the next place that is no space."""
    match = _space.match(text, place)
    assert match is not None
    return match.end()


def _refusal(raw: bytes, what: str, message: str) -> InvalidInput:
    try:
        body = msgspec.json.decode(raw) if len(raw) <= LARGE else None
    except UnicodeDecodeError as error:
        return InvalidInput("malformed_json", f"{what} is not JSON: {error}")
    except (msgspec.DecodeError, RecursionError):  # a number out of range, say: the message names it
        body = None
    if isinstance(body, dict) and (early := sorted(LATER.get(what.split()[-1], set()) & set(body))):
        return InvalidInput("not_built", f"{what} has the field {early[0]!r}, which is not built yet: leave it out")
    return InvalidInput("bad_body", f"{what} does not fit: {message[0].lower()}{message[1:]}")
