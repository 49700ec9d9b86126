"""A task as clients write it: queries and hypotheses have ids, numbers are the engine's (`engine/task.py`).

>>> animals = [{"id": "cat", "answers": [1, 0]}, {"id": "cow", "answers": [0, 1]}]
>>> named = read_task({"task": "hypotheses", "hypotheses": animals})
>>> named.task.kind, named.queries, named.hypotheses
('hypotheses', ('0', '1'), ('cat', 'cow'))
>>> read_task({"task": "thresholds", "queries": 2}).hypotheses  # the first k points are positive
('0', '1', '2')
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

from ....engine.errors import InvalidInput, as_seen
from ....engine.task import Task, TaskKind, best_arm, hypotheses, thresholds
from ...experiment.ids import check_fields, check_id

FIELDS = {"task", "queries", "hypotheses", "answers", "loss"}


class NamedTask(NamedTuple):
    """A task, the ids of its queries, and those of what can be recommended."""

    task: Task
    queries: tuple[str, ...]
    hypotheses: tuple[str, ...]


def read_task(body: dict[str, Any]) -> NamedTask:
    """Return the task of these fields: task, queries, hypotheses, answers, loss; others are not looked at.

    Of arms the hypotheses are the queries, of thresholds the numbers 0 to n of positive points.
    """
    kind = body.get("task")
    if kind not in get_args(TaskKind):
        raise InvalidInput("bad_task", f"problem.task is {as_seen(kind)}: it must be {', '.join(get_args(TaskKind))}")
    given = {name: body[name] for name in ("answers", "loss") if name in body}
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidInput("bad_task", f"problem.{name} is {as_seen(value)}: it must be a name")
    if kind != "hypotheses":
        if "hypotheses" in body:
            raise InvalidInput("bad_task", f"the task {kind!r} has hypotheses of its own: leave them out")
        asked = body.get("queries")
        make = best_arm if kind == "arms" else thresholds
        task = make(len(asked) if isinstance(asked, list) else _count(asked), **given)
        queries = _ids("query", asked, task.n_queries)
        return NamedTask(task, queries, queries if kind == "arms" else _numbers(task.n_hypotheses))
    rows = _rows(body.get("hypotheses"))
    task = hypotheses([row["answers"] for row in rows], **given)
    names = _ids("hypothesis", [row.get("id") for row in rows], task.n_hypotheses)
    return NamedTask(task, _ids("query", body.get("queries", task.n_queries), task.n_queries), names)


def task_fields(named: NamedTask) -> dict[str, Any]:
    """Return a task as `read_task` reads it."""
    task = named.task
    fields: dict[str, Any] = {
        "task": task.kind,
        "queries": list(named.queries),
        "answers": task.answers,
        "loss": task.loss,
    }
    if task.kind == "hypotheses":
        fields["hypotheses"] = [
            {"id": label, "answers": list(row)} for label, row in zip(named.hypotheses, task.rows, strict=True)
        ]
    return fields


def _numbers(n: int) -> tuple[str, ...]:
    return tuple(map(str, range(n)))


def _count(queries: Any) -> int:
    if isinstance(queries, bool) or not isinstance(queries, int):
        raise InvalidInput(
            "bad_task",
            f"problem.queries is {as_seen(queries)}: it must be a list of ids, or how many there are",
        )
    return queries


def _ids(what: str, given: Any, n: int) -> tuple[str, ...]:
    """Return n ids, all different; those of a number are the numbers from 0 on."""
    if not isinstance(given, list):
        count = _count(given)
        if count != n:
            raise InvalidInput("bad_task", f"problem.queries is {count}, and the hypotheses have {n} answers each")
        return _numbers(n)
    if len(given) != n:
        raise InvalidInput("bad_task", f"there are {len(given)} queries, and the hypotheses have {n} answers each")
    seen: dict[str, None] = {}
    for value in given:
        label = check_id(f"the id of a {what}", value)
        if label in seen:
            raise InvalidInput("bad_task", f"two of them have the id {label!r}: ids of a {what} are unique")
        seen[label] = None
    return tuple(seen)


def _rows(given: Any) -> Sequence[dict[str, Any]]:
    """Return hypotheses, each with its `answers`, a list of numbers."""
    if not isinstance(given, list) or not given:
        raise InvalidInput(
            "bad_task", 'problem.hypotheses must be a list of objects like {"id": "cat", "answers": [1, 0, 1]}'
        )
    for row in given:
        check_fields("a hypothesis", row, {"id", "answers"})
        answers = row.get("answers")
        numbers = isinstance(answers, list) and all(
            isinstance(answer, (int, float)) and not isinstance(answer, bool) for answer in answers
        )
        if not numbers:
            raise InvalidInput(
                "bad_task",
                f"the answers of the hypothesis {str(row.get('id'))[:80]!r} must be a list of numbers, one for each "
                "query: 1 for yes and 0 for no",
            )
    return given
