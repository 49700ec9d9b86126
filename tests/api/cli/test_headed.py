"""Help of commands with many options: each stands under one heading, and none is left out."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest

from onearm.api.cli.evaluate import evaluate
from onearm.api.cli.headed import HEADINGS
from onearm.api.cli.replay import replay
from onearm.api.cli.warm_start import warm_start

FIRST = {
    "evaluate": ["--format", "--features", "--target", "--report", "--scheduler"],
    "replay": ["--format", "--features", "--policy", "--report", "--scheduler"],
    "warm-start": ["--format", "--features", "--policy", "--json", "--seed"],
}


@pytest.mark.parametrize("command", [evaluate, replay, warm_start], ids=list(FIRST))
def test_every_option_stands_under_one_heading(onearm: Any, command: click.Command) -> None:
    name = str(command.name)
    told = onearm(name, "--help").out
    heads = re.findall(r"^(\w.*):$", told, re.MULTILINE)
    assert heads == list(HEADINGS)
    sections = re.split(r"^\w.*:$", told, flags=re.MULTILINE)[1:]
    found = [re.findall(r"^  (?:-\w, )?(--[a-z-]+)", section, re.MULTILINE) for section in sections]
    assert [options[0] for options in found] == FIRST[name]
    known = [parameter.opts[0] for parameter in command.params if isinstance(parameter, click.Option)]
    assert sorted(option for options in found for option in options) == sorted([*known, "--help"])
    assert found[-1][-1] == "--help" and "LOG" not in sections[-1]


def test_what_is_asked_of_a_database_is_refused_as_before(onearm: Any) -> None:
    done = onearm("warm-start", "x", "log.csv", "sqlite:///x.db")
    assert (done.code, "say --database sqlite:///x.db" in done.err) == (2, True)
