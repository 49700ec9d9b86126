"""What an admin may do on a page: each form says before what will happen, and does what a call of the API does.

So rules, refusals and the audit log are those of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ....engine.errors import InvalidInput, NotFound, OnearmError
from ....engine.storage.access import BACKUP
from ...experiment.ids import in_url
from ...service.service import Service
from .. import corrections, experiments, lineup
from ..audit import audited
from ..endpoint import Answer, Call, Handler, encode, refusal
from ..keys import create_key, list_keys, revoke_key, rotate_key
from ..requests import iso
from .rendering import as_sent, page, redirect
from .session import form_of

DAY = 86_400
CREATED = "created"


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
    share = {} if role == "shadow" else {"share": _number(form, "percent") / 100.0}
    guard: dict[str, Any] = {"guard": {}} if role == "canary" and form.get("guard") else {}
    return {"policy": form.get("policy", "").strip(), "role": role} | share | guard


def _rollback(form: Mapping[str, str]) -> Any:
    if moment := form.get("moment", "").strip():
        return {"to": moment if moment.endswith("Z") else f"{moment}Z"}
    return {"to": int(_number(form, "seq"))}


def _number(form: Mapping[str, str], field: str) -> float:
    text = form.get(field, "").strip()
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"bad_{field}", f"{field} is {text[:40]!r}: it must be a number") from None


ACTS = {
    "promote": Act(audited(lineup.promote_policy), "it is live now", _promotion, ("policy",)),
    "retire-policy": Act(audited(lineup.retire_policy), "it plays no part any more", path=("policy",)),
    "join": Act(audited(lineup.add_policy), "the policy has joined", _joining),
    "roll-back": Act(audited(corrections.rollback), "policies know what they knew then", _rollback),
    "retire-arm": Act(audited(experiments.retire_arm), "it is never chosen again", path=("arm_id",)),
    "add-arm": Act(audited(experiments.add_arm), "it has joined", lambda form: {"id": form.get("arm_id", "").strip()}),
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
    form = form_of(call)
    body: dict[str, Any] = {"name": form.get("name", "").strip(), "roles": [form.get("role", "read")]}
    if tenant := form.get("tenant", "").strip():
        body["tenant"] = tenant
    if pattern := form.get("experiments", "").strip():
        body["experiments"] = pattern
    if form.get("days", "").strip():
        body["expires_in"] = _number(form, "days") * DAY
    return await _done(service, call._replace(body=encode(body), path={}), create_key)


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
