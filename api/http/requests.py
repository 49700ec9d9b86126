"""What all hot routes share: a decision is found while nothing changes it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Concatenate, ParamSpec, TypeVar

from ...engine.errors import Conflict, InvalidInput
from ...engine.storage.numerals import natural_in
from ...engine.storage.records import Event
from ..experiment.ids import check_id, is_id, own_number
from ..kinds.kind import Several, part_of_a_list
from ..service.live import Live
from ..service.records import Record
from ..service.refusals import being_erased, missing, refolding

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Found = TypeVar("Found")
P = ParamSpec("P")


def one_id(in_body: str | None, in_header: str | None) -> str | None:
    """Return the id that a client gives to a decision, in the body or the header."""
    if in_body is not None and in_header is not None and in_body != in_header:
        raise InvalidInput("two_ids", "decision_id and the header Idempotency-Key differ: send one of them")
    return in_body if in_body is not None else in_header


async def find(live: Live, decision_id: str) -> Record:
    """Return a decision by the client's id or by the service's (~ and its number)."""
    name = name_of(decision_id)
    found = None if name is None else await live.find(name)
    if found is None:
        raise missing(live.spec.id, decision_id)
    return found


def name_of(decision_id: str) -> int | str | None:
    """Return what a decision is found by: its number where the id is the service's; None where it is no id."""
    number = own_number(decision_id)
    return number if number is not None else decision_id if is_id(decision_id) else None


def hash_of(raw: bytes) -> bytes:
    """Return what tells bodies apart."""
    return hashlib.sha256(raw).digest()


def sent_of(raw: bytes) -> str | None:
    """Return what a client sent as the log keeps it; raises `InvalidInput` where it is not UTF-8, as JSON must be."""
    try:
        return raw.decode() if len(raw) > 2 else None
    except UnicodeDecodeError as error:
        raise InvalidInput(
            "malformed_json", f"what was sent is not UTF-8 at byte {error.start}: JSON must be"
        ) from None


async def known_as(live: Live, decision_id: str | None, raw: bytes) -> Record | None:
    """Return the decision of an id that was asked for before with the same body, once it is committed."""
    if decision_id is None:
        return None
    known = await live.find(check_id("decision_id", decision_id))
    if known is None:
        return None
    if known.event.body_hash != hash_of(raw):
        raise Conflict(
            "decision_exists",
            f"the decision {decision_id!r} was asked with another body: a decision is made once; take another id",
        )
    await settled(known)
    return known


async def found_unlocked(
    live: Live, look: Callable[Concatenate[Live, P], Awaitable[Found]], *given: P.args, **named: P.kwargs
) -> Found:
    """Return what `look` finds while the state may change: nothing may be awaited between that and learning."""
    while True:
        if live.reading.locked:
            await live.reading.unlocked()
        found = await look(live, *given, **named)
        if not live.reading.locked:
            return found


def numbers_of(several: Several, event: Event) -> Sequence[int]:
    """Return the numbers of the decisions that are one for a client; `event` is that of the last one, or is refused."""
    numbers = several.numbers(event)
    if event.number != numbers[-1]:
        raise part_of_a_list(event, numbers)
    return numbers


@asynccontextmanager
async def held(live: Live, numbers: Sequence[int]) -> AsyncIterator[list[Record]]:
    """Have several decisions in memory meanwhile, with a state that nobody reads at the beginning."""
    async with live.records.held(numbers, live.erasing) as found:
        while live.reading.locked:
            await live.reading.unlocked()
        live.check_usable()
        if len(found) < len(numbers) or not live.erasing.isdisjoint(numbers):
            raise being_erased()
        if any(live.records.known(number) is not record for number, record in found.items()):
            raise refolding()
        yield [found[number] for number in numbers]


async def settled(found: Record) -> None:
    """Wait for what is not committed yet; raises what the commit raised."""
    if found.decided is not None:
        await asyncio.shield(found.decided)
    if found.rewarded is not None:
        await asyncio.shield(found.rewarded)


def iso(microseconds: int) -> str:
    """Return a time as ISO 8601 in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()


def time_of(text: str) -> datetime | None:
    """Return a time that a client wrote with its zone, ISO 8601, in UTC; None where it is none of the years 1 to 9999.

    >>> time_of("1970-01-01T00:00:01Z"), time_of("1970-01-01"), time_of("soon")
    (datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.timezone.utc), None, None)
    >>> time_of("0001-01-01T00:00:00+01:00")  # in UTC it is in the year 0
    """
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def whole_number(name: str, text: str, most: int, least: int = 1) -> int:
    """Return a number of a query, from `least` to `most`, no longer than that is written."""
    number = natural_in(text)
    if number is None or len(text) > len(str(most)) or not least <= number <= most:
        raise InvalidInput(f"bad_{name}", f"{name} is {text[:20]!r}: it must be a whole number from {least} to {most}")
    return number
