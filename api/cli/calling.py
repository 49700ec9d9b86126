"""Commands that ask a running service: where it is, with which key, and what it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import click
import httpx

from ...engine.errors import Conflict, Unavailable

Command = TypeVar("Command", bound=Callable[..., Any])

TIMEOUT_S = 60.0
RECOVERING_S = 60.0  # how long an experiment may fold its log after a start

url_option = click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the service runs.")


def key_option(role: str) -> Callable[[Command], Command]:
    """Return the option --key of a command that needs a key with this role."""
    told = f"A key with the role {role}, if the service asks for one."
    return click.option("--key", envvar="ONEARM_KEY", show_envvar=True, metavar="KEY", help=told)


def client_of(url: str, key: str | None) -> httpx.Client:
    """Return a client of a service, to be closed."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=url, timeout=TIMEOUT_S, headers=headers)


def answered(path: str, call: Callable[[], httpx.Response]) -> dict[str, Any]:
    """Return what the service answers to a call, once the experiment has recovered.

    Raises `Unavailable` where no service answers, `Conflict` where it refuses.
    """
    try:
        answer = call()
        until = time.monotonic() + RECOVERING_S
        while (found := _object_of(answer)).get("code") == "recovering" and time.monotonic() < until:
            time.sleep(float(answer.headers.get("retry-after", 1)))
            answer = call()
    except httpx.TransportError as error:
        raise Unavailable(
            "no_service",
            f"no service answers ({error}): start one with `make run` or `onearm serve`, or give --url",
        ) from None
    if answer.status_code >= 400:
        raise Conflict("refused", f"the service refused {path}: {found.get('detail', answer.text)}")
    return found


def _object_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the object of JSON that a service answers with; raises `Unavailable` where something else answers."""
    with suppress(ValueError):
        if isinstance(found := answer.json(), dict):
            return found
    raise Unavailable(
        "no_service",
        f"{answer.url.copy_with(query=None)} answers with {answer.status_code} and no JSON, so it is not onearm: see "
        "that the service runs behind what answers there, or give another --url",
    )
