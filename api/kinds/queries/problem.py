"""What the problem of an experiment says where queries are asked within a budget."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....engine.errors import InvalidInput
from ....engine.problem import check_problem, query_problem
from ....engine.task import Task
from ....engine.vocabulary import Problem
from ....policies import artefacts
from ...experiment.definition import Arms, Declared, Definition, whole
from ...experiment.ids import check_fields
from .tasks import FIELDS, NamedTask, read_task, task_fields

TRAINED_POLICY = {"name": "mapo", "params": {}}
ARMS_POLICY = {"name": "lucb_budget", "params": {}}
BISECTION_POLICY = {"name": "generalised_binary_search", "params": {}}
QUERY_POLICY = {"name": "uniform_budget", "params": {}}
DEFAULTS = {
    "mapo": "for tasks that it has an artefact for",
    "lucb_budget": "to find the best arm, where mapo has no artefact",
    "generalised_binary_search": "to identify a row of zeros and ones, where mapo has no artefact",
    "uniform_budget": "for other tasks, where mapo has no artefact",
}


def read_problem(body: dict[str, Any], arms: Arms, policy: Any) -> Declared:
    """Return the problem, its queries as arms are, and the ids of what can be recommended."""
    check_fields("problem", body, {"kind", "horizon", *FIELDS}, {"memory"})
    if arms:
        raise InvalidInput("bad_arms", "arms are given, but queries are asked: leave them out, and name the queries")
    named = read_task(body)
    budget = whole("bad_horizon", "the horizon", body.get("horizon"))
    if budget is None:
        raise InvalidInput(
            "no_budget", "the problem has no horizon: it is the budget, the number of queries that can be asked"
        )
    problem = query_problem(named.task, budget)
    check_problem(problem)
    return Declared(problem, tuple({"id": label} for label in named.queries), hypotheses=named.hypotheses)


def problem_json(spec: Definition) -> dict[str, Any]:
    """Return what `read_problem` reads."""
    queries = tuple(arm["id"] for arm in spec.arms)
    return task_fields(NamedTask(task_of(spec.problem), queries, spec.hypotheses))


def default_policy(problem: Problem) -> dict[str, Any]:
    """Return the policy where none is named."""
    task = task_of(problem)
    try:
        artefacts.fitting(problem)
    except InvalidInput as error:
        if error.code != "no_artefact":  # there are several: the client names one
            raise
    else:
        return TRAINED_POLICY
    if task.kind == "arms":
        return ARMS_POLICY
    identified = task.kind == "hypotheses" and task.loss == "identification" and task.answers != "normal"
    return BISECTION_POLICY if identified and np.isin(task.table, (0.0, 1.0)).all() else QUERY_POLICY


def task_of(problem: Problem) -> Task:
    """Return what is asked."""
    assert problem.task is not None
    return problem.task


def budget_of(problem: Problem) -> int:
    """Return how many queries can be asked."""
    assert problem.horizon is not None, "queries have a budget"
    return problem.horizon
