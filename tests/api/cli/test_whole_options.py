"""Whole numbers that commands take are digits: none that Python alone reads as one, in any option of any command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from onearm.api.cli.main import main
from onearm.api.cli.options import Whole
from onearm.api.scheduling.scheduler import opened
from onearm.api.swept import swept
from onearm.engine.errors import InvalidInput

STRANGE = ["1_0", "\u0661\u0660", " 10", "1e1", "9" * 5000]


def options_of(command: click.Command, name: str) -> Iterator[tuple[str, click.ParamType[Any]]]:
    for option in command.params:
        yield f"{name} {option.name}", option.type
    if isinstance(command, click.Group):
        for each in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), each)
            assert inner is not None
            yield from options_of(inner, each)


def test_every_option_of_a_whole_number_reads_digits() -> None:
    of_numbers = {name: kind for name, kind in options_of(main, "") if isinstance(kind, click.types.IntParamType)}
    assert len(of_numbers) > 30
    assert [name for name, kind in of_numbers.items() if not isinstance(kind, Whole)] == []


@pytest.mark.parametrize("said", STRANGE)
def test_what_python_alone_takes_for_a_whole_number_is_refused(onearm: Any, log: Path, said: str) -> None:
    env = ("--env", 'bernoulli:{"mean":[0.1,0.5]}', "--policy", "uniform")
    done = onearm("simulate", *env, "--horizon", said)
    assert (done.code, "is no whole number, as 1000" in done.err) == (2, True)
    assert onearm("evaluate", str(log), "--target", "uniform", "--arms", said).code == 2


@pytest.mark.parametrize("action", ["\u0661", "9" * 5000, "1_0", "+1"])
def test_an_action_is_named_by_its_digits(onearm: Any, log: Path, action: str) -> None:
    done = onearm("evaluate", str(log), "--target", f"action:{action}")
    assert (done.code, "the log has no action" in done.err) == (2, True)


def test_negative_numbers_are_whole_ones_and_ranges_hold(onearm: Any) -> None:
    env = ("--env", 'bernoulli:{"mean":[0.1,0.5]}', "--policy", "uniform", "--horizon", "10")
    done = onearm("simulate", *env, "--replications", "-1")
    assert (done.code, "there are -1 replications: at least 1 is needed" in done.err) == (2, True)
    done = onearm("evaluate", "log.jsonl", "--target", "uniform", "--arms", "0")
    assert (done.code, "0 is not in the range x>=1" in done.err) == (2, True)
    assert "INTEGER RANGE" in onearm("evaluate", "--help").out
    assert "[x" not in onearm("simulate", "--help").out


@pytest.mark.parametrize("said", STRANGE)
def test_a_count_of_values_or_of_workers_is_digits_too(said: str) -> None:
    with pytest.raises(InvalidInput):
        swept(f"ucb1.alpha=0:1:linear:{said}", [])
    with pytest.raises(InvalidInput), opened(f"local:{said}"):
        pass
