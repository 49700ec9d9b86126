"""Logs of vectors in files: points outside the domain and numbers too large are bad lines, told apart and said why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onearm.engine.columns import empty
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.storage import source
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.log import Log
from onearm.engine.vocabulary import DECIDE, EXTERNAL, LEARN, Array, Columns, FeedbackKind, Problem

FORMS = {"jsonl": (jsonl, 2), "parquet": (parquet, 1)}  # and the number of the first event's line


def log_of(problem: Problem, points: Array, details: Array | None = None, rewards: Array | None = None) -> Columns:
    """Return decisions, each with its feedback behind it."""
    n = len(points)
    columns = empty(2 * n, problem)
    columns.kind[::2], columns.kind[1::2] = DECIDE, LEARN
    for rows in (slice(0, None, 2), slice(1, None, 2)):
        columns.number[rows] = np.arange(n)
        columns.action[rows] = points
        columns.propensity[rows] = 1.0
    columns.reward[1::2] = 0.0 if rewards is None else rewards
    columns.detail[1::2] = 0.0 if details is None else details
    return columns


def read_back(form: Any, path: Path, problem: Problem, columns: Columns) -> Log:
    with form.Writer(path, problem, {"policy": {}, "seed": "1"}) as out:
        out.write(columns)
    read: Log = form.read(path)
    return read


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("domain", "good", "bad", "why"),
    [
        (
            simplex(4),
            [0.25, 0.25, 0.5, 0.0],
            [5.0, 5.0, 5.0, 5.0],
            "the coordinates of the simplex add up to 20, 19 off 1",
        ),
        (ball(2), [0.6, 0.8], [0.6, 0.9], "it lies 0.0817 farther from the centre of the ball than its radius 1"),
        (box([0.0, -1.0], [2.0, 1.0]), [2.0, -1.0], [2.0, 2.5], "coordinate 1 is 2.5, 1.5 beyond its limits -1 and 1"),
        (
            product(ball(1), box([0.0], [1.0])),
            [1.0, 1.0],
            [1.0, 1.5],
            "coordinate 1 is 1.5, 0.5 beyond its limits 0 and 1",
        ),
    ],
)
def test_a_point_outside_is_a_bad_line_with_how_far_and_its_feedback_is_of_nothing(
    form: str, domain: Domain, good: list[float], bad: list[float], why: str, tmp_path: Path
) -> None:
    module, first = FORMS[form]
    problem = Problem(0, domain=domain, feedback="losses")
    columns = log_of(problem, np.array([good, bad, good, bad, good]))
    read = read_back(module, tmp_path / "log", problem, columns)
    assert read.bad_lines.lines == {
        "point_outside": [first + 2, first + 6],
        "unknown_decision": [first + 3, first + 7],
    }
    assert read.bad_lines.reasons == {"point_outside": f"line {first + 2}: {why}"}
    assert read.events is not None and read.events.number.tolist() == [0, 0, 2, 2, 4, 4]
    assert (read.events.action == good).all()


@pytest.mark.parametrize("form", FORMS)
def test_rounding_is_no_reason_and_nor_is_what_feedback_repeats(form: str, tmp_path: Path) -> None:
    """The point of a LEARN row is its decision's; in files it may be left out, or be anything."""
    module, first = FORMS[form]
    problem = Problem(0, domain=ball(2), feedback="losses")
    columns = log_of(problem, np.array([[1.0 + 0.9e-9, 0.0], [1.0 + 1.1e-9, 0.0]]))
    columns.action[1] = 7.0
    read = read_back(module, tmp_path / "log", problem, columns)
    assert read.bad_lines.lines == {"point_outside": [first + 2], "unknown_decision": [first + 3]}
    assert read.events is not None and read.events.action[:, 0].tolist() == [1.0 + 0.9e-9] * 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("second", [False, True])
def test_of_two_points_each_must_lie_within(form: str, second: bool, tmp_path: Path) -> None:
    module, first = FORMS[form]
    problem = Problem(0, domain=simplex(2), feedback="two_rewards")
    points = np.array([[0.5, 0.5, 1.0, 0.0], [0.5, 0.5, 0.5, 1.0] if second else [0.5, 1.0, 0.5, 0.5]])
    read = read_back(module, tmp_path / "log", problem, log_of(problem, points))
    assert read.bad_lines.lines["point_outside"] == [first + 2]
    assert read.bad_lines.reasons["point_outside"].endswith("add up to 1.5, 0.5 off 1")


@pytest.mark.parametrize("form", FORMS)
def test_a_point_that_someone_else_decided_lies_within_too(form: str, tmp_path: Path) -> None:
    module, first = FORMS[form]
    problem = Problem(0, domain=ball(1), feedback="losses")
    columns = log_of(problem, np.array([[1.0], [3.0]]))
    path = tmp_path / "log"
    read_back(module, path, problem, columns)
    if form == "jsonl":
        path.write_text(path.read_text().replace('"decide"', '"given"'))
    else:
        table = pq.read_table(path)
        kinds = [EXTERNAL if kind == DECIDE else kind for kind in table.column("kind").to_pylist()]
        kind = pa.array(kinds, table.schema.field("kind").type)
        pq.write_table(table.set_column(table.schema.get_field_index("kind"), table.schema.field("kind"), kind), path)
    read = module.read(path)
    assert read.bad_lines.lines == {"point_outside": [first + 2], "unknown_decision": [first + 3]}
    assert read.events.kind.tolist() == [EXTERNAL, LEARN]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("large", [1.0000001e100, -1e200, np.finfo(float).max])
@pytest.mark.parametrize("feedback", ["losses", "gradient", "example", "two_rewards"])
def test_a_detail_too_large_is_a_bad_line(form: str, large: float, feedback: FeedbackKind, tmp_path: Path) -> None:
    module, first = FORMS[form]
    problem = Problem(0, domain=ball(2), feedback=feedback)
    details = np.full((3, problem.detail_length), 1e100)
    details[1, -1] = large
    columns = log_of(problem, np.zeros((3, problem.dimension)), details)
    read = read_back(module, tmp_path / "log", problem, columns)
    assert read.bad_lines.lines == {"bad_detail": [first + 3]}
    assert read.events is not None and read.events.number.tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("large", [1.0000001e100, -1e200])
def test_a_reward_of_a_point_too_large_is_a_bad_line(form: str, large: float, tmp_path: Path) -> None:
    module, first = FORMS[form]
    problem = Problem(0, domain=ball(2), feedback="reward")
    columns = log_of(problem, np.zeros((3, 2)), rewards=np.array([1e100, large, -1e100]))
    read = read_back(module, tmp_path / "log", problem, columns)
    assert read.bad_lines.lines == {"bad_reward": [first + 3]}


def test_a_point_outside_is_found_on_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(0, domain=ball(1), feedback="losses")
    points = np.zeros((20, 1))
    points[[7, 19]] = 2.0
    monkeypatch.setattr("onearm.engine.storage.formats.parquet.file.PAGE", 6)
    monkeypatch.setattr(source, "BLOCK_BYTES", 300)
    for form, (module, first) in FORMS.items():
        read = read_back(module, tmp_path / form, problem, log_of(problem, points))
        assert read.bad_lines.lines["point_outside"] == [first + 14, first + 38]
