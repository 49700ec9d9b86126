"""The FastAPI application: the routes of the table, errors as problem+json, the service for as long as it runs."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from ...engine.errors import OnearmError, Unavailable
from ...engine.storage.store import Store
from ..access.caller import NOBODY, WRITE, Caller
from ..access.rates import Rates
from ..cluster.nodes import SECRET, Nodes, in_bytes
from ..cluster.peers import Reply, Waiting
from ..experiment.ids import parted
from ..kinds.arms.problem import DEFAULT_POLICY
from ..offline.report.frame import FILES as REPORT_FILES
from ..service.archives import Archives
from ..service.clocks import CLOCKS, Clocks
from ..service.measured import NO_ROUTE
from ..service.records import CACHE_BYTES
from ..service.room import DEFAULT_LIMITS, StateLimits
from ..service.service import EXPERIMENTS_MAX, Service
from ..service.writer import Commit
from . import service_log
from .call import Call
from .connection import on_the_wire
from .dashboard.overview import HELLO as HELLO_ID
from .deadline import BEGUN, check_time
from .decisions import decide, reward
from .document import openapi
from .endpoint import BODY_MAX, Answer, Endpoint, encode, fields_of, http_problem, refusal, respond
from .gate import is_open, key_needed, too_many_requests
from .guard import Guard
from .personalizer.calls import Wire, with_key
from .personalizer.errors import as_told
from .routes import endpoint_of, routes
from .trace import Trace, trace_of

STATIC = Path(__file__).parent / "static"
HELLO = {
    "experiment_id": HELLO_ID,
    "arms": [{"id": "red"}, {"id": "blue"}],
    "policy": DEFAULT_POLICY,
    "seed": 1,
}
HOT = re.compile("/v1/experiments/(?P<experiment_id>[^/]+)/decisions(?:/(?P<decision_id>[^/]+)/reward)?")
LONG_WAY = frozenset((SECRET, b"origin", b"x-forwarded-for", b"x-forwarded-proto"))  # others look at these first
decide_endpoint, reward_endpoint = endpoint_of(decide), endpoint_of(reward)


class DecisionApp(FastAPI):
    """FastAPI behind a guard, with a short way to the hot routes past its middleware: a fifth of a request's CPU.

    Routes are found by the path as it was sent, part by part, so that ids may have slashes, as %2F.

    The same endpoints stand in the table of routes, so what the documentation says is what is served.
    """

    guard = Guard()
    body_bytes = BODY_MAX  # of a request at most
    rates: Rates | None = None
    prefix = ""
    nodes: Nodes | None = None  # where several processes serve the database
    failed: OnearmError | None = None  # why it does not start
    wire: Wire | None = None  # Personalizer's, where its clients are answered
    caller: Callable[[Mapping[bytes, bytes]], Caller | None]  # of the headers, as a keyring finds them
    of_session: Callable[[Mapping[bytes, bytes]], Caller | None]  # the same, by the cookie of a browser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        if scope["type"] != "http":
            await super().__call__(scope, receive, partial(self._say, send))
            return
        if self.prefix:
            scope = below(scope, self.prefix)
        if "fields" not in scope:  # else it was to be passed on at once
            scope["fields"] = fields_of(scope["headers"])
        fields = scope["fields"]
        scope["trace"] = trace_of(fields)
        if b"%" in scope["raw_path"]:
            scope = {**scope, "path": parted(scope["raw_path"])}
        wired = None if self.wire is None else self.wire.asked(scope)
        if wired is not None:
            scope["fields"] = with_key(fields)
        if self.nodes is not None and self.nodes.is_passed_on(fields):
            refused = self._take_over(self.nodes, scope)
        else:
            refused = self.guard.refusal(scope) or self._let_in(scope)
        if refused is not None:
            await self._refuse(refused if wired is None else as_told(refused), scope, send)
            return
        if wired is not None:
            scope["app"] = self
            scope["path_params"] = wired.path
            await wired.endpoint(scope, receive, send)
        elif scope["method"] == "POST" and (found := HOT.fullmatch(scope["path"])):
            scope["app"] = self
            scope["path_params"] = found.groupdict("")
            await hot_endpoint(found)(scope, receive, send)
        else:  # Starlette takes the prefix off again
            whole = {**scope, "path": self.prefix + scope["path"]} if self.prefix else scope
            await super().__call__(whole, receive, send)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Keep what the start fails with."""
        try:
            yield
        except OnearmError as error:
            self.failed = error
            raise

    def pass_on(self, scope: Scope, body: bytes, answered: Callable[[bytes, bytes], None]) -> bool:
        """Have the node that has the experiment answer a hot request, without a task: `answered` gets head and body.

        Return False where that is not to be; then the request is asked of the application as any other.
        """
        nodes, found = self.nodes, HOT.fullmatch(scope["path"])
        fields = scope["fields"] = fields_of(scope["headers"])
        if nodes is None or found is None or len(body) > self.body_bytes or not fields.keys().isdisjoint(LONG_WAY):
            return False
        if self.prefix or self.wire is not None or b"%" in scope["raw_path"] or scope["method"] != "POST":
            return False
        caller = self.caller(fields)
        if caller is None or not caller.may(WRITE):
            return False
        try:
            name = caller.named(found["experiment_id"])
            owner = nodes.elsewhere(name)
            if owner is None or self.guard.refusal(scope) is not None or self._too_often(caller) is not None:
                return False
            scope["caller"], scope["path_params"], scope["trace"] = caller, found.groupdict(""), trace_of(fields)
            check_time(scope, scope[BEGUN])
            call = Call(scope["path_params"], fields, scope["query_string"], body, caller, scope)
            passed = Passed(self.state.service, hot_endpoint(found), scope, scope[BEGUN], answered)
            return nodes.pass_on_now(owner, name, call, passed)
        except OnearmError:
            return False

    async def _say(self, send: Send, message: Message) -> None:
        """Tell the server how the start or the end went: what is wrong with a database needs no trace through code."""
        if self.failed is not None and message["type"] == "lifespan.startup.failed":
            message = {**message, "message": f"the service does not start: {self.failed}"}
        await send(message)

    def _let_in(self, scope: Scope) -> Answer | None:
        """Find out who asks, once, and write it down; return what they are answered instead where they may not."""
        if "caller" in scope:
            return None
        fields = scope["fields"]
        caller = self.caller(fields)
        if caller is None and b"cookie" in fields and b"authorization" not in fields:
            caller = self.of_session(fields)
            if caller is not None and (refused := self.guard.unasked(scope)) is not None:
                return refused
        if caller is None:
            if not is_open(scope["path"]):
                return key_needed(scope)
            caller = NOBODY
        refused = self._too_often(caller)
        if refused is None:
            scope["caller"] = caller
        return refused

    def _too_often(self, caller: Caller) -> Answer | None:
        """Return what a caller is answered whose key asks too often; None where it may ask, which is counted."""
        if self.rates is None or caller.key is None or not (seconds := self.rates.wait(caller.key)):
            return None
        return too_many_requests(self.rates.per_second, seconds)

    def _take_over(self, nodes: Nodes, scope: Scope) -> Answer | None:
        """Take over from another node who asks; return what it is answered instead where that cannot be."""
        try:
            nodes.let_in(scope)
        except Unavailable as error:
            return refusal(error)
        return None

    async def _refuse(self, answer: Answer, scope: Scope, send: Send) -> None:
        self.state.service.requests.refuse(answer.status)
        await respond(answer, send, scope["trace"])
        _note_refusal(scope, answer.status)


