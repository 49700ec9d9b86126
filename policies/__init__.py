"""One file, one policy. `catalog` finds them by name."""

if __name__ != "onearm.policies":
    raise ImportError("import it as onearm.policies")

from onearm.engine.registry import Registry
from onearm.engine.vocabulary import Policy

catalog: Registry[Policy] = Registry("policy", "onearm.policies", Policy)
