"""Actions: an arm or a query is its number, a vector a point of a domain, a move says what to do with a stream of arms.

What is the case for the actions of each choice is said in `choices`; here is what is done with them, in Python and in
compiled loops. A vector is float64[d]; a move is int64[3]: what, slot, pulls.

pull   (PULL, slot, n): pull the arm in `slot` n times
read   (READ, slot, 0): store the arm that arrived in `slot`, in place of what was there, and read the next one

Slots are numbered from 0; behind them lies the place of the arm that arrived, number `slots`. Reading with that number
drops it. The feedback on a move has the sum of the rewards, and as detail how many pulls were done and the number of
the arm that was read, -1 where none was: the stream is over.

>>> move = np.zeros(3, np.int64)
>>> pull(move, slot=0, n=8).tolist(), read(move, slot=1).tolist()
([0, 0, 8], [1, 1, 0])
>>> unpack_actions([pack_action(move)], [None], Problem(0, slots=1)).tolist()
[[1, 1, 0]]
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .choices import PULL as PULL  # "X as X": found here by those who import it
from .choices import READ as READ
from .choices import Moves, Single, Vectors
from .errors import Damaged
from .kernel import INLINED, kernel
from .limits import are_small
from .vocabulary import Action, Array, Decision, Problem


@kernel
def pull(move: Array, slot: int, n: int) -> Array:
    """Make a move of n pulls of the arm in a slot, and return it."""
    move[0] = PULL
    move[1] = slot
    move[2] = n
    return move


@kernel
def read(move: Array, slot: int) -> Array:
    """Make a move that stores the arm that arrived in a slot and reads the next one, and return it."""
    move[0] = READ
    move[1] = slot
    move[2] = 0
    return move


def empty_actions(n: int, problem: Problem) -> Array:
    """Return room for n actions of a problem: zeros."""
    return np.zeros((n, *problem.choice.shape), problem.choice.dtype)


def pack_action(action: Array) -> bytes:
    """Return a move or a vector as bytes, little-endian, as the log keeps it."""
    return np.ascontiguousarray(action, action.dtype.newbyteorder("<")).tobytes()


def unpack_actions(vectors: Sequence[bytes | None], numbers: Sequence[int | None], problem: Problem) -> Array:
    """Return n actions of what the log keeps: arms as `numbers`, others as the bytes `vectors`; None counts as 0.

    Raises `Damaged` where bytes are not those of an action of this problem.
    """
    if problem.is_numbered:
        return np.array([number or 0 for number in numbers], np.int64)
    found = empty_actions(len(vectors), problem)
    size = found.itemsize * found.shape[1]
    if any(vector is not None and len(vector) != size for vector in vectors):
        raise Damaged(
            "bad_action",
            f"the log holds an action that is not a {problem.action_kind} of {size} bytes: restore it from a backup",
        )
    found[:] = np.frombuffer(b"".join(v or bytes(size) for v in vectors), found.dtype.newbyteorder("<")).reshape(
        found.shape
    )
    return found


def pack_detail(detail: Sequence[float]) -> str | None:
    """Return a detail as the log keeps it: a JSON list, every bit of its numbers; None where nothing was told.

    >>> pack_detail([0.1, 2.0]), pack_detail([math.nan]), pack_detail([])
    ('[0.1, 2.0]', None, None)
    """
    return None if all(map(math.isnan, detail)) else json.dumps(detail)


def unpack_details(texts: Sequence[str | None], problem: Problem) -> Array:
    """Return float64[n, m] of n details as the log keeps them; NaN where one has no list of m numbers.

    They are JSON lists, or objects that say something of a window and hold the list as `beside`.
    """
    found = np.full((len(texts), problem.detail_length), np.nan)
    if problem.detail_length:
        for row, text in enumerate(texts):
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                numbers = json.loads(text or "null")
                if isinstance(numbers, dict):
                    numbers = numbers.get("beside")
                if isinstance(numbers, list) and len(numbers) == problem.detail_length:
                    found[row] = numbers
    return found


def possible_rewards(rewards: Array, problem: Problem) -> Array:
    """Return which of n rewards can be, bool[n]: small, where vectors are decided; finite."""
    return are_small(rewards) if isinstance(problem.choice, Vectors) else np.isfinite(rewards)


def decision_at(actions: Array, row: int, propensity: float) -> Decision:
    """Return the decision whose action is one of n."""
    return Decision(actions[row], propensity)


def put_action(actions: Array, row: int, action: Action) -> None:
    """Write an action into row `row` of room made by `empty_actions`."""
    actions[row] = action


def same_action(actions: Array, row: int, action: Action) -> bool:
    """Tell whether an action is that of a row."""
    return bool(np.all(actions[row] == action))


def trials(rules: Single | Moves, action: Action, detail: Array) -> int:
    """Return how many trials a decision took by the rules of its choice: 1; the pulls that a move did."""
    return int(detail[0]) if isinstance(rules, Moves) else 1


def allowed(rules: Single | Moves, action: Action, available: Array) -> bool:
    """Tell whether what a policy decided can be done, by the rules of its choice: of moves not all can."""
    return move_allowed(action, available) if isinstance(rules, Moves) else True


@kernel
def move_allowed(move: Array, available: Array) -> bool:
    """Tell whether a move is one that can be made: a pull of what is there, or reading."""
    slots = len(available) - 2
    if not 0 <= move[1] <= slots:
        return False
    if move[0] == READ:
        return bool(available[slots + 1])
    return bool(move[0] == PULL and move[2] >= 1 and available[move[1]])


@kernel
def _put_numbers(actions: Array, row: int, action: Array) -> None:
    for i in range(actions.shape[1]):
        actions[row, i] = action[i]


@kernel
def _same_numbers(actions: Array, row: int, action: Array) -> bool:
    same = True
    for i in range(actions.shape[1]):
        same &= actions[row, i] == action[i]
    return same


# Numba compares the signatures of a stub and of its implementation to the letter, so these carry no annotations.


def _are_rows(actions: Any) -> bool:
    return isinstance(actions, types.Array) and actions.ndim == 2


def _are_of_moves(rules: Any) -> bool:
    return rules.instance_class is Moves


@overload(decision_at, jit_options=INLINED)
def _decision_at(actions, row, propensity):
    return lambda actions, row, propensity: Decision(actions[row], propensity)


@overload(put_action, jit_options=INLINED)
def _put_action(actions, row, action):
    if _are_rows(actions):
        return lambda actions, row, action: _put_numbers(actions, row, action)

    def put(actions, row, action):
        actions[row] = action

    return put


@overload(same_action, jit_options=INLINED)
def _same_action(actions, row, action):
    if _are_rows(actions):
        return lambda actions, row, action: _same_numbers(actions, row, action)
    return lambda actions, row, action: actions[row] == action


@overload(allowed, jit_options=INLINED)
def _allowed(rules, action, available):
    if _are_of_moves(rules):
        return lambda rules, action, available: move_allowed(action, available)
    return lambda rules, action, available: True


@overload(trials, jit_options=INLINED)
def _trials(rules, action, detail):
    if _are_of_moves(rules):
        return lambda rules, action, detail: int(detail[0])
    return lambda rules, action, detail: 1
