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

import pytest
from click.testing import CliRunner
from support.checkouts import ROOMS, ROOT, build, built, copy_checkout

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


def test_the_wheel_holds_every_file_of_the_rooms_and_nothing_else(tmp_path: Path) -> None:
    """`setup.py` finds the packages, package data is named by hand: a new file is easily forgotten."""
    names = set(zipfile.ZipFile(built(tmp_path / "tree", "build_wheel")).namelist())
    metadata = f"onearm-{onearm.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(metadata)} == shipped(ROOT)
    assert {metadata + "licenses/LICENSE", metadata + "entry_points.txt"} <= names


def test_the_sdist_builds_the_same_wheel(tmp_path: Path) -> None:
    """An installer that takes the sdist builds a wheel of it, by the backend that lies in it."""
    copy_checkout(tmp_path / "tree")
    with tarfile.open(build(tmp_path / "tree", "build_sdist")) as sdist:
        sdist.extractall(tmp_path / "sdist", filter="data")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    names = zipfile.ZipFile(build(unpacked, "build_wheel")).namelist()
    assert {name for name in names if ".dist-info/" not in name} == shipped(ROOT)


def test_an_editable_install_is_links_that_every_tool_can_follow(tmp_path: Path) -> None:
    wheel = zipfile.ZipFile(built(tmp_path / "tree", "build_editable"))
    links = (tmp_path / "tree" / ".links").resolve()
    assert wheel.read("onearm.pth").decode() == f"{links}\n"
    assert (links / "onearm" / "engine" / "loop.py").resolve() == (tmp_path / "tree" / "engine" / "loop.py").resolve()
    assert {file.name for file in (links / "onearm").iterdir()} >= {*ROOMS, "__init__.py", "__main__.py", "py.typed"}
    recorded = wheel.read(f"onearm-{onearm.__version__}.dist-info/RECORD").decode().splitlines()
    assert [line.partition(",")[0] for line in recorded] == wheel.namelist()
    code = "import onearm.engine.kernel as kernel; print(kernel.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(links)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{links / 'onearm' / 'engine' / 'kernel.py'}\n"


def test_where_links_cannot_be_made_setuptools_own_way_is_taken(tmp_path: Path) -> None:
    refused = "from pathlib import Path; Path.symlink_to = lambda *_, **__: (_ for _ in ()).throw(OSError('no links'));"
    names = zipfile.ZipFile(built(tmp_path / "tree", "build_editable", refused)).namelist()
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
