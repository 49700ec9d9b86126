"""A policy file whose kernels do not compile: its own line is named, and nothing of the way there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.every_run import every_run

from onearm.engine.compiled.complaint import complaint

POLICY = '''"""A policy with a mistake."""

from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Decision, Policy


class MistakenParams(NamedTuple):
    arm: int


class MistakenState(NamedTuple):
    count: np.ndarray


def mistaken(arm: int = 1) -> Policy:
    return Policy("mistaken", MistakenParams(arm), init)


def init(params, problem):
    return MistakenState(np.zeros(problem.n_arms, np.int64))


@kernel
def chosen(state):
    return {chosen}


@kernel
def select(params, state, instance, key):
    return Decision(int(chosen(state)), 1.0)


@kernel
def update(params, state, instance, decision, feedback, key):
    state.count[decision.action] += 1


register_policy(MistakenParams, select=select, update=update)
'''


MISTAKES = [
    ("state.cuont[0]", 30, "Unknown attribute 'cuont' of type MistakenState(array(int64, 1d, C) x 1)"),
    ("state.count[0] + 'x'", 30, "no function takes add(int64, Literal[str](x))"),
    ("nobody(state)", 35, "NameError: name 'nobody' is not defined"),
]


@pytest.mark.jit
@pytest.mark.parametrize(
    ("chosen", "line", "why"),
    every_run(MISTAKES, MISTAKES[:1]),
)
def test_a_file_that_does_not_compile_is_told_by_its_own_line_before_anything_is_written(
    tmp_path: Path, chosen: str, line: int, why: str
) -> None:
    (tmp_path / "mistaken.py").write_text(POLICY.format(chosen=chosen))
    arguments = ["--env", "bernoulli", "--policy", "mistaken", "--policy-file", "mistaken.py", "--horizon", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "onearm", "simulate", *arguments, "--log", "run.jsonl"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    source = (tmp_path / "mistaken.py").read_text().splitlines()[line - 1].strip()
    assert f"mistaken.py, line {line}: {why} in `{source}`" in done.stderr
    assert "loop.py" not in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run.jsonl").exists()


def test_a_report_without_a_place_in_the_file_is_told_as_it_is() -> None:
    assert complaint("no such thing\nDuring: typing at /elsewhere.py (3)", [Path("mine.py")]).startswith(
        "no such thing"
    )
