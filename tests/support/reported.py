"""A small log whose names are hostile, and what is found on it: for the tests of the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from onearm.api.offline.candidate_kinds import ActionCandidate, LoggedCandidate
from onearm.api.offline.evaluation import Evaluation, evaluate
from onearm.api.offline.judging import Readings
from onearm.api.offline.options import Options
from onearm.api.offline.report.about import About
from onearm.engine.columns import empty
from onearm.engine.storage.rows import Page, Rows
from onearm.engine.vocabulary import Array, Problem

N, ARMS = 200, 4
SCRIPT = "<script>alert(1)</script>"
ABOUT = About(f"logs/{SCRIPT}.csv", "csv", f"onearm evaluate '{SCRIPT}.csv'", "1.2.3", "2026-01-02 03:04 UTC", 7)
CANDIDATES = (ActionCandidate("action:1", 1), ActionCandidate(SCRIPT, 2), LoggedCandidate())


def hostile_rows(propensity: Array | None = None, *, segments: bool = True) -> Rows:
    """Return rewarded decisions of a log that drew its actions by a law, action 1 being the best."""
    rng = np.random.default_rng(3)
    law = np.array([0.4, 0.3, 0.2, 0.1])
    columns = empty(N, Problem(ARMS))._replace(available=np.ones((N, ARMS), np.bool_))
    columns.action[:] = rng.choice(ARMS, N, p=law)
    columns.propensity[:] = law[columns.action] if propensity is None else propensity
    columns.reward[:] = rng.random(N) < np.array([0.2, 0.7, 0.3, 0.1])[columns.action]
    rows = Rows()
    rows.problem = Problem(ARMS)
    rows.decisions = N + 5
    rows.unobserved = 2
    rows.labels = [SCRIPT, "$x_1$ & $y$", 'b" onload="alert(2)', "plain"]
    rows.notes = [f"a note of {SCRIPT}"]
    rows.segments = [SCRIPT, "a & b", "empty"] if segments else []
    rows.bad_lines.add("broken", *range(1, 31))
    rows.bad_lines.add("bad_reward", 40, 50)
    rows.bad_lines.reasons["bad_reward"] = f"line 40: {SCRIPT}"
    rows.append(Page(columns, np.arange(N) + 1, rng.choice(2, N) if segments else np.zeros(N, np.int64)))
    return rows


def evaluation(rows: Rows, candidates: Any = CANDIDATES, **options: Any) -> Evaluation:
    """Return what is found."""
    asked = Options(**{"methods": ("snips", "ips"), "intervals": ("normal", "empirical-bernstein"), **options})
    return evaluate(candidates, Readings(rows, [rows] * len(candidates)), asked)
