"""The pages in one table: method, path, handler, and the role that a key needs."""

from __future__ import annotations

from ...access.caller import ADMIN, OPEN, OPERATOR, READ
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer, Handler
from . import administration, creation, decision, evaluation, events, experiment, nodes, overview, session, trying
from .rendering import page

ONE = "/experiments/{experiment_id}"


async def docs(service: Service, call: Call) -> Answer:
    """Show the documentation of the API, from vendored files."""
    return page(call, "docs.html")


PEOPLE: tuple[tuple[str, str, Handler, str], ...] = (
    ("GET", "/docs", docs, READ),
    ("GET", "/", overview.front, READ),
    ("GET", "/overview", overview.rows, READ),
    ("GET", ONE, experiment.show, READ),
    ("GET", f"{ONE}/live", experiment.part, READ),
    ("GET", f"{ONE}/try", trying.part, READ),
    ("GET", f"{ONE}/decision", experiment.find_decision, READ),
    ("GET", f"{ONE}/decisions/{{decision_id}}", decision.show, READ),
    ("POST", f"{ONE}/decisions/{{decision_id}}/again", decision.again, READ),
    ("GET", f"{ONE}/evaluations", evaluation.ask, READ),
    ("POST", f"{ONE}/evaluations", evaluation.begin, READ),
    ("GET", f"{ONE}/evaluations/{{number}}", evaluation.show, READ),
    ("GET", f"{ONE}/evaluations/{{number}}/progress", evaluation.progress, READ),
    ("POST", f"{ONE}/evaluations/{{number}}/cancel", evaluation.cancel, READ),
    ("GET", "/create", creation.ask, ADMIN),
    ("POST", "/create/look", creation.look, ADMIN),
    ("POST", "/create", creation.create, ADMIN),
    ("POST", f"{ONE}/act/{{deed}}", administration.act, ADMIN),
    ("GET", "/keys", administration.keys, ADMIN),
    ("POST", "/keys", administration.make_key, ADMIN),
    ("POST", "/keys/{key_id}/rotate", administration.rotate, ADMIN),
    ("POST", "/keys/{key_id}/revoke", administration.revoke, ADMIN),
    ("GET", "/nodes", nodes.show, OPERATOR),
    ("GET", "/nodes/live", nodes.part, OPERATOR),
    ("GET", "/events", events.events, READ),
    ("GET", "/sign-in", session.ask, OPEN),
    ("POST", "/sign-in", session.begin, OPEN),
    ("POST", "/sign-out", session.end, OPEN),
)
