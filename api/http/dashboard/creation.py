"""An experiment from a form: what is decided comes first, then only its fields, and beside them what would be sent."""

from __future__ import annotations

import json
import pprint
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ....engine.errors import Conflict, NotFound, OnearmError
from ...access.caller import Caller
from ...experiment.ids import in_url
from ...experiment.spec import Spec
from ...kinds.form import Field, Form, FormError, number_of, range_of
from ...kinds.kind import Kind
from ...kinds.table import KINDS
from ...service.service import Service
from .. import experiments
from ..audit import audited
from ..call import Call
from ..endpoint import Answer, encode, refusal
from ..policies import list_policies
from .rendering import page, redirect
from .session import form_of

ID = Field(
    "experiment_id",
    "Id",
    "How programs call it, for good. Empty: the service gives it one.",
    about=("experiment_id", "experiment_exists", "experiment_deleted", "other_experiments", "too_many_experiments"),
)
POLICY = Field(
    "policy",
    "Policy",
    "Who decides. Empty: one that suits what you said, and notices when the world changes.",
    about=("policy", "unknown_policy", "params", "bad_param"),
)
REWARDS = (
    Field("reward_low", "Rewards from", "The least that one can be, if known.", about=("reward.range", "bad_range")),
    Field("reward_high", "to", "And the most. Clicks are 0 and 1. With both known intervals are tighter."),
)
WINDOW = (
    Field(
        "wait_time",
        "Wait for a reward",
        "For so long: 30m, 12h, 7d. What comes within it is learned when it is over, not before. Empty: each reward is "
        "learned as it comes, none is ever too late, and none is learned by default.",
        about=("wait_time",),
    ),
    Field(
        "default",
        "If none comes, learn",
        "A number: 0 where only clicks are sent. Empty: nothing is learned.",
        about=("reward.default", "default"),
    ),
)


class Sort(NamedTuple):
    """A form, and the kind that it is of."""

    kind: Kind
    form: Form

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields, in their order."""
        kind = self.kind
        rewards = REWARDS if kind.has_rewards and kind.has_windows else ()
        return (ID, *self.form.fields, *rewards, *(WINDOW if kind.has_windows else ()), POLICY)


SORTS = {form.name: Sort(kind, form) for kind in KINDS for form in kind.forms}
_create = audited(experiments.create)


class Draft(NamedTuple):
    """What a form holds, and what would be sent; what is wrong with it, by field ("" is none of them)."""

    given: Mapping[str, str]
    body: dict[str, Any]  # as far as what is given can be read
    wrong: dict[str, str]


async def ask(service: Service, call: Call) -> Answer:
    """Show the form."""
    name = call.parameter("kind") or next(iter(SORTS))
    sort = _sort(name)
    given = {field.name: field.default for field in sort.fields}
    return await _shown(service, call, sort, Draft(given, _read(sort, given)[0], {}))


async def look(service: Service, call: Call) -> Answer:
    """Show the form as it is filled in so far, with what it would send and what is wrong with what was filled in."""
    form = form_of(call)
    sort = _sort(form.get("kind", ""))
    draft = await _checked(service, call.caller, sort, form)
    wrong = {name: said for name, said in draft.wrong.items() if not name or form.get(name, "").strip()}
    missing = [said for name, said in draft.wrong.items() if name not in wrong]
    return await _shown(service, call, sort, draft._replace(wrong=wrong), missing=missing, part=True)


async def create(service: Service, call: Call) -> Answer:
    """Create the experiment, or show the form with what is wrong, at the fields."""
    form = form_of(call)
    sort = _sort(form.get("kind", ""))
    draft = await _checked(service, call.caller, sort, form)
    status = 422
    if not draft.wrong:
        try:
            answer = await _create(service, call._replace(body=encode(draft.body), path={}))
        except OnearmError as error:
            draft.wrong.update(_placed(sort, error))
            status = refusal(error).status
        else:
            service.glances.clear()
            return redirect(call, f"/experiments/{in_url(answer.content.experiment_id)}?done=created")
    return await _shown(service, call, sort, draft, status)


def _sort(name: str) -> Sort:
    if (found := SORTS.get(name)) is None:
        raise NotFound("unknown_form", f"there is no form {name[:40]!r}: the forms are {', '.join(SORTS)}")
    return found


async def _checked(service: Service, caller: Caller, sort: Sort, form: Mapping[str, str]) -> Draft:
    """Return what a form holds, checked as the service would, without creating anything."""
    given = {field.name: form.get(field.name, "") for field in sort.fields}
    empty = {field.name: field.needed for field in sort.fields if field.needed and not given[field.name].strip()}
    body, unread = _read(sort, given)
    if empty or unread:
        return Draft(given, body, empty or unread)
    try:
        _, placed = caller.placed(body)
        checked = placed if placed.get("experiment_id") is not None else {**placed, "experiment_id": "unnamed"}
        await service.pools.creations.run(Spec.from_json, checked, service.room.limits.one)
    except OnearmError as error:
        return Draft(given, body, _placed(sort, error))
    return Draft(given, body, {})


def _read(sort: Sort, given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a form would send, as far as it can be read, and what is wrong with the rest, by field."""
    wrong: dict[str, str] = {}
    body = {"experiment_id": given["experiment_id"].strip()} if given["experiment_id"].strip() else {}
    for part in (sort.form.build, _reward):
        try:
            body |= part(given)
        except FormError as error:
            wrong.setdefault(error.field, str(error))
            with suppress(FormError):
                body |= part({**given, error.field: ""})
    if given["policy"].strip():
        body["policy"] = given["policy"].strip()
    return body, wrong


