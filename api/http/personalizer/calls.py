"""All calls of the wire in one table, and which of them a request asks for.

The base of a client's calls is /personalizer/v1.0, or /personalizer with ?api-version=2022-09-01-preview. In front of
it stands /x/EXPERIMENT, where a client is to speak to that experiment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from starlette.types import Scope

from ....engine.errors import InvalidInput, as_seen
from ...access.caller import ADMIN, OPEN, READ, WRITE
from ...service.measured import NO_ROUTE, Route
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer, Endpoint, Handler, http_problem
from . import configuration, events, model
from .errors import as_refused, as_told, not_built
from .made import SINGLE, SLOTS

PATH = re.compile("(?:/x/(?P<experiment_id>[^/]+))?/personalizer(?:/v1[.]0)?/(?P<call>.+)")
EVENT = re.compile("((?:multislot/)?events)/([^/]+)/([a-z]+)")
NAMED = re.compile("(evaluations|featureImportances)/[^/]+")
PREVIEW = b"api-version=2022-09-01-preview"
KEY = b"ocp-apim-subscription-key"


class Entry(NamedTuple):
    """A call: {} stands for what is named."""

    method: str
    path: str
    handler: Handler
    role: str


LATER = not_built("evaluation", "onearm evaluate reads the log of an experiment; docs/evaluation.md says how")
IMPORTANCE = not_built("feature importance", 'ask our own route for a decision with "explain": true')
TABLE = [
    Entry("POST", "rank", events.rank, WRITE),
    Entry("POST", "events/{}/reward", events.reward, WRITE),
    Entry("POST", "events/{}/activate", events.activate, WRITE),
    Entry("POST", "multislot/rank", events.rank_slots, WRITE),
    Entry("POST", "multislot/events/{}/reward", events.reward_slots, WRITE),
    Entry("POST", "multislot/events/{}/activate", events.activate, WRITE),
    Entry("GET", "configurations/service", configuration.read_service, READ),
    Entry("PUT", "configurations/service", configuration.write_service, ADMIN),
    Entry("GET", "configurations/policy", configuration.read_policy, READ),
    Entry("PUT", "configurations/policy", configuration.write_policy, ADMIN),
    Entry("DELETE", "configurations/policy", configuration.reset_policy, ADMIN),
    Entry("GET", "status", model.status, READ),
    Entry("GET", "model", model.export, READ),
    Entry("GET", "model/properties", model.properties, READ),
    Entry("GET", "logs/properties", model.log_properties, READ),
    Entry("PUT", "model", not_built("the import of a model", "import a log, by POST /v1/experiments:import"), ADMIN),
    Entry("DELETE", "model", not_built("the reset of a model", "put a policy, which begins anew"), ADMIN),
    Entry("DELETE", "logs", not_built("the deletion of a log alone", "delete the experiment"), ADMIN),
    Entry("POST", "configurations/applyFromEvaluation", LATER, ADMIN),
    Entry("GET", "evaluations", LATER, READ),
    Entry("GET", "evaluations/{}", LATER, READ),
    Entry("PUT", "evaluations/{}", LATER, ADMIN),
    Entry("DELETE", "evaluations/{}", LATER, ADMIN),
    Entry("GET", "featureImportances", IMPORTANCE, READ),
    Entry("GET", "featureImportances/{}", IMPORTANCE, READ),
    Entry("PUT", "featureImportances/{}", IMPORTANCE, ADMIN),
    Entry("DELETE", "featureImportances/{}", IMPORTANCE, ADMIN),
]


class Routed(NamedTuple):
    """What answers a call, and what its path names."""

    endpoint: Endpoint
    path: dict[str, str]


class Wire:
    """The calls of Personalizer's clients."""

    def __init__(self) -> None:
        self._endpoints: dict[str, dict[str, Endpoint]] = {}
        for method, path, handler, role in TABLE:
            route = Route(method, f"/personalizer/{path.format('{event_id}')}")
            self._endpoints.setdefault(path, {})[method] = Endpoint(_checked(handler), role, route, as_refused)

    def asked(self, scope: Scope) -> Routed | None:
        """Return what a request asks for; None where it is none of these calls. 2 us."""
        found = PATH.fullmatch(scope["path"])
        if found is None:
            return None
        call, named = found["call"], {}
        if (event := EVENT.fullmatch(call)) is not None:
            call, named = f"{event[1]}/{{}}/{event[3]}", {"decision_id": event[2]}
        elif (other := NAMED.fullmatch(call)) is not None:
            call = f"{other[1]}/{{}}"
        default = SLOTS if call.startswith("multislot/") else SINGLE
        endpoints = self._endpoints.get(call, {})
        endpoint = endpoints.get(scope["method"]) or _unknown(scope["method"], scope["path"], endpoints)
        return Routed(endpoint, {"experiment_id": found["experiment_id"] or default, **named})


def _unknown(method: str, path: str, endpoints: Mapping[str, Endpoint]) -> Endpoint:
    """Return what answers where there is no such call."""
    status = 405 if endpoints else 404
    says = f"this call takes {', '.join(endpoints)}" if endpoints else "Personalizer's clients make no such call"
    answer = http_problem(status, f"{method} {path}: {says}")

    async def missing(service: Service, call: Call) -> Answer:
        return as_told(answer)

    return Endpoint(missing, OPEN, NO_ROUTE)


def with_key(fields: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Return the headers of a request with its key where our own calls have it."""
    if (key := fields.get(KEY)) is None or b"authorization" in fields:
        return fields
    return {**fields, b"authorization": b"Bearer " + key}


def _checked(handler: Handler) -> Handler:
    """Return a handler that refuses versions of the calls which are not these."""

    async def checked(service: Service, call: Call) -> Answer:
        version = None if call.query in (b"", PREVIEW) else call.parameter("api-version")
        if version not in (None, PREVIEW.partition(b"=")[2].decode()):
            raise InvalidInput(
                "bad_version",
                f"the api-version is {as_seen(version)}: this service speaks 2022-09-01-preview, and v1.0 by its path",
            )
        return await handler(service, call)

    return checked
