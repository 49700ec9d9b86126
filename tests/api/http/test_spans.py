"""Spans of requests and of commits, as OpenTelemetry reads them; without its address nothing of it is imported."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support import with_numba
from support.forked import Forked

from onearm.api.cli import serve
from onearm.api.cli.main import run
from onearm.engine.errors import installing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Collector:
    """What takes spans over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.service = ""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    raise AssertionError("nobody asked for that")
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *given: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for resource in sent.resource_spans:
            self.service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    found.thread.start()
    yield found
    found.server.shutdown()
    found.thread.join()
    found.server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_requests_and_commits_have_spans(tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    with tempfile.TemporaryFile("w+") as stderr:
        process = Forked(run, ["serve", "--port", "0", "--database", f"sqlite:///{tmp_path}/run.db"], stderr)
        url = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
        path = f"{url}/v1/experiments/hello/decisions"
        secret = {"decision_id": "her-phone-5551234"}
        headers = {"traceparent": PARENT, "X-Request-ID": "web-7"}
        assert httpx.post(path, json=secret, headers=headers, timeout=60).status_code == 201
        assert httpx.get(f"{url}/v1/experiments/none", timeout=60).status_code == 404
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        stderr.seek(0)
        assert process.returncode == 0, stderr.read()
    assert collector.service == "onearm"
    (decided,) = collector.named("POST /v1/experiments/{experiment_id}/decisions")
    assert decided.trace_id.hex() == PARENT[3:35]
    assert decided.parent_span_id.hex() == PARENT[36:52]
    assert attributes(decided) == {
        "http.request.method": "POST",
        "http.route": "/v1/experiments/{experiment_id}/decisions",
        "http.response.status_code": 201,
        "onearm.experiment": "hello",
        "onearm.request_id": "web-7",
    }
    (missing,) = collector.named("GET /v1/experiments/{experiment_id}")
    assert attributes(missing)["http.response.status_code"] == 404
    commits = collector.named("commit")
    assert [attributes(one)["onearm.events"] for one in commits if attributes(one).get("onearm.events")] == [1]
    assert all(one.start_time_unix_nano < one.end_time_unix_nano for one in commits)
    assert "5551234" not in str(collector.spans)


def test_nothing_of_it_is_imported_unasked() -> None:
    program = (
        "import os, sys, onearm.api.cli.serve as serve\n"
        "assert not any(name.startswith('OTEL_') for name in os.environ) and serve._spans() is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = with_numba.run(program, **with_numba.AS_PYTHON)
    assert done.stdout.strip() == "[]", done.stderr


def test_without_the_extra_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "onearm.api.http.spans", None)
    assert serve._spans() is None
    assert f"{installing('otel')}, or unset it; no spans are sent" in caplog.text
