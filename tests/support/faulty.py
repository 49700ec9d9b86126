"""A way to a service in this process that loses requests and answers when a test says so."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from support.both_doors import InProcess
from support.served import Served

LOST, UNANSWERED, BUSY, ELSEWHERE = "request lost", "answer lost", "service busy", "a proxy answers"
BROKEN_OFF = "the node that was asked lost the one that has the experiment"


class Faulty(InProcess):
    """Does to each request what comes next in `faults`; nothing once there are none."""

    def __init__(self, served: Served, faults: Sequence[str] = ()) -> None:
        super().__init__(served)
        self.faults = list(faults)
        self.away = False  # no request arrives
        self.asked: list[tuple[str, str]] = []  # method and path of each request that was sent
        self.headers: list[httpx.Headers] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.raw_path.decode()))
        self.headers.append(request.headers)
        fault = LOST if self.away else self.faults.pop(0) if self.faults else None
        if fault == LOST:
            raise httpx.ConnectError("connection refused", request=request)
        if fault == BUSY:
            body = {"title": "Service Unavailable", "status": 503, "detail": "recovering: wait", "code": "recovering"}
            return httpx.Response(503, headers={"retry-after": "0.2"}, json=body)
        if fault == ELSEWHERE:
            return httpx.Response(502, text="<html>bad gateway</html>")
        answer = super().handle_request(request)
        if fault == BROKEN_OFF:
            body = {"title": "Unavailable", "status": 503, "detail": "it broke off", "code": "node_unreachable"}
            return httpx.Response(503, headers={"retry-after": "0.2"}, json=body)
        if fault == UNANSWERED:
            raise httpx.ReadError("connection lost", request=request)
        return answer
