"""A real browser, which fails a test where a page breaks its own policy, says an error, or opens a dialogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.listening import Listening
from support.needs import needed
from support.stored import new_database

NEEDED = "in the checkout, .venv/bin/python -m pip install --editable '.[browser]'"
OF_REFUSALS = "Failed to load resource: the server responded with a status of 4"  # which some tests ask for
OF_ENDS = ("net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING")  # where a test ends the service


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Yield a browser without a window. Without what drives it, fail and say what to install."""
    path = needed("browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail(f"playwright, which drives {path}, is not installed: {NEEDED}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Yield what opens a page, of a size and in a theme; in the end nothing may have been wrong with any."""
    contexts, wrong = [], []

    def opened(width: int = 1440, theme: str = "light", **options: Any) -> Any:
        size = {"width": width, "height": 900}
        context = chromium.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))

        def dialogue(shown: Any) -> None:
            wrong.append(f"a dialogue: {shown.message}")
            shown.dismiss()

        page.on("dialog", dialogue)
        return page

    yield opened
    for context in contexts:
        context.close()
    said = [one for one in wrong if not one.startswith(OF_REFUSALS) and not any(end in one for end in OF_ENDS)]
    assert said == []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Listening]:
    """Yield the service at a port, with `hello` in it, as people find it."""
    new_database(tmp_path / "run.db")
    with Listening(tmp_path) as listening:
        yield listening
