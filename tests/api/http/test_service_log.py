"""What goes wrong again and again is said once a second, and how often: a database that is away fills no disk."""

from __future__ import annotations

import logging

import pytest

from onearm.api.http.service_log import LINES_KNOWN, Seldom


def line(said: str, at: float, level: int = logging.ERROR) -> logging.LogRecord:
    record = logging.LogRecord("onearm", level, __file__, 1, "%s", (said,), None)
    record.created = at
    return record


@pytest.fixture
def seldom() -> Seldom:
    return Seldom()


def test_the_same_is_said_once_a_second_and_how_often_it_was(seldom: Seldom) -> None:
    assert seldom.filter(line("gone", 10.0))
    assert not any(seldom.filter(line("gone", 10.0 + 0.1 * i)) for i in range(1, 8))
    later = line("gone", 11.0)
    assert seldom.filter(later)
    assert later.getMessage() == "gone (and 7 times more since this was said)"
    last = line("gone", 12.5)
    assert seldom.filter(last) and last.getMessage() == "gone"


def test_other_lines_are_said_meanwhile(seldom: Seldom) -> None:
    assert seldom.filter(line("gone", 10.0)) and seldom.filter(line("100 % of it", 10.0))
    assert seldom.filter(line("gone", 10.0, logging.WARNING))


def test_a_line_for_each_request_stays(seldom: Seldom) -> None:
    assert all(seldom.filter(line("answered", 10.0, logging.INFO)) for _ in range(3))


def test_what_was_said_is_not_kept_for_ever(seldom: Seldom) -> None:
    assert seldom.filter(line("first", 10.0))
    assert not seldom.filter(line("first", 10.0))
    assert all(seldom.filter(line(f"line {i}", 10.0)) for i in range(LINES_KNOWN))
    assert seldom.filter(line("first", 10.1)), "it was forgotten"
