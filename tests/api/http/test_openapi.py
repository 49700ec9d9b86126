"""The document says what the service does: its answers to bodies that fit it, and to others, are as it says."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from support.keyed import make_key
from support.served import ARMS, RANDOM
from support.stored import new_database

from onearm.api.http.app import create_app
from onearm.api.http.document import openapi
from onearm.api.http.routes import TABLE, routes
from onearm.engine.storage.store import Store

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
]
OF_STREAMS = (":commit", "/recommendation", "/arms:close")
EXPORT = json.dumps(
    {
        "onearm": 1,
        "problem": {"n_arms": 3, "context_shape": [0]},
        "experiment": {"experiment_id": "imported", "arms": ARMS, "policy": RANDOM, "seed": "5"},
    }
).encode()
# What fits, by the end of a path: hardly a random body does. An arm that is there already is answered in any case.
FITTING = {
    "arms": {"id": "c"},
    "decisions": {},
    "reward": {"value": 1.0},
    "policies:rollback": {"to": "2100-01-01T00:00:00Z"},
    "world": {"change": "known"},
    "keys": {"name": "n", "roles": ["read"]},
    "{key_id}:rotate": {},
    "policies": {"policy": "uniform"},
    "{policy}:assign": {"role": "shadow"},
    "{policy}:promote": {},
    "{experiment_id}:erase": {"unit_id": "u"},
    "experiments:import": EXPORT,
}
QUERIES: dict[tuple[str, str], dict[str, str]] = {  # by method and the last part of the path
    ("DELETE", "{experiment_id}"): {"confirm": "gone"},
    ("GET", "report"): {"segments": "1"},
    ("GET", "log"): {"format": "jsonl"},
    ("GET", "weights"): {"top": "5"},
}
OPERATIONS = [(entry.method, entry.path) for entry in TABLE if None not in entry.answers.values()]


OPERATION_IDS = {  # generated clients have a function for each, by this name
    "audit_list_deeds",
    "cluster_cluster",
    "corrections_correct",
    "corrections_retract",
    "corrections_rollback",
    "curves_curve",
    "logs_import_log",
    "logs_log",
    "policies_list_policies",
    "lineup_add_policy",
    "lineup_list_lineup",
    "lineup_assign_policy",
    "lineup_promote_policy",
    "lineup_retire_policy",
    "decisions_decide",
    "decisions_decide_batch",
    "decisions_learn_examples",
    "decisions_reward",
    "decisions_reward_batch",
    "decisions_story",
    "units_decisions_of",
    "units_erase",
    "windowed_activate",
    "experiments_add_arm",
    "experiments_archive",
    "experiments_close",
    "experiments_commit",
    "experiments_compact",
    "experiments_create",
    "experiments_delete",
    "experiments_diagnostics",
    "experiments_list_all",
    "experiments_read_one",
    "experiments_recommend",
    "experiments_restore",
    "experiments_retire_arm",
    "experiments_say",
    "health_alive",
    "health_ready",
    "health_version",
    "keys_create_key",
    "keys_list_keys",
    "keys_revoke_key",
    "keys_rotate_key",
    "reports_report",
    "weights_weights",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], str]:
    """Return a database with keys, the headers of an admin, and the id of another key."""
    file = tmp_path_factory.mktemp("openapi") / "run.db"
    new_database(file)
    admin, other = make_key(file, "admin"), make_key(file, "read")
    return file, {"Authorization": f"Bearer {admin}"}, other.split("_")[1]


@pytest.fixture(scope="module")
def document(keys: tuple[Path, dict[str, str], str]) -> Iterator[Any]:
    """Yield the document of a service with experiments: `e` with decisions d0 and d1, contextual ones, a stream."""
    file, headers, _ = keys
    app = create_app(Store.open(f"sqlite:///{file}"))
    try:
        with asgi.get_client(app) as client:
            client.headers.update(headers)
            dense = {"context": {"kind": "dense", "length": 2}}
            plain = [{"experiment_id": name, "arms": ARMS} for name in ("e", "gone")]
            for body in (*plain, {"experiment_id": "c", "arms": ARMS, "problem": dense}):
                assert client.post("http://test/v1/experiments", json=body | {"policy": RANDOM}).status_code == 201
            for path in ("arms", "arms/c:retire"):  # the second is answered for good, whatever is archived meanwhile
                client.post(f"http://test/v1/experiments/e/{path}", json={"id": "c"})
            for policy in ("ucb1", "uniform"):  # the second is retired for good
                client.post("http://test/v1/experiments/e/policies", json={"policy": policy})
            assert client.post("http://test/v1/experiments/e/policies/2:retire").status_code == 200
            adaptive = {"name": "adaptive", "params": {"policy": {"name": "ucb1"}}}
            worlds = {"experiment_id": "w", "arms": ARMS, "policy": adaptive}
            assert client.post("http://test/v1/experiments", json=worlds).status_code == 201
            stream = {"experiment_id": "s", "problem": {"kind": "arm_stream"}}
            assert client.post("http://test/v1/experiments", json=stream).status_code == 201
            for name in "abc":
                assert client.post("http://test/v1/experiments/s/arms", json={"id": name}).status_code == 201
            for experiment in "es":
                for name in ("d0", "d1"):
                    client.post(f"http://test/v1/experiments/{experiment}/decisions", json={"decision_id": name})
            client.post("http://test/v1/experiments/s/decisions/d0/reward", json={"value": 0.0, "pulls": 2})
            named = {"context": {"kind": "features", "bits": 8}}
            words = {"experiment_id": "n", "arms": ARMS, "policy": "squarecb", "problem": named}
            assert client.post("http://test/v1/experiments", json=words).status_code == 201
            waits = {"experiment_id": "v", "arms": ARMS, "policy": RANDOM, "reward": {"wait_time": "1h"}}
            assert client.post("http://test/v1/experiments", json=waits).status_code == 201
            for name in ("d0", "d1"):
                deferred = {"decision_id": name, "defer_activation": True}
                client.post("http://test/v1/experiments/v/decisions", json=deferred)
            for what in ("/arms:close", ":commit"):  # these are answered for good as well
                assert client.post(f"http://test/v1/experiments/s{what}").status_code == 200
        yield schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers)
    finally:
        asgi.shutdown_lifespans()


def _policies(path: str) -> st.SearchStrategy[str]:
    """Return numbers of policies: of what is corrected and compacted meanwhile only the live one is promoted again."""
    return st.sampled_from("2" if path.endswith(":retire") else "01" if path.endswith(":promote") else "1")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_documented(document: Any, keys: Any, method: str, path: str) -> None:
    operation = document[path][method]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
    known = st.fixed_dictionaries(
        {
            "experiment_id": st.sampled_from(_experiments(method, path)),
            "decision_id": st.sampled_from(["d0", "d1"]),
            "key_id": st.just(keys[2]),
            "policy": _policies(path),
            "arm_id": st.sampled_from("cccab"),  # mostly the one whose retirement is answered for good
        }
    )
    seen = set()
    with asgi.get_client(document.app) as client:  # schemathesis starts the service anew for each test
        while client.get("http://test/health/ready").status_code == 503:
            time.sleep(0.01)

    def check(case: Any, names: dict[str, str] | None) -> None:
        if names is not None and case.path_parameters:  # else nothing is ever found
            case.path_parameters.update({name: names[name] for name in case.path_parameters if name in names})
        if names is not None and path == "/v1/experiments" and isinstance(case.body, dict):
            case.body.update(policy=RANDOM, arms=ARMS)  # no generator guesses a policy's name
        if names is not None and (query := QUERIES.get((method, path.rsplit("/", 1)[1]))) is not None:
            case.query = dict(query)
        if names is not None and (body := FITTING.get(path.rsplit("/", 1)[1])) is not None:
            case.body, case.media_type = copy.copy(body), case.media_type or "application/json"
        answer = case.call(headers=keys[1])
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    for names, share in ((st.none(), 10), (known, 3)):
        few = settings(
            max_examples=settings.default.max_examples // share,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        few(given(case=cases, names=names)(check))()
    assert seen & {200, 201}, "what fits is accepted"
    assert seen & {404, 422} or "{" not in path


def _experiments(method: str, path: str) -> Sequence[str]:
    """Return the experiments that a path is tried with."""
    if method == "DELETE":
        return ["gone", "e"]
    if path.endswith(":activate"):
        return "v"
    if path.endswith("/weights"):
        return "n"
    return "w" if path.endswith("/world") else "s" if path.endswith(OF_STREAMS) else "eecs"


def test_every_route_is_in_the_table() -> None:
    paths = {re.sub(r":\w+}", "}", route.path) for route in routes()}
    assert paths == {entry.path for entry in TABLE}
    assert set(openapi()["paths"]) == {path for _, path in OPERATIONS}


def test_only_bodies_that_may_say_nothing_may_be_left_out() -> None:
    bodies = {
        path: operation["requestBody"]["required"]
        for path, operations in openapi()["paths"].items()
        for operation in operations.values()
        if "requestBody" in operation
    }
    left_out = {path for path, required in bodies.items() if not required}
    paths = ("/decisions", "/decisions/{decision_id}:activate", ":compact", "/policies/{policy}:promote")
    assert left_out == {"/v1/keys/{key_id}:rotate", *(f"/v1/experiments/{{experiment_id}}{path}" for path in paths)}


def test_operations_keep_their_ids() -> None:
    found = {operation["operationId"] for item in openapi()["paths"].values() for operation in item.values()}
    assert found == OPERATION_IDS


def test_every_schema_has_a_name_of_its_own_and_what_is_named_is_there() -> None:
    """Makers of clients resolve each reference; of two schemas with one name neither would be found."""
    document = openapi()
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if not name.isidentifier()] == []
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named and named <= set(schemas)


def test_objects_of_any_fields_say_so() -> None:
    """As a context of named features: makers of clients would else let it have none."""
    context = openapi()["components"]["schemas"]["Decide"]["properties"]["context"]["anyOf"]
    assert {"type": "object", "additionalProperties": True} in context