class Passed(Waiting):
    """A request that another node answers."""

    def __init__(
        self, service: Service, endpoint: Endpoint, scope: Scope, begun: float, answered: Callable[[bytes, bytes], None]
    ) -> None:
        self._service, self._endpoint, self._scope = service, endpoint, scope
        self._begun, self._answered = begun, answered

    def told(self, reply: Reply) -> None:
        """Answer it as the other node did."""
        self._answered(*in_bytes(reply))
        self._endpoint.count(self._service, self._scope, reply.status, time.perf_counter() - self._begun)

    def failed(self, error: OnearmError) -> None:
        """Say why it did not."""
        answer = refusal(error)
        self._answered(*on_the_wire(answer, self._scope["trace"]))
        self._endpoint.count(self._service, self._scope, answer.status, time.perf_counter() - self._begun)


def hot_endpoint(found: re.Match[str]) -> Endpoint:
    """Return what answers a request whose path `HOT` matched."""
    return decide_endpoint if found["decision_id"] is None else reward_endpoint


def below(scope: Scope, prefix: str) -> Scope:
    """Return a request without the prefix under which a proxy has the service; some proxies take it off, some do not.

    >>> below({"path": "/bandit/docs", "raw_path": b"/bandit/docs"}, "/bandit")
    {'path': '/docs', 'raw_path': b'/docs', 'root_path': '/bandit'}
    """
    path, raw_path = scope["path"], scope["raw_path"]
    if raw_path.startswith(f"{prefix}/".encode()):  # it has letters that stand for themselves, so the other has it too
        path, raw_path = path.removeprefix(prefix), raw_path[len(prefix) :]
    return {**scope, "path": path, "raw_path": raw_path, "root_path": prefix}


