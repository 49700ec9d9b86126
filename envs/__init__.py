"""One file, one environment, in a folder for each family. `catalog` finds them by name."""

if __name__ != "onearm.envs":
    raise ImportError("import it as onearm.envs")

from ..engine.registry import Registry
from ..engine.vocabulary import Environment

catalog: Registry[Environment] = Registry("env", "onearm.envs", Environment)
