"""A caller says for how long an answer is waited for: what comes too late for that is not begun."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.served import Served, assert_refused

from onearm.api.http.deadline import seconds_of
from onearm.engine.errors import InvalidInput

PATH = "/v1/experiments/e/decisions"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("standing")) as served:
        served.create()
        yield served


def test_what_comes_in_time_is_done(standing: Served) -> None:
    answer = standing.post(PATH, {"decision_id": "in time"}, headers={"X-Request-Timeout": "60"})
    assert answer.status_code == 201


def test_what_comes_too_late_is_not_begun(standing: Served) -> None:
    answer = standing.post(PATH, {"decision_id": "late"}, headers={"X-Request-Timeout": "0"})
    assert_refused(answer, 504, "too_late")
    assert standing.get(f"{PATH}/late").status_code == 404


@pytest.mark.parametrize("said", ["soon", "-1", "nan", "inf", "1,2", "1_5", ""])
def test_what_is_no_time_is_refused(standing: Served, said: str) -> None:
    found = assert_refused(standing.post(PATH, {}, headers={"X-Request-Timeout": said}), 422, "bad_timeout")
    assert f"X-Request-Timeout is {said!r}" in found["detail"]
    with pytest.raises(InvalidInput):
        seconds_of(said.encode())
