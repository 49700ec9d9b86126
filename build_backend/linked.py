"""setuptools, but with an editable install that editors, type checkers and import graphs can follow.

The folders engine/, policies/, envs/ and api/ import as one package. setuptools maps them for an editable install with
a hook into Python's import, which no static tool reads. Here the same package is a folder of links, `.links/onearm`,
and one line in site-packages that names `.links`. Where links cannot be made (Windows without developer mode),
setuptools' own way is taken: everything runs, and only those tools are blind.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401  what an installer asks of a build backend
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("engine", "policies", "envs", "api")
Settings = Mapping[str, str | list[str] | None] | None


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Write a wheel that puts the folder of links on Python's path; return its name (PEP 660)."""
    try:
        folder = link_package(ROOT)
    except (OSError, NotImplementedError) as error:
        print(f"links cannot be made here ({error}): editors will not find onearm's modules", file=sys.stderr)
        return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    with tempfile.TemporaryDirectory() as scratch:
        name = prepare_metadata_for_build_wheel(scratch, config_settings)
        metadata = Path(scratch, name)
        (metadata / "WHEEL").write_text(
            "Wheel-Version: 1.0\nGenerator: onearm\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        files = {f"{name}/{file.relative_to(metadata).as_posix()}": file.read_bytes() for file in walk(metadata)}
    wheel = f"{name.removesuffix('.dist-info')}-py3-none-any.whl"
    write_wheel(Path(wheel_directory, wheel), {"onearm.pth": f"{folder}\n".encode(), **files}, f"{name}/RECORD")
    return wheel


def link_package(root: Path) -> Path:
    """Make `.links/onearm` anew: a link for each room and for each file of the root package. Return `.links`."""
    folder = root / ".links"
    package = folder / "onearm"
    shutil.rmtree(folder, ignore_errors=True)
    package.mkdir(parents=True)
    for target in [*(root / room for room in ROOMS), *walk(root / "engine" / "_root")]:
        (package / target.name).symlink_to(os.path.relpath(target, package), target_is_directory=target.is_dir())
    return folder


def walk(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted, without what Python compiled."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")


def write_wheel(path: Path, files: dict[str, bytes], record: str) -> None:
    """Write a wheel of these files, with the list of their digests that installers want."""
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(data)}\n")
        wheel.writestr(record, "".join([*lines, f"{record},,\n"]))
