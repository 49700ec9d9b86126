"""The pages in one table: method, path, handler, and the role that a key needs."""

from __future__ import annotations

from ...access.caller import ADMIN, OPEN, READ
from ..endpoint import Handler
from . import administration, creation, decision, events, experiment, overview, session

ONE = "/experiments/{experiment_id}"
PEOPLE: tuple[tuple[str, str, Handler, str], ...] = (
    ("GET", "/", overview.front, READ),
    ("GET", "/overview", overview.rows, READ),
    ("GET", ONE, experiment.show, READ),
    ("GET", f"{ONE}/live", experiment.part, READ),
    ("GET", f"{ONE}/decision", experiment.find_decision, READ),
    ("GET", f"{ONE}/decisions/{{decision_id}}", decision.show, READ),
    ("POST", f"{ONE}/decisions/{{decision_id}}/again", decision.again, READ),
    ("GET", "/create", creation.ask, ADMIN),
    ("POST", "/create/look", creation.look, ADMIN),
    ("POST", "/create", creation.create, ADMIN),
    ("POST", f"{ONE}/act/{{deed}}", administration.act, ADMIN),
    ("GET", "/keys", administration.keys, ADMIN),
    ("POST", "/keys", administration.make_key, ADMIN),
    ("POST", "/keys/{key_id}/rotate", administration.rotate, ADMIN),
    ("POST", "/keys/{key_id}/revoke", administration.revoke, ADMIN),
    ("GET", "/events", events.events, READ),
    ("GET", "/sign-in", session.ask, OPEN),
    ("POST", "/sign-in", session.begin, OPEN),
    ("POST", "/sign-out", session.end, OPEN),
)
