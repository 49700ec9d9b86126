"""`onearm delete`: an experiment of a running service, for good, once its id was said twice."""

from __future__ import annotations

from collections.abc import Iterator
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
