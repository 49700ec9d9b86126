"""What 0.1 called `onearm.engine.rounding.doubt`; this name goes with 0.3."""

import warnings

from onearm.engine.vectors.rounding import rounding_bound as doubt

__all__ = ["doubt"]

warnings.warn(
    "onearm.engine.rounding.doubt is onearm.engine.vectors.rounding.rounding_bound now: import that; the old name goes "
    "with 0.3",
    DeprecationWarning,
    stacklevel=2,
)
