"""Import parts of obp without PyTorch, 2 GB that they do not use."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path


def without_torch() -> None:
    """Give obp packages without inits, which import everything, and a torch of which only names of types are asked."""
    if "obp" in sys.modules:
        return
    spec = importlib.util.find_spec("obp")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    for name in ("obp", "obp.ope", "obp.policy"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    torch = types.ModuleType("torch")
    torch.__dict__.update(tensor=object, Tensor=object)
    sys.modules["torch"] = torch
