"""The service in this process, asked without a client of HTTP, which takes longer than the service does."""

from __future__ import annotations

import asyncio
import json as text
import re
from typing import Any
from urllib.parse import unquote

import httpx
from starlette.testclient import TestClient

# What httpx sends as it stands: no space and no letter of another alphabet, no dots that it takes away.
AS_IT_STANDS = re.compile(r"(?!.*/\.)/[A-Za-z0-9/_.~:%=&?,@+;-]*")


class Direct(TestClient):
    """A test client that hands requests to the application at once, and leaves unusual ones to httpx.

    Its own way leads each request eight times from thread to thread, and its portal makes a group of tasks for each.
    """

    def __init__(self, app: Any, raise_server_exceptions: bool = True) -> None:
        super().__init__(app, raise_server_exceptions=raise_server_exceptions)
        self.raises = raise_server_exceptions

    def request(
        self, method: str, url: Any, *, content: Any = None, json: Any = None, headers: Any = None, **rest: Any
    ) -> httpx.Response:
        """Return the answer to a request."""
        plain = content is None or isinstance(content, bytes | str)
        usual = all(value is None or value is httpx.USE_CLIENT_DEFAULT for value in rest.values())
        if not plain or not usual or self.portal is None or not AS_IT_STANDS.fullmatch(str(url)):
            return super().request(method, url, content=content, json=json, headers=headers, **rest)
        path, _, query = str(url).partition("?")
        body = content.encode() if isinstance(content, str) else content or b""
        own = [(name.lower(), value) for name, value in httpx.Headers(headers).raw]
        if json is not None:
            body = text.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            own.append((b"content-type", b"application/json"))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(b"host", b"testserver"), (b"content-length", str(len(body)).encode()), *own],
            "client": ("testclient", 50000),
            "server": ("testserver", 80),
            "state": self.app_state.copy(),
        }
        return asyncio.run_coroutine_threadsafe(self._answer(scope, body), self.loop).result()

    async def lifespan(self) -> None:
        """Serve until the end, and remember the loop that does."""
        self.loop = asyncio.get_running_loop()
        await super().lifespan()

    async def _answer(self, scope: dict[str, Any], body: bytes) -> httpx.Response:
        asked, parts = [body], []
        start: dict[str, Any] = {"status": 500, "headers": []}

        async def receive() -> dict[str, Any]:
            if not asked:
                await asyncio.Event().wait()  # whoever asks stays until it is answered
            return {"type": "http.request", "body": asked.pop(), "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(bytes(message.get("body", b"")))

        try:
            await self.app(scope, receive, send)
        except Exception:
            if self.raises:
                raise
        answer = httpx.Response(start["status"], headers=start["headers"], content=b"".join(parts))
        assert not answer.has_redirect_location, "requests that lead elsewhere are for a client that follows"
        return answer
