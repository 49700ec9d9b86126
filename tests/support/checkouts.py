"""Copies of the checkout, and what installers build of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("engine", "policies", "envs", "api")


def built(tree: Path, what: str) -> Path:
    """Build a wheel of a copy of the checkout below `tree`, as an installer does; return its path."""
    copy_checkout(tree)
    return build(tree, what)


def copy_checkout(tree: Path) -> None:
    """Copy what a build reads of the checkout to the new folder `tree`."""
    tree.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in (*ROOMS, "build_backend"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))


def build(tree: Path, what: str) -> Path:
    """Run the backend of `tree`; return what it built, which lies beside the tree."""
    (path,) = build_each(tree, f"built.append(linked.{what}('..'))")
    return path


def build_each(tree: Path, code: str) -> list[Path]:
    """Run code that builds with the backend of `tree`, `linked`, and lists in `built` what now lies beside the tree."""
    backend = "import sys; sys.path.insert(0, 'build_backend'); import linked; built = []"
    code = f"{backend}\n{code}\nprint(); print(*built, sep='/')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [tree.parent / name for name in done.stdout.splitlines()[-1].split("/")]
