"""What a person sees in a browser: the front page and the documentation, without any request to the outside."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.openapi.docs import get_swagger_ui_html

from ..experiment.ids import in_url
from ..service.service import Service
from .endpoint import Answer, Call
from .experiments import listed, shown

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
STATIC = HERE / "static"
HELLO = "hello"  # the experiment of an empty database
ROWS = 100  # of the table of experiments
HTML = b"text/html; charset=utf-8"
UNFRAMED = ((b"content-security-policy", b"frame-ancestors 'none'"),)  # nobody is led to click on what they do not see


async def front(service: Service, call: Call) -> Answer:
    """Show the newest experiments and what to try next."""
    mine = listed(service, call)
    experiments = await shown(service, list(mine.values())[-ROWS:], call.caller)
    tried = HELLO if HELLO in mine or not experiments else experiments[-1].experiment_id
    template = _templates().get_template("front.html")
    page = template.render(
        experiments=experiments,
        keyed=call.caller.key is not None,
        older=max(len(mine) - ROWS, 0),
        base=call.site,
        prefix=call.prefix,
        tried=tried,
    )
    return Answer(200, page.encode(), UNFRAMED, HTML)


async def docs(service: Service, call: Call) -> Answer:
    """Show the API's documentation from vendored files."""
    page = get_swagger_ui_html(
        openapi_url=f"{call.prefix}/openapi.json",
        title="onearm",
        swagger_js_url=f"{call.prefix}/static/swagger/swagger-ui-bundle.js",
        swagger_css_url=f"{call.prefix}/static/swagger/swagger-ui.css",
        swagger_favicon_url=f"{call.prefix}/static/favicon.svg",
    )
    return Answer(200, bytes(page.body), UNFRAMED, HTML)


@functools.cache
def _templates() -> Environment:
    """Return what makes pages. It is loaded for the first one: that takes a twentieth of the time of a start."""
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape())
    templates.filters["in_url"] = in_url
    return templates
