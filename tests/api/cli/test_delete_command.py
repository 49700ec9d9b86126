"""`onearm delete`: an experiment of a running service, for good, once its id was said twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.listening import Listening


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    """Yield a service at a real port, with the experiment `e`."""
    with Listening(tmp_path) as listening:
        yield listening


def test_an_experiment_is_deleted_once_its_id_is_said_twice(listening: Listening, onearm: Any) -> None:
    refused = onearm("delete", "e", "--confirm", "hello", "--url", listening.url)
    assert refused.code == 2 and "?confirm=e" in refused.err
    assert listening.client.get("/v1/experiments/e").status_code == 200
    done = onearm("delete", "e", "--confirm", "e", "--url", listening.url, "--json")
    assert (done.code, done.json["experiment_id"]) == (0, "e")
    assert listening.client.get("/v1/experiments/e").status_code == 404
    again = onearm("delete", "e", "--confirm", "e", "--url", listening.url)
    assert again.code == 2 and "there is no experiment 'e'" in again.err


def test_it_says_where_no_service_answers(onearm: Any) -> None:
    done = onearm("delete", "e", "--confirm", "e", "--url", "http://127.0.0.1:1")
    assert done.code == 2 and "no service answers" in done.err


@pytest.mark.parametrize("status", [200, 404, 503])
def test_it_says_where_what_answers_is_no_onearm(onearm: Any, status: int) -> None:
    """A proxy whose service is away answers with a page, which was a traceback."""

    class Proxy(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>away</html>")

        def log_message(self, format: str, *given: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        thread = threading.Thread(target=proxy.handle_request)
        thread.start()
        done = onearm("delete", "e", "--confirm", "e", "--url", f"http://127.0.0.1:{proxy.server_port}")
        thread.join()
    assert done.code == 2 and f"answers with {status}" in done.err and "--url" in done.err
