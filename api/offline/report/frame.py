"""Where a report stands: in a file, which holds its style and its script, or in a service, which has these as files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape

FILES = Path(__file__).parent / "static"
STYLE, SCRIPT = "report.css", "report.js"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


class Frame(NamedTuple):
    """What is around the report in a page."""

    head: Markup  # the end of the page's head
    foot: Markup  # the end of its body
    way: tuple[tuple[str, str], ...] = ()  # pages that lead back: words, and an address
    maker: str = "Somebody's system"  # of the decisions


def alone() -> Frame:
    """Return what is around a report that is a file: it works without any other."""
    style, script = ((FILES / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    guard = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<link rel="icon" href="data:,">'
    return Frame(Markup(f"{guard}\n<style>\n{style}</style>"), Markup(f"<script>\n{script}</script>"))


def served(files: str, icon: str, way: tuple[tuple[str, str], ...]) -> Frame:
    """Return what is around a report that a service shows, with the address of the folder of `FILES` and of an icon.

    Nothing in it is a script or a style, so that it may be shown under `default-src 'self'`.
    """
    head = f'<link rel="icon" href="{escape(icon)}">\n<link rel="stylesheet" href="{escape(files)}/{STYLE}">'
    return Frame(Markup(head), Markup(f'<script src="{escape(files)}/{SCRIPT}"></script>'), way, "This service")
