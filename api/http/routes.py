"""The whole API in one table; routes and the OpenAPI document (`document.py`) are both made from it."""

from __future__ import annotations

import functools
import operator
import re
from types import UnionType
from typing import Any, NamedTuple

import starlette.routing
from starlette.types import Receive, Scope, Send

from ..access.caller import ADMIN, OPEN, OPERATOR, READ, WRITE
from ..experiment.report_schemas import Report
from ..experiment.weights_schemas import Weights
from ..kinds.arms.bodies import Action
from ..kinds.lists.bodies import AskedSlot
from ..kinds.queries.recommendation_schemas import RecommendedHypothesis
from ..kinds.streams.bodies import Offered
from ..kinds.streams.queue_schemas import Recommended
from ..kinds.table import KINDS
from ..service.measured import Route
from . import (
    audit,
    cluster,
    correction_schemas,
    corrections,
    creation_schemas,
    curve_schemas,
    curves,
    decisions,
    experiments,
    health,
    keys,
    lineup,
    lineup_schemas,
    logs,
    metrics,
    policies,
    policy_schemas,
    reports,
    schemas,
    units,
    weights,
    window_schemas,
    windowed,
)
from .dashboard.rendering import refused
from .dashboard.table import PEOPLE
from .endpoint import Endpoint, Handler
from .parameters import AFTER, AFTER_NUMBER, AS, BEFORE, BEFORE_TIME, CONFIRM, KEY, LOG, SEGMENTS, SPAN, TOP, at_most


class Entry(NamedTuple):
    """One line of the table."""

    method: str
    path: str
    handler: Handler
    role: str  # that a key needs; open: none is needed
    answers: dict[int, type | UnionType | None]  # by status; None for a page
    errors: tuple[int, ...] = ()  # the statuses of its problems
    body: type | UnionType | None = None
    parameters: tuple[dict[str, Any], ...] = ()  # besides those in the path
    body_required: bool = True  # false where no body is as good as {}
    operation: str | None = None  # the name of the operation, where it is not that of the handler
    media: tuple[str, ...] = ()  # what the answer or the body is, where that is bytes
    page: bool = False  # for people, who are refused in a page

    @property
    def endpoint(self) -> Endpoint:
        """The application that answers."""
        return Endpoint(self.handler, self.role, Route(self.method, self.path), refused if self.page else None)