def _reward(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the field of that name, where there is anything to say; raises `FormError`."""
    reward: dict[str, Any] = {}
    if (limits := range_of(given, "reward_low", "reward_high")) is not None:
        reward["range"] = limits
    if given.get("wait_time", "").strip():
        reward["wait_time"] = given["wait_time"].strip()
    if (default := number_of(given, "default", "the default")) is not None:
        reward["default"] = default
    return {"reward": reward} if reward else {}


def _placed(sort: Sort, error: OnearmError) -> dict[str, str]:
    """Return what is wrong by the field that it is about: whose word comes first in what is said, or in the code."""
    if isinstance(error, FormError):
        return {error.field: str(error)}
    in_words = _in_words(sort, str(error))
    texts = [str(error), error.code]
    if isinstance(error, Conflict):  # with what there is, whatever else it tells of
        texts.reverse()
    for said in texts:
        places = [
            (found.start(), -len(word), field.name)
            for field in sort.fields
            for word in field.about
            if (found := re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z_])", said)) is not None
        ]
        if places:
            return {min(places)[-1]: in_words}
    return {"": in_words}


def _in_words(sort: Sort, said: str) -> str:
    """Return a refusal with the labels of fields in place of what they are called in JSON."""

    def label(path: re.Match[str]) -> str:
        parts = path[0].split(".")
        words = [*(".".join(parts[:n]) for n in range(len(parts), 1, -1)), *reversed(parts[1:])]  # the closest first
        field = next((field for word in words for field in sort.fields if word in field.about), None)
        return path[0] if field is None else f"\u201c{field.label}\u201d"

    return re.sub(r"\b(?:problem|reward)(?:\.[a-z_]+)+", label, said).replace("; in Python reward_range", "")


async def _shown(
    service: Service,
    call: Call,
    sort: Sort,
    draft: Draft,
    status: int = 200,
    missing: list[str] | None = None,
    part: bool = False,
) -> Answer:
    body = draft.body
    listed = msgspec.json.decode((await list_policies(service, call)).content)["policies"]
    fitting = [one["name"] for one in listed if sort.kind.action_kind in (one["decides"] or ())]
    text = json.dumps(body, ensure_ascii=False)
    key = '-H "Authorization: Bearer $ONEARM_KEY" ' if call.caller.key is not None else ""
    address = f"{call.site}/v1/experiments"
    return page(
        call,
        "create_form.html" if part else "create.html",
        200 if part else status,
        sorts=SORTS,
        sort=sort,
        draft=draft,
        missing=missing or [],
        policies=fitting,
        as_json=json.dumps(body, indent=2, ensure_ascii=False),
        as_curl=f"curl -d {shlex.quote(text)} {key}{address}",
        as_python=_in_python(call.site, body, call.caller.key is not None),
    )


def _in_python(site: str, body: dict[str, Any], keyed: bool) -> str:
    """Return the lines of Python that create the experiment."""
    key = ', key=os.environ["ONEARM_KEY"]' if keyed else ""
    head = "import os\n\n" if keyed else ""
    fields = {name: said for name, said in body.items() if name != "experiment_id"}
    given = [repr(body["experiment_id"])] if "experiment_id" in body else []
    given += [f"{name}={_laid_out(said)}" for name, said in fields.items()]
    lines = "".join(f"\n        {one}," for one in given)
    head += "from onearm.client import Client\n\n"
    return f"{head}with Client({site!r}{key}) as client:\n    client.create({lines}\n    )"


def _laid_out(said: Any) -> str:
    """Return a value of JSON as Python, on lines that stand below each other."""
    return pprint.pformat(said, width=64, sort_dicts=False).replace("\n", "\n        ")
