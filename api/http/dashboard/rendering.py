"""Pages and parts of pages from templates, each with headers that let a browser run nothing but our own files."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.types import Scope

from ....engine.errors import OnearmError
from ...access.caller import ADMIN, OPERATOR, WRITE
from ...access.sessions import token_of
from ...experiment.ids import in_url
from ..call import Call
from ..endpoint import Answer, encode, refusal
from . import figures

if TYPE_CHECKING:
    from jinja2 import Environment

HTML = b"text/html; charset=utf-8"
# Images as data are icons in the style sheet of the documentation. Nobody is led to click on what they do not see.
POLICY = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
GUARDED = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


def page(
    call: Call, template: str, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = (), **values: Any
) -> Answer:
    """Return a page, or a part of one, as whoever asks sees it."""
    return Answer(status, rendered(call, template, **values), GUARDED + headers, HTML)


def rendered(call: Call, template: str, **values: Any) -> bytes:
    """Return the text of a page."""
    roles = call.caller.roles
    text = (
        templates()
        .get_template(template)
        .render(
            prefix=call.prefix,
            base=call.site,
            caller=call.caller,
            may_write=WRITE in roles,
            may_admin=ADMIN in roles,
            may_see_nodes=call.caller.may(OPERATOR) and _is_node(call.scope),
            signed_in=bool(token_of(call.fields)),
            **values,
        )
    )
    return text.encode()


def _is_node(scope: Scope) -> bool:
    """Return whether the process is one of several that serve its database."""
    return getattr(scope.get("app"), "nodes", None) is not None


def as_sent(content: Any) -> Any:
    """Return what clients are sent as they read it: objects with the fields that are there alone."""
    return msgspec.json.decode(encode(content))


def redirect(call: Call, path: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """Send a browser to another page of ours."""
    return Answer(303, b"", (*GUARDED, (b"location", f"{call.prefix}{path}".encode()), *headers), HTML)


def refused(error: OnearmError, scope: Scope) -> Answer:
    """Return a refusal as a page, or where a page asked for a part of itself as a part."""
    fields = scope["fields"]
    answer = refusal(error)
    said = answer.content
    call = Call({}, fields, scope["query_string"], b"", scope["caller"], scope)
    template = "refused_part.html" if b"hx-request" in fields else "refused.html"
    return page(call, template, said.status, answer.headers, title=said.title, said=said.detail)


@functools.cache
def templates() -> Environment:
    """Return what makes pages. It is loaded for the first one: that takes a twentieth of the time of a start."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        in_url=in_url,
        count=figures.count,
        share=figures.share,
        number=figures.number,
        mean=figures.mean,
        a_second=figures.a_second,
        size=figures.size,
        moment=figures.moment,
        span=figures.span,
    )
    return made
