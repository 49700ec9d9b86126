"""BLAKE2b in compiled code, one message or eight at once: the numbers of hashlib."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from support.compiled import compiled

from onearm.engine.featuriser.blake import LANES, NUMBERS, SIZES, WORDS, blake2b_8, blake2b_8_of_each
from onearm.engine.vocabulary import Array

pytestmark = pytest.mark.jit
MESSAGES = [bytes((7 * n + at) % 256 for at in range(n)) for n in range(1, 400)]


def number(message: bytes) -> int:
    return int.from_bytes(blake2b(message, digest_size=8).digest(), "little")


def words_of(message: bytes) -> Array:
    """Return a message in words, with zeros up to the end of its block."""
    return np.frombuffer(message + bytes(-len(message) % 128), np.uint64)


def test_a_message_of_any_length_has_the_number_of_hashlib() -> None:
    one, state = compiled(blake2b_8), np.zeros(8, np.uint64)
    assert [int(one(words_of(each), len(each), state)) for each in MESSAGES] == [number(each) for each in MESSAGES]


def test_messages_that_are_hashed_at_once_have_their_own_numbers() -> None:
    each = compiled(blake2b_8_of_each)
    for first in range(0, 128 - LANES + 1, LANES):
        messages = MESSAGES[first : first + LANES]
        room = np.zeros((WORDS + 2) * LANES, np.uint64)
        room[:SIZES] = np.concatenate([words_of(message) for message in messages]).reshape(LANES, WORDS).T.ravel()
        room[SIZES:NUMBERS] = [len(message) for message in messages]
        each(room)
        assert room[NUMBERS:].tolist() == [number(message) for message in messages]
