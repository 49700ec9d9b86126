"""The packages of the wheel, which setuptools cannot list: the top folders are rooms of one package.

Every folder with an `__init__.py` below them is a package. All else about the project stands in pyproject.toml.
"""

from pathlib import Path

from setuptools import setup

ROOMS = ("engine", "policies", "envs", "api")


def packages() -> list[str]:
    """Return the names of all packages; `engine/_root` is the root, `onearm` itself."""
    found = sorted(file.parent for room in ROOMS for file in Path(room).rglob("__init__.py"))
    return ["onearm", *(f"onearm.{'.'.join(folder.parts)}" for folder in found if folder != Path("engine/_root"))]


setup(packages=packages())
