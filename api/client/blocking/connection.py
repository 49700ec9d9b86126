"""Requests to the service that are tried until they are answered, and what is answered."""

from __future__ import annotations

import time
from typing import Any

import httpx

from ...experiment.ids import check_id, in_url
from ..bodies import Told, encode, read
from ..patience import Patience

JSON = {"content-type": "application/json"}
WAITS = "x-request-timeout"  # the header that says for how many seconds the answer is waited for


class Connection:
    """A service at its URL, and the patience with it."""

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None,
        timeout: float,
        deadline: float,
        transport: httpx.BaseTransport | None,
    ) -> None:
        headers = JSON if key is None else {**JSON, "authorization": f"Bearer {key}"}
        self.base_url = base_url
        self.timeout = timeout
        self.deadline = deadline
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self._http = httpx.Client(
            base_url=base_url, headers=headers, timeout=timeout, transport=transport, limits=limits
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        kind: type[Told],
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        seconds: float | None = None,
        once: bool = False,
    ) -> Told:
        """Return what the service answers, as a `kind` of it. A body is bytes of JSON, or an object.

        It is tried again where the service is away or says so, for `seconds`, or as long as the deadline says; once
        where that is 0. Raises what the service refuses it for, or `Unavailable` at the end of that time. What must be
        done `once` is not tried again where its answer was lost: `Unavailable` ("unknown_outcome").
        """
        content = body if body is None or isinstance(body, bytes) else encode(body)
        longest = self.deadline if seconds is None else seconds
        return read(kind, self._sent(method, path, content, query, Patience(longest, once=once)))

    def _sent(
        self, method: str, path: str, content: bytes | None, query: dict[str, Any] | None, patience: Patience
    ) -> bytes:
        left = min(self.timeout, patience.seconds or self.timeout)
        while True:
            waits = {WAITS: f"{left:.3f}"}
            try:
                answer = self._http.request(method, path, content=content, params=query, headers=waits, timeout=left)
            except httpx.TransportError as error:
                wait = patience.after_loss(error)
            else:
                if answer.status_code < 300:
                    return answer.content
                wait = patience.after_answer(answer)
            time.sleep(wait)
            left = min(self.timeout, patience.left())


def path_of(experiment: str) -> str:
    """Return the path of an experiment."""
    return f"/v1/experiments/{in_path('experiment', experiment)}"


def decision_path(path: str, decision_id: str) -> str:
    """Return the path of a decision of the experiment at a path."""
    return f"{path}/decisions/{in_path('decision_id', decision_id)}"


def in_path(name: str, text: str) -> str:
    """Return an id as it stands in a path; raises `InvalidInput` for what is none: `..` would ask for something else.

    An id that the service gave begins with a tilde.
    """
    check_id(name, text.removeprefix("~") if isinstance(text, str) else text)
    return in_url(text)
