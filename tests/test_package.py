"""What is installed: the wheel holds the tree and nothing else, and the command starts fast."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import onearm

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("engine", "policies", "envs", "api")


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
    """`packages` in pyproject.toml is written by hand: a new folder is easily forgotten."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in (*ROOMS, "pyproject.toml", "README.md", "LICENSE"):
        (tree / name).symlink_to(ROOT / name)
    build = "import setuptools.build_meta as backend; print(backend.build_wheel('..'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = f"onearm-{onearm.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(metadata)} == shipped(ROOT)
    assert {metadata + "licenses/LICENSE", metadata + "entry_points.txt"} <= names


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


def test_every_command_has_help_with_an_example() -> None:
    from_table = [
        "import sys",
        "from onearm.api.cli.main import COMMANDS, main",
        "from click.testing import CliRunner",
        "for name in COMMANDS:",
        "    result = CliRunner().invoke(main, [name, '--help'])",
        "    if result.exit_code or 'Example' not in result.output:",
        "        print(name, result.output, result.exception)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(from_table)], capture_output=True, text=True, check=True)
    assert done.stdout == ""
