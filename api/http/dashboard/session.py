"""Sign in with a key, and out: from then on a cookie speaks for the browser."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from ....engine.errors import InvalidInput
from ...access.caller import READ
from ...access.sessions import cookie_of
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer
from .rendering import page, redirect

OWN = re.compile(r"/(?![/\\])[^\s\\]*")  # a path of ours: no other site can be meant


def form_of(call: Call) -> dict[str, str]:
    """Return the fields of a form; raises `InvalidInput` where it is none, or has a field twice."""
    try:
        given = parse_qs(call.body.decode(), keep_blank_values=True, strict_parsing=bool(call.body), max_num_fields=500)
    except ValueError:
        raise InvalidInput("bad_form", "the body is no form: send it as a browser does") from None
    if twice := [name for name, values in given.items() if len(values) > 1]:
        raise InvalidInput("bad_form", f"the form has the field {twice[0][:80]!r} more than once: send it once")
    return {name: values[0] for name, values in given.items()}


async def ask(service: Service, call: Call) -> Answer:
    """Ask for a key."""
    return sign_in(call, 200, call.parameter("next") or "/")


async def begin(service: Service, call: Call) -> Answer:
    """Begin a session with a key."""
    form = form_of(call)
    back, key = form.get("next", "/"), form.get("key", "")
    found = service.sessions.caller_of(key)
    if found is None:
        said = "This key is unknown, has ended or was revoked. Check that you copied all of it."
        return sign_in(call, 401, back, said)
    if READ not in found.roles:
        said = "This key may not read: pages need one with the role read or admin (onearm keys create --role read)."
        return sign_in(call, 403, back, said)
    token = service.sessions.begin(found)
    cookie = cookie_of(token, call.prefix or "/", call.scope["scheme"] == "https")
    return redirect(call, back if OWN.fullmatch(back) else "/", ((b"set-cookie", cookie),))


async def end(service: Service, call: Call) -> Answer:
    """End the session of a browser."""
    service.sessions.end(call.fields)
    return redirect(call, "/sign-in", ((b"set-cookie", cookie_of("", call.prefix or "/", False)),))


def sign_in(call: Call, status: int, back: str, wrong: str = "") -> Answer:
    """Return the page that asks for a key, and leads back.

    Who follows a link of another site comes without the cookie, as that is strict: they look once more by themselves.
    """
    again = status == 401 and call.fields.get(b"sec-fetch-site") == b"cross-site"
    return page(call, "sign_in.html", status, back=back if OWN.fullmatch(back) else "/", wrong=wrong, again=again)
