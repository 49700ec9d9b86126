"""Registers our environments as soon as Gymnasium is imported, in environments that asked for it.

Gymnasium 1.0 stopped loading the entry points `gymnasium.envs` itself. `python -m onearm.api.gym.autoload` writes a
.pth file that imports this module when Python starts; nothing more happens until Gymnasium is imported.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

GROUP = "gymnasium.envs"


class Autoload(MetaPathFinder):
    """Finds Gymnasium as Python would, and has our entry point run behind it. Once."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of `gymnasium` with our registration behind it; None for every other module."""
        if name != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                if "onearm.api.gym" in sys.modules:  # it is what imports Gymnasium, and registers by itself
                    return
                from importlib.metadata import entry_points

                for point in entry_points(group=GROUP, name="onearm"):
                    point.load()()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Wait for Gymnasium, unless it is imported already or awaited."""
    if "gymnasium" not in sys.modules and not any(isinstance(finder, Autoload) for finder in sys.meta_path):
        sys.meta_path.insert(0, Autoload())
