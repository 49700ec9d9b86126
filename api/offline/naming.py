"""What the columns of a table are, as a person says it: on the command line, and in Python."""

from __future__ import annotations

from collections.abc import Sequence

from ...engine.errors import InvalidInput, as_seen
from ...engine.features import Encoder
from ...engine.storage.rows import Naming

KINDS = ("dense", "named")  # of contexts


def naming_of(
    features: Sequence[str],
    action: str | None,
    reward: str | None,
    reward_is: str,
    propensity: str | None,
    time: str | None,
    unit: str | None,
    *,
    context: str,
    ignore: Sequence[str],
    interactions: Sequence[Sequence[str]] | None,
    bits: int | None,
) -> Naming:
    """Return which columns are what; a `context` is dense or named, and how features are hashed is of the latter.

    Raises `InvalidInput` for what breaks a rule, or has no meaning where contexts are dense.
    """
    if reward_is not in ("reward", "cost"):
        raise InvalidInput("bad_reward_is", f"reward_is is {as_seen(reward_is)}: say reward or cost")
    if context not in KINDS:
        raise InvalidInput("bad_context", f"context is {as_seen(context)}: say {' or '.join(KINDS)}")
    if context == "dense" and (interactions is not None or bits is not None):
        raise InvalidInput("not_named", "--interactions and --bits hash named features: say --context named")
    encoder = None
    if context == "named":
        pairs = None if interactions is None else tuple(map(tuple, interactions))
        encoder = Encoder(interactions=pairs) if bits is None else Encoder(bits, pairs)
    names = _once(features)
    ignored = _once(ignore)
    if both := [name for name in ignored if name in names]:
        raise InvalidInput("bad_features", f"{both[0]!r} is a feature, and ignored: leave one of the two out")
    return Naming(action, reward, propensity, time, unit, reward_is == "cost", names, ignored, encoder)


def _once(names: Sequence[str]) -> tuple[str, ...]:
    """Return names without blanks around them, each once."""
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
