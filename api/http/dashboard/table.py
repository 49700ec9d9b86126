"""The pages in one table: method, path, handler, and the role that a key needs."""

from __future__ import annotations

from ...access.caller import OPEN, READ
from ..endpoint import Handler
from . import decision, events, experiment, overview, session

ONE = "/experiments/{experiment_id}"
PEOPLE: tuple[tuple[str, str, Handler, str], ...] = (
    ("GET", "/", overview.front, READ),
    ("GET", "/overview", overview.rows, READ),
    ("GET", ONE, experiment.show, READ),
    ("GET", f"{ONE}/live", experiment.part, READ),
    ("GET", f"{ONE}/decision", experiment.find_decision, READ),
    ("GET", f"{ONE}/decisions/{{decision_id}}", decision.show, READ),
    ("POST", f"{ONE}/decisions/{{decision_id}}/again", decision.again, READ),
    ("GET", "/events", events.events, READ),
    ("GET", "/sign-in", session.ask, OPEN),
    ("POST", "/sign-in", session.begin, OPEN),
    ("POST", "/sign-out", session.end, OPEN),
)
