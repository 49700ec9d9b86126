"""A PostgreSQL server for the tests, in a folder of its own, reached by its socket only.

To make what is in that folder takes initdb 0.6 s of CPU, and to copy it 0.07 s: tests that run beside each other share
what the first of them made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import util
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from filelock import FileLock
from support.needs import needed

NOBODY = 65534  # who runs the server for root, whom it refuses


class Running(NamedTuple):
    """A server."""

    url: str  # without a database's name: `url.format(name)` names one
    restart: Callable[[], None]  # ends it as a crash does, and starts it again
    stop: Callable[[], None]  # ends it as a crash does
    start: Callable[[], None]


@contextmanager
def running() -> Iterator[Running]:
    """Start a server, and end it."""
    bin_folder = Path(needed("postgres")).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="onearm-pg-"))
    owner: dict[str, Any] = {}
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        owner = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        if bin_folder.is_relative_to(sys.prefix):  # the folders of root's environment may be closed to others
            packages = bin_folder.parents[2]
            for part in (bin_folder.parent, packages / f"{bin_folder.parents[1].name}.libs"):
                shutil.copytree(part, folder / part.relative_to(packages))
            bin_folder = folder / bin_folder.relative_to(packages)

    def run(name: str, *arguments: str) -> None:
        command = [str(bin_folder / name), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120, **owner)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    def start(*how: str) -> None:
        # The log of the server goes to a file: a pipe would keep pg_ctl's reader waiting.
        options = f"-k {folder} -h '' -c fsync=off -c max_connections=50"
        run("pg_ctl", "-w", "-l", str(folder / "server.log"), "-o", options, *how)

    try:
        made = Path(util.get_temp_dir(), "postgres")
        with FileLock(f"{made}.lock"):
            if not made.exists():
                run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C", "--no-sync")
                copy(folder / "data", made)
        if not (folder / "data").exists():
            copy(made, folder / "data")
        start("start")
        try:
            url = f"postgresql://postgres@/{{}}?host={folder}"
            yield Running(
                url,
                restart=lambda: start("-m", "immediate", "restart"),
                stop=lambda: run("pg_ctl", "-m", "immediate", "stop"),
                start=lambda: start("start"),
            )
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy(folder: Path, to: Path) -> None:
    """Copy a folder to a new one, with who owns what."""
    subprocess.run(["cp", "-a", str(folder), str(to)], check=True, timeout=120)


def new_database(url: str, name: str) -> str:
    """Make a database and return its URL."""
    with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.format(name)


def empty(url: str) -> None:
    """End all other sessions of a database, and drop its tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
