"""One file, one policy, in a folder for each family. `catalog` finds them by name."""

if __name__ != "onearm.policies":
    raise ImportError("import it as onearm.policies")

from ..engine.registry import Registry
from ..engine.vocabulary import Policy

catalog: Registry[Policy] = Registry("policy", "onearm.policies", Policy)