def create_app(
    store: Store,
    *,
    guard: Guard = DecisionApp.guard,
    body_bytes: int = BODY_MAX,
    prefix: str = "",
    wire: Wire | None = None,
    rates: Rates | None = None,
    experiments_max: int = EXPERIMENTS_MAX,
    archives: Archives | None = None,
    clocks: Clocks = CLOCKS,
    cache_bytes: int = CACHE_BYTES,
    state_limits: StateLimits = DEFAULT_LIMITS,
    refused: Counter[str] | None = None,
    watcher: Callable[[Commit], None] | None = None,
    nodes: Nodes | None = None,
    started: Callable[[Service], None] = lambda service: None,
    advanced: Callable[[Service], None] = lambda service: None,
) -> DecisionApp:
    """Return the application over an open database; `guard` refuses what no client would send, `rates` too much of it.

    A request has at most `body_bytes`, decisions in memory take `cache_bytes`, states what `state_limits` say, and a
    tenant has at most `experiments_max`. `archives` go by default beside a database that is a file. `prefix` is that of
    a proxy, such as /bandit; `wire` answers Personalizer's clients, who are not answered without. `refused` is what the
    server counts, for the metrics; `watcher` is told of transactions, `started` called when it answers, `advanced`
    whenever one more experiment is recovered, or cannot be. `nodes` is this process among others that serve the same
    database.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(
            store,
            cache_bytes=cache_bytes,
            state_limits=state_limits,
            experiments_max=experiments_max,
            archives=archives,
            clocks=clocks,
        )
        service.writer.watcher = watcher
        if refused is not None:
            service.requests.unread = refused
        assert isinstance(app, DecisionApp)
        app.caller, app.of_session = service.keyring.caller, service.sessions.caller
        try:
            with app.failing():
                await (service.start(HELLO, lambda: advanced(service)) if nodes is None else nodes.start(service))
            started(service)
            yield
        finally:
            if nodes is not None:
                await nodes.leave()
            await service.stop()

    app = _with_routes(DecisionApp(title="onearm", lifespan=lifespan, docs_url=None, redoc_url=None))
    app.nodes = nodes
    app.guard = guard
    app.body_bytes = body_bytes
    app.rates = rates
    app.prefix = prefix
    app.wire = wire
    app.openapi = openapi  # type: ignore[method-assign]
    app.mount("/static/report", StaticFiles(directory=REPORT_FILES), name="report")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def app_within(service: Service, caller: Caller) -> DecisionApp:
    """Return the application of a service whose only client is this process, which has no key: it is the caller."""
    app = _with_routes(DecisionApp(docs_url=None, redoc_url=None))
    app.state.service = service
    app.caller = app.of_session = lambda headers: caller
    return app


def _with_routes(app: DecisionApp) -> DecisionApp:
    app.router.redirect_slashes = False  # it would send clients to whatever Host says
    app.router.routes.extend(routes())
    app.add_exception_handler(HTTPException, _router_error)
    return app


async def _router_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    says = error.detail
    if error.status_code == 404:
        says = "there is no such path; /docs lists all"
    elif error.status_code == 405:
        says = f"this path takes {(error.headers or {}).get('Allow', 'other methods')}; /docs lists all"
    request.app.state.service.requests.refuse(error.status_code)
    answer = http_problem(error.status_code, f"{request.method} {request.url.path}: {says}")
    trace: Trace = request.scope["trace"]
    _note_refusal(request.scope, answer.status)
    headers = {**(error.headers or {}), **{name.decode(): value.decode() for name, value in trace}}
    return Response(encode(answer.content), answer.status, headers, answer.kind.decode())


def _note_refusal(scope: Scope, status: int) -> None:
    """Write a line of a request that came to no route, where every request has one."""
    if service_log.access.isEnabledFor(logging.INFO):
        service_log.note(NO_ROUTE, scope, status, 0.0)
