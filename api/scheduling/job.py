"""One part of the work as it comes to a worker: a function, its spec, and all that the worker may lack.

A worker may be new, or one that began again after it was killed, so every job brings what a person gave with
`--policy-file`, `--env-file` and `--artefact`, and who sent it.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ...engine.compiled.stamp import VERSIONS, source_digest
from ...engine.errors import InvalidInput, Unavailable
from ...engine.registry import Registry
from ...engine.trained.artefact import Artefact
from ...envs import catalog as envs
from ...policies import artefacts, catalog

LOADING = threading.Lock()


class Build(NamedTuple):
    """What decides over the bits that a process computes."""

    onearm: str  # its version
    python: str
    versions: str  # those of NumPy and numba
    digest: str  # sha256 of all that is compiled


class Job(NamedTuple):
    """A function, what it is to work on, and what it needs."""

    function: Callable[[Any], Any]
    spec: Any
    build: Build  # of who sends it
    policies: dict[str, str]  # from files: their texts, by name
    envs: dict[str, str]  # the same of environments
    artefacts: list[Artefact]


def build() -> Build:
    """Return the build of this process."""
    return Build(version("onearm"), platform.python_version(), VERSIONS, source_digest())


def jobs_of(function: Callable[[Any], Any], specs: Any) -> list[Job]:
    """Return a job for each spec, with what was given to this process."""
    given = build(), catalog.sources, envs.sources, artefacts.given
    return [Job(function, spec, *given) for spec in specs]


def work(job: Job) -> Any:
    """Do a job in this process; whatever is not of our making becomes an error that can be read anywhere."""
    check_build("a worker", build(), job.build)
    with LOADING:
        _load(job)
    return job.function(job.spec)


def check_build(who: str, theirs: Build, ours: Build) -> None:
    """Refuse a worker that may compute other bits.

    >>> here = Build("1.0", "3.11.7", "numba 0.68 numpy 2.4 python (3, 11)", "abc")
    >>> check_build("worker w1", here._replace(python="3.11.9"), here)
    >>> check_build("worker w1", here._replace(onearm="0.9"), here)
    Traceback (most recent call last):
    onearm.engine.errors.Unavailable: worker w1 has onearm 0.9, and this process 1.0: install the same on all workers
    """
    for what, its, mine in (
        ("onearm", theirs.onearm, ours.onearm),
        ("Python", _minor(theirs.python), _minor(ours.python)),
        ("", theirs.versions, ours.versions),
    ):
        if its != mine:
            seen = f"{what} {its}".strip()
            raise Unavailable(
                "other_worker", f"{who} has {seen}, and this process {mine}: install the same on all workers"
            )
    if theirs.digest != ours.digest:
        raise Unavailable(
            "other_worker",
            f"{who} has onearm {theirs.onearm} with other files than this process: install the same on all workers",
        )


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _load(job: Job) -> None:
    """Take the policies and artefacts of a job, where they are not there yet."""
    for registry, sources in ((catalog, job.policies), (envs, job.envs)):
        there = registry.sources
        for name, source in sources.items():
            if there.get(name) != source:
                _load_file(registry, name, source)
    known = {artefact.sha256 for artefact in artefacts.given}
    for artefact in job.artefacts:
        if artefact.sha256 not in known:
            artefacts.add(artefact)


def _load_file(registry: Registry[Any], name: str, source: str) -> None:
    with TemporaryDirectory(prefix="onearm-file-") as folder:
        file = Path(folder) / f"{name}.py"
        file.write_text(source)
        try:
            registry.replace_file(file)
        except InvalidInput as error:
            raise InvalidInput(
                error.code,
                f"the file {name}.py of a {registry.word}, which was sent along, cannot be loaded by a worker "
                f"({error}): a file must stand alone, or what it imports must be installed there",
            ) from None
