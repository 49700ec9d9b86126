"""Spans for OpenTelemetry: one for a request, one for a commit. Imported only where something is to be sent.

`onearm serve` does so where OTEL_EXPORTER_OTLP_ENDPOINT is set. The other variables of OpenTelemetry hold as well. A
span says of a request what the log says of it; never what was sent.
"""

from __future__ import annotations

import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..service.writer import Commit
from .trace import PARENT, asked, told_of

NAMES = {"method": "http.request.method", "route": "http.route"}  # as OpenTelemetry calls them


def exported() -> SpanProcessor:
    """Return what sends spans in the background, over HTTP, to where the variables say."""
    return BatchSpanProcessor(OTLPSpanExporter())


class Spans:
    """What makes spans, and hands them to a processor; what is left when the process ends is sent then."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._provider = TracerProvider(
            resource=Resource({"service.name": "onearm"}).merge(OTELResourceDetector().detect())
        )
        self._provider.add_span_processor(processor)
        self._tracer: Tracer = self._provider.get_tracer("onearm")

    def of_requests(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose every request has a span; who asks may have named the one that it belongs to."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = 500

            async def noted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            named = [value.decode("latin-1") for name, value in scope["headers"] if name == PARENT]
            parent = extract({PARENT.decode(): named[0]}) if len(named) == 1 else None
            with self._tracer.start_as_current_span(scope["method"], context=parent, kind=SpanKind.SERVER) as span:
                try:
                    await app(scope, receive, noted)
                finally:
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                    if (of := asked.get()) is not None:
                        said = told_of(*of)
                        span.update_name(f"{said['method']} {said['route']}")
                        span.set_attributes({NAMES.get(name, f"onearm.{name}"): text for name, text in said.items()})

        return traced

    def commit(self, done: Commit) -> None:
        """Make the span of a transaction that has ended."""
        end = time.time_ns()
        span = self._tracer.start_span("commit", start_time=end - int(done.seconds * 1e9))
        span.set_attribute("onearm.events", done.events)
        if done.error is not None:
            span.set_status(Status(StatusCode.ERROR, str(done.error)))
        span.end(end)