ANSWERED = tuple(kind.answered for kind in KINDS)
MADE = functools.reduce(operator.or_, ANSWERED)
REWARDS = functools.reduce(operator.or_, (kind.reader.one.type for kind in KINDS))
BATCH_REWARDS = tuple(dict.fromkeys(kind.reader.batch.type for kind in KINDS))
COMMITTED = Recommended | RecommendedHypothesis
ONE = "/v1/experiments/{experiment_id}"
TABLE = [
    Entry(
        "POST",
        f"{ONE}/decisions",
        decisions.decide,
        WRITE,
        {201: MADE, 200: MADE},
        (404, 409, 413, 422, 503),
        schemas.Decide,
        (KEY,),
        body_required=False,
    ),
    Entry(
        "POST",
        f"{ONE}/decisions/{{decision_id}}/reward",
        decisions.reward,
        WRITE,
        {200: schemas.Rewarded, 202: schemas.Rewarded},
        (404, 409, 413, 422, 503),
        REWARDS,
    ),
    Entry(
        "PUT",
        f"{ONE}/decisions/{{decision_id}}/reward",
        corrections.correct,
        WRITE,
        {200: schemas.Rewarded},
        (404, 409, 413, 422, 503),
        correction_schemas.Correction,
    ),
    Entry(
        "DELETE",
        f"{ONE}/decisions/{{decision_id}}/reward",
        corrections.retract,
        WRITE,
        {200: schemas.Rewarded},
        (404, 409, 422, 503),
    ),
    Entry(
        "POST",
        f"{ONE}/decisions/{{decision_id}}:activate",
        windowed.activate,
        WRITE,
        {200: window_schemas.Activated},
        (404, 409, 413, 422, 503),
        window_schemas.Activate,
        body_required=False,
    ),
    Entry(
        "POST",
        f"{ONE}/decisions:batch",
        decisions.decide_batch,
        WRITE,
        {200: schemas.DecisionBatch},
        (404, 413, 422, 503),
        schemas.Decisions,
    ),
    Entry(
        "POST",
        f"{ONE}/rewards:batch",
        decisions.reward_batch,
        WRITE,
        {200: schemas.RewardedBatch},
        (404, 413, 422, 503),
        schemas.Rewards,
    ),
    Entry(
        "POST",
        f"{ONE}/examples:batch",
        decisions.learn_examples,
        WRITE,
        {200: schemas.LearnedBatch},
        (404, 413, 422, 503),
        schemas.Examples,
    ),
    Entry(
        "GET",
        f"{ONE}/decisions/{{decision_id}}",
        decisions.record,
        READ,
        {200: schemas.DecisionRecord},
        (404, 503),
        operation="story",
    ),
    Entry(
        "GET",
        f"{ONE}/units/{{unit_id}}/decisions",
        units.decisions_of,
        READ,
        {200: schemas.UnitDecisions},
        (404, 422, 503),
        parameters=(AFTER_NUMBER, at_most(units.PAGE_MAX, units.PAGE)),
    ),
    Entry(
        "POST",
        "/v1/experiments",
        audit.audited(experiments.create),
        ADMIN,
        {201: schemas.Experiment, 200: schemas.Experiment},
        (409, 413, 422, 503, 507),
        creation_schemas.NewExperiment,
    ),
    Entry(
        "GET",
        "/v1/experiments",
        experiments.list_all,
        READ,
        {200: schemas.Experiments},
        (404, 422, 503),
        parameters=(AFTER, at_most(experiments.PAGE_MAX, experiments.PAGE)),
    ),
    Entry(
        "POST",
        "/v1/experiments:import",
        audit.audited(logs.import_log),
        ADMIN,
        {201: schemas.Experiment},
        (409, 413, 422, 503, 507),
        bytes,
        (AS,),
        media=("application/octet-stream",),
    ),
    Entry("POST", f"{ONE}:archive", audit.audited(experiments.archive), ADMIN, {200: schemas.Experiment}, (404, 503)),
    Entry(
        "POST",
        f"{ONE}:restore",
        audit.audited(experiments.restore),
        ADMIN,
        {200: schemas.Experiment},
        (404, 503, 507),
    ),
    Entry(
        "POST",
        f"{ONE}:compact",
        audit.audited(experiments.compact),
        ADMIN,
        {200: schemas.Compacted},
        (404, 409, 413, 422, 503, 507),
        schemas.Compact,
        body_required=False,
    ),
    Entry(
        "POST",
        f"{ONE}:erase",
        units.erase,
        ADMIN,
        {200: schemas.Erased},
        (404, 409, 413, 422, 503, 507),
        schemas.Erase,
    ),
    Entry("POST", f"{ONE}:commit", audit.audited(experiments.commit), ADMIN, {200: COMMITTED}, (404, 409, 422, 503)),
    # What fits the path of one experiment, and is more than that, stands before this line.
    Entry("GET", ONE, experiments.read_one, READ, {200: schemas.Experiment}, (404, 503)),
    Entry(
        "DELETE",
        ONE,
        audit.audited(experiments.delete),
        ADMIN,
        {200: schemas.Deleted},
        (404, 422, 503),
        parameters=(CONFIRM,),
    ),
    Entry("GET", f"{ONE}/recommendation", experiments.recommend, READ, {200: COMMITTED}, (404, 409, 422, 503)),
    Entry(
        "POST",
        f"{ONE}/arms",
        audit.audited(experiments.add_arm),
        ADMIN,
        {201: schemas.ArmStatus | Offered, 200: schemas.ArmStatus | Offered},
        (404, 409, 413, 422, 503, 507),
        schemas.Arm,
    ),
    Entry(
        "POST",
        f"{ONE}/arms:close",
        audit.audited(experiments.close),
        ADMIN,
        {200: schemas.Experiment},
        (404, 409, 422, 503),
    ),
    Entry(
        "POST",
        f"{ONE}/arms/{{arm_id}}:retire",
        audit.audited(experiments.retire_arm),
        ADMIN,
        {200: schemas.ArmStatus},
        (404, 409, 422, 503),
    ),
    Entry(
        "POST",
        f"{ONE}/policies:rollback",
        audit.audited(corrections.rollback),
        ADMIN,
        {200: correction_schemas.RolledBack},
        (404, 409, 413, 422, 503, 507),
        correction_schemas.Rollback,
    ),
    Entry(
        "POST",
        f"{ONE}/world",
        audit.audited(experiments.say),
        ADMIN,
        {201: schemas.World, 200: schemas.World},
        (404, 409, 413, 422, 503),
        schemas.WorldSaid,
    ),
    Entry("GET", f"{ONE}/report", reports.report, READ, {200: Report}, (404, 422, 503), parameters=(SEGMENTS,)),
    Entry(
        "GET",
        f"{ONE}/curve",
        curves.curve,
        READ,
        {200: curve_schemas.Curve},
        (404, 422, 503),
        parameters=(SPAN, BEFORE_TIME, at_most(curves.PAGE_MAX, curves.PAGE)),
    ),
    Entry(
        "GET",
        f"{ONE}/log",
        logs.log,
        READ,
        {200: bytes},
        (404, 409, 422, 503),
        parameters=LOG,
        media=tuple(kind.decode() for kind in logs.MEDIA_TYPES.values()),
    ),
    Entry("GET", f"{ONE}/diagnostics", experiments.diagnostics, READ, {200: schemas.Diagnostics}, (404, 503)),
    Entry("GET", f"{ONE}/weights", weights.weights, READ, {200: Weights}, (404, 422, 503), parameters=(TOP,)),
    Entry(
        "POST",
        f"{ONE}/policies",
        audit.audited(lineup.add_policy),
        ADMIN,
        {201: lineup_schemas.PolicyStatus, 200: lineup_schemas.PolicyStatus},
        (404, 409, 413, 422, 503, 507),
        lineup_schemas.JoiningPolicy,
    ),
    Entry("GET", f"{ONE}/policies", lineup.list_lineup, READ, {200: lineup_schemas.Lineup}, (404, 422, 503)),
    Entry(
        "POST",
        f"{ONE}/policies/{{policy}}:assign",
        audit.audited(lineup.assign_policy),
        ADMIN,
        {200: lineup_schemas.PolicyStatus},
        (404, 409, 413, 422, 503, 507),
        lineup_schemas.Part,
    ),
    Entry(
        "POST",
        f"{ONE}/policies/{{policy}}:promote",
        audit.audited(lineup.promote_policy),
        ADMIN,
        {200: lineup_schemas.PolicyStatus},
        (404, 409, 413, 422, 503, 507),
        lineup_schemas.Promotion,
        body_required=False,
    ),
    Entry(
        "POST",
        f"{ONE}/policies/{{policy}}:retire",
        audit.audited(lineup.retire_policy),
        ADMIN,
        {200: lineup_schemas.RetiredPolicy},
        (404, 409, 422, 503, 507),
    ),
    Entry("GET", "/v1/policies", policies.list_policies, READ, {200: policy_schemas.Policies}, (503,)),
    Entry("POST", "/v1/keys", keys.create_key, ADMIN, {201: keys.MadeKey}, (409, 413, 422, 503), keys.WantedKey),
    Entry("GET", "/v1/keys", keys.list_keys, ADMIN, {200: keys.Keys}, (503,)),
    Entry(
        "POST",
        "/v1/keys/{key_id}:rotate",
        keys.rotate_key,
        ADMIN,
        {201: keys.MadeKey},
        (404, 409, 413, 422, 503),
        keys.Overlap,
        body_required=False,
    ),
    Entry("POST", "/v1/keys/{key_id}:revoke", keys.revoke_key, ADMIN, {200: keys.Key}, (404, 503)),
    Entry(
        "GET",
        "/v1/audit",
        audit.list_deeds,
        ADMIN,
        {200: audit.Audit},
        (422, 503),
        parameters=(BEFORE, at_most(audit.PAGE_MAX, audit.PAGE)),
    ),
    Entry("GET", "/v1/cluster", cluster.cluster, OPERATOR, {200: cluster.Cluster}),
    Entry("GET", "/health/live", health.alive, OPEN, {200: schemas.Health}),
    Entry("GET", "/health/ready", health.ready, OPEN, {200: schemas.Health, 503: schemas.Health}),
    Entry("GET", "/metrics", metrics.metrics, OPERATOR, {200: None}),
    Entry("GET", "/version", health.version, READ, {200: schemas.Version}),
    *(Entry(method, path, handler, role, {200: None}, page=True) for method, path, handler, role in PEOPLE),
]
_PAGES = re.compile(
    "|".join(
        re.sub("{[^}]+}", "[^/]+", re.escape(entry.path).replace("\\{", "{").replace("\\}", "}"))
        for entry in TABLE
        if entry.method == "GET" and entry.page
    )
)
PROBES = frozenset(entry.path for entry in TABLE if schemas.Health in entry.answers.values())  # for machines that watch
ITEMS: dict[tuple[type, str], tuple[type, ...]] = {  # what is in the lists that are read and answered item by item
    (schemas.Decisions, "decisions"): (schemas.Decide,),
    (schemas.DecisionBatch, "decisions"): (*ANSWERED, schemas.Problem),
    (schemas.Rewards, "rewards"): BATCH_REWARDS,
    (schemas.RewardedBatch, "rewards"): (schemas.Rewarded, schemas.Problem),
    (schemas.Examples, "examples"): (schemas.Example,),
    (schemas.LearnedBatch, "examples"): (schemas.Learned, schemas.Problem),
    (schemas.Decide, "actions"): (Action,),
    (schemas.Decide, "slots"): (AskedSlot,),
    (schemas.Example, "actions"): (Action,),
}


def is_page(path: str) -> bool:
    """Tell whether a path is that of a page for people.

    >>> is_page("/experiments/e"), is_page("/v1/experiments/e"), is_page("/")
    (True, False, True)
    """
    return _PAGES.fullmatch(path) is not None


class ByMethod:
    """The endpoints of one path, so that a 405 names all methods that the path has."""

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        self._endpoints = endpoints | ({"HEAD": endpoints["GET"]} if "GET" in endpoints else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        await self._endpoints[scope["method"]](scope, receive, send)


def endpoint_of(handler: Handler) -> Endpoint:
    """Return the application that answers with a handler."""
    return next(entry for entry in TABLE if entry.handler is handler).endpoint


@functools.cache
def routes() -> tuple[starlette.routing.Route, ...]:
    """Return the routes, the hot ones first: the same of every application, as they know nothing of it."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for entry in TABLE:
        paths.setdefault(entry.path, {})[entry.method] = entry.endpoint
    return tuple(
        starlette.routing.Route(path, ByMethod(endpoints), methods=list(endpoints)) for path, endpoints in paths.items()
    )
