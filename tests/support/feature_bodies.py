"""Contexts and actions of all sorts, as people send them and as they should not: for the encoders of named features."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder

ENCODERS = [
    Encoder(),
    Encoder(bits=3),
    Encoder(bits=1, interactions=()),
    Encoder(bits=26, interactions=()),
    Encoder(bits=10, interactions=(("user", "item"), ("", "user"), ("user", "user"))),
    Encoder(bits=20, interactions=(("user.tags", ""), ("item", "user"), ("ü", "item.a"))),
    Encoder(nonzeros=40),
    Encoder(dimension=8),
    Encoder(dimension=1024, interactions=(("", ""),)),
]
# What came later: products of three, and options of text. Golden values are of those above.
LATER = [
    Encoder(bits=12, interactions=(("user", "item", ""), ("user", "user", "user"), ("", "item", "item"))),
    Encoder(bits=26, interactions=(("user", ""), ("", "user", "user.tags"), ("user.tags", "user.tags", "item"))),
    Encoder(nonzeros=60, interactions=(("", "", ""), ("user", "item"))),
    Encoder(bits=20, interactions=(), lower=True),
    Encoder(bits=20, ngrams=3),
    Encoder(dimension=64, interactions=(("", "user", "item"),), lower=True, ngrams=5),
]
KEYS = ["user", "item", "a", "b", "id", "tags", "city", "ü", "日本", "x" * 30, "user.tags", "a b", "_text", "_tag", "0"]
STRINGS = [
    "",
    "paris",
    "red shoes",
    "ü",
    "1",
    "tab\there",
    'quo"te',
    "a\xa0b",
    "a\u3000b",
    "x" * 999,
    "y" * 300,
    "é" * 600,
]
NUMBERS = [
    0,
    1,
    -1,
    31,
    0.5,
    -0.0,
    1e15,
    -1e15,
    3.3e-300,
    123456789012345,
    2**31,
    -(2**31),
    0.1 + 0.2,
    True,
    False,
    None,
]
ODD = [
    float("nan"),
    123456789012345678,
    float("inf"),
    1e16,
    2**80,
    -(10**400),
    "z" * 1001,
    np.float64(2.5),
    np.int64(3),
    b"bytes",
    {1: 2},
]
ODD += [
    {"": 1},
    {"": {"a": 1}},
    [[1, [2, "x"]]],
    {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}},
    "\ud800",
]


def thing(draws: random.Random, depth: int, odd: float) -> Any:
    """Return a value of JSON; with the probability `odd` one that is refused, or read in another way."""
    if draws.random() < odd:
        return draws.choice(ODD)
    sort = draws.random()
    if sort < 0.35:
        return draws.choice(NUMBERS) if draws.random() < 0.5 else draws.uniform(-9, 9) * 10.0 ** draws.randint(-20, 14)
    if sort < 0.65 or (depth > 5 and draws.random() < 0.8):
        return string(draws)
    if sort < 0.8:
        return [thing(draws, depth + 1, odd) for _ in range(draws.randint(0, 5))]
    return objects(draws, depth + 1, odd)


def string(draws: random.Random) -> str:
    return draws.choice(STRINGS[:5] if draws.random() < 0.98 else STRINGS)


def objects(draws: random.Random, depth: int, odd: float) -> dict[str, Any]:
    """Return an object."""
    keys = draws.sample(KEYS, draws.randint(0, 6))
    return {
        key: string(draws) if key == "_text" and draws.random() >= odd else thing(draws, depth, odd) for key in keys
    }


def body(seed: int) -> tuple[Any, list[Any]]:
    """Return a context and actions."""
    draws = random.Random(seed)
    odd = draws.choice([0.0, 0.0, 0.0, 0.02])
    shared = draws.choice([None, objects(draws, 0, odd), objects(draws, 0, odd), objects(draws, 0, odd)])
    actions: list[Any] = [{"id": f"a{a}"} | objects(draws, 0, odd) for a in range(draws.randint(0 if odd else 1, 6))]
    if draws.random() < 0.1:
        actions = [{"id": draws.choice([7, -3, 2.5, True, 10**17, 2**70])}, *actions]
    if draws.random() < odd:
        shared, actions = draws.choice([(3, actions), (shared, [*actions, "a"]), (shared, [*actions, {}]), (False, [])])
    return shared, actions


def answer(read: Callable[[Any, Any], Any], shared: Any, actions: Any) -> bytes | str:
    """Return what an encoder makes of a context, as bytes, or its message."""
    try:
        found = read(shared, actions)
    except InvalidInput as error:
        return str(error)
    return b"".join(part.tobytes() for part in (found if isinstance(found, tuple) else [found]))


def plainly(encoder: Encoder) -> Callable[[Any, Any], Any]:
    """Return how an encoder reads in Python."""
    if encoder.dimension is None:
        return encoder.plainly_encoded
    return encoder.plainly_dense


def digest(seeds: range) -> str:
    """Return a checksum of what all encoders say in Python of some bodies: slots and values, names, and refusals."""
    sha = hashlib.sha256()
    for seed in seeds:
        shared, actions = body(seed)
        for encoder in ENCODERS:
            said = answer(plainly(encoder), shared, actions)
            sha.update(said.encode("utf-8", "surrogatepass") if isinstance(said, str) else said)
            if not isinstance(said, str):
                names = encoder.names(shared, actions)
                sha.update(repr(names).encode("utf-8", "surrogatepass"))
    return sha.hexdigest()
