"""What an admin may do on a page: each form says before what will happen, and does what a call of the API does.

So rules, refusals and the audit log are those of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from ....engine.errors import InvalidInput, NotFound, OnearmError
from ....engine.storage.access import BACKUP
from ...access.keys import DAY_SECONDS, check_seconds
from ...experiment.ids import in_url
from ...kinds.form import FormError, number_of, whole_of
from ...service.service import Service
from .. import corrections, experiments, lineup
from ..audit import audited
from ..call import Call
from ..endpoint import Answer, Handler, encode, refusal
from ..keys import create_key, list_keys, revoke_key, rotate_key
from ..requests import iso
from .rendering import as_sent, page, redirect
from .session import form_of

CREATED = "created"
PERCENT, EVENT = "the percent of decisions", "the event"
Number = TypeVar("Number", int, float)


class Act(NamedTuple):
    """Something that is done to an experiment."""

    handler: Handler
    said: str  # what was done
    body: Callable[[Mapping[str, str]], Any] = lambda form: None  # of the call, from the fields of the form
    path: tuple[str, ...] = ()  # fields that are parts of the call's path


def _promotion(form: Mapping[str, str]) -> Any:
    former = form.get("former", "shadow")
    return {"former": former} | ({"share": 0.1} if former == "control" else {})


def _joining(form: Mapping[str, str]) -> Any:
    role = form.get("role", "shadow")
    share = (
        {} if role == "shadow" else {"share": _filled(number_of(form, "percent", PERCENT), "percent", PERCENT) / 100.0}
    )
    guard: dict[str, Any] = {"guard": {}} if role == "canary" and form.get("guard") else {}
    return {"policy": form.get("policy", "").strip(), "role": role} | share | guard


def _rollback(form: Mapping[str, str]) -> Any:
    if moment := form.get("moment", "").strip():
        return {"to": moment if moment.endswith("Z") else f"{moment}Z"}
    return {"to": _filled(whole_of(form, "seq", EVENT), "seq", EVENT)}


def _filled(number: Number | None, field: str, label: str) -> Number:
    """Return the number of a field that may not be empty."""
    if number is None:
        raise FormError(field, f"{label} is empty: give a number")
    return number


ACTS = {
    "promote": Act(audited(lineup.promote_policy), "it is live now", _promotion, ("policy",)),
    "retire-policy": Act(audited(lineup.retire_policy), "it plays no part any more", path=("policy",)),
    "join": Act(audited(lineup.add_policy), "the policy has joined", _joining),
    "roll-back": Act(audited(corrections.rollback), "policies know what they knew then", _rollback),
    "retire-arm": Act(audited(experiments.retire_arm), "it is chosen no more", path=("arm_id",)),
    "add-arm": Act(audited(experiments.add_arm), "it has joined", lambda form: {"id": form.get("arm_id", "").strip()}),
    "restore-arm": Act(
        audited(experiments.add_arm), "it can be chosen again", lambda form: msgspec.Raw(form.get("arm", "").encode())
    ),
    "archive": Act(audited(experiments.archive), "it is archived"),
    "restore": Act(audited(experiments.restore), "it goes on"),
}


def said_of(deed: str) -> str:
    """Return what was done, in words; nothing of what is no deed: a link could say anything."""
    return "it is created" if deed == CREATED else ACTS[deed].said if deed in ACTS else ""


async def act(service: Service, call: Call) -> Answer:
    """Do something to an experiment, and show it again; or say why it was not done."""
    named = call.path["deed"]
    if (asked := ACTS.get(named)) is None:
        raise NotFound("unknown_act", f"there is no act {named[:40]!r}: there are {', '.join(ACTS)}")
    form, name = form_of(call), call.path["experiment_id"]
    said = asked.body(form)
    path = {"experiment_id": name} | {field: form.get(field, "") for field in asked.path}
    await asked.handler(service, call._replace(path=path, body=b"" if said is None else encode(said)))
    service.glances.clear()
    return redirect(call, f"/experiments/{in_url(call.caller.called(name))}?done={named}")


async def keys(service: Service, call: Call) -> Answer:
    """Show the keys, and how old the last backup is."""
    return await _keys(service, call)


async def make_key(service: Service, call: Call) -> Answer:
    """Make a key, and show it this once."""
    try:
        body = _key(form_of(call))
    except InvalidInput as error:
        return await _keys(service, call, refusal(error).status, wrong=str(error))
    return await _done(service, call._replace(body=encode(body), path={}), create_key)


def _key(form: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {"name": form.get("name", "").strip(), "roles": [form.get("role", "read")]}
    if tenant := form.get("tenant", "").strip():
        body["tenant"] = tenant
    if pattern := form.get("experiments", "").strip():
        body["experiments"] = pattern
    if (days := number_of(form, "days", "the days until it ends")) is not None:
        body["expires_in"] = check_seconds("until the key ends", days * DAY_SECONDS)
    return body


async def rotate(service: Service, call: Call) -> Answer:
    """Make a key like another one, and show it this once."""
    return await _done(service, call._replace(body=b""), rotate_key)


async def revoke(service: Service, call: Call) -> Answer:
    """End a key."""
    return await _done(service, call._replace(body=b""), revoke_key)


async def _done(service: Service, call: Call, handler: Handler) -> Answer:
    try:
        made = as_sent((await handler(service, call)).content)
    except OnearmError as error:
        return await _keys(service, call, refusal(error).status, wrong=str(error))
    return await _keys(service, call, made=made)


async def _keys(
    service: Service, call: Call, status: int = 200, made: dict[str, Any] | None = None, wrong: str = ""
) -> Answer:
    listed = as_sent((await list_keys(service, call)).content)["keys"]
    backup = service.access.last(BACKUP)
    age = None if backup is None else (service.clock() - backup.time) / 1e6
    return page(
        call,
        "keys.html",
        status,
        keys=listed,
        now=iso(service.clock()),
        made=made,
        wrong=wrong,
        operator=call.caller.tenant is None,
        backup_age=age,
    )
