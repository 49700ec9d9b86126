"""What the client sends and reads: JSON, and problems as the errors that `onearm.open` raises too."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

from ...engine.errors import Conflict, Forbidden, InvalidInput, NotFound, OnearmError, Unavailable
from ..http.schemas import Problem

Told = TypeVar("Told")
ERRORS: dict[int, type[OnearmError]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    429: Unavailable,
}


def plain(value: Any) -> Any:
    """Return an array or a number of NumPy as JSON can say it."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise InvalidInput("bad_body", f"{type(value).__name__} is nothing that JSON can say: send numbers, text or lists")


_encode = msgspec.json.Encoder(enc_hook=plain).encode


def encode(body: Any) -> bytes:
    """Return a body as JSON; raises `InvalidInput` for what no JSON can say: half a character, and no finite number."""
    try:
        content = _encode(body)
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "bad_body", f"the body has text that is not Unicode ({error}): send whole characters"
        ) from None
    if b"null" in content:  # which a number that is not finite becomes as well
        _check_finite("", body)
    return content


def _check_finite(where: str, value: Any) -> None:
    """Refuse NaN and infinities, wherever in a body they are."""
    if isinstance(value, dict):
        for name, one in value.items():
            _check_finite(f"{where}.{name}" if where else str(name), one)
    elif isinstance(value, (list, tuple)):
        for place, one in enumerate(value):
            _check_finite(f"{where}[{place}]", one)
    elif hasattr(value, "tolist"):
        _check_finite(where, value.tolist())
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput("bad_body", f"{where} is {value}: a number must be finite; leave out what is not known")


class Decoders(dict[Any, msgspec.json.Decoder[Any]]):
    """A decoder of each type, made when it is asked for."""

    def __missing__(self, kind: Any) -> msgspec.json.Decoder[Any]:
        self[kind] = made = msgspec.json.Decoder(kind)
        return made


DECODERS = Decoders()


def read(kind: type[Told], content: bytes | msgspec.Raw) -> Told:
    """Return what the service says; raises `Unavailable` where it is not the service that answers."""
    try:
        told: Told = DECODERS[kind].decode(content)
    except msgspec.DecodeError as error:
        raise _misread(content, error) from None
    return told


def _misread(content: bytes | msgspec.Raw, error: msgspec.DecodeError) -> OnearmError:
    """Return what is said of an answer that is none to this call."""
    try:
        fields = sorted(msgspec.json.decode(content, type=dict[str, msgspec.Raw]))
    except msgspec.DecodeError:
        fields = []
    if "decision_id" in fields:
        return InvalidInput(
            "other_decisions",
            "the experiment decides something else than this asks for, and has done so: its answer has "
            f"{', '.join(fields)}; ask with client.lists, client.vectors, client.queries or client.stream",
        )
    return Unavailable("no_service", f"what answers is not onearm ({error}): see that base_url leads to the service")


def read_item(kind: type[Told], content: bytes | msgspec.Raw) -> Told:
    """Return one answer of a batch; raises what its problem says."""
    try:
        told: Told = DECODERS[kind].decode(content)
    except msgspec.ValidationError:
        raise error_of(read(Problem, content)) from None
    return told


def error_of(problem: Problem) -> OnearmError:
    """Return the error that a problem stands for, with its code: what was seen, the rule, what to do."""
    kind = ERRORS.get(problem.status, Unavailable if problem.status >= 500 else InvalidInput)
    return kind(problem.code, problem.detail)


def refusal(status: int, content: bytes) -> OnearmError:
    """Return the error that an answer stands for; one that is no problem+json came from something else on the way."""
    try:
        problem: Problem = DECODERS[Problem].decode(content)
    except msgspec.DecodeError:
        return (Forbidden if status in {401, 403} else Unavailable)(
            "no_service", f"{status} was answered, and no problem of onearm: see what stands before the service"
        )
    return error_of(problem)


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields of a body that say something."""
    return {name: value for name, value in fields.items() if value is not None and value is not False}
