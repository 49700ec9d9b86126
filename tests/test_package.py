"""What is installed: the wheel holds the tree and nothing else, and the command starts fast."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from support.checkouts import ROOMS, ROOT, build, build_each, copy_checkout

import onearm
from onearm.api.cli.main import COMMANDS, main
from onearm.engine.errors import installing


def shipped(root: Path) -> set[str]:
    """Return the files of the rooms, named as they lie in a wheel."""
    files = {
        file.relative_to(root).as_posix()
        for room in ROOMS
        for file in (root / room).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    return {"onearm/" + file.removeprefix("engine/_root/") for file in files}


class Built(NamedTuple):
    """What the backend builds of one tree."""

    tree: Path
    sdist: Path
    without_links: Path  # the editable wheel where links cannot be made
    editable: Path


BUILT = """
from pathlib import Path
from unittest import mock

built.append(linked.build_sdist(".."))
with mock.patch.object(Path, "symlink_to", side_effect=OSError("no links")):
    built.append(linked.build_editable(".."))
built.append(linked.build_editable(".."))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build all in one process: to import setuptools, and to copy a tree, takes as long as most of it."""
    tree = tmp_path_factory.mktemp("built") / "tree"
    copy_checkout(tree)
    return Built(tree, *build_each(tree, BUILT))


def assert_whole(wheel: Path) -> None:
    """Assert that a wheel holds every file of the rooms, and nothing else but what is said of it."""
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = f"onearm-{onearm.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(metadata)} == shipped(ROOT)
    assert {metadata + "licenses/LICENSE", metadata + "entry_points.txt"} <= names


def test_the_wheel_of_the_sdist_holds_every_file_of_the_rooms_and_nothing_else(built: Built, tmp_path: Path) -> None:
    """`setup.py` finds the packages, package data is named by hand: a new file is easily forgotten.

    An installer that takes the sdist builds a wheel of it, by the backend that lies in it.
    """
    with tarfile.open(built.sdist) as sdist:
        sdist.extractall(tmp_path / "sdist", filter="data")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    assert_whole(build(unpacked, "build_wheel"))


@pytest.mark.slow  # the sdist has no file that its tree has not, and its wheel is seen above
def test_the_wheel_of_the_tree_holds_every_file_of_the_rooms_and_nothing_else(built: Built) -> None:
    assert_whole(build(built.tree, "build_wheel"))


def test_an_editable_install_is_links_that_every_tool_can_follow(built: Built) -> None:
    tree, wheel = built.tree, zipfile.ZipFile(built.editable)
    links = (tree / ".links").resolve()
    assert wheel.read("onearm.pth").decode() == f"{links}\n"
    assert (links / "onearm" / "engine" / "loop.py").resolve() == (tree / "engine" / "loop.py").resolve()
    assert {file.name for file in (links / "onearm").iterdir()} >= {*ROOMS, "__init__.py", "__main__.py", "py.typed"}
    recorded = wheel.read(f"onearm-{onearm.__version__}.dist-info/RECORD").decode().splitlines()
    assert [line.partition(",")[0] for line in recorded] == wheel.namelist()
    code = "import onearm.engine.errors as errors; print(errors.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(links)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{links / 'onearm' / 'engine' / 'errors.py'}\n"


def test_where_links_cannot_be_made_setuptools_own_way_is_taken(built: Built) -> None:
    names = zipfile.ZipFile(built.without_links).namelist()
    assert any("finder" in name for name in names), names


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert onearm.__version__ == version("onearm") == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_help_names_every_command_and_loads_neither_numba_nor_fastapi() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "onearm", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {"numba", "numpy", "fastapi", "sqlalchemy", "pyarrow", "gymnasium", "scipy"}
    for command in ("serve", "demo", "simulate", "replay", "verify", "export", "policies", "envs"):
        assert f"\n  {command}" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    told = CliRunner().invoke(main, [name, "--help"])
    assert (told.exit_code, "Example" in told.output) == (0, True), told.output


def test_what_is_missing_is_installed_as_the_readme_says_and_by_names_of_extras(root: Path) -> None:
    """No index has the package: `pip install 'onearm[logs]'` would find nothing, or somebody else's."""
    texts = {file: file.read_text() for room in ROOMS for file in (root / room).rglob("*.py")}
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for text in texts.values() for name in re.findall(r"installing\(['\"](\w+)['\"]\)", text)}
    assert {"logs", "postgres", "report"} < named <= {*extras}
    assert not [str(file) for file, text in texts.items() if re.search(r"install '?onearm\[", text)]
    assert f"`{installing('logs').split(' in a ')[0].partition('-m ')[2]}` with" in (root / "README.md").read_text()
