"""Errors as Personalizer's clients read them, and what is said of what is not built."""

from __future__ import annotations

from typing import NoReturn

import msgspec
from starlette.types import Scope

from ....engine.errors import InvalidInput, OnearmError
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer, Handler, refusal
from ..schemas import Problem

NOT_BUILT = "not_built"
CODES = {400: "BadRequest", 404: "ResourceNotFound", 500: "InternalServerError", 501: "NotImplemented"}


class InnerError(msgspec.Struct):
    """The code by which our own routes know an error."""

    code: str


class WireError(msgspec.Struct, rename="camel"):
    """What is wrong: a code of Personalizer's, or the status where it has none."""

    code: str
    message: str
    inner_error: InnerError


class WireRefusal(msgspec.Struct):
    """An error."""

    error: WireError


def as_told(answer: Answer) -> Answer:
    """Return an answer as it is sent: problem+json becomes an error of Personalizer's, which has no 422."""
    said = answer.content
    if not isinstance(said, Problem):
        return answer
    status = 501 if said.code == NOT_BUILT else 400 if said.status == 422 else said.status
    error = WireError(CODES.get(status, str(status)), said.detail, InnerError(said.code))
    return answer._replace(status=status, content=WireRefusal(error), kind=b"application/json")


def as_refused(error: OnearmError, scope: Scope) -> Answer:
    """Return what is answered to a request that failed."""
    return as_told(refusal(error))


def refuse(what: str, instead: str) -> NoReturn:
    """Raise what is said of a part of Personalizer that is not built."""
    raise InvalidInput(NOT_BUILT, f"{what} is not built: {instead}")


def not_built(what: str, instead: str) -> Handler:
    """Return the handler of calls that are not built."""

    async def refused(service: Service, call: Call) -> Answer:
        refuse(what, instead)

    return refused
