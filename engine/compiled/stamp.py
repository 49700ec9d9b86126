"""The stamp of compiled code: a digest of the source files that it comes from, and of no others.

A file is reached from another one by an import at its top level; imports within the package are relative, and are read
off the text. So an edit of a policy's file changes the stamp of what was compiled for that policy, and no other.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np

IMPORT = re.compile(r"^from (\.+)([\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)
ROOT = Path(__file__).parent.parent.parent
SOURCES = ("engine", "policies", "envs")
STARTED = time.time()
VERSIONS = f"numba {numba.__version__} numpy {np.__version__} python {sys.version_info[:2]}"


class Source(NamedTuple):
    """What a stamp needs to know of a file."""

    digest: str
    imports: tuple[Path, ...]  # the files that it reaches
    edited: bool  # after this process began: what runs may be older than what stands there


def is_outside(thing: object) -> bool:
    """Tell whether a class or function comes from outside the package (a user's policy file, say)."""
    return not str(thing.__module__).startswith("onearm.")


def stamp(modules: Iterable[str]) -> str | None:
    """Return the digest of all files reached from modules of the package, 2 ms for a new set of them.

    None where a file was edited since this process began: the code of before would be kept under the stamp of after.
    """
    return _stamp(frozenset(modules))


@functools.cache
def _stamp(modules: frozenset[str]) -> str | None:
    digest = hashlib.sha256()
    for file in reached(modules):
        source = _source(file)
        if source.edited:
            return None
        digest.update(f"{file.relative_to(ROOT)} {source.digest}\n".encode())
    return digest.hexdigest()


def reached(modules: Iterable[str]) -> list[Path]:
    """Return the files of modules of the package, and all that these import in it, sorted."""
    found: set[Path] = set()
    left = [Path(str(sys.modules[module].__file__)) for module in modules]
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left.extend(_source(file).imports)
    return sorted(found)


@functools.cache
def package_root() -> Path:
    """Return the folder that holds the folder `engine`."""
    return Path(__file__).resolve().parent.parent.parent


@functools.cache
def source_digest() -> str:
    """Return the sha256 of every kernel source file and of the versions that turn them into code."""
    digest = hashlib.sha256(VERSIONS.encode())
    for room in SOURCES:
        folder = Path(sys.modules[f"onearm.{room}"].__path__[0]) if f"onearm.{room}" in sys.modules else None
        folder = folder or package_root() / room
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


@functools.cache
def _source(file: Path) -> Source:
    edited = file.stat().st_mtime > STARTED
    content = file.read_bytes()
    imports = (_targets(file, *found.groups()) for found in IMPORT.finditer(content.decode()))
    return Source(hashlib.sha256(content).hexdigest(), tuple(one for files in imports for one in files), edited)


def _targets(file: Path, dots: str, module: str, names: str) -> list[Path]:
    """Return the files that `from <dots><module> import <names>` reaches from a file."""
    place = file.parents[len(dots) - 1].joinpath(*module.split("."))
    if (single := place.with_name(f"{place.name}.py")).is_file():
        return [single]
    inside = (place / name for name in re.findall(r"\w+", names))
    found = [
        place / "__init__.py",
        *(one for name in inside for one in (name.with_suffix(".py"), name / "__init__.py")),
    ]
    return [one for one in found if one.is_file()]
